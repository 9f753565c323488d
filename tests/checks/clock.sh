#!/bin/bash
# The PLT clock runs in a small program, whose R and RW segments begin in the same page of the file: a thread
# that calls the library all the time is preempted by ticks, and its loop is not single-stepped.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work
program=$build/tests/bench/locks
trace=$work/clock.refork

pages=$(readelf -lW "$program" | while read -r type offset _; do [ "$type" = LOAD ] && echo $((offset / 4096)); done)
[ "$(sort <<<"$pages" | uniq -d)" ] || fail "no two segments of $program share a page of the file: the test has lost its subject"
ends 0 record -o "$trace" -- "$program"
into dump 0 dump "$trace"
awk '{n[$4]++} END {exit !(n["tick"] > 0 && n["state"] == 0)}' dump ||
    fail "no tick, or a state: $(awk '{print $4}' dump | sort | uniq -c | tr '\n' ' '); refork dump $trace"
ends 0 replay --batch "$trace"
rm -rf "$work"
echo "good: clock"
