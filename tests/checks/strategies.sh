#!/bin/bash
# The schedules of refork hunt find what no fork gate can make, and what it can: a lock cycle, fork handlers in the wrong order, and a lock left
# behind by a fork; from a fixed seed, in a bounded number of runs, and again from the schedule alone.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work
order=$build/tests/programs/rare_order
bound=400

# found KIND SAYS [OPTION...]: by a schedule that SAYS (a regex); the finding is KIND. A first run that hangs by luck shows nothing of a schedule.
found() {
    local kind=$1 says=$2 i
    shift 2
    for ((i = 0; i < 4; i++)); do
        hunted 120 --seed 1 --runs $bound "$@"
        jq -e '.found[0].how != "the program as it is"' json >/dev/null && break
    done
    jq -e --arg says "$says" '.found[0].how | test($says)' json >/dev/null || fail "$*: found by $(jq -c '.found[0].how' json)"
    jq -e --arg kind "$kind" 'any(.findings[]; .kind == $kind)' json >/dev/null || fail "$*: no $kind: $(jq -c '[.findings[].kind]' json)"
    [ "$(jq -r '.found[0].how | capture("seed (?<n>[0-9]+)").n' json)" = "$(sed -nE 's/.*seed ([0-9]+).*/\1/p' found.refork.schedule)" ] ||
        fail "$*: the seed told is not that of the schedule: $(cat found.refork.schedule)"
    [ "$(wc -l <found.refork.schedule)" = 2 ] || fail "more than a seed in the schedule: $(cat found.refork.schedule)"
    for ((i = 0; i < 3; i++)); do
        ends 120 record --no-explain --schedule found.refork.schedule -o again.refork -- "${@: -2}"
        has_finding again.refork "$kind" ''
    done
    ends 120 replay --batch found.refork
}

for strategy in pct random delay; do
    found lock-cycle "^$strategy, seed [0-9]+$" --strategy $strategy -- "$order" cycle
    found atfork-deadlock "^$strategy, seed [0-9]+$" --strategy $strategy -- "$order" atfork
    found orphaned-lock "^$strategy, seed [0-9]+$" --strategy $strategy -- "$order" orphan
    for kind in cycle atfork orphan; do
        hunted 0 --seed 1 --strategy $strategy --runs 25 -- "$order" $kind ordered
        json '.runs == 25 and .deadlock == false'
    done
done
# Without --strategy they come when no candidate is left.
found lock-cycle '^(pct|random|delay), seed' -- "$order" cycle
found atfork-deadlock '^(pct|random|delay), seed' -- "$order" atfork

# Thirty threads that sleep and work in turns, all of a higher priority than the one that forks: it comes to its forks all the same.
printf 'refork schedule 1\npct threads 80 steps 20000 depth 3 seed 3\n' >crowd.schedule
clean "$refork" record --no-explain --schedule crowd.schedule -o crowd.refork -- "$build/tests/programs/rare_crowd" >stdout 2>stderr </dev/null
got=$?
[ $got = 0 ] || [ $got = 120 ] || fail "pct with many threads that sleep: status $got: $(cat stderr)"
rm -rf "$work"
