#!/bin/bash
# refork record is invisible on a terminal: the program has it, its size and its settings; Ctrl-C ends the program and keeps a
# trace that replays.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work
socket=refork-test-$$
tmux() { env -i PATH=/usr/bin:/bin LANG=C.UTF-8 HOME="$work" TERM=xterm tmux -L "$socket" -f /dev/null "$@"; }
trap 'tmux kill-server 2>/dev/null' EXIT
screen() { tmux capture-pane -p; }
shows() { screen | grep -qE -- "$1"; }

tmux new-session -d -x 91 -y 23 env PS1='ready> ' bash --norc || fail "no tmux"
until_true shows 'ready>' || fail "no shell: $(screen)"
tmux send-keys "clear; '$refork' record -o tty.refork -- sh -c 'stty size; test -t 0 && test -t 2 && tty; read x; echo got \$x'; echo status \$?" Enter
until_true shows '^/dev/pts' || fail "no terminal: $(screen)"
shows '^23 91' || fail "wrong size: $(screen)"
tmux send-keys 'some words' Enter
until_true shows '^status 0' || fail "did not end: $(screen)"
shows '^got some words' || fail "input did not arrive: $(screen)"
shows "saved 'tty.refork'" || fail "nothing said about the recording: $(screen)"
ends 0 replay --batch tty.refork
grep -qx 'got some words' stdout || fail "replay: $(cat stdout)"

tmux send-keys "clear; '$refork' record -o int.refork -- sh -c 'echo begin; sleep infinity; echo never'" Enter
until_true shows '^begin$' || fail "did not begin: $(screen)"
tmux send-keys C-c
# bash itself gives up the rest of its line when a command died of Ctrl-C: so it sees that death.
until_true shows '^ready>' || fail "Ctrl-C does not end it: $(screen)"
tmux send-keys 'echo status $?' Enter
until_true shows '^status 130' || fail "Ctrl-C: $(screen)"
ends 130 replay --batch int.refork
[ "$(cat stdout)" = begin ] || fail "replay of the interrupted one: $(cat stdout)"

# A program that handles Ctrl-C goes on. Its first line is not one that the screen still shows from the program before:
# a Ctrl-C that comes before the shell has read the line ends the line, and nothing ever runs.
tmux send-keys "clear; '$refork' record -o trap.refork -- bash -c 'trap \"echo trapped\" INT; echo ready to trap; sleep infinity; echo after; exit 4'; echo status \$?" Enter
until_true shows '^ready to trap$' || fail "did not begin: $(screen)"
tmux send-keys C-c
until_true shows '^status 4' || fail "trapped Ctrl-C: $(screen)"
ends 4 replay --batch trap.refork
printf 'ready to trap\ntrapped\nafter\n' | cmp - stdout || fail "replay of the trapped one: $(cat stdout)"
rm -rf "$work"
