#!/bin/bash
# Names of the program that hold escape sequences do not reach the terminal, whatever command prints them.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
work=$out/hostile
rm -rf "$work"
mkdir -p "$work"
cd "$work" || exit 1
evil=$'\e]0;title\a\e[31m\x9b2J\xc2\x9bend'

# The symbols of a program without debug information, with an escape sequence in each.
gcc -O1 -D_GNU_SOURCE -I"$root/tests/programs" -o plain "$root/tests/programs/gate_mutex.c" -pthread || fail gcc
rename=()
for name in main log_entry log_mutex write_report idle before after; do rename+=(--redefine-sym "$name=$name$evil"); done
objcopy "${rename[@]}" plain hostile || fail objcopy

# harmless COMMAND ARG...: what `refork COMMAND` prints holds the names, and no control characters
harmless() {
    local status
    clean "$refork" "$@" >stdout 2>stderr </dev/null
    status=$?
    [ $status = 120 ] || [ $status = 0 ] || fail "$*: status $status: $(cat -v stderr)"
    LC_ALL=C grep -qP '[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]' stdout stderr && fail "$*: a control character: $(cat -v stdout stderr)"
    cat stdout stderr >"$1.printed"
    grep -q 'title' "$1.printed" || fail "$*: the names are missing: $(cat -v stdout stderr)"
}
harmless hunt --strategy directed -o found.refork -- ./hostile
grep -q 'log_entry' hunt.printed || fail "not the function's name: $(cat -v hunt.printed)"
harmless explain found.refork
harmless verify found.refork -- ./hostile
harmless verify found.refork -- ./hostile protected
harmless hunt --strategy directed --keep-going -o other.refork -- ./hostile protected
# What the terminal shows while it runs.
clean script -qec "$(printf '%q ' "$refork") hunt --strategy directed -o shown.refork -- ./hostile" /dev/null >shown 2>&1 </dev/null
LC_ALL=C sed 's/\x1b\[K//g' shown | LC_ALL=C grep -qP '\x1b|\x07|\x9b' && fail "on a terminal: $(cat -v shown)"
grep -q 'candidates left' shown || fail "no progress on a terminal: $(cat -v shown)"
# Errors name what they are about.
clean "$refork" explain $'no\e[31m-such.refork' >stdout 2>stderr && fail "a file that is not there"
LC_ALL=C grep -qP '\x1b' stderr && fail "an error's name: $(cat -v stderr)"
rm -rf "$work"
