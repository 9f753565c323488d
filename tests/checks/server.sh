#!/bin/bash
# A child that waits on a semaphore beside a server that goes on: it may be idle, so the recording goes on, too. Once the
# program is ended from outside, explain says what the child waited for; a hunt knows it at once, for it has made the wait.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work
program=$build/tests/programs/server

# The child, asleep in its wait.
asleep() {
    local pid tasks
    for pid in $(pgrep -f "^$program"); do
        tasks=("/proc/$pid/task"/*)
        [ ${#tasks[@]} = 1 ] && grep -q futex "/proc/$pid/wchan" && return 0
    done
    return 1
}

# ended MODE SIGNAL WHOM: records `server MODE` and sends SIGNAL, to the child and then the server, or to all of the group
ended() {
    rm -f live.refork
    : >stdout
    "${as_clean[@]}" setsid "$refork" record --no-explain -o live.refork -- "$program" "$1" >stdout 2>stderr &
    local leader=$! pids
    until_true grep -q ready stdout || fail "$1: not ready: $(cat stderr)"
    until_true asleep || fail "$1: the child does not wait"
    read -ra pids < <(pgrep -f "^$program $1" | sort -rn | tr '\n' ' ')
    if [ "$3" = group ]; then
        kill -"$2" -- -"$leader"
    else
        kill -"$2" "${pids[@]}"
    fi
    wait "$leader"
}
# explained FILTER: the JSON of the verdict
explained() {
    clean "$refork" explain --json live.refork >verdict.json 2>stderr
    jq -e "$1" verdict.json >/dev/null || fail "not $1: $(cat stderr; jq -c '[.deadlock, (.findings[] | {kind, confidence, lock: .lock.symbol, holder: .holder.name})]' verdict.json)"
}
orphan='(.findings | length) == 1 and (.findings[0] |
    .kind == "orphaned-lock" and .confidence == "likely" and .lock.symbol == "lock" and .holder.name == "worker" and .holder.vanished)'
for how in INT TERM KILL; do
    ended held $how program
    explained ".deadlock and $orphan"
    clean "$refork" explain live.refork 2>/dev/null | grep -q '^deadlock: ' || fail "held $how: $(clean "$refork" explain live.refork)"
done
# Who of the group is gone first is up to the kernel: what is left may be seen to be stuck.
ended held INT group
explained "$orphan"
# A child that Ctrl-C leaves behind: nobody else moves any more, so it is seen.
ended timed INT group
explained ".deadlock and $orphan"

for how in 'INT group' 'TERM program'; do
    # shellcheck disable=SC2086
    ended own $how
    explained '.deadlock == false and .findings == []'
done
# It waited for the lock of a thread that it does not have, until its parent ended it: the program goes on, the finding stays.
ends 0 record --no-explain -o live.refork -- "$program" kills
explained ".deadlock and $orphan and .findings[0].waiter_end.signal_name == \"SIGTERM\" and .findings[0].waiter_end.by_parent"

# Ctrl-C is for the main thread, also while another one is busy.
for ((i = 0; i < 8; i++)); do
    : >stdout
    clean "$refork" record -o live.refork -- "$program" busy >stdout 2>stderr &
    recorder=$!
    until_true grep -q ready stdout || fail "busy: not ready: $(cat stderr)"
    pkill -INT -f "^$program busy"
    wait $recorder
    got=$?
    [ $got = 3 ] || fail "busy: status $got, not that of the main thread's handler: $(cat stderr)"
done

into hunt.json 120 hunt --strategy directed --timeout "$(stretched 10)" --json -o found.refork -- "$program" rare
jq -e '.deadlock and .runs <= 5 and any(.findings[]; .kind == "orphaned-lock" and .lock.symbol == "lock" and .holder.name == "worker")' hunt.json >/dev/null ||
    fail "hunt: $(jq -c '.findings[] | {kind, lock, holder}' hunt.json)"

# A server that never ends, and hangs in run 1 already: seen when the time of the run is over. One whose child is idle is not.
into hunt.json 120 hunt --timeout "$(stretched 2)" --json -o found.refork -- "$program" held
jq -e '.runs == 1 and any(.findings[]; .kind == "orphaned-lock" and .confidence == "likely" and .lock.symbol == "lock")' hunt.json >/dev/null ||
    fail "hunt of what hangs in run 1: $(jq -c '.findings[] | {kind, lock, holder}' hunt.json)"
clean "$refork" hunt --timeout "$(stretched 1)" --runs 4 --json -o found.refork -- "$program" own >hunt.json 2>stderr </dev/null
got=$?
[ $got = 0 ] && jq -e '.deadlock == false and .findings == []' hunt.json >/dev/null || fail "hunt of an idle child: status $got: $(jq -c '.findings[] | {kind, lock}' hunt.json)"
