#!/bin/bash
# Every way to wait for ever that the recorder knows: it stops the program, says which kind it is, and the recording replays
# exactly.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work
program=$build/tests/programs/stuck

# stuck KIND LIKELIHOOD CASE: the main task's event is of that kind
stuck() {
    twice 120 "$3" --no-explain -- "$program" "$3"
    clean "$refork" dump "$3.refork" >"$3.dump"
    grep -qE " stuck +waits for ever \($2\): $1( |$)" "$3.dump" || fail "$3 is not '$1 ($2)': $(grep ' stuck ' "$3.dump")"
    # Nothing runs behind what is told of: a call that returned then would look like the end of a wait.
    awk '/^ *[0-9]+ +[0-9.]+ +[0-9]+ stuck / {on = 1} on && $4 != "stuck" && $4 != "end" {bad = 1} END {exit !on || bad}' "$3.dump" ||
        fail "$3: something comes behind the stuck tasks: $(tail -n 5 "$3.dump")"
    # A parent that goes to wait for its child is told of as well, whenever it gets there.
    case $3:$(grep -c ' stuck  *waits for ever .*: child ' "$3.dump") in
    polled-*:0 | ignored-*:0 | *-pipe:* | *:[1-9]*) ;;
    *) fail "$3: the waiting parent is missing: $(grep ' stuck ' "$3.dump")" ;;
    esac
    grep -q "process .* waits for ever ($2)" "$3.err" || fail "$3: record said: $(cat "$3.err")"
}

cases() {
    cat <<EOF
timed likely futex-backoff
timed likely condition
timed likely mutex-timedlock
timed likely mutex-quarters
timed likely sem-timedwait
yield likely yield-exchange
yield proved nanosleep-exchange
yield likely nanosleep-flag
yield likely poll-flag
spin proved spin-lock
spin proved spin-exchange
spin proved spin-ttas
spin proved spin-backoff
spin proved spin-ticket
spin likely spin-flag
spin likely spin-counted
spin proved spin-trylock
futex proved rwlock-write-read
futex proved rwlock-read-written
futex proved rwlock-write-written
futex proved read-pipe
pipe-read proved read-own-pipe
pipe-read proved poll-pipe
pipe-write proved write-pipe
pipe-read proved read-inherited
futex proved polled-mutex
timed likely polled-futex
yield likely polled-yield
spin proved polled-spin
futex proved ignored-mutex
spin proved two-threads
EOF
}
while read -r kind how case; do in_parallel 4 stuck "$kind" "$how" "$case"; done < <(cases)
all_ended
# No case is left out.
cmp <("$program") <(cases | awk '{print $3}') || fail "the program has other cases than this test"
rm -f ./*.refork
echo good

# Threads that idle, and a pool without work beside them: nothing moves, until the time is over.
clean "$refork" record --timeout 2 -o pool.refork -- "$build/tests/programs/idle_pool" >pool.out 2>pool.err
[ $? = 143 ] || fail "idle_pool: $(cat pool.err)"
clean "$refork" explain --json pool.refork >pool.json || fail "idle_pool: explain: status $?"
[ "$(jq -c '[.deadlock, .findings]' pool.json)" = '[false,[]]' ] || fail "idle_pool: $(jq -c .findings pool.json)"
