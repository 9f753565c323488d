#!/bin/bash
# A recorder killed with SIGKILL leaves a file that replays up to its last whole chunk, and is reported with status 122 and the
# byte; so does a file cut off anywhere behind its header. The tracees die with their recorder.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work

replayed() { # TRACE: status of replaying what is there; its output in stdout, stderr
    clean "$refork" replay --batch "$1" >stdout 2>stderr </dev/null
}

prefix() { # WHOLE: stdout must be a beginning of it
    cmp -n "$(stat -c %s stdout)" stdout "$1" >/dev/null || fail "replayed something that was not written: $(cmp stdout "$1")"
}

# The recorder is killed at moments that are never the same: when the program has written so many lines.
program='for ((i = 0; ; i++)); do echo "line $i $RANDOM"; done'
for moment in 0 1 $((RANDOM % 3000)) $((RANDOM % 10000)) 30000; do
    rm -f killed.refork
    : >whole
    setsid env -i PATH=/usr/bin:/bin "$refork" record -o killed.refork -- bash -c "$program" >whole 2>record.err </dev/null &
    recorder=$!
    there() { [ -s killed.refork ] && [ "$(wc -l <whole)" -ge "$moment" ] || ! kill -0 "$recorder" 2>/dev/null; }
    until_true there || fail "the program does not write: $(cat record.err)"
    kill -0 $recorder 2>/dev/null || fail "the recorder ended: $(cat record.err)"
    child=$(pgrep -P $recorder | head -n 1)
    kill -9 $recorder
    wait $recorder 2>/dev/null
    gone() { [ -z "$child" ] || ! kill -0 "$child" 2>/dev/null; }
    until_true gone || fail "the recorded program outlives its killed recorder"
    replayed killed.refork
    got=$?
    [ $got = 122 ] || fail "killed after $moment lines: status $got: $(tail -n 3 stderr)"
    grep -qE "byte [0-9]+|has no end" stderr || fail "killed after $moment lines: '$(cat stderr)'"
    prefix whole
    echo "killed after $moment lines and $(stat -c %s killed.refork) bytes: $(wc -l <stdout) lines came back: $(cat stderr)"
    clean "$refork" info killed.refork >info 2>&1 || [ $? = 122 ] || fail "info: $(cat info)"
done
[ "$(wc -l <stdout)" -ge 1000 ] || fail "only $(wc -l <stdout) lines of 30000 came back"

into whole 0 record -o good.refork -- bash -c 'ls -l /usr/bin; ls -l /usr/lib'
size=$(stat -c %s good.refork)
for percent in 5 30 60 90 99; do
    head -c $((size * percent / 100)) good.refork >part.refork
    replayed part.refork
    got=$?
    [ $got = 122 ] || fail "cut at $percent%: status $got: $(tail -n 3 stderr)"
    grep -qE "byte [0-9]+" stderr || fail "cut at $percent%: no offset in '$(cat stderr)'"
    prefix whole
done
head -c 20 good.refork >part.refork
replayed part.refork
[ $? = 122 ] || fail "cut in its header: status is not 122"
rm -rf "$work"
