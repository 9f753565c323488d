#!/bin/bash
# What the program leaves behind lives on when `record` returns, and says so: tests/programs/left_behind.c. Its keeper holds
# neither the caller's pipes nor anything else, and ends with the last process. --wait records it to its end.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work
program=$build/tests/programs/left_behind

field() { sed -n "s/^$2:[[:space:]]*\([0-9]*\).*/\1/p" "/proc/$1/status" 2>/dev/null; }
gone() { [ ! -e "/proc/$1" ] || grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null; }
asked() {
    kill -USR1 "$1"
    [ -e alive ]
}
finish() {
    touch end
    until_true "$2" "$1" || fail "$3"
}
ended() {
    kill -USR1 "$1" 2>/dev/null
    gone "$1"
}

# Through a pipe that must end: the program's output and its child's are redirected apart from it.
{
    "${as_clean[@]}" "$refork" record -o t.refork -- "$program" 2>stderr >stdout
    echo "status $?" >ended
} | cat >piped
pid=$(<pid)
trap 'kill -KILL "$pid" 2>/dev/null' EXIT
[ "$(<ended)" = 'status 7' ] || fail "record: $(<ended), not the program's 7: $(<stderr)"
grep -q "1 process that it left behind goes on without being recorded.*: $pid (left_behind)" stderr || fail "record said: $(<stderr)"
gone "$pid" && fail 'the child has not been let go alive'
keeper=$(field "$pid" TracerPid)
[ "$keeper" -gt 0 ] || fail 'the child has no tracer: its calls would be answered ENOSYS'
[ "$(field "$keeper" PPid)" != "$$" ] || fail 'the keeper is a child of the caller'
for fd in "/proc/$keeper/fd"/*; do
    case $(readlink "$fd") in
    /dev/null | "/proc/$pid/mem" | /proc/*/task/*/stat | '') ;; # the child's, and the states of its threads
    *) fail "the keeper holds $(readlink "$fd")" ;;
    esac
done
until_true asked "$pid" || fail 'the child does not answer'
[ "$(<alive)" = well ] || fail "the child: $(<alive)"
finish "$pid" ended 'the child does not end'
until_true gone "$keeper" || fail 'the keeper lives on'

ends 7 replay --batch t.refork
grep -qx 'the program' stdout || fail "the replay printed: $(<stdout)"
into info 0 info t.refork
grep -q 'left behind' info || fail "info does not say it: $(<info)"

# Its pipe is the caller's, too, here: with the child it ends. Recorded to the end.
rm -f pid alive end
"${as_clean[@]}" "$refork" record --wait -o w.refork -- "$program" >stdout 2>stderr &
recorder=$!
until_true test -e pid || fail "the child has not begun: $(<stderr)"
pid=$(<pid)
until_true asked "$pid" || fail 'the child does not answer'
[ "$(<alive)" = well ] || fail "the child, recorded: $(<alive)"
finish "$pid" ended 'the child does not end'
wait $recorder
status=$?
[ $status = 7 ] || fail "record --wait ended with $status: $(<stderr)"
[ ! -s stderr ] || fail "record --wait said: $(<stderr)"
ends 7 replay --batch w.refork
