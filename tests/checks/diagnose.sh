#!/bin/bash
# `refork diagnose`: of processes that hang right now, of healthy ones, of cores of both; what it says, and that it changes nothing.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/live.sh
. "$(dirname "$0")/../live.sh"

# The verdict on $1 in verdict.json; its status in $got
look() {
    clean "$refork" diagnose --json "$1" >verdict.json 2>err
    got=$?
}
says() { look "$1" && false || [ "$got" = "$2" ]; }
# stuck WHAT FILTER: there is a deadlock (soon: the threads need a moment to get there), and the filter holds
stuck() {
    until_true says "$1" 120 || fail "$1: status $got: $(cat err verdict.json)"
    jq -e "$2" verdict.json >/dev/null || fail "$1: not '$2': $(jq . verdict.json)"
    kept=$((kept + 1))
    cp verdict.json "kept-$kept.json"
}
kept=0
silent() {
    look "$1"
    [ "$got" = 0 ] || fail "$1: status $got: $(cat err verdict.json)"
    jq -e '.deadlock == false and .findings == [] and .from_memory' verdict.json >/dev/null || fail "$1: $(jq . verdict.json)"
}
asleep() { grep -q "^202 " "/proc/$1/syscall" 2>/dev/null; }
refused() { # PATTERN STATUS WHAT...
    local pattern=$1 want=$2
    shift 2
    clean "${as[@]}" "$refork" diagnose "$@" >stdout2 2>err
    got=$?
    [ $got = "$want" ] || fail "diagnose $*: status $got, not $want: $(cat err)"
    grep -qE -- "$pattern" err || fail "diagnose $*: not '$pattern': $(cat err)"
    [ ! -s stdout2 ] || fail "diagnose $*: printed $(cat stdout2)"
}
as=()

# ---- live: the child of the classic, its parent, and the parent asked for
begin "$hang" logger
child() { child=$(pgrep -P "$pid") && [ -n "$child" ] && asleep "$child"; }
until_true child || fail "no child of $pid sleeps"
before=$(cat "/proc/$child/syscall")
orphan='.findings[0] | .kind == "orphaned-lock" and .confidence == "proved" and .lock.symbol == "log_mutex" and .holder.name == "worker"
    and .holder.start_routine == "write_report" and .holder.vanished and any(.waiting.frames[]; .function == "log_begin" and .line > 0)'
for one in "$child" "$pid"; do
    stuck "$one" "$orphan"
    jq -e '.findings[1] | .kind == "cross-process-wait" and .caused_by == 0' verdict.json >/dev/null || fail "$one: $(jq . verdict.json)"
done
jq -e ".findings[0].waiting.pid == $child and .findings[1].waiting.pid == $pid" verdict.json >/dev/null || fail "PIDs: $(jq . verdict.json)"
clean "$refork" diagnose "$child" >text || [ $? = 120 ] || fail "text: status $?"
for word in 'orphaned-lock (proved)' log_mutex "'worker'" write_report 'only a recording can tell' 'posix_spawn'; do
    grep -qF -- "$word" text || fail "the text has no '$word': $(cat text)"
done
for ((i = 0; i < 20; i++)); do look "$child"; done
[ "$(cat "/proc/$child/syscall")" = "$before" ] || fail "the child is elsewhere: $before, $(cat "/proc/$child/syscall")"
grep -q '^TracerPid:.0$' "/proc/$child/status" || fail "the child is still traced"

# A process that is stopped stays stopped, and its lock's story is the same.
kill -STOP "$child"
until_true grep -q '^State:.T (stopped)' "/proc/$child/status" || fail "does not stop"
stuck "$child" "$orphan"
until_true grep -q '^State:.T (stopped)' "/proc/$child/status" || fail "no longer stopped: $(grep State "/proc/$child/status")"
kill -CONT "$child"
until_true asleep "$child" || fail "does not go on"

# Killed in between, refork leaves no thread stopped or traced.
for ((i = 0; i < 40; i++)); do
    { timeout -s KILL "0.0$((i % 30 + 1))" "${as_clean[@]}" "$refork" diagnose "$child" >killed 2>&1 || :; } 2>killed.err
done
until_true asleep "$child" || fail "killed: the child is elsewhere"
until_true grep -q '^TracerPid:.0$' "/proc/$child/status" || fail "killed: the child is still traced"
grep -q '^State:.S' "/proc/$child/status" || fail "killed: $(grep State "/proc/$child/status")"
[ "$(cat "/proc/$child/syscall")" = "$before" ] || fail "killed: the child is elsewhere: $before, $(cat "/proc/$child/syscall")"

# Someone else's process: what is missing, and the way out.
if [ "$(id -u)" = 0 ]; then
    # the build folder may be closed to others
    copy=$(mktemp -d /tmp/refork-diagnose-XXXXXX) || fail mktemp
    chmod 755 "$copy"
    install -m 755 "$refork" "$copy/refork"
    clean setpriv --reuid=65534 --clear-groups "$copy/refork" diagnose "$child" >stdout2 2>err
    got=$?
    rm -rf "$copy"
    [ $got = 125 ] || fail "as another user: status $got: $(cat err)"
    grep -qE "not permitted to look into process $child: .*(CAP_SYS_PTRACE|ptrace_scope)" err || fail "as another user: $(cat err)"
fi
strace -qq -o /dev/null -p "$child" &
tracer=$!
pids+=("$tracer")
traced() { grep -q "^TracerPid:.$tracer\$" "/proc/$child/status"; }
if until_true traced; then refused "traced by process $tracer \\(strace\\)" 125 "$child"; fi
kill "$tracer"
wait "$tracer" 2>/dev/null
finish

# ---- every way of hanging; WAY FILTER
while read -r way filter; do
    begin "$hang" "$way"
    stuck "$pid" ".findings[0] | $filter"
    finish
done <<'END'
writer .kind == "orphaned-lock" and .confidence == "proved" and .lock.symbol == "table_lock" and .holder.name == "tables" and .holder.start_routine == "hold_table"
reader .kind == "orphaned-lock" and .confidence == "likely" and .lock.kind == "pthread_rwlock" and .holder == null
stdio .kind == "orphaned-lock" and .holder.name == "writer" and .holder.start_routine == "hold_file"
forker .kind == "self-held" and .confidence == "proved" and .holder_is_forker and .lock.symbol == "recursive"
semaphore .kind == "vanished-waker" and .confidence == "likely" and .vanished[0].task.start_routine == "wait_for_work" and .lock.symbol == "permits"
spin .kind == "orphaned-spin" and .confidence == "likely" and .lock.symbol == "flag" and any(.waiting.frames[]; .function == "spin")
ended .kind == "dead-holder" and .confidence == "likely" and .lock.symbol == "first"
order .kind == "lock-cycle" and .confidence == "proved" and (.cycle | length) == 2
twice .kind == "lock-cycle" and .confidence == "proved" and .lock.symbol == "first"
idle .kind == "unexplained-wait" and .confidence == "likely" and .lock.symbol == "permits" and (.reason | test("idles until it is killed"))
END
ready='fork' begin "$build/samples/atfork_order"
stuck "$pid" '.findings[0].kind == "atfork-deadlock"'
finish

# ---- nothing is wrong: a live holder in another process, an idle pool, a wait for signals, a busy child, a semaphore that a signal handler posts
for way in share pool busy spin_here signaled calls paused; do
    begin "$hang" "$way"
    if [ $way = share ]; then
        child=$(pgrep -P "$pid")
        until_true asleep "$child" || fail "the child does not wait"
        for ((i = 0; i < 5; i++)); do silent "$child"; done
    fi
    for ((i = 0; i < 20; i++)); do silent "$pid"; done
    kill -0 "$pid" || fail "$way is gone"
    grep returned stdout && fail "$way: a call was disturbed"
    semaphore=$(sed -n 's/^semaphore set //p' stdout)
    finish
    [ -z "$semaphore" ] || ipcrm -s "$semaphore"
done

# No signal is lost or comes twice while it is looked at.
begin "$hang" signals
(for ((i = 0; i < 300; i++)); do kill -RTMIN "$pid"; done) &
sender=$!
while kill -0 $sender 2>/dev/null; do look "$pid"; done
wait $sender || fail "could not send signals"
[ "$got" = 0 ] || fail "signals: status $got"
kill -TERM "$pid"
wait "$pid"
[ "$(tail -n 1 stdout)" = "300 signals" ] || fail "of 300 signals: $(cat stdout)"
exec {hold}<&-

# ---- what cannot be looked at
refused "no process 4194305|no process" 125 4194305
refused "no process 99999999999" 125 99999999999
refused "missing" 125
refused "could not open" 122 no-such-core
clean bash -c 'exec "$1" diagnose $$' - "$refork" >stdout2 2>err
got=$?
[ $got = 125 ] && grep -q "is refork itself" err || fail "itself: status $got: $(cat err)"
"${as_clean[@]}" perl -e '$| = 1; if (!($c = fork)) { exit } print "child $c\n"; sleep' >zombie &
pid=$!
pids+=("$pid")
until_true grep -q child zombie || fail "no zombie"
zombie=$(sed 's/child //' zombie)
until_true grep -q '^State:.Z' "/proc/$zombie/status" || fail "$zombie is no zombie"
refused "has ended and waits for its parent $pid" 125 "$zombie"
kill -9 $pid
wait $pid 2>/dev/null
if grep -q '^PPid:.0$' /proc/2/status 2>/dev/null && [ ! -s /proc/2/maps ]; then refused "thread of the kernel" 125 2; fi

# ---- cores: by the kernel where it writes plain files, and by gdb
core_of() { # PID FILE
    clean gcore -o gcore "$1" >gcore.log 2>&1
    mv "gcore.$1" "$2" || fail "gcore: $(cat gcore.log)"
}
from_core() { # FILE FILTER
    look "$1"
    [ "$got" = 120 ] || fail "$1: status $got: $(cat err verdict.json)"
    jq -e "$2" verdict.json >/dev/null || fail "$1: not '$2': $(jq . verdict.json)"
}
orphan='.findings[0] | .kind == "orphaned-lock" and .confidence == "likely" and .lock.symbol == "log_mutex" and .holder.start_routine == "write_report"
    and any(.waiting.frames[]; .function == "log_begin" and .line > 0)'
cp "$hang" program
begin ./program logger
until_true child || fail "no child of $pid sleeps"
core_of "$child" by-gdb
from_core by-gdb "$orphan"
if [[ $(cat /proc/sys/kernel/core_pattern) =~ ^core ]]; then
    # A child that is ended has its parent say so and go on: not a matter of this test.
    prlimit --pid "$child" --core=unlimited
    kill -ABRT "$child"
    until_true compgen -G 'core*' >/dev/null || fail "no core: $(cat /proc/sys/kernel/core_pattern)"
    gone() { ! kill -0 "$child" 2>/dev/null || grep -q '^State:.Z' "/proc/$child/status" 2>/dev/null; }
    until_true gone
    mv core* by-kernel
    from_core by-kernel "$orphan"
fi
finish

# The program is gone: its lock has no name, but is known by its place, and the message says why.
cp by-gdb whole
mv program elsewhere
from_core whole '.findings[0] | .kind == "orphaned-lock" and (.lock.symbol | startswith("program+0x"))'
jq -e 'any(.notes[]; test("program. is not here, or not the file"))' verdict.json >/dev/null || fail "no note: $(jq .notes verdict.json)"
# Another program with its name is not taken for it.
cp "$build/samples/atfork_order" program
from_core whole '.findings[0] | .kind == "orphaned-lock" and (.lock.symbol | startswith("program+0x"))'
mv elsewhere program

begin "$hang" order
stuck "$pid" '.findings[0].kind == "lock-cycle"'
core_of "$pid" cycle
finish
from_core cycle '.findings[0] | .kind == "lock-cycle" and (.cycle | length) == 2'
begin "$hang" pool
core_of "$pid" healthy
finish
silent healthy

# Cut off anywhere: what is there, or a clear error. The kernel writes the notes first, gdb last.
for whole in by-*; do
    size=$(stat -c %s "$whole")
    for part in 0 1 63 64 65 100 500 $((size / 64)) $((size / 8)) $((size / 2)) $((size - 8192)); do
        head -c "$part" "$whole" >part-of-core
        look part-of-core
        case $got in
        122) grep -qE "cut off|no core file|no readable notes|no thread" err || fail "$whole cut at $part: $(cat err)" ;;
        0 | 120) jq -e 'any(.notes[]; test("cut off at byte"))' verdict.json >/dev/null || fail "$whole cut at $part: $(jq .notes verdict.json)" ;;
        *) fail "$whole cut at $part: status $got: $(cat err)" ;;
        esac
    done
done

gzip -k <by-gdb >packed.gz
refused "packed with gzip.*gzip -dk.*coredumpctl dump" 122 packed.gz
refused "no core file" 122 "$build/samples/mutex_deadlock"
refused "no core file" 122 "$root/README.md"
refused "not a regular file" 122 /dev/zero
refused "not a regular file" 122 .

# ---- JSON: what the schema says, and nothing else
clean /usr/bin/python3 - "$root/docs/verdict.schema.json" kept-*.json verdict.json <<'END' || fail "not as the schema says"
import json, jsonschema, sys
validator = jsonschema.Draft202012Validator(json.load(open(sys.argv[1])))
errors = [f"{path}: {e.message[:300]}" for path in sys.argv[2:] for e in validator.iter_errors(json.load(open(path)))]
print("\n".join(errors))
sys.exit(bool(errors))
END
rm -rf "$work"
echo "diagnose: live, stopped, traced, other users', healthy, cores whole and cut"
