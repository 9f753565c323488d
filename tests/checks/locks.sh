#!/bin/bash
# `refork locks`: what each kind of lock was taken how often, what is no lock, who holds what at a fork, the caches,
# functions that the user names, static programs, dlopen, C++ guards.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work
locks() { clean env "XDG_CACHE_HOME=$work/cache" "$refork" locks "$@"; }
record() { # NAME COMMAND...
    clean "$refork" record -o "$1.refork" -- "${@:2}" >"$1.out" 2>"$1.err" </dev/null || fail "record $1: status $?: $(tail -n 3 "$1.err")"
}
# The one lock of that symbol, as it was in the process that began the recording.
is() { # FILE SYMBOL KEY VALUE
    local got
    got=$(jq -r --arg s "$2" --argjson pid "$pid" '[.locks[] | select(.symbol == $s)] | if length == 1 then ({kind: .[0].kind} + (.[0].processes[] | select(.pid == $pid))).'"$3"' else "\(length) locks" end' "$1")
    [ "$got" = "$4" ] || fail "$1: $2: $3 is $got, not $4"
}
none() { # FILE SYMBOL
    [ "$(jq --arg s "$2" '[.locks[] | select(.symbol == $s)] | length' "$1")" = 0 ] || fail "$1: $2 is no lock"
}

# ---- all kinds, dynamic and static
compile kinds.static "$root/tests/programs/lock_kinds.c" -O1 -static
for which in kinds kinds.static; do
    program=$build/tests/programs/lock_kinds
    [ $which = kinds ] || program=./kinds.static
    record $which "$program"
    locks --json --around fork $which.refork >$which.fork.json || fail "locks --around fork: status $?"
    locks --json $which.refork >$which.json || fail "locks: status $?"
    pid=$(jq '[.locks[] | select(.symbol == "normal")] | .[0].pid' $which.json)
    for pair in single:7 normal:121 inherit:120 robust:2 recursive:120 rwlock:150 permit:120 pthread_spin:120 \
        plain_spin:121 flag_spin:120 sleeper:120; do
        is $which.json ${pair%:*} acquired ${pair#*:}
        is $which.json ${pair%:*} still_held false
    done
    is $which.json single kind pthread_mutex
    is $which.json rwlock kind pthread_rwlock
    is $which.json permit kind sem
    is $which.json pthread_spin kind pthread_spin
    is $which.json plain_spin kind "lock word"
    is $which.json normal longest_hold.holder.name "$(basename "$program")"
    for word in references statistics next_ticket now_serving own_word guarded running object; do none $which.json $word; done
    [ "$(jq '[.locks[] | select(.shared)] | length' $which.json)" = 1 ] || fail "$which: the mutex of two processes"
    [ "$(jq '[.locks[] | select(.shared)][0].acquired' $which.json)" = 20 ] || fail "$which: the mutex of two processes was taken 20 times"
    jq -e '[.locks[] | select(.symbol == "sleeper" and .waits > 0 and .waiters > 0 and .longest_wait > 0)] | length == 1' $which.json >/dev/null ||
        fail "$which: nobody waited for 'sleeper'"
    # Of the program's own locks main holds these two at the last fork, and the child has them too.
    held=$(jq -r '.held[] | select(.symbol == "normal" or .symbol == "plain_spin" or .symbol == "rwlock" or .symbol == "permit") | "\(.symbol) \(.holder.tid) \(.inherited)"' $which.fork.json | sort)
    want=$(printf '%s\n' "normal $pid false" "normal $pid true" "plain_spin $pid false" "plain_spin $pid true")
    [ "$held" = "$want" ] || fail "$which: held at the fork: $held"
done

# ---- functions of the user's
printf '%s\n' '# ours' 'acquire own_lock(arg1)' 'release own_unlock(arg1)' '' 'try own_trylock(arg1) != 0' >table
locks --json --no-cache --functions table kinds.refork >own.json || fail "--functions: status $?"
pid=$(jq '[.locks[] | select(.symbol == "normal")] | .[0].pid' own.json)
is own.json own_word acquired 6
is own.json own_word failed 5
is own.json own_word kind "lock of functions"
is own.json own_word still_held false
is own.json single acquired 7
for line in 'take x(arg1)' 'acquire x' 'acquire x(arg7)' 'release x(arg1) == 0' 'try x(arg1) == 3'; do
    printf '%s\n' 'acquire a(arg2)' "$line" >bad
    locks --functions bad kinds.refork 2>bad.err
    [ $? = 125 ] || fail "'$line': not status 125"
    grep -q 'bad:2: ' bad.err || fail "'$line': $(cat bad.err)"
done

# ---- text
locks kinds.refork >text || fail "text: status $?"
grep -q '^normal (pthread_mutex, process' text || fail "the text lacks 'normal'"
grep -q ', in [a-z_]* at lock_kinds.c:[0-9]*$' text || fail "no line of the program that took a lock: $(head -n 5 text)"
grep -q 'syscalls while held: .*clock_nanosleep' text || fail "the text lacks the syscalls made while held"
locks --by task kinds.refork | grep -q 'lock_kinds' || fail "--by task"
locks --lock robust kinds.refork | grep -c 'takes' | grep -qx 2 || fail "--lock robust"
locks --stacks kinds.refork | grep -q '#.* work at lock_kinds.c:' || fail "--stacks"
locks --at 1 kinds.refork | grep -q 'held at event 1: nothing' || fail "--at 1"
for wrong in '--at 0' '--at 99999999' '--around spoon' '--around fork=0' '--around fork=999' '--by weight' '--lock nosuch' '--functions /nonexistent'; do
    # shellcheck disable=SC2086
    locks $wrong kinds.refork >/dev/null 2>wrong.err
    [ $? = 125 ] || fail "'$wrong': not status 125"
    [ -s wrong.err ] || fail "'$wrong' says nothing"
done

# ---- caches: the same from each, whatever is in the files
[ -s kinds.refork.locks ] || fail "nothing was kept beside the trace"
locks --json kinds.refork | cmp -s - kinds.json || fail "another result from the file that was kept"
locks --json --no-cache kinds.refork | cmp -s - kinds.json || fail "another result without caches"
for file in kinds.refork.locks cache/refork/*; do echo damaged >"$file"; done
locks --json kinds.refork | cmp -s - kinds.json || fail "another result from damaged files"
rm kinds.refork.locks
for i in 1 2 3; do locks --json kinds.refork >parallel.$i & done
wait
for i in 1 2 3; do cmp -s parallel.$i kinds.json || fail "another result when three run at once"; done

# ---- a module that dlopen brings, stripped; and a guard of C++
record loads "$build/tests/programs/loads" "$build/tests/libraries/plugin.so"
locks --json loads.refork >loads.json || fail "locks of loads: status $?"
# Unloaded and loaded at the same address: one word, taken 25 times twice.
[ "$(jq '[.locks[] | select(.acquired == 50)] | length' loads.json)" = 1 ] || fail "the plugin's lock was not taken 50 times"
jq -e '[.locks[] | select(.kind == "guard of a static" and .acquired == 1 and .waits >= 1)] | length == 1' loads.json >/dev/null ||
    fail "the guard of a static: $(jq -c '[.locks[] | select(.kind == "guard of a static")]' loads.json)"

# ---- a lock on the heap is told by its allocation
ends 120 record -o heap.refork -- "$build/samples/heap_mutex"
address=$(clean "$refork" explain --json heap.refork | jq -r '[.findings[].lock.address | select(.)][0]')
locks --json --lock "$address" heap.refork >heap.json || fail "locks --lock: status $?"
jq -e '.locks | length == 1 and all(.[].allocated; .function == "calloc" and .size == 64 and .offset == 24 and .frames[1].function == "queue_new")' heap.json >/dev/null ||
    fail "heap: the allocation is $(jq -c '[.locks[].allocated]' heap.json)"
locks --lock "$address" heap.refork >heap.txt || fail "locks --lock: status $?"
for line in 'at byte 24 of 64 bytes from calloc' 'queue_new at heap_mutex.c'; do
    grep -q "$line" heap.txt || fail "heap: no allocation in the text: $(head -n 5 heap.txt)"
done
locks --json heap.refork | jq -e 'all(.locks[]; has("allocated") | not)' >/dev/null || fail "locks: allocations that nobody asked for"

# ---- a member of an object is called as the verdict calls it, by whoever asks; what was looked up is kept
ends 120 record -o member.refork -- "$build/samples/member_cpp"
name=$(clean "$refork" explain --json member.refork | jq -r '.findings[0].lock.symbol')
[ "$name" = app::Config::mutex_ ] || fail "member: the verdict calls it '$name'"
locks --lock "$name" member.refork >member.first || fail "locks --lock '$name': status $?"
locks member.refork >member.txt || fail "locks: status $?"
grep -q "^$name (pthread_mutex, processes [0-9]* and [0-9]*)" member.txt || fail "member: no row '$name': $(head -n 3 member.txt)"
grep -q 'still held in process [0-9]*: since event [0-9]* by [0-9]* reloader, from before the fork, in app::Config::reload() at member_cpp.cc:24$' member.txt ||
    fail "member: not told where the vanished thread took it: $(grep 'still held' member.txt)"
locks --json --lock "$name" member.refork | jq -e '.locks | length == 1 and (.[0] | (.processes | length) == 2 and .waits == 1 and .acquired == 1
    and ([.processes[].waits] | add) == 1 and ([.processes[].still_held] == [false, true]) and .symbol == "app::Config::mutex_")' >/dev/null ||
    fail "member: one row with two processes: $(locks --json --lock "$name" member.refork | jq -c .locks)"
locks --no-cache member.refork | cmp -s - member.txt || fail "member: another text without caches"

# ---- a lock in the data of a library without symbols has no name, and nobody allocated it: the loader mapped it
ends 120 record -o uses.refork -- "$build/tests/programs/uses_library" "$build/tests/libraries/own.so"
clean "$refork" explain --json uses.refork >uses.json
jq -e '.findings[0] | .kind == "orphaned-lock" and (.lock.symbol | test("^lock 0x|own[.]so")) and .lock.allocated == null' uses.json >/dev/null ||
    fail "a library's lock: $(jq -c '.findings[0].lock' uses.json)"

# ---- a damaged trace, and one that is none
head -c "$(($(stat -c %s kinds.refork) - 100))" kinds.refork >cut.refork
locks cut.refork >/dev/null 2>cut.err
[ $? = 122 ] || fail "a trace that was cut: not 122: $(cat cut.err)"
grep -q "cut off at byte" cut.err || fail "a trace that was cut: $(cat cut.err)"
echo nothing >none.refork
locks none.refork >/dev/null 2>&1
[ $? = 122 ] || fail "a file that is no trace: not status 122"
rm -rf "$work"
