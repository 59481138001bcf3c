# Completion of imstool for bash. Commands, words and options come from `imstool --commands`, so that they are always those
# of the installed version: "NAME: WORD... --OPTION --OPTION=VALUE", where a value FILE is a file and a|b are the values.
_imstool()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}
	local table line word value candidates=

	COMPREPLY=()
	table=$("${COMP_WORDS[0]}" --commands 2>/dev/null)
	if [[ $COMP_CWORD -eq 1 ]]; then
		candidates="--help --version"
		while IFS= read -r line; do
			candidates="$candidates ${line%%:*}"
		done <<<"$table"
		mapfile -t COMPREPLY < <(compgen -W "$candidates" -- "$cur")
		return
	fi
	while IFS= read -r line; do
		[[ ${line%%:*} == "$command" ]] && line=${line#*: } && break
		line=
	done <<<"$table"
	for word in $line; do
		value=
		[[ $word == --*=* ]] && value=${word#*=} word=${word%%=*}
		if [[ $prev == "$word" && $value ]]; then
			case $value in
			FILE) compopt -o filenames 2>/dev/null
			      mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
			*'|'*) mapfile -t COMPREPLY < <(compgen -W "${value//|/ }" -- "$cur") ;;
			esac
			return
		fi
		if [[ $word == FILE ]]; then
			compopt -o filenames 2>/dev/null
			mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		elif [[ $word != --* || $cur == -* || -z $cur ]]; then
			candidates="$candidates $word"
		fi
	done
	mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W "$candidates" -- "$cur")
}
complete -F _imstool imstool
