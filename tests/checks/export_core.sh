#!/bin/bash
# export --to core: stock gdb and 'refork diagnose' say of the file what 'explain' says of the recording. Threads, registers, the
# auxiliary vector and files are in it.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work

# in_gdb CORE PROGRAM COMMAND...: what gdb prints, without a warning
in_gdb() {
    local core=$1 program=$2 commands=() command
    shift 2
    for command in "$@"; do commands+=(-ex "$command"); done
    clean gdb -nx -batch "${commands[@]}" "$program" "$core" >gdb.out 2>&1 </dev/null || fail "gdb $core: $(cat gdb.out)"
    ! grep -i '^warning' gdb.out || fail "gdb warns of $core"
}

clean "$refork" record --no-explain -o bug.refork -- "$build/samples/mutex_deadlock" >record.out 2>&1
[ $? = 120 ] || fail "record: $(cat record.out)"
ends 0 export --to core bug.refork
[ -s bug.core ] || fail "no bug.core"

# The program's own functions of the stuck stack
clean "$refork" explain --json bug.refork >verdict.json
stuck=$(jq -r '.findings[0].waiting.frames[] | select((.file // "") | test("samples/")) | .function' verdict.json)
[ -n "$stuck" ] || fail "the verdict has no functions: $(cat verdict.json)"
in_gdb bug.core "$build/samples/mutex_deadlock" bt 'info auxv' 'info proc mappings' 'print log_mutex.__data.__lock'
for function in $stuck; do
    grep -qE "^#[0-9]+ .* in $function " gdb.out || fail "gdb does not show $function: $(cat gdb.out)"
done
grep -q 'AT_ENTRY' gdb.out || fail "no auxiliary vector: $(cat gdb.out)"
grep -q 'samples/mutex_deadlock$' gdb.out || fail "no list of files: $(cat gdb.out)"
grep -q '^\$1 = 2$' gdb.out || fail "the mutex is not as a waiter left it: $(cat gdb.out)"
ends 120 diagnose --json bug.core
for field in kind lock.symbol; do
    want=$(jq -r ".findings[0].$field" verdict.json)
    [ "$(jq -r ".findings[0].$field" stdout)" = "$want" ] || fail "diagnose: $field is not $want: $(cat stdout)"
done

# The parent right before its fork has two threads; the child is not born then.
parent=$(jq -r '.findings[0].holder.pid' verdict.json)
fork=$(jq -r '.findings[0].fork.event' verdict.json)
ends 0 export --to core --process "$parent" --at "$fork" -o parent.core bug.refork
in_gdb parent.core "$build/samples/mutex_deadlock" 'thread apply all bt'
[ "$(grep -c '^Thread ' gdb.out)" = 2 ] || fail "not two threads: $(cat gdb.out)"
grep -q 'write_report' gdb.out || fail "the worker's stack is not there: $(cat gdb.out)"

says 125 "process 1" export --to core --process 1 bug.refork
says 125 "100000000" export --to core --at 100000000 bug.refork
says 125 '--to core' export --to html --process "$parent" bug.refork
clean "$refork" export --to core -o - bug.refork >/dev/full 2>stderr
[ $? = 125 ] || fail "a full disk is no error: $(cat stderr)"
