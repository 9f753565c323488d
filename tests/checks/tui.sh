#!/bin/bash
# refork replay on a terminal: the TUI over a recorded deadlock, in tmux (tests/tui/tmux.sh).
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work
ends 120 record --no-explain -o deadlock.refork -- "$build/samples/mutex_deadlock"
if command -v gdb >/dev/null; then export GDB=1; else echo "no gdb here: ! is not tried"; fi
MATRIX=0 "$root/tests/tui/tmux.sh" "$refork" replay "$work/deadlock.refork" || fail "see above; the trace is $work/deadlock.refork"

# Two recordings. What the program reads decides whether it forks: they part in the data, and then in the schedule.
for side in one two; do
    echo $side >in.txt
    ends 0 record --no-explain -o $side.refork -- sh -c 'read word <in.txt; [ $word != one ] || /bin/true; echo $word'
done
PAIR=1 "$root/tests/tui/tmux.sh" "$refork" replay "$work/one.refork" "$work/two.refork" || fail "see above; the traces are $work/one.refork and $work/two.refork"

# The same without a terminal, by a script of keys
clean "$refork" replay --script ':dump screen.txt<Enter>' --size 100x30 deadlock.refork || fail "--script: status $?"
grep -q write_report screen.txt || fail "the screen does not name the holder: $(cat screen.txt)"
grep -q log_mutex screen.txt || fail "the screen does not name the lock: $(cat screen.txt)"

# A server with 40 children that have ended: those of the verdict are on the screen all the same, at each size; the others
# are one line, until z.
ends 120 record --no-explain -o server.refork -- "$build/tests/programs/prefork" 40
for size in 60x15 80x24 120x30 200x50; do
    clean "$refork" replay --script '2:dump screen.txt<Enter>' --size $size server.refork || fail "server: $size: status $?"
    sed '/^-- roles/,$d' screen.txt >screen
    [ "$(grep -c '^[ ►]*[0-9]* prefork' screen)" = 2 ] || fail "server: $size: not two processes: $(cat screen)"
    grep -q '^ *[0-9]* audit_w.*\[audit_lock' screen || fail "server: $size: no holder: $(cat screen)"
    grep -q '† audit_w.*\[audit_lock.*∞' screen || fail "server: $size: no ghost: $(cat screen)"
    grep -q '✗waits for a.*∞' screen || fail "server: $size: no waiter: $(cat screen)"
    grep -q '+40 oth' screen || fail "server: $size: not folded: $(cat screen)"
done
clean "$refork" replay --script '2zO:dump screen.txt<Enter>' --size 80x60 server.refork || fail "server: status $?"
[ "$(grep -c '^[ ►]*[0-9]* prefork' screen.txt)" = 42 ] || fail "server: z does not unfold: $(cat screen.txt)"
# Who waits for whom, from the parent to the ghost, and what happened to the lock, in the parent and in the child
clean "$refork" replay --script '6O:dump screen.txt<Enter>7:dump history.txt<Enter>' --size 120x20 server.refork || fail "panes: status $?"
for words in '✗ prefork .* waits for process' '  └✗ prefork .* waits for audit_lock since' \
    '    └† audit_writer .* was not copied by the fork'; do
    grep -q -- "$words" screen.txt || fail "waits: no '$words': $(cat screen.txt)"
done
for words in '● audit_writer .* takes it in pthread_mutex_lock' '◆ prefork .* forks [0-9]*, where the copy is held' \
    '· prefork .* waits for it'; do
    grep -q -- "$words" history.txt || fail "history: no '$words': $(cat history.txt)"
done
# Variables: of the frame that waits, of one that called it (what its registers had is gone: said as gdb says it), unfolded
ends 120 record --no-explain -o values.refork -- "$build/tests/programs/prefork" 3
clean "$refork" replay --script '8O<Dump audit.txt>5jj8<Dump main.txt>' --size 120x40 values.refork || fail "variables: status $?"
grep -qF 'what = 0x' audit.txt || fail "variables: no argument: $(cat audit.txt)"
grep -qF '"served\n"' audit.txt || fail "variables: no text: $(cat audit.txt)"
for words in 'Variables of main' 'argc = 2' 'argv = <optimized out>' ' count = 3' '  what = 0x' '"pre\tfork"' '  served = 3' '  state = REPLACING' \
    '    name = "w\303\2741"' '    load = 0.5' '    audited = true' '  numbers = 3 elements' '    [1] = -8' '<audit_lock>'; do
    grep -qF -- "$words" main.txt || fail "variables: no '$words': $(cat main.txt)"
done
# Globals by name and memory, with what has changed since the step before; who changed the lock's word, in the child and in the
# parent, where the worker took it
clean "$refork" replay --script 'xaudit_lock<Enter>Ojjw<Enter><Dump child.txt><Dump child.txt>{<Dump child-change.txt>{<Dump child-none.txt>' --size 130x40 values.refork ||
    fail "a global: status $?"
grep -q 'audit_lock  *pthread_mutex_t' child.txt || fail "no global: $(cat child.txt)"
grep -q '__lock = 2 ' child.txt || fail "a global: not unfolded: $(cat child.txt)"
grep -q 'memory at 0x[0-9a-f]*  audit_lock' child.txt || fail "memory: $(cat child.txt)"
grep -Eq '^.[0-9a-f]{12} 02 00 00 00 ' child.txt || fail "memory: $(cat child.txt)"
grep -Eq 'audit_lock.__data.__lock: 1 -> 2 by prefork \([0-9]+\) in audit, prefork.c:27' child-change.txt || fail "a change: $(cat child-change.txt)"
grep -Eq 'has not changed since event [0-9]+ made process' child-none.txt || fail "a change before the fork: $(cat child-none.txt)"
lock=$(sed -n 's/.*memory at \(0x[0-9a-f]*\)  audit_lock.*/\1/p' child.txt)
clean "$refork" replay --script "x$lock,-1<Enter>O<Dump wrong.txt>" --size 130x40 values.refork || fail "memory of -1 bytes: status $?"
grep -q "$lock,-1.*no such variable here" wrong.txt || fail "memory of -1 bytes: $(cat wrong.txt)"
clean "$refork" replay --script "fx$lock,4<Enter>Ojw{<Dump parent.txt>p<Dump before.txt>n<Dump behind.txt>" --size 130x40 values.refork ||
    fail "memory: status $?"
grep -Eq "$lock: 0 -> 1 by audit_writer \([0-9]+\) in audit_writer, prefork.c:34" parent.txt || fail "the parent's change: $(cat parent.txt)"
grep -Eq '^.[0-9a-f]{12} 00\*00 00 00 ' before.txt || fail "no mark at what changes with a step back: $(cat before.txt)"
grep -Eq '^.[0-9a-f]{12} 01\*00 00 00 ' behind.txt || fail "no mark at what has changed: $(cat behind.txt)"
# Two that wait for each other: the circle is closed
ends 120 record --no-explain -o cycle.refork -- "$build/samples/cycle_parent"
clean "$refork" replay --script '6O:dump screen.txt<Enter>' --size 120x20 --ascii cycle.refork || fail "cycle: status $?"
grep -q 'holds it since .* and waits for' screen.txt || fail "cycle: no holder that waits: $(cat screen.txt)"
grep -q '@ cycle_parent .*the circle is closed' screen.txt || fail "cycle: not closed: $(cat screen.txt)"
# Without a deadlock all are shown; z folds those that have ended
ends 0 record -o fixed.refork -- "$build/tests/programs/prefork" 20 fixed
for keys in 2O:20:1 2zO:1:2; do
    IFS=: read -r keys least place <<<"$keys"
    clean "$refork" replay --script "$keys:dump screen.txt<Enter>" --size 80x40 fixed.refork || fail "server: status $?"
    [ "$(grep -c '^[ ►]*[0-9]* prefork' screen.txt)" -ge "$least" ] || fail "fixed: $keys: $(cat screen.txt)"
    [ "$place" = 1 ] || grep -q '+.* others, z unfolds' screen.txt || fail "fixed: $keys: not folded: $(cat screen.txt)"
done

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
