#!/bin/bash
# Records one variant of a program in tests/cases/ and holds its verdict against the line of the variant at its top:
#   tests/case.sh BUILD NAME ARG...     // case ARG...: KIND [KEY=VALUE]...   of the first finding (keys: tests/findings.jq),
#                                       // case ARG...: none                  or there is none, and the program ends with 0
#   tests/case.sh BUILD --list          all variants
# Nobody ends these programs from outside: a verdict has to come by itself.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
shift
if [ "$1" = --list ]; then
    for source in "$root"/tests/cases/*.c "$root"/tests/cases/*.cc; do
        name=$(basename "${source%.*}")
        sed -nE "s|^// case ([^:]*): .*|$name \1|p" "$source"
    done
    exit
fi
name=$1 arguments="${*:2}"
source=$(ls "$root/tests/cases/$name".c*)
expect=$(sed -nE "s|^// case $arguments: (.*)|\1|p" "$source")
[ -n "$expect" ] || fail "$source has no case '$arguments'"
status=120 deadlock=true
[ "$expect" = none ] && status=0 deadlock=false
work=$out/case-$name-${arguments// /-}
rm -rf "$work"
mkdir -p "$work"
cd "$work" || exit 1
(patiently 20 "${as_clean[@]}" "$refork" record --no-explain -o case.refork -- "$build/tests/cases/$name" "${@:2}" >recorded 2>&1 </dev/null) 2>/dev/null
got=$?
[ $got = "$status" ] || { tail -n 5 recorded; fail "record: status $got, not $status"; }
clean "$refork" explain --json case.refork >verdict.json 2>explain.err
got=$?
[ $got = "$status" ] || { cat explain.err; fail "explain: status $got, not $status"; }
wrong=$(jq '.findings |= .[:1]' verdict.json | jq -r --arg expect "$expect" --arg own "cases/${source##*/}" --argjson deadlock $deadlock \
    -f "$root/tests/findings.jq") || fail "bad expectation or JSON"
[ -z "$wrong" ] || { jq -c '.findings[] | {kind, confidence, lock: .lock.symbol, holder: .holder.name}' verdict.json; fail "$wrong: refork explain $work/case.refork"; }
rm -rf "$work"
echo "good: $name $arguments"
