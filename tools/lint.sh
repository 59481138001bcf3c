#!/usr/bin/env bash
# What a compiler doesn't refuse and we do. Prints file:line for each finding; exit 1 when there is one. What needs the
# objects of a build (which folder uses which) is in tools/gates/arrows.py.
set -u
cd "$(dirname "$0")/.."
status=0

forbid() { # REGEX FILES... : WHY
	local regex=$1 why=$2
	shift 2
	local hits
	hits=$(git ls-files -- "$@" | xargs -r grep -nE "$regex" /dev/null | grep -v 'lint: ')
	if [ -n "$hits" ]; then
		printf '%s\n    ^ %s\n' "$hits" "$why"
		status=1
	fi
}

product=('lib/*.[ch]' 'frontend/*.[ch]' 'worker/*.[ch]' 'apps/*.[ch]' 'loader/*.[ch]' 'cache/*.[ch]' 'admin/*.[ch]' 'config/*.[ch]' 'supervisor/*.[ch]' 'tools/*.[ch]')
forbid '\b(strcpy|strcat|sprintf|vsprintf|gets|strtok|alloca)\(' 'unbounded: use snprintf or wire.h' "${product[@]}"
forbid '(^|[^_a-z])assert\(' 'no assert in the product: a verdict, an error code, or bug()' "${product[@]}"
forbid '\bmemcmp\([^)]*(mac|res|key|opc|auts)' 'secrets are compared with secret_equal' 'worker/*.c' 'apps/*.c' 'loader/*.c'
forbid '\b(TODO|FIXME|XXX|HACK)\b' 'unfinished work belongs into an issue' "${product[@]}"
forbid '#include "(frontend|worker|apps/[a-z0-9_]+/|apps/[a-z_]+[.]h|loader|admin|supervisor)' 'includes go downward only' 'lib/*.[ch]' 'config/*.[ch]'
forbid '#include "(frontend|worker|apps/[a-z0-9_]+/|apps/[a-z_]+[.]h|loader|admin|supervisor)' 'includes go downward only' 'cache/*.[ch]'
forbid '#include <(sqlite3|openssl/ssl)' 'only the loader speaks SQL, only a transport speaks TLS' 'worker/*.[ch]' 'frontend/*.[ch]' 'admin/*.[ch]'
forbid '#include "cache/(lookup|build|layout)' 'frontends never see the subscriber cache' 'frontend/*.[ch]'
forbid '"[^"]*/proc/self/fd' 'a path for opening only, no message shows it; say so in the line with "lint: "' "${product[@]}"
for header in $(git ls-files -- '*.h'); do
	if ! head -40 "$header" | grep -q '#pragma once'; then
		echo "$header: no #pragma once"
		status=1
	fi
done

# The core knows applications by a table, never by name.
core=(lib frontend worker loader cache admin config supervisor)
for file in $(git ls-files -- "${core[@]/%//*.[ch]}" "${core[@]/%//*.def}" ':!lib/diameter/*.def' |
	xargs grep -liE '(^|[^[:alnum:]])(s6a|mme|sgsn|clr)([^[:alnum:]]|$)' || true); do
	grep -niEH '(^|[^[:alnum:]])(s6a|mme|sgsn|clr)([^[:alnum:]]|$)' "$file" | head -3
	echo "    ^ the core names an application; only apps/ and lib/diameter/*.def may"
	status=1
done

# The head of each .c says what the file owns.
for file in $(git ls-files -- '*.c'); do
	case $(head -c 2 "$file") in
	'//' | '/*') ;;
	*)
		echo "$file:1: no head comment"
		status=1
		;;
	esac
done

comment_share() { # FILES...
	git ls-files -- "$@" | xargs cat |
		awk 'NF { all++ } /^[ \t]*(\/\/|\/\*|\*)/ { own++ } END { printf "%.0f %%", 100 * own / all }'
}
echo "comments: $(comment_share "${core[@]/%//*.c}" 'apps/*.c') of the lines of .c, $(comment_share "${core[@]/%//*.h}" 'apps/*.h') of .h"

[ "$status" = 0 ] && echo "lint: clean"
exit "$status"
