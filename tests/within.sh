#!/bin/bash
# within.sh SECONDS COMMAND...: as timeout(1), but before it ends what hangs it says where each of its tasks is. The seconds are those of
# an idle machine (tests/patience.sh).
# shellcheck source=tests/patience.sh
. "$(dirname "$0")/patience.sh"
limit=$1
shift
set -m
# Behind a shell's "&" SIGINT is ignored, and whoever inherits that does not install its handler (Python).
env --default-signal "$@" &
pid=$!

descendants() {
    local child
    echo "$1"
    for child in $(pgrep -P "$1"); do descendants "$child"; done
}

where() {
    local process task state
    printf 'still running after %s s (%s):\n' "$SECONDS" "$(uptime)"
    for process in $(descendants "$pid"); do
        printf 'process %s: %s\n' "$process" "$(tr '\0' ' ' <"/proc/$process/cmdline")"
        for task in "/proc/$process/task"/*; do
            state=$(sed -nE 's/^(State|TracerPid|SigPnd|ShdPnd|Cpus_allowed_list|.*ctxt_switches):[[:space:]]*/\1 /p' "$task/status" | paste -sd ,)
            printf '  task %s: %s; syscall %s; CPU time %s\n' "${task##*/}" "$state" "$(cat "$task/syscall")" "$(cut -d ' ' -f 1 "$task/schedstat")"
            sed 's/^/    /' "$task/stack"
        done
    done
} 2>/dev/null

# shellcheck disable=SC2317 # until_true calls it
group_ended() { ! kill -0 -- "-$pid" 2>/dev/null; }

hung=$(mktemp)
(
    left=$((limit * 1000))
    while [ $left -gt 0 ]; do
        sleep 1
        patience_worth 1000
        left=$((left - worth))
    done
    echo hung >"$hung"
    where
    if command -v gdb >/dev/null; then
        for process in $(descendants "$pid"); do gdb -batch -p "$process" -ex 'thread apply all bt 16' </dev/null 2>/dev/null | grep -E '^(#|Thread)'; done
    fi
    kill -TERM -- "-$pid"
    until_ms=10000 until_true group_ended
    kill -KILL -- "-$pid"
) &
watcher=$!
trap 'kill -TERM -- "-$pid" "-$watcher" 2>/dev/null; rm -f "$hung"; exit 143' INT TERM
wait "$pid"
status=$?
{
    kill -TERM -- "-$watcher"
    wait "$watcher"
} 2>/dev/null
# Whatever it ends with when it is told to end: it has hung.
[ ! -s "$hung" ] || status=124
rm -f "$hung"
exit $status
