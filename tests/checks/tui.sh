#!/bin/bash
# refork replay on a terminal: the TUI over a recorded deadlock, in tmux (tests/tui/tmux.sh).
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work
ends 120 record --no-explain -o deadlock.refork -- "$build/samples/mutex_deadlock"
MATRIX=0 "$root/tests/tui/tmux.sh" "$refork" replay "$work/deadlock.refork" || fail "see above; the trace is $work/deadlock.refork"

# The same without a terminal, by a script of keys
clean "$refork" replay --script ':dump screen.txt<Enter>' --size 100x30 deadlock.refork || fail "--script: status $?"
grep -q write_report screen.txt || fail "the screen does not name the holder: $(cat screen.txt)"
grep -q log_mutex screen.txt || fail "the screen does not name the lock: $(cat screen.txt)"

# A recording that is damaged further on: that is said at once, also when nobody goes there. (Every byte of it counts: one
# in the last quarter, behind the files that the program mapped.)
size=$(stat -c %s deadlock.refork)
at=$((size * 7 / 8))
cp deadlock.refork damaged.refork
byte=$(od -An -tu1 -j $at -N 1 damaged.refork)
printf '%b' "\\x$(printf %02x $((byte ^ 255)))" | dd of=damaged.refork bs=1 seek=$at conv=notrunc status=none
clean "$refork" replay --script ':1<Enter>:dump damaged.txt<Enter>' --size 100x30 damaged.refork 2>damaged.err
got=$?
[ $got = 122 ] || fail "a damaged recording: status $got: $(cat damaged.err)"
grep -q "damaged trace 'damaged.refork'" damaged.err || fail "a damaged recording: $(cat damaged.err)"
[ ! -e damaged.txt ] || fail "a damaged recording is shown"
rm -rf "$work"
