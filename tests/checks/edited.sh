#!/bin/bash
# A trace that was edited to make the replay call openat, connect and execve (and creat by the 32-bit gate): the replay says that it
# diverged, and nothing happens outside.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/refork-edited-XXXXXX") # short: a socket's path has 107 bytes
trap 'kill $listener 2>/dev/null; rm -rf "$work"' EXIT
cd "$work" || exit 1
obey=$build/tests/programs/obey

clean /usr/bin/python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind("socket")
s.listen()
print("listening", flush=True)
while True:
    c, _ = s.accept()
    print("connection", c.recv(100), flush=True)
' >listener.out 2>&1 &
listener=$!
until_true grep -q listening listener.out || fail "no listener: $(cat listener.out)"

printf 'nothing!' >word
input=word into out 0 record -o good.refork -- "$obey" "$work"
[ "$(cat out)" = 'nothing!' ] || fail "record printed $(cat out)"
"$build/tests/proof/edit_trace" good.refork same.refork 'nothing!' 'nothing!' || fail "edit_trace: status $?"
into out2 0 replay --batch same.refork
cmp out out2 || fail "a copied trace replays otherwise"

for word in 'openat!!' 'connect!' 'execve!!' 'int0x80!'; do
    "$build/tests/proof/edit_trace" good.refork bad.refork 'nothing!' "$word" || fail "edit_trace $word: status $?"
    clean "$refork" replay --batch bad.refork >out2 2>err2
    got=$?
    [ $got = 121 ] || fail "$word: status $got, not 121: $(tail -n 5 err2)"
    [ ! -e touched ] || fail "$word: the replay made a file"
    clean "$refork" explain bad.refork >/dev/null 2>&1
    [ ! -e touched ] || fail "$word: explain made a file"
done
[ "$(cat listener.out)" = listening ] || fail "the replay connected: $(cat listener.out)"

# The words do work outside of a replay: the checks above can fail.
for word in 'openat!!' 'execve!!'; do
    rm -f touched
    printf '%s' "$word" | clean "$obey" "$work" >out || fail "$word alone: status $?"
    [ -e touched ] || fail "$word alone makes no file"
done
printf 'connect!' | clean "$obey" "$work" >out || fail "connect alone: status $?"
until_true grep -q reached listener.out || fail "connect alone does not connect"
