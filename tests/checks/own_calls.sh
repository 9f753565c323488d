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
        grep -vE '^[0-9]+ (tick|state|patch|trap|note|enter|exit|birth|exec|syscall (getrandom|clock_nanosleep|write\([0-9]+<anon_inode:\[eventfd|futex\(.*WAIT_BITSET|wait4|mmap|munmap|mprotect))' >"$1.events"
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
# A nap is one event when nobody comes between, else an enter and an exit: as many naps in either way.
naps() { grep -cE ' (syscall|enter) +clock_nanosleep\(' "$1.dump"; }
[ "$(naps on)" -gt 0 ] || fail "no nap is seen"
[ "$(naps on)" = "$(naps off)" ] || fail "$(naps on) naps, and $(naps off) with --probes=off"
# share OF NAME [OPTION...] -- PROGRAM: of ten calls so many are made without a stop; replays as well.
share() {
    local of=$1 name=$2
    shift 2
    rm -f log
    ends 0 record --log log -o "$name.refork" "$@"
    cp stdout "$name.out"
    read -r without all < <(awk '/ calls of .* without a stop/ {n += $1} $5 == "syscall" {all++} END {print n + 0, all + 0}' log)
    [ $((without * 10)) -ge $((all * of + 10)) ] || fail "only $without of $all calls were made without a stop ($*)"
    ends 0 replay --batch "$name.refork"
    cmp -s stdout "$name.out" || fail "the replay prints something else ($*)"
}
share 6 log -- "$program"
# With random switches as well: what they decide is decided ahead.
share 2 log --seed 3 -- "$program"

# A schedule counts such calls as steps: the same order, and the same events, with them and without.
threads=$build/tests/programs/own_calls_threads
for words in 'random seed 5' 'pct threads 4 steps 2000 depth 5 seed 3' 'delay delays 5 steps 2000 seed 3'; do
    printf 'refork schedule 1\n%s\n' "$words" >schedule
    share 8 on --schedule schedule -- "$threads"
    events on
    ends 0 record --probes=off --schedule schedule -o off.refork -- "$threads"
    cmp -s stdout on.out || fail "another order with --probes=off: $words"
    events off
    diff off.events on.events >differ || fail "$words: other events than with --probes=off (- off, + on): $(head -n 20 differ)"
done
# While somebody sleeps, calls are allowed by the dozen: when nobody does any more, without a number. (It stayed at what was left of
# the last dozen, which is none: hunts made 20,000 stops for a thread that a delay lets run.)
printf 'refork schedule 1\ndelay delays 1 steps 100 seed 1\n' >schedule
share 8 late --schedule schedule -- "$build/tests/programs/own_calls_late"
# So a schedule that was written down brings the order again in either way.
for seed in 7 8; do
    share 6 saved --save-schedule saved --seed $seed -- "$threads"
    for probes in on off; do
        ends 0 record --probes=$probes --schedule saved -o again.refork -- "$threads"
        cmp -s stdout saved.out || fail "another order from the schedule that was saved (--seed $seed, --probes=$probes)"
    done
done
# Digests come after the same number of events.
share 6 digests --paranoid=40 -- "$program"
ends 0 replay --batch --paranoid digests.refork
[ "$("$refork" dump digests.refork | grep -c ' digest$')" -ge 100 ] || fail "no digests"
echo "good: own_calls ($(wc -l <on.events) events)"
