#!/bin/bash
# The PLT clock runs in a small program, whose R and RW segments begin in the same page of the file: a thread
# that calls the library all the time is preempted by ticks, and its loop is not single-stepped.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
program=$build/tests/bench/locks
trace=$out/clock.refork

pages=$(readelf -lW "$program" | while read -r type offset _; do [ "$type" = LOAD ] && echo $((offset / 4096)); done)
[ "$(sort <<<"$pages" | uniq -d)" ] || fail "no two segments of $program share a page of the file: the test has lost its subject"
clean "$refork" record -o "$trace" -- "$program" >/dev/null 2>&1 || fail "recording: status $?"
clean "$refork" dump "$trace" >"$out/clock.dump" || fail "dump: status $?"
awk '{n[$4]++} END {exit !(n["tick"] > 0 && n["state"] == 0)}' "$out/clock.dump" ||
    fail "no tick, or a state: $(awk '{print $4}' "$out/clock.dump" | sort | uniq -c | tr '\n' ' '); refork dump $trace"
clean "$refork" replay --batch "$trace" >/dev/null 2>&1 || fail "replay: status $?; $refork replay --batch $trace"
rm -f "$trace" "$out/clock.dump"
echo "good: clock"
