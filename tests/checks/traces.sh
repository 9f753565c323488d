#!/bin/bash
# The recordings that are kept, from several kinds of CPUs, replay on this machine, also as if its CPU did not trap cpuid. If it
# lacks what the program used, that is said.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work
found=0
for trace in "$root"/tests/traces/*.refork; do
    [ -e "$trace" ] || fail "no recordings in tests/traces: 'make traces' makes some"
    name=$(basename "$trace" .refork)
    ends 0 info --json "$trace"
    mv stdout json
    for way in '' "$build/tests/programs/no_cpuid_faulting"; do
        patiently 120 "${as_clean[@]}" ${way:+"$way"} "$refork" replay --batch "$trace" >replayed 2>stderr </dev/null
        got=$?
        if [ $got = 125 ] && jq -e '.cpu.lacking_here != ""' json >/dev/null; then
            grep -q 'this CPU.* lacks ' stderr || fail "$name: not what this CPU lacks: $(cat stderr)"
            echo "$name: $(cat stderr)"
            continue
        fi
        [ $got = 0 ] || fail "$name ($way): status $got: $(cat stderr)"
        cmp "${trace%.refork}.out" replayed || fail "$name ($way) prints something else in replay"
        found=$((found + 1))
    done
    ends 0 dump "$trace"
    ends 0 locks --no-cache --all "$trace"
done
[ $found -gt 0 ] || skip "this CPU has not what the programs of all these recordings used"
[ "$(cat "$root"/tests/traces/*.refork | wc -c)" -lt 100000 ] || fail "the recordings have more than 100 kB together"
