#!/bin/bash
# What looks stuck and is not is never reported: the program ends by itself, and its recording replays exactly.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work
program=$build/tests/programs/patient

patient() {
    twice 0 "$1" --log "$1.log" -- "$program" "$1"
    [ "$(cat "$1.out")" = well ] || fail "$1 printed '$(cat "$1.out")'"
    clean "$refork" dump "$1.refork" >"$1.dump"
    ! grep ' stuck ' "$1.dump" || fail "$1 is called stuck"
    # A second look costs a replay of all that was recorded. At who waits for the end of a thread that goes on there is none.
    case $1 in
    thread-joined) ! grep 'a second look at' "$1.log" || fail "$1 was looked at a second time" ;;
    thread-posts) grep -q 'a second look at' "$1.log" || fail "$1 was not looked at a second time" ;;
    esac
    rm -f "$1.refork" "$1.dump" "$1.log"
}

for case in $("$program"); do in_parallel 6 patient "$case"; done
all_ended
echo good
