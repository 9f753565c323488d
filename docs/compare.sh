#!/bin/bash
# What other tools say of one fork deadlock, and what they cost: the table of docs/comparison.md, measured here and now.
#   docs/compare.sh [BUILD]      BUILD: where refork was built (default: build). Takes a minute or two
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
refork=$(realpath "${1:-$root/build}/refork") || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
LIMIT=20 # seconds for a tool to say something of a program that hangs

sed 's/sleep_ms(5000)/sleep_ms(2000)/' "$root/samples/mutex_deadlock.c" >hangs.c
build() { cc -D_GNU_SOURCE -I"$root" -g -pthread "${@:2}" -o "$1" hangs.c; }
build hangs || exit 1
seq 300000 | sort -R --random-source=/bin/sh >lines

# Each tool's function runs "$@" under the tool; it says what it has to say on stdout.
plain() { timeout -s KILL $LIMIT "$@" 2>&1; }
refork_record() { timeout -s KILL $LIMIT "$refork" record -o x.refork -- "$@" 2>&1; }
rr_record() { timeout -s KILL $LIMIT rr record -n "$@" 2>&1; }
strace_f() { timeout -s KILL $LIMIT strace -f -o strace.out "$@" 2>&1; cat strace.out; }
helgrind() { timeout -s KILL $LIMIT valgrind --tool=helgrind "$@" 2>&1; }
tsan() {
    build hangs-tsan -fsanitize=thread 2>/dev/null || return 1
    timeout -s KILL $LIMIT ./hangs-tsan 2>&1
}
# Starts "$@", and waits until its child waits: $child.
hung() {
    "$@" >/dev/null 2>&1 &
    for ((i = 0; i < 100; i++)); do
        child=$(pgrep -P $!) && grep -q futex "/proc/$child/wchan" && break
        sleep 0.1 # between two looks
    done
}
end_hung() {
    kill -9 "$child" $!
    wait $! 2>/dev/null
}
gdb_attached() {
    hung "$@"
    gdb -p "$child" -batch -ex 'thread apply all bt' -ex 'info threads' 2>&1
    end_hung
}
refork_diagnose() {
    hung "$@"
    "$refork" diagnose "$child" 2>&1
    end_hung
}

seconds() { # of user and system time
    local TIMEFORMAT='%U %S'
    { time "$@" >/dev/null 2>&1; } 2>&1 | tail -1 | awk '{print $1 + $2}'
}
answer() { grep -qE "$1" said && echo yes || echo no; }
# row NAME FUNCTION COMMAND-THAT-MUST-BE-THERE [REPLAYS [COST-COMMAND...]]
row() {
    local name=$1 run=$2 needs=$3 replays=$4 cost=-
    shift 4
    if ! command -v "$needs" >/dev/null; then
        echo "| $name | not installed here | | | | |"
        return
    fi
    $run ./hangs >said 2>&1
    if [ $# -gt 0 ]; then
        cost=$(awk -v a="$(seconds "$@")" -v b="$(seconds sort lines)" 'BEGIN {printf "%.1f", a / b}')
    fi
    echo "| $name | $(answer 'deadlock|for ever|orphaned') | $(answer log_mutex) | $(answer "write_report|'worker'") | $replays | $cost |"
}
echo "| tool | says that it hangs | names the lock | names who held it | replays | time of \`sort\` |"
echo '|---|---|---|---|---|---|'
row 'none' plain sort no sort lines
row '`refork record`' refork_record "$refork" yes "$refork" record --no-explain -o c.refork -- sort lines
row '`refork diagnose`, on the hung child' refork_diagnose "$refork" no
if command -v rr >/dev/null && ! rr record -n true >rr.said 2>&1; then
    echo "| \`rr record\` | cannot record here: $(tail -1 rr.said | cut -c 1-80) | | | | |"
else
    row '`rr record`' rr_record rr yes rr record -n sort lines
fi
row '`gdb -p`, on the hung child' gdb_attached gdb no
row '`strace -f`' strace_f strace no strace -f -o c.strace sort lines
row 'helgrind' helgrind valgrind no valgrind --tool=helgrind sort lines
row 'ThreadSanitizer' tsan cc no
