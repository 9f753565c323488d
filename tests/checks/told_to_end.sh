#!/bin/bash
# Whoever tells refork to end is obeyed, whatever the program does about signals, and hears the verdict: SIGINT and SIGTERM to the
# recorder alone, a time limit, Ctrl-C ignored by the shell. A second signal ends it at once.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
work=$out/told_to_end
rm -rf "$work"
mkdir -p "$work"
cd "$work" || exit 1
program=$build/tests/programs/told_to_end

# begun HOW: a recording of that program, which has said that it waits. Its PID is in $pid.
begun() {
    rm -f t.refork
    : >said
    "${as_clean[@]}" "$refork" record -o t.refork -- "$program" "$1" >said 2>errors </dev/null &
    pid=$!
    until_true grep -q waits said || fail "$1 did not begin: $(cat errors)"
}
# ended STATUS WHAT: the recording ends so, and the verdict is on stderr
ended() {
    local got
    wait "$pid" 2>/dev/null
    got=$?
    [ $got = "$1" ] || fail "$2: status $got, not $1: $(cat errors)"
    grep -qE "^$3" errors || fail "$2: no verdict: $(cat errors)"
    got=0
    clean "$refork" explain t.refork >/dev/null 2>&1 || got=$?
    [ $got = "$4" ] || fail "$2: explain ends with $got, not $4"
}

begun default
kill -TERM "$pid"
ended $((128 + 15)) 'SIGTERM to refork alone' 'no deadlock' 0
for how in ignores busy; do # background jobs of a script ignore SIGINT, too
    begun $how
    kill -INT "$pid"
    ended $((128 + 9)) "SIGINT to refork alone, $how" 'no deadlock' 0
done
begun ignores
kill -TERM "$pid"
until_true grep -q 'once more ends it now' errors || fail "nothing is said: $(cat errors)"
kill -TERM "$pid"
ended $((128 + 9)) 'SIGTERM twice' 'no deadlock' 0
grep -q 'ending all of it' errors && fail "a second SIGTERM waited for the grace: $(cat errors)"
begun stuck
kill -INT "$pid"
ended 120 'SIGINT with a stuck child' 'deadlock' 120

# record --timeout
clean "$refork" record --timeout 1 -o t.refork -- "$program" stuck >said 2>errors </dev/null
[ $? = 120 ] && grep -q '^deadlock' errors || fail "--timeout, stuck: $(cat errors)"
clean "$refork" record --timeout 1 -o t.refork -- "$program" default >said 2>errors </dev/null
got=$?
[ $got = $((128 + 15)) ] && grep -q '^no deadlock' errors || fail "--timeout: status $got: $(cat errors)"
clean "$refork" record --timeout 1 -o t.refork -- "$program" ignores >said 2>errors </dev/null
[ $? = $((128 + 9)) ] && grep -q 'Who still waited' errors || fail "--timeout, ignores: $(cat errors)"
clean "$refork" record --timeout 1x -o t.refork -- true 2>errors
[ $? = 125 ] && grep -q "bad value '1x' of '--timeout'" errors || fail "--timeout 1x: $(cat errors)"
rm -rf "$work"
