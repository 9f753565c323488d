#!/bin/bash
# Records one variant of a program in tests/cases/ and holds its verdict against the line of the variant at its top:
#   tests/case.sh BUILD NAME ARG...     // case ARG...: KIND [KEY=VALUE]...   of the first finding (keys: tests/findings.jq),
#                                       // ... findings=N   so many findings in all
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
findings=
[[ $expect =~ ' findings='([0-9]+) ]] && findings=${BASH_REMATCH[1]} expect=${expect/ findings=$findings/}
status=120 deadlock=true
[ "$expect" = none ] && status=0 deadlock=false
work=$out/case-$name-${arguments// /-}
rm -rf "$work"
mkdir -p "$work"
cd "$work" || exit 1
(patiently 20 "${as_clean[@]}" "$refork" record -o case.refork -- "$build/tests/cases/$name" "${@:2}" >recorded 2>&1 </dev/null) 2>/dev/null
got=$?
[ $got = "$status" ] || { tail -n 5 recorded; fail "record: status $got, not $status"; }
clean "$refork" explain --json case.refork >verdict.json 2>explain.err
got=$?
[ $got = "$status" ] || { cat explain.err; fail "explain: status $got, not $status"; }
wrong=$(jq '.findings |= .[:1]' verdict.json | jq -r --arg expect "$expect" --arg own "cases/${source##*/}" --argjson deadlock $deadlock \
    -f "$root/tests/findings.jq") || fail "bad expectation or JSON"
[ -z "$wrong" ] || { jq -c '.findings[] | {kind, confidence, lock: .lock.symbol, holder: .holder.name}' verdict.json; fail "$wrong: refork explain $work/case.refork"; }
[ -z "$findings" ] || [ "$(jq '.findings | length' verdict.json)" = "$findings" ] ||
    fail "not $findings findings: $(jq -c '.findings[] | {kind, confidence, lock: .lock.symbol}' verdict.json)"

# Who says it: record at the program's end, explain, and a hunt of which this run is the first are of one mind.
said() { jq -r '[.findings[] | "\(.kind) (\(.confidence))"] | join(", ")' "$1"; }
printed=$(sed -nE 's/^Finding [0-9]+ of [0-9]+: //p' recorded | paste -sd, | sed 's/,/, /g')
explained=$(said verdict.json)
[ "$printed" = "$explained" ] || fail "record says '$printed', explain '$explained' of the same recording"
# One lock alone has no order to turn round.
if [ "$(jq '[.findings[0] | .lock, .cycle[]?.lock | .address // empty] | unique | length' verdict.json)" = 1 ]; then
    jq -r '.findings[0].advice' verdict.json | grep -qiE 'same order|one order|another order|opposite order' && fail "one lock, and advice about an order: $(jq -r '.findings[0].advice' verdict.json)"
fi
(patiently 200 "${as_clean[@]}" "$refork" hunt --runs 1 --timeout 300 --json -o hunt.refork -- "$build/tests/cases/$name" "${@:2}" >hunt.json 2>hunt.err </dev/null) 2>/dev/null
got=$?
if [ $deadlock = false ]; then
    [ $got = 0 ] || [ $got = 123 ] || fail "hunt: status $got, record: $status"
    [ "$(jq -r .deadlock hunt.json)" = false ] || fail "hunt says that there is a deadlock, record that there is none"
else
    [ $got = 120 ] || fail "hunt: status $got, record: 120: $(tail -n 5 hunt.err)"
    clean "$refork" explain --json hunt.refork >found.json 2>explain.err
    got=$?
    [ $got = 120 ] || fail "explain of what hunt found: status $got"
    jq '.found[0].verdict' hunt.json >hunted.json
    [ "$(said hunted.json)" = "$(said found.json)" ] || fail "hunt says '$(said hunted.json)', explain '$(said found.json)' of the same recording"
    [ "$(jq -r '.findings[0].kind' found.json)" = "$(jq -r '.findings[0].kind' verdict.json)" ] || fail "hunt finds '$(said found.json)', record '$explained'"
fi
rm -rf "$work"
echo "good: $name $arguments"
