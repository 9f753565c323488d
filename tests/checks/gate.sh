#!/bin/bash
# The fork gate and schedules: a rare deadlock happens in the first gated run and its trace replays to the same verdict; what is protected, or never
# concurrent, is refuted with the reason; a schedule runs alike every time.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work
programs=$build/tests/programs

# gated STATUS VERDICT PROGRAM [ARG...]: the run under plan.schedule ends so, says so, and replays
gated() {
    local want=$1 verdict=$2
    shift 2
    ends "$want" record --no-explain --paranoid=5 --schedule plan.schedule -o run.refork -- "$programs/$1" "${@:2}"
    grep -q "^refork: fork gate: $verdict: " stderr || fail "$*: not $verdict: $(cat stderr plan.schedule)"
    mv stdout recorded
    mv stderr said
    ends "$want" replay --batch --paranoid run.refork
    cmp recorded stdout || fail "replay of $* prints otherwise"
    mv said stderr
    clean "$refork" dump run.refork >dump
    grep -q " note .*fork gate: $verdict" dump || fail "$*: no note tells of $verdict"
}
# explained LOCK FUNCTION: the verdict on run.refork names that lock and where it was taken
explained() {
    clean "$refork" explain --json run.refork >verdict.json
    jq -e --arg lock "$1" --arg function "$2" \
        'any(.findings[]; .kind == "orphaned-lock" and .lock.symbol == $lock and any(.acquired.frames[]; .function == $function))' verdict.json >/dev/null ||
        fail "no orphaned-lock $1 taken in $2: $(jq -c '.findings[] | {kind, lock: .lock.symbol}' verdict.json)"
}
# site PROGRAM FUNCTION PATTERN: the first instruction of that function that matches, as PROGRAM!+0xOFFSET
site() {
    local at
    at=$(objdump -d --no-show-raw-insn --disassemble="$2" "$programs/$1" | sed -nE "/$3/{s/^ *([0-9a-f]+):.*/\1/p;q}")
    [ -n "$at" ] || fail "no $3 in $2 of $1"
    echo "$1!+0x$at"
}

# Without a gate they never hang.
for ((i = 0; i < 10; i++)); do
    for program in gate_mutex gate_futex gate_setenv; do
        ends 0 record -o plain.refork -- "$programs/$program"
    done
done

# ---- confirmed
for stage in before-prepare at-clone; do
    for fork in 'fork 1' 'fork 2' "fork at $(site gate_mutex main 'call.*<fork@plt>') hit 3"; do
        plan "$fork" "stage $stage" 'acquire function libc.so.6!pthread_mutex_lock'
        gated 120 child-stuck gate_mutex
        explained log_mutex log_entry
    done
    plan 'fork 1' "stage $stage" "acquire instruction $(site gate_futex use_shared ':[[:space:]]xchg .*<word>')"
    gated 120 child-stuck gate_futex xchg
    explained word use_shared
    # glibc's own lock: setenv jumps to a function without a name, where the first cmpxchg takes envlock.
    libc=$(ldd "$programs/gate_setenv" | sed -nE 's/.*libc\.so\.6 => ([^ ]+).*/\1/p')
    inner=$(objdump -d --no-show-raw-insn --disassemble=setenv "$libc" | sed -nE 's/.*jmp +([0-9a-f]+) .*/\1/p' | tail -n 1)
    [ -n "$inner" ] || fail "no jump in setenv"
    at=$(objdump -d --no-show-raw-insn --start-address=0x"$inner" --stop-address=$((0x$inner + 400)) "$libc" | sed -nE '/lock cmpxchg/{s/^ *([0-9a-f]+):.*/\1/p;q}')
    plan 'fork 1' "stage $stage" "acquire instruction libc.so.6+0x$at"
    gated 120 child-stuck gate_setenv
    clean "$refork" explain --json run.refork | jq -e 'any(.findings[]; .kind == "orphaned-lock" and any(.acquired.frames[]; .function == "work"))' >/dev/null ||
        fail "setenv is not explained: $(clean "$refork" explain run.refork | head -n 20)"
done
plan 'fork 1' 'stage at-clone' "acquire instruction $(site gate_futex use_shared 'lock cmpxchg .*<word>') hit 2 task 2"
gated 120 child-stuck gate_futex cmpxchg
for ((i = 0; i < 5; i++)); do
    ends 120 replay --batch run.refork
done

# The lock is taken first, and its holder parked until the fork comes; within one call only.
behind=$(objdump -d --no-show-raw-insn --disassemble=log_entry "$programs/gate_mutex" | sed -nE '/call.*<pthread_mutex_lock@plt>/{n;s/^ *([0-9a-f]+):.*/\1/p;q}')
inlined=$(objdump -d --no-show-raw-insn --disassemble=write_report "$programs/gate_mutex" | sed -nE '/call.*<pthread_mutex_lock@plt>/{n;s/^ *([0-9a-f]+):.*/from gate_mutex!+0x\1/p}')
plan 'fork 1' 'stage after-acquire' 'acquire function libc.so.6!pthread_mutex_lock hit 2' "from gate_mutex!+0x${behind:-1}" "$inlined"
gated 120 child-stuck gate_mutex
explained log_mutex log_entry
gated 0 atfork-protected gate_mutex protected
plan 'fork 1' 'stage after-acquire' 'acquire function libc.so.6!pthread_mutex_lock hit 9' "from gate_mutex!+0x${behind:-1}"
gated 0 never-concurrent gate_mutex apart
grep -q 'the lock was taken there 0 times, not 9' stderr || fail "after-acquire: $(cat stderr)"
plan 'fork 1' 'acquire function libc.so.6!pthread_mutex_lock' 'from gate_mutex!+0x1' 'bound ms 200'
gated 0 never-concurrent gate_mutex

# A static program: fork() and the lock's function by symbol.
plan 'fork 3' 'acquire function pthread_mutex_lock'
gated 120 child-stuck gate_mutex.static
gated 0 atfork-protected gate_mutex.static protected

# ---- refuted
plan 'fork 2' 'stage before-prepare' 'acquire function libc.so.6!pthread_mutex_lock'
gated 0 atfork-protected gate_mutex protected
grep -q 'waits for that lock itself, inside fork()' stderr || fail "protected: $(cat stderr)"
plan 'fork 1' 'acquire function libc.so.6!pthread_mutex_lock hit 2'
gated 0 holder-needed gate_mutex nested
grep -q 'waits on a futex' stderr || fail "nested: $(cat stderr)"
plan 'fork 1' 'acquire function libc.so.6!pthread_mutex_lock'
gated 0 atfork-protected gate_mutex nested
gated 0 child-died gate_mutex dies
plan 'fork 1' 'stage at-clone' 'acquire function libc.so.6!pthread_mutex_lock'
gated 0 never-concurrent gate_mutex protected
plan 'fork 1' 'acquire function libc.so.6!pthread_mutex_lock' 'bound ms 200'
gated 0 never-concurrent gate_mutex apart
plan 'fork 1' 'acquire function libc.so.6!pthread_mutex_lock task 3' 'bound events 40'
gated 0 never-concurrent gate_mutex
plan 'fork 1' 'acquire function libc.so.6!nanosleep hit 2' # "taken" by the child as well, which does not wait for it
gated 0 child-went-on gate_mutex

# ---- not to be carried out
plan 'fork 4' 'acquire function libc.so.6!pthread_mutex_lock'
gated 0 no-fork gate_mutex
grep -q 'made 3 forks, not 4' stderr || fail "no-fork: $(cat stderr)"
plan 'fork 1' 'acquire function libc.so.6!no_such_function'
gated 0 no-site gate_mutex
plan 'fork 1' 'acquire function libnothing.so!f'
gated 0 no-site gate_mutex

# ---- schedules: the same one makes the same interleaving, and so does the list of its switches
: >orders
for spin in '' spin; do
    for strategy in 'random seed 1' 'random seed 2' 'pct threads 5 steps 400 depth 4 seed 7' 'delay delays 8 steps 400 seed 3' switches; do
        plan "$strategy"
        for ((i = 0; i < 4; i++)); do
            into "$i.out" 0 record --schedule plan.schedule --save-schedule made.schedule -o "$i.refork" -- "$programs/order" $spin
            cmp 0.out "$i.out" || fail "$strategy: another order in run $i"
        done
        clean "$refork" replay --batch 3.refork | cmp - 0.out || fail "$strategy: the replay prints another order"
        into again.out 0 record --schedule made.schedule --save-schedule again.schedule -o again.refork -- "$programs/order" $spin
        cmp 0.out again.out && cmp made.schedule again.schedule || fail "$strategy: the list of its switches makes another order: $(cat stderr made.schedule)"
        cat 0.out >>orders
    done
done
[ "$(sort -u orders | wc -l)" -ge 8 ] || fail "all schedules make the same orders: $(cat orders)"
# Time slices and chaos are written down as well.
for ((i = 0; i < 3; i++)); do
    into 0.out 0 record --chaos --seed $i --save-schedule made.schedule -o run.refork -- "$programs/order"
    into again.out 0 record --schedule made.schedule -o run.refork -- "$programs/order"
    cmp 0.out again.out || fail "the switches of --chaos --seed $i make another order"
done

# refused STDERR [OPTION...]: record does not begin
refused() {
    local says=$1 got
    shift
    clean "$refork" record "$@" -o refused.refork -- true 2>stderr
    got=$?
    [ $got = 125 ] || fail "record $*: status $got"
    grep -qF -- "$says" stderr || fail "record $*: no '$says': $(cat stderr)"
    [ ! -e refused.refork ] || fail "record $* left a recording"
}
plan 'random seed x'
refused "bad schedule 'plan.schedule', line 2: 'x' is no number of seed" --schedule plan.schedule
refused "cannot read the schedule 'none.schedule'" --schedule none.schedule
plan 'random seed 1'
refused "leave '--chaos' and '--seed' out" --chaos --schedule plan.schedule
rm -rf "$work"
