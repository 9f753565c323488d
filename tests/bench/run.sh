#!/bin/bash
# make bench: the cost of recording and replaying, beside the program alone (pinned to one CPU), a tracer that only stops and
# continues (the floor) and strace. Medians over interleaved runs. tests/bench/run.sh BUILD [WORKLOAD...]   ROUNDS=3
# BASE=REFORK: compares with another refork instead (compare.sh).
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
shift
[ -z "${BASE:-}" ] || exec "$root/tests/bench/compare.sh" "$build" "$BASE" "$@"
rounds=${ROUNDS:-3}
bench=$build/tests/bench
work=$out/bench
rm -rf "$work"
mkdir -p "$work"
# shellcheck source=tests/bench/workloads.sh
. "$root/tests/bench/workloads.sh"
ways=(native floor strace record replay)

run() { # NAME WAY: appends "SECONDS MAXRSS STATUS" to its file
    local trace=$work/$1.refork words=()
    eval "words=(${workload[$1]})"
    local command=()
    case $2 in
    native) command=(pinned "${words[@]}") ;;
    floor) command=(pinned "$bench/floor" "${words[@]}") ;;
    strace) command=(pinned strace -f -o /dev/null "${words[@]}") ;;
    record) command=(free "$refork" record -o "$trace" -- "${words[@]}") ;;
    replay) command=(free "$refork" replay --batch "$trace") ;;
    esac
    clean "$bench/measure" "${command[@]}" 3>>"$work/$1.$2" >"$work/$1.$2.out" 2>"$work/$1.$2.err" </dev/null
    local status
    status=$(tail -n 1 "$work/$1.$2" | cut -d' ' -f3)
    [ "$status" = 0 ] || { echo "bench: $2 of $1 ended with status $status: $(tail -n 2 "$work/$1.$2.err")" >&2; exit 1; }
    cmp -s "$work/$1.native.out" "$work/$1.$2.out" || { echo "bench: $2 of $1 printed something else" >&2; exit 1; }
}

median() { # NAME WAY COLUMN
    cut -d' ' -f"$3" "$work/$1.$2" | sort -g | awk '{v[NR] = $1} END {print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'
}

[ "${names[*]}" = rare ] || echo "$rounds interleaved runs of each, medians; ratios are to 'native' (pinned to one CPU)"
[ "${names[*]}" = rare ] || printf '%-9s %10s %14s %14s %14s %14s %10s\n' '' native floor 'strace -f' record replay trace
# The goals, as ratios to the program alone: record, replay ('-': none). In CPU time (user and system): other work shows in it least.
declare -A goals=([syscalls]='2.0 0.5' [time]='- -' [queue]='2.0 -' [sqlite]='1.5 1.0' [gcc]='1.3 1.2' [locks]='2.1 2.1')
table=()
row() { # NAME
    local goal
    read -r -a goal <<<"${goals[$1]:-- -}"
    table+=("$(awk -v name="$1" -v n="$(median "$1" native 4)" -v r="$(median "$1" record 4)" -v p="$(median "$1" replay 4)" -v want="${goal[0]}" -v again="${goal[1]}" 'BEGIN {
        printf "%-9s %8.1f ms   record %6.2f (%s)   replay %6.2f (%s)", name, n * 1000, r / n, want == "-" ? "no goal" : want, p / n, again == "-" ? "no goal" : again}')")
}
checks=()
target() { # TEXT CONDITION(awk)
    local met
    met=$(awk "BEGIN {print ($2) ? \"met   \" : \"MISSED\"}")
    checks+=("$met $1")
}
for name in "${names[@]}"; do
    [[ $name != rare && $name != hangs && $name != waits && $name != tui && $name != redis ]] || continue # see the end
    for ((i = 0; i < rounds; i++)); do
        for way in "${ways[@]}"; do run "$name" "$way"; done
    done
    declare -A t=()
    for way in "${ways[@]}"; do t[$way]=$(median "$name" "$way" 1); done
    size=$(stat -c %s "$work/$name.refork")
    printf '%-9s %8.1fms' "$name" "$(awk "BEGIN {print ${t[native]} * 1000}")"
    for way in floor strace record replay; do
        printf ' %8.1fms %4.1fx' "$(awk "BEGIN {print ${t[$way]} * 1000}")" "$(awk "BEGIN {print ${t[$way]} / ${t[native]}}")"
    done
    printf ' %7.2fMB\n' "$(awk "BEGIN {print $size / 1e6}")"
    n=${t[native]} r=${t[record]} p=${t[replay]}
    case $name in
    time)
        target "time: clock_gettime recorded under 100 ns more ($(awk "BEGIN {printf \"%.0f\", ($r - $n) * 1e3}"))" "($r - $n) * 1e-6 < 100e-9"
        target "time: clock_gettime replayed under 100 ns ($(awk "BEGIN {printf \"%.0f\", $p * 1e3}"))" "$p * 1e-6 < 100e-9"
        ;;
    true)
        target "true: record under 40 ms ($(awk "BEGIN {print $r * 1000}"))" "$r < 0.040"
        target "true: replay under 40 ms ($(awk "BEGIN {print $p * 1000}"))" "$p < 0.040"
        ;;
    compute) target "compute: record costs nothing measurable (within 5% and 40 ms of the start)" "$r < $n * 1.05 + 0.040" ;;
    locks) target "locks: record costs the PLT clock, 0.3 ns a call (within 5% more and 40 ms of the start)" "$r < ($n + 20e6 * 0.3e-9) * 1.05 + 0.040" ;;
    syscalls)
        target "syscalls: record at most twice the program alone ($(awk "BEGIN {printf \"%.2f, %.0f ns a call more\", $r / $n, ($r - $n) * 1e3}"))" "$r <= 2 * $n"
        target "syscalls: replay at most half the program alone ($(awk "BEGIN {printf \"%.2f\", $p / $n}"))" "$p <= 0.5 * $n"
        target "syscalls: the trace under 8 MB" "$size < 8e6"
        target "syscalls: record in under 64 MB of memory ($(median "$name" record 2) kB)" "$(median "$name" record 2) < 65536"
        target "syscalls: replay in under 64 MB of memory beyond its checkpoints ($(median "$name" replay 2) kB)" "$(median "$name" replay 2) < 65536"
        ;;
    queue) target "queue: record at most twice the program alone ($(awk "BEGIN {printf \"%.2f\", $r / $n}"))" "$r <= 2 * $n" ;;
    sqlite)
        target "sqlite: record at most 1.5 times the program alone ($(awk "BEGIN {printf \"%.2f\", $r / $n}"))" "$r <= 1.5 * $n"
        target "sqlite: replay not slower than the program alone ($(awk "BEGIN {printf \"%.2f\", $p / $n}"))" "$p <= $n"
        ;;
    esac
    target "$name: replay not slower than record" "$p <= $r * 1.02"
    row "$name"
    rm -f "$work/$name.refork"
done
[ ${#table[@]} -eq 0 ] || printf '\nCPU time of the program alone, and ratios to it (in brackets: the goal)\n'
[ ${#table[@]} -eq 0 ] || printf '%s\n' "${table[@]}"
printf '\n'

# The lock history of 1.6 million acquisitions, over the replay without it; some of it by stops instead of notes.
history() {
    local trace=$work/history.refork noted stops
    clean "$refork" record -o "$trace" -- "$bench/locks" 400000 >/dev/null 2>&1 || { echo "bench: record of the lock history's program" >&2; exit 1; }
    clean "$refork" record -o "$trace.short" -- "$bench/locks" 5000 >/dev/null 2>&1 || { echo "bench: record of the lock history's program" >&2; exit 1; }
    for ((i = 0; i < rounds; i++)); do
        clean "$bench/measure" free "$refork" replay --batch "$trace" 3>>"$work/history.replay" >/dev/null 2>&1
        clean "$bench/measure" free "$refork" locks --no-cache --json "$trace" 3>>"$work/history.locks" >"$work/history.json" 2>/dev/null
        clean "$bench/measure" free "$refork" locks --no-cache --probes=off --json "$trace.short" 3>>"$work/history.stops" >"$work/history.off" 2>/dev/null
    done
    noted=$(jq '.noted' "$work/history.json") stops=$(jq '.stops' "$work/history.off")
    h=$(median history locks 1) p=$(median history replay 1)
    printf 'the lock history: %d accesses in %.0f ms (replay %.0f ms); with a stop at each %.1f us an access\n\n' "$noted" \
        "$(awk "BEGIN {print $h * 1000}")" "$(awk "BEGIN {print $p * 1000}")" "$(awk "BEGIN {print $(median history stops 1) / $stops * 1e6}")"
    target "the lock history of 1.6 M acquisitions in under a second ($h)" "$h < 1"
    target "the lock history: 20 ns an access over the replay ($(awk "BEGIN {printf \"%.0f\", ($h - $p) / $noted * 1e9}"))" "($h - $p) / $noted < 20e-9"
}
[[ " ${names[*]} " != *" locks "* ]] || history

# Time to verdict: explain of a deadlock behind so many events.
verdict() { # CALLS
    local trace=$work/verdict.refork
    clean "$refork" record -o "$trace" -- "$bench/verdict" "$1" >/dev/null 2>&1
    [ $? = 120 ] || { echo "bench: record of the verdict's program" >&2; exit 1; }
    for ((i = 0; i < rounds; i++)); do
        clean "$bench/measure" free "$refork" explain "$trace" 3>>"$work/verdict.$1" >/dev/null 2>&1
        clean "$bench/measure" free "$refork" replay --batch "$trace" 3>>"$work/verdict.replay" >/dev/null 2>&1
    done
    seconds=$(median verdict "$1" 1)
    printf 'the verdict behind %d syscalls: %.2f s (the replay alone %.2f s)\n' "$1" "$seconds" "$(median verdict replay 1)"
    rm -f "$trace" "$work/verdict.replay"
}
if [[ " ${names[*]} " == *" syscalls "* ]]; then
    verdict 10000
    target "the verdict on 10,000 events in under two seconds" "$seconds < 2"
    verdict 1000000
    printf '\n'
fi

# What looking at waits costs a program that goes on: the same program with waits at which refork does not look.
waits() {
    local way i
    for ((i = 0; i < rounds; i++)); do
        for way in timed endless; do
            clean "$bench/measure" free "$refork" record --no-explain -o "$work/waits.refork" -- "$bench/waits" $way 3>>"$work/waits.$way" >/dev/null 2>&1 </dev/null
            [ "$(tail -n 1 "$work/waits.$way" | cut -d' ' -f3)" = 0 ] || { echo "bench: record of waits $way" >&2; exit 1; }
        done
    done
    looked=$(median waits endless 4) not=$(median waits timed 4)
    printf 'a program that goes on, with waits that look endless: %.2f s of CPU, that of the looks included; with waits that do not: %.2f s\n\n' "$looked" "$not"
    rm -f "$work/waits.refork"
}
[[ " ${names[*]} " != *" waits "* ]] || waits

# A redis server under redis-benchmark: 80,000 requests of 20 clients. CPU time of the server, of refork included; the clients' is not.
redis_run() { # WAY COMMAND...: until it has been told to shut down
    local way=$1 socket=$redis_dir/socket server
    shift
    rm -f "$socket"
    clean "$bench/measure" "$@" /usr/bin/redis-server --port 0 --unixsocket "$socket" --save '' --appendonly no 3>>"$work/redis.$way" >"$work/redis.out" 2>&1 </dev/null &
    server=$!
    redis_answers() { [ -S "$socket" ] && [ "$(redis-cli -s "$socket" ping 2>&1)" = PONG ]; }
    until_true redis_answers || { echo "bench: redis-server does not answer ($way): $(tail -n 2 "$work/redis.out")" >&2; exit 1; }
    redis-benchmark -s "$socket" -n 20000 -c 20 -t set,get,incr,lpush -q >"$work/redis.clients" 2>&1 || { echo "bench: redis-benchmark ($way): $(tail -n 2 "$work/redis.clients")" >&2; exit 1; }
    redis-cli -s "$socket" shutdown nosave >"$work/redis.clients" 2>&1
    wait "$server"
    [ "$(tail -n 1 "$work/redis.$way" | cut -d' ' -f3)" = 0 ] || { echo "bench: redis-server ($way) ended otherwise: $(tail -n 2 "$work/redis.out")" >&2; exit 1; }
}
redis() {
    local missing i
    for missing in redis-server redis-cli redis-benchmark; do
        command -v $missing >/dev/null || { printf 'redis: skipped: there is no %s (Debian: redis-server, redis-tools)\n\n' $missing; return; }
    done
    redis_dir=$(mktemp -d) # the path of a socket has 107 bytes at most
    for ((i = 0; i < rounds; i++)); do
        redis_run native pinned
        redis_run record free "$refork" record --no-explain -o "$work/redis.refork" --
        clean "$bench/measure" free "$refork" replay --batch "$work/redis.refork" 3>>"$work/redis.replay" >"$work/redis.out" 2>&1 </dev/null
        [ "$(tail -n 1 "$work/redis.replay" | cut -d' ' -f3)" = 0 ] || { echo "bench: replay of redis: $(tail -n 2 "$work/redis.out")" >&2; exit 1; }
    done
    rm -rf "$redis_dir"
    n=$(median redis native 4) r=$(median redis record 4) p=$(median redis replay 4)
    printf 'redis under redis-benchmark: %.2f s of CPU; recorded %.2f times that, replayed %.2f times, %.1f MB\n\n' "$n" \
        "$(awk "BEGIN {print $r / $n}")" "$(awk "BEGIN {print $p / $n}")" "$(awk "BEGIN {print $(stat -c %s "$work/redis.refork") / 1e6}")"
    target "redis: record at most 1.3 times the program alone ($(awk "BEGIN {printf \"%.2f\", $r / $n}"))" "$r <= 1.3 * $n"
    rm -f "$work/redis.refork"
}
[[ " ${names[*]} " != *" redis "* ]] || redis

# From the hang, where the task that is named begins to wait, to when the recorder knows it: variants of tests/cases/.
hang() { # NAME ARG...
    local trace=$work/hang.refork
    clean "$refork" record --no-explain -o "$trace" -- "$build/tests/cases/$1" "${@:2}" >/dev/null 2>&1 </dev/null
    [ $? = 120 ] || { echo "bench: record of $*" >&2; exit 1; }
    clean "$refork" dump "$trace" | awk '{task = $3} $4 == "enter" {began[task] = $2} $4 == "stuck" && $0 !~ /: child/ {print $2 - began[task]; exit}'
}
hangs() {
    local case seconds
    for case in 'child_threads none' 'child_threads pause' 'child_threads heartbeat' 'child_threads busy' 'crossed orders none' \
        'crossed orders nap' 'crossed twice none pipe' 'killed_holder mutex' 'killed_holder semaphore'; do
        # shellcheck disable=SC2086
        for ((i = 0; i < rounds; i++)); do hang $case; done | sort -g >"$work/hang.seconds"
        seconds=$(sed -n "$(((rounds + 1) / 2))p" "$work/hang.seconds")
        printf 'from the hang to its verdict: %-24s %.2f s\n' "$case" "$seconds"
        target "known within two seconds of the hang: $case ($seconds)" "$seconds < 2"
    done
    printf '\n'
}
[[ " ${names[*]} " != *" hangs "* ]] || hangs

# The screen over a recording of 10 million events.
screen() {
    local first step jump
    read -r first step jump < <(clean "$build/tests/tui/bench_tui" "$work/screen.refork" 10000000) || exit 1
    rm -f "$work/screen.refork"
    printf 'the TUI over 10 million events: first paint %.1f ms, a step %.1f ms, a jump %.1f ms\n\n' "$first" "$step" "$jump"
    target "the TUI's first paint within 100 ms ($first)" "$first < 100"
    target "a step in the TUI within 16 ms ($step)" "$step < 16"
}
[[ " ${names[*]} " != *" tui "* ]] || screen
printf '%s\n' "${checks[@]}"

# The runs that a rare deadlock needs.
[[ " ${names[*]} " != *" rare "* ]] || { printf '\n' && "$root/tests/bench/rare.sh" "$build"; }
