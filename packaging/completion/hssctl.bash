# Completion of hssctl for bash. The commands and their options come from `hssctl --commands`, so that they are always
# those of the installed version.
_hssctl()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
	local words=() word skip= table line name rest candidates=

	COMPREPLY=()
	case $prev in
	--socket | --pcap | --*-file)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	--format)
		mapfile -t COMPREPLY < <(compgen -W "mongo csv" -- "$cur")
		return
		;;
	--status)
		mapfile -t COMPREPLY < <(compgen -W "granted barred" -- "$cur")
		return
		;;
	--what)
		mapfile -t COMPREPLY < <(compgen -W "all home-apn visited-apn" -- "$cur")
		return
		;;
	--timeout | --prefix | --limit | --msisdn | --node | --k | --op | --opc | --amf | --sqn | --apn | --ambr | --by | --peer | --for | --every)
		return
		;;
	esac
	for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
		if [[ $skip ]]; then
			skip=
		elif [[ $word == --socket || $word == --timeout ]]; then
			skip=1
		elif [[ $word != -* && ${#words[@]} -lt 2 ]]; then
			words+=("$word")
		fi
	done
	table=$("${COMP_WORDS[0]}" --commands 2>/dev/null)
	while IFS= read -r line; do
		name=${line%%:*} rest=${line#*:}
		case "${words[*]}" in
		"$name" | "${name%% *} ${name#* }")
			candidates="$candidates $rest"
			;;
		"")
			candidates="$candidates ${name%% *}"
			;;
		"${name%% *}")
			candidates="$candidates ${name#* }"
			;;
		*)
			# a command of one word, then its arguments
			[[ $name == "${words[0]}" ]] && candidates="$candidates $rest"
			;;
		esac
	done <<<"$table"
	case " $candidates " in
	*" FILE "*)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		;;
	esac
	[[ ${#words[@]} -eq 0 ]] && candidates="$candidates help"
	[[ $cur == -* || ${#words[@]} -eq 0 ]] && candidates="$candidates --json --help --socket --timeout"
	candidates=${candidates// FILE/}
	mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W "$candidates" -- "$cur" | sort -u)
}
complete -F _hssctl hssctl
