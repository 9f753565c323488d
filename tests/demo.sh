#!/bin/bash
# make demo: records the classic fork deadlock, replays it, and shows what happened: in the TUI on a terminal, else as text.
#   tests/demo.sh BUILD
set -u
build=$1
refork=$build/refork
trace=$build/demo.refork
rm -f "$trace"

show() { printf '\n$ %s\n' "$*"; }

expect_deadlock() { # WHAT STATUS
    [ "$2" = 120 ] && return
    echo "demo: $1 ended with status $2; 120 (a deadlock) was expected" >&2
    exit 1
}

show refork record -o "$trace" -- samples/mutex_deadlock
"$refork" record --no-explain -o "$trace" -- "$build/samples/mutex_deadlock"
expect_deadlock "the recording" $?

show refork replay --batch "$trace"
"$refork" replay --batch "$trace"
expect_deadlock "the replay" $?
echo "(the same again, out of the recording: the program itself did not run)"

if [ -t 0 ] && [ -t 1 ]; then
    show refork replay "$trace"
    "$refork" replay "$trace" || exit 1
fi
show refork explain "$trace"
"$refork" explain "$trace"
expect_deadlock "the verdict" $?
printf '\nLook at it again: %s replay %s\n' "$refork" "$trace"
