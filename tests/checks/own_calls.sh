#!/bin/bash
# Calls that the program makes by itself give the events that calls at stops give, and nearly all of them are made so.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work
program=$build/tests/programs/own_calls

# Each task's own, one after the other. Left out is what depends on the time (ticks, whether a wait slept) and on the machine
# (process numbers, where memory is mapped, free space, names of temporary files).
events() { # NAME
    into "$1.dump" 0 dump "$1.refork"
    grep -cE ' patch .*mem ' "$1.dump" >"$1.patches"
    awk '!($3 in seen) {seen[$3] = ++tasks} {print seen[$3], $0}' "$1.dump" | sort -snk1,1 |
        sed -E 's/^([0-9]+) +[0-9]+ +[0-9.]+ +[0-9]+ +/\1 /; s/0x7fff[0-9a-f]{8}/ADDRESS/g
            s/own_calls\.[A-Za-z0-9]{6}/FILE/g; s/tgkill\([0-9]+, [0-9]+/tgkill(N, N/; s/:\[[0-9]+\]/:[N]/g; s/\{[^{}]*\}/VALUES/g; s/\{[^{}]*\}/VALUES/g
            s/^([0-9]+ syscall (get|set_tid|time\(|wait4|clone).*) = \S+/\1 = N/; s/([a-z]+ of |process|thread) [0-9]+/\1 N/g' |
        grep -vE '^[0-9]+ (tick|state|patch|trap|note|enter|exit|birth|exec|syscall (getrandom|futex\(.*WAIT_BITSET|wait4|mmap|munmap|mprotect))' >"$1.events"
}

for probes in on off; do
    ends 0 record --probes=$probes -o "$probes.refork" -- "$program" 3<>"$probes.inherited"
    cp stdout "$probes.out"
    events $probes
    ends 0 replay --batch "$probes.refork"
    cmp -s stdout "$probes.out" || fail "the replay of the recording with --probes=$probes prints something else"
done
cmp -s on.out off.out || fail "the program prints something else when it makes calls by itself"
[ "$(cat on.patches)" -ge 20 ] || fail "only $(cat on.patches) places got a jump"
[ "$(cat off.patches)" = 0 ] || fail "--probes=off has put jumps into the program"
diff off.events on.events >differ || fail "other events than with --probes=off (- off, + on): $(head -n 20 differ)"
# With random switches as well: what they decide is decided ahead.
for share in 6 2; do
    options=() && [ $share = 6 ] || options=(--seed 3)
    rm -f log
    ends 0 record "${options[@]}" --log log -o log.refork -- "$program"
    cp stdout log.out
    read -r without all < <(awk '/ calls of .* without a stop/ {n += $1} $5 == "syscall" {all++} END {print n + 0, all + 0}' log)
    [ $((without * 10)) -ge $((all * share + 10)) ] || fail "only $without of $all calls were made without a stop (${options[*]})"
    ends 0 replay --batch log.refork
    cmp -s stdout log.out || fail "the replay prints something else (${options[*]})"
done
echo "good: own_calls ($(wc -l <on.events) events)"
