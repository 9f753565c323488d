#!/bin/bash
# A STATE is looked for inside the process: each has a place for a comparing stub, whatever the loop is made of and whatever
# disturbs the recorder. Recordings of a refork that did not find one replay as well. A state that never comes is a divergence.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/refork-states-XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
edit=$build/tests/proof/edit_trace

for program in busy_short alarmed busy_flag; do
    clean "$refork" record -o "$program.refork" -- "$build/tests/programs/$program" >"$program.out" || fail "record of $program: status $?"
    clean "$refork" dump "$program.refork" | grep ' state ' >states
    [ -s states ] || fail "$program has no STATE: nothing is tested"
    ! grep -v ' site' states >without || fail "$program: a STATE without a site: $(cat without)"
    "$edit" "$program.refork" old.refork --no-sites || fail "$program: edit_trace: status $?"
    patiently 120 "${as_clean[@]}" "$refork" replay --batch old.refork >old.out || fail "$program without its sites: status $?"
    cmp "$program.out" old.out || fail "$program without its sites prints something else"
done

# A thread that is alone is stopped for nothing: a landmark takes it thousands of single steps.
clean "$refork" record --no-explain -o alone.refork -- "$build/tests/programs/alone" || fail "record of alone: status $?"
! clean "$refork" dump alone.refork | grep ' state ' >without || fail "alone was stopped: $(cat without)"

# Alarms that come faster than steps: in some of ten recordings a step was held off so long that it passed for a loop of one instruction.
for ((i = 0; i < 10; i++)); do
    clean "$refork" record --no-explain -o flood.refork -- "$build/tests/programs/alarmed" 17 >flood.out || fail "record of alarmed 17: status $?"
    clean "$refork" dump flood.refork | grep ' state ' | grep -v ' site' >without
    [ ! -s without ] || fail "alarmed 17: a STATE without a site: $(cat without)"
done

for way in --no-sites --no-match; do # once with the site of the recording, once with one of the replay's own
    "$edit" busy_short.refork "lost$way.refork" --no-match || fail "edit_trace: status $?"
    [ $way = --no-match ] || { "$edit" "lost$way.refork" lost.refork --no-sites && mv lost.refork "lost$way.refork"; } || fail "edit_trace"
    number=$(clean "$refork" dump "lost$way.refork" | awk '$4 == "state" {print $1; exit}')
    task=$(clean "$refork" dump "lost$way.refork" | awk '$4 == "state" {print $3; exit}')
    patiently 120 "${as_clean[@]}" "$refork" replay --batch "lost$way.refork" >/dev/null 2>err
    got=$?
    [ $got = 121 ] || fail "a state that never comes ($way): status $got, not 121: $(cat err)"
    grep -q "diverged at event $number, task $task" err || fail "the message names event and task wrongly: $(cat err)"
    grep -q 'looked for the recorded state of a loop at pc 0x' err || fail "the message does not say what was looked for: $(cat err)"
done

# A loop that has a stub gets no second one behind it, whatever stops the program from outside: its turns change nothing, so replay takes
# the first one for the place, and the stub would have counted the others.
# shellcheck disable=SC2016 # the inner shell's own PID
clean "$refork" record --no-explain -o turns.refork -- bash -c 'echo $$ >pid; exec "$1"' - "$build/tests/bench/turns" >turns.out 2>turns.err &
recorder=$!
until_true [ -s pid ] || fail "the program does not begin: $(cat turns.err)"
for ((i = 0; i < 60; i++)); do
    kill -STOP "$(cat pid)" 2>/dev/null || break # it has ended
    kill -CONT "$(cat pid)" 2>/dev/null || break
    read -r -t 0.01 <> <(:)
done
wait $recorder || fail "record of turns, stopped and continued: status $?: $(cat turns.err)"
clean "$refork" dump turns.refork | awk '$4 == "state" {print $6}' | sort | uniq -d >twice
[ ! -s twice ] || fail "a second STATE in a loop that has a stub, at $(cat twice)"
patiently 120 "${as_clean[@]}" "$refork" replay --batch turns.refork >turns.again || fail "replay of turns, stopped and continued: status $?"
cmp turns.out turns.again || fail "turns, stopped and continued, prints something else"
