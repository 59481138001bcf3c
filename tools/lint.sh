#!/usr/bin/env bash
# What a compiler doesn't refuse and we do. Prints file:line for each finding; exit 1 when there is one.
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
forbid '#include "(frontend|worker|apps|loader|admin|supervisor)/' 'includes go downward only' 'lib/*.[ch]' 'config/*.[ch]'
forbid '#include "(frontend|worker|apps|loader|admin|supervisor)/' 'includes go downward only' 'cache/*.[ch]'
forbid '#include <(sqlite3|openssl/ssl)' 'only the loader speaks SQL, only a transport speaks TLS' 'worker/*.[ch]' 'frontend/*.[ch]' 'admin/*.[ch]'
forbid '#include "cache/(lookup|build|layout)' 'frontends never see the subscriber cache' 'frontend/*.[ch]'
for header in $(git ls-files -- '*.h'); do
	if ! head -40 "$header" | grep -q '#pragma once'; then
		echo "$header: no #pragma once"
		status=1
	fi
done
[ "$status" = 0 ] && echo "lint: clean"
exit "$status"
