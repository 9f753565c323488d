#!/bin/bash
# `refork gdb` with the machine's gdb: breakpoints and watchpoints forth and back, single steps both ways, calls, forks,
# system calls, symbols from the trace alone, --listen, and what is said when there is no gdb.
# shellcheck disable=SC2016 # gdb's $1 is no variable of the shell
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work
command -v gdb >/dev/null || skip "no gdb: apt install gdb"
debug() { clean env WALKS="${WALKS:-12}" SEED="${SEED:-1}" "$refork" gdb "$@" </dev/null 2>&1; }

# The program and its path are gone: all that gdb shows is in the trace.
cp "$build/tests/programs/debugged" moved
into walk.out 0 record --no-explain -o walk.refork -- ./moved
rm moved
debug walk.refork -- -batch -x "$root/tests/gdb/walk.py" >walk.log
grep -qx 'walk: good' walk.log || fail "walks in gdb (replay it: refork gdb $work/walk.refork): $(tail -n 5 walk.log)"

debug walk.refork -- -batch -x "$root/tests/gdb/watches.py" >watches.log
grep -qx 'watches: good' watches.log || fail "watchpoints in gdb: $(tail -n 5 watches.log)"

gcc -g -o events "$root/tests/gdb/events.c" || fail "tests/gdb/events.c does not compile"
into events.out 139 record --no-explain -o events.refork -- ./events
debug --at 1 events.refork -- -batch -x "$root/tests/gdb/events.py" >events.log
grep -qx 'events: good' events.log || fail "events in gdb: $(tail -n 5 events.log)"

# A Ctrl-C ends what gdb calls, though it makes no call of its own and meets no breakpoint.
debug events.refork -- -batch -x "$root/tests/gdb/spin.py" >spin.log &
spinning=$!
# shellcheck disable=SC2317,SC2329 # called by until_true
answered() { grep -q 'signaled while in a function' spin.log || [ "$(grep -c '^calling' spin.log)" -gt "$calls" ] || ! kill -0 "$spinning"; }
calls=0
while ! grep -q 'signaled while in a function' spin.log && kill -0 $spinning 2>spin.gone; do
    until_true answered 2>spin.gone || fail "gdb does not call spin() ($work/spin.log)"
    calls=$(grep -c '^calling' spin.log)
    kill -INT "$(sed -n 's/^calling: //p' spin.log | tail -n 1)"
    until_true answered 2>spin.gone || fail "Ctrl-C does not end what gdb calls ($work/spin.log)"
done
wait $spinning || fail "gdb ended with $? ($work/spin.log)"
grep -q 'signaled while in a function' spin.log || fail "Ctrl-C is not told as a signal ($work/spin.log)"

# The program that stands for itself by an exec: a jump in front of it and behind it, and the way back over it.
into exec.out 0 record --no-explain -o exec.refork -- sh -c 'exec cat /dev/null'
at=$(clean "$refork" dump exec.refork | sed -n 's/^ *\([0-9]*\) .* exec .*\/cat".*/\1/p')
debug --at 10 exec.refork -- -batch -ex "event $at" -ex 'info inferiors' -ex 'catch exec' -ex reverse-continue -ex 'info inferiors' -ex continue >exec.log
for what in 'executing new program: .*/cat' ' target:.*/cat' 'executing new program: .*sh$' ' target:.*sh' "Catchpoint 1 (exec'd .*/cat)"; do
    grep -q -- "$what" exec.log || fail "gdb over an exec does not show '$what' ($work/exec.log)"
done

debug walk.refork -- -batch -ex 'event 1' -ex 'catch fork' -ex 'catch syscall wait4' -ex continue -ex continue -ex continue >caught.log
for what in '(forked process' '(call to syscall wait4)' '(returned from syscall wait4)'; do
    grep -qF -- "$what" caught.log || fail "catch does not tell '$what' (caught.log)"
done

# gdb steps over a breakpoint at its pc. When that step met a caught call, or the recording's end, the next continue never came back.
debug walk.refork -- -batch -ex 'event 1' -ex 'catch syscall wait4' -ex continue -ex 'break *$pc' -ex continue -ex continue -ex delete -ex continue \
    -ex 'break *$pc' -ex continue -ex continue -ex 'echo not stuck\n' >over.log
for what in '(call to syscall wait4)' 'The recording ends here.' 'not stuck'; do
    grep -qF -- "$what" over.log || fail "steps over breakpoints: gdb does not say '$what' ($work/over.log)"
done

ends 120 record --no-explain -o stuck.refork -- "$build/samples/mutex_deadlock"
debug stuck.refork -- -batch -ex bt -ex 'info threads' -ex 'info sharedlibrary' -ex 'info auxv' -ex when -ex verdict -ex holders \
    -ex 'print log_mutex.__data.__lock' -ex 'monitor processes' >stuck.log
for what in 'run_child' 'log_begin' 'Thread .*mutex_deadlock' 'libc.so.6' 'AT_ENTRY' 'behind event' 'orphaned-lock (proved)' '\$1 = 2' \
    'held at event' '(shown)'; do
    grep -q -- "$what" stuck.log || fail "gdb at the deadlock does not show '$what' (stuck.log)"
done
# From the parent's side: who took the lock, by a watchpoint backward.
parent=$(sed -n "s/^process \([0-9]*\) '.*'\$/\1/p" stuck.log | head -n 1)
[ -n "$parent" ] || fail "the parent is not listed"
debug --process "$parent" stuck.refork -- -batch -ex 'watch log_mutex.__data.__lock' -ex reverse-continue -ex bt >holder.log
grep -q 'write_report' holder.log || fail "the holder's stack is not found backward (holder.log)"

# From the first event on: the program names its dynamic linker by a symbolic link, and only who reads that file learns of the libraries
# that are loaded later.
debug --process "$parent" --at 3 stuck.refork -- -batch -ex 'info sharedlibrary' -ex 'tbreak log_begin' -ex continue -ex 'info sharedlibrary' -ex bt >early.log
! grep -q 'dynamic linker breakpoint' early.log || fail "gdb does not find the dynamic linker of the recording (early.log)"
grep -q 'libc.so.6' early.log || fail "gdb does not learn of a library that is loaded later (early.log)"

# A thread's own variables, of a static program of each C library, which knows no _thread_db_ variables or has none.
word_of_each() { # COMPILER...
    "$@" -g -static -pthread -o words "$root/tests/gdb/thread_word.c" || fail "$* does not compile tests/gdb/thread_word.c"
    into words.out 0 record --no-explain -o words.refork -- ./words
    debug words.refork -- -batch -ex 'event 1' -ex 'break visit' -ex continue -ex 'print word' -ex finish -ex 'print cleared' -ex continue -ex 'print word' \
        -ex 'print cleared' >words.log
    for what in '$1 = 37' '$2 = -1' '$3 = 8' '$4 = 0'; do
        grep -qxF -- "$what" words.log || fail "$1: gdb does not show '$what' of a thread's own variables ($work/words.log)"
    done
}
word_of_each gcc
word_of_each musl-gcc

# Right behind a change that a watchpoint has stopped at, the next stop backward is at that change.
debug --process "$parent" --at 3 stuck.refork -- -batch -ex 'tbreak log_begin' -ex continue -ex 'watch log_mutex.__data.__lock' -ex continue -ex reverse-continue >turned.log
grep -A 1 -x 'Old value = 1' turned.log | grep -qx 'New value = 0' || fail "a watchpoint is not met again when turning back behind it (turned.log)"

# A port for other debuggers, on this machine only.
clean "$refork" gdb --listen 0 stuck.refork 2>listen.err &
server=$!
until_true grep -q 'target extended-remote localhost:' listen.err || fail "--listen says no port"
port=$(sed -n 's/.*localhost:\([0-9]*\)$/\1/p' listen.err)
clean gdb -nx -batch -iex 'set sysroot target:' -ex "target extended-remote localhost:$port" -ex bt </dev/null >listen.log 2>&1
grep -q 'log_begin' listen.log || fail "gdb over a port shows no stack"
wait $server || fail "the server ended with $?"

# The same for lldb: the stack, a variable, a breakpoint and a watchpoint from near the begin, an instruction.
in_lldb() { # OPTION-OF-GDB... -- COMMAND...
    local options=() commands=() command
    while [ "$1" != -- ]; do options+=("$1") && shift; done
    shift
    for command in "$@"; do commands+=(-o "$command"); done
    : >lldb.err
    clean "$refork" gdb --listen 0 "${options[@]}" stuck.refork 2>lldb.err &
    server=$!
    until_true grep -q 'localhost:' lldb.err || fail "--listen says no port: $(cat lldb.err)"
    clean lldb --batch -o "gdb-remote $(sed -n 's/.*localhost:\([0-9]*\)$/\1/p' lldb.err)" "${commands[@]}" "$build/samples/mutex_deadlock" \
        >lldb.log 2>&1 </dev/null
    wait $server || fail "the server ended with $?: $(cat lldb.err)"
}
if command -v lldb >/dev/null; then
    in_lldb -- bt 'print log_mutex.__data.__lock' 'thread step-inst'
    for what in 'frame #.*`log_begin at mutex_deadlock.c:23' 'frame #.*`run_child' '(int) \$0 = 2$' 'the recording ends here'; do
        grep -q -- "$what" lldb.log || fail "lldb does not show '$what' ($work/lldb.log)"
    done
    in_lldb --process "$parent" --at 5 -- 'breakpoint set --name log_begin' continue bt 'watchpoint set variable log_mutex.__data.__lock' continue \
        'thread step-inst' 'process plugin packet monitor when'
    for what in 'stop reason = breakpoint' 'frame #.*`write_report' '^old value: 0$' '^new value: 1$' 'stop reason = instruction step into' 'behind event [0-9]* of'; do
        grep -q -- "$what" lldb.log || fail "lldb does not show '$what' ($work/lldb.log)"
    done
fi

# Refusals.
says() { # STATUS TEXT ARGUMENT...
    local text
    text=$(clean "$refork" gdb "${@:3}" 2>&1 </dev/null)
    local status=$?
    [ $status = "$1" ] || fail "gdb ${*:3}: status $status, not $1: $text"
    [[ $text == *"$2"* ]] || fail "gdb ${*:3}: does not say '$2': $text"
}
says 127 "cannot run 'no-such-gdb'" --gdb no-such-gdb stuck.refork
says 125 'no event 999999' --at 999999 stuck.refork
says 125 'no process 1 in this recording' --process 1 stuck.refork
head -c 3000 stuck.refork >cut.refork
ends 122 gdb cut.refork
exit 0
