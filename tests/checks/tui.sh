#!/bin/bash
# refork replay on a terminal: the TUI over a recorded deadlock, in tmux (tests/tui/tmux.sh).
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
work=$out/tui
rm -rf "$work"
mkdir -p "$work"
clean "$refork" record --no-explain -o "$work/deadlock.refork" -- "$build/samples/mutex_deadlock" >/dev/null 2>&1
[ $? = 120 ] || fail "record: no deadlock"
MATRIX=0 "$root/tests/tui/tmux.sh" "$refork" replay "$work/deadlock.refork" || fail "see above; the trace is $work/deadlock.refork"

# The same without a terminal, by a script of keys
cd "$work" || exit 1
clean "$refork" replay --script ':dump screen.txt<Enter>' --size 100x30 deadlock.refork || fail "--script: status $?"
grep -q write_report screen.txt || fail "the screen does not name the holder: $(cat screen.txt)"
grep -q log_mutex screen.txt || fail "the screen does not name the lock: $(cat screen.txt)"
rm -rf "$work"
