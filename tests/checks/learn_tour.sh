#!/bin/bash
# The tour from its first lesson to its last: each one is recorded, leads to the verdict that it is about, and its fix ends. A lesson
# whose library is not on this machine says so.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work

lesson() {
    local name=$1 file=$root/samples/learn/$1.lesson want status=0
    clean "$refork" learn "$name" >"$name.txt" 2>"$name.err" </dev/null || status=$?
    if [ $status != 0 ] && grep -q 'is not here: install it' <(tr '\n' ' ' <"$name.txt"); then
        echo "$name: $(grep -m 1 'is not here' "$name.txt")"
        return
    fi
    [ $status = 0 ] || fail "$name: status $status: $(cat "$name.err" "$name.txt")"
    want=$(sed -n 's/^expect: //p' "$file")
    if [ "$want" = none ]; then want='no deadlock'; else want="Finding 1 of [0-9]*: $want"; fi
    grep -qE "$want" "$name.txt" || fail "$name: no '$want' in its verdict: $(cat "$name.txt")"
    ! grep -q '^fix: ' "$file" || grep -q ' ends by itself with status 0' "$name.txt" || fail "$name: its fix: $(cat "$name.txt")"
    [ "$want" = 'no deadlock' ] || grep -q '^fixed: ' "$name.txt" || fail "$name: verify: $(cat "$name.txt")"
}

names=$(clean "$refork" learn --list | sed -nE 's/^([a-z_]+)  .*/\1/p')
[ "$(wc -w <<<"$names")" = "$(compgen -G "$root/samples/learn/*.lesson" | wc -l)" ] || fail "listed: $names"
for name in $names; do lesson "$name"; done
rm -rf "$work"
