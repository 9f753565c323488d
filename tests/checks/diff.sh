#!/bin/bash
# `refork diff`: where two recordings of a program part, in the schedule and in the data.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work
programs=$build/tests/programs
json() { jq -e "$@" json >/dev/null || fail "not $*: $(jq -c . json)"; }

# ---- one that hangs beside one that ends
ends 120 hunt --seed 1 -o bug.refork -- "$programs/rare_locks" mutex
clean "$refork" record --no-explain -o ok.refork -- "$programs/rare_locks" mutex >/dev/null 2>&1 </dev/null
ends 1 diff bug.refork ok.refork
for text in '^A: bug.refork: deadlock: orphaned-lock on ' '^B: ok.refork: no deadlock' 'from here on other tasks have their turn' 'rare_locks.c:'; do
    grep -qE -- "$text" stdout || fail "no '$text': $(cat stdout)"
done
into json 1 diff --json bug.refork ok.refork
json '.a.deadlock and (.b.deadlock | not) and .same > 20 and .schedule.a.task != .schedule.b.task'
json '[.schedule.a, .schedule.b | .point.frames | length > 0] | all'
# it is where dump says that it is
number=$(jq .schedule.a.event json)
[ "$(clean "$refork" dump --from "$number" --to "$number" bug.refork | awk '{print $1, $3, $4}')" = "$(jq -r .schedule.a.line json | awk '{print $1, $3, $4}')" ] || fail "event $number: $(jq .schedule.a json)"
# the other way round is the same
jq -S '[.schedule.a.event, .schedule.b.event, .same]' json >there
into json 1 diff --json ok.refork bug.refork
[ "$(jq -S '[.schedule.b.event, .schedule.a.event, .same]' json)" = "$(cat there)" ] || fail "the other way: $(cat there json)"

# ---- the same schedule, other data: TIDs and clocks are none
echo one >in.txt
cat in.txt >/dev/null # its time of access is that of its change or later now, and stays
for i in a c b; do
    [ $i != b ] || echo two >in.txt
    clean "$refork" record -o $i.refork -- cat in.txt >/dev/null || fail "record: $i"
done
ends 0 diff a.refork c.refork
grep -q '^They are the same: ' stdout || fail "the same: $(cat stdout)"
ends 0 diff a.refork a.refork
into json 1 diff --json a.refork b.refork
json '.schedule == null and .how == "result" and (.data.a.line | test("stat|read"))'
clean "$refork" record -o date.refork -- date +%N >/dev/null
clean "$refork" record -o date2.refork -- date +%N >/dev/null
into json 1 diff --json date.refork date2.refork
json '.schedule == null and .how == "written" and .clocks > 0'
# TIDs are none either: a thread that is made and joined has another one each time
# (In the same order: on a busy machine a thread may have its first turn earlier or later.)
clean "$refork" record --seed 1 --save-schedule order -o threads1.refork -- "$build/samples/ok_join" >/dev/null || fail "record ok_join"
clean "$refork" record --schedule order -o threads2.refork -- "$build/samples/ok_join" >/dev/null || fail "record ok_join again"
clean "$refork" diff threads1.refork threads2.refork >stdout
! grep -E '^     .* (clone3?|gettid|set_tid_address|wait4) ?\(' stdout || fail "a TID counts: $(cat stdout)"
# Who started the program is in no recording, and another process each time: a shell asks for it.
for i in 1 2; do clean "$refork" record -o shell$i.refork -- sh -c : >/dev/null || fail "record sh"; done
into shell.txt 0 dump shell1.refork
grep -q ' getppid' shell.txt || fail "the shell does not ask for its parent"
ends 0 diff shell1.refork shell2.refork

# ---- the same in the TUI: both open where the schedules part, and go in step from there
# title SIDE FILE: the event that the screen's title names on that side
title() { sed -n "1s/.*$1 [a-z]*\.refork *event \([0-9]*\) of.*/\1/p" "$2"; }
into json 1 diff --json bug.refork ok.refork
clean "$refork" replay --script '<Dump first>d<Dump second>:1<Enter><Dump begin><Tab>.<Dump step>' --size 200x40 bug.refork ok.refork ||
    fail "two in the TUI: status $?"
[ "$(title A first) $(title B first)" = "$(jq -r '"\(.schedule.a.event) \(.schedule.b.event)"' json)" ] || fail "not at the difference: $(cat first)"
grep -q '^≠ Difference 1 of .: the schedule' first || fail "the difference is not named: $(cat first)"
jq -e .data json >/dev/null && { [ "$(title A second) $(title B second)" = "$(jq -r '"\(.data.a.event) \(.data.b.event)"' json)" ] || fail "not at the data's: $(cat second)"; }
[ "$(title A begin) $(title B begin)" = '1 1' ] || fail "not in step at the begin: $(cat begin)"
[ "$(title A step)" = "$(title B step)" ] || fail "not in step behind it: $(cat step)"
[ "$(title B step)" -gt 1 ] || fail "no step behind it: $(cat step)"
# d looks from the focus on, not from the difference that was shown last; behind the last one it begins anew
at='[.schedule.a.event, (.data // empty).a.event] | sort'
clean "$refork" replay --script ':1<Enter>d<Dump next>GD<Dump back>Gd<Dump anew>' --size 200x40 bug.refork ok.refork || fail "d from the focus: status $?"
[ "$(title A next) $(title A anew)" = "$(jq -r "$at | \"\(first) \(first)\"" json)" ] || fail "d: not the next one: $(title A next) $(title A anew), $(jq -c "$at" json)"
[ "$(title A back)" = "$(jq -r "$at | last" json)" ] || fail "D: not the last one: $(title A back), $(jq -c "$at" json)"
# a difference is marked in both
[ "$(sed '/^-- roles/,$d' first | grep -o "≠ *$(jq .schedule.a.event json) \|≠ *$(jq .schedule.b.event json) " | wc -l)" -ge 2 ] || fail "not marked in both: $(cat first)"
clean "$refork" replay --script '<Dump screen>' --size 200x40 a.refork c.refork || fail "the same in the TUI: status $?"
grep -q 'The same in both' screen || fail "not the same: $(cat screen)"
# without a terminal; more than two; one that cannot be read
ends 125 replay bug.refork ok.refork
grep -q 'refork diff' stderr || fail "no way out: $(cat stderr)"
ends 125 replay a.refork b.refork c.refork
ends 122 replay --script q bug.refork /dev/null
ends 125 replay --script q --at 100000 bug.refork ok.refork

# ---- it cannot be
ends 125 diff a.refork
ends 125 diff a.refork b.refork c.refork
ends 122 diff a.refork /dev/null
ends 122 diff a.refork no-such.refork
