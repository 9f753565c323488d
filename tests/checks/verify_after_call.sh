#!/bin/bash
# refork verify where the forking thread has at its fork what the others need to come to the lock, an interpreter's lock, so that it must be held
# earlier, and the holder parked later: what was forced was so in the runs' recordings, and what was not is no reason for 0.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work
program=$build/tests/programs/interpreter

# hunted FILE COMMAND...: a hunt finds it, behind a call
hunted() {
    local file=$1 i
    # The deadlock is rare, not impossible, in the first run, the program as it is: then nothing was hunted.
    for ((i = 0; i < 5; i++)); do
        ends 120 hunt --strategy directed -o "$file" -- "${@:2}"
        grep -q '(the program as it is)' stdout || break
        rm -f "$file"
    done
    grep -q ', after-call)' stdout || fail "${*:2} hangs without the gate behind a call: $(grep ^Found stdout)"
}
# verified STATUS TEXT FILE COMMAND...: refork verify ends so and says so; its last run is in run.refork
verified() {
    local i
    # The deadlock is rare, not impossible, where it is not forced: then the run says nothing of what is forced.
    for ((i = 0; i < 20; i++)); do
        ends "$1" verify --runs 2 -o run.refork "$3" -- "${@:4}"
        grep -qE '^run [0-9]+: (as it is: it hangs|it hangs, but not as forced)$' stdout || break
    done
    grep -qF -- "$2" stdout || fail "verify ${*:4}: no '$2': $(cat stdout stderr)"
}
# forced: in the last run another thread than the forking one had the lock when the fork came
forced() {
    local tid lock fork forker
    clean "$refork" dump run.refork >dump
    read -r tid lock < <(sed -nE 's/.*fork gate: task ([0-9]+) has taken the lock (0x[0-9a-f]+) .*/\1 \2/p' dump)
    read -r fork forker < <(sed -nE '/fork gate: .* has taken the lock/,${s/^ *([0-9]+) +[0-9.]+ +([0-9]+) birth   process .*/\1 \2/p}' dump | head -n 1)
    [ -n "${lock:-}" ] && [ -n "${fork:-}" ] || fail "no lock was taken or no fork made: $(grep 'fork gate' dump)"
    [ "$tid" != "$forker" ] || fail "the forking task holds the lock itself"
    into held.json 0 locks --no-cache --json --at="$fork" run.refork
    jq -e --arg lock "$lock" --argjson tid "$tid" 'any(.held[]; .address == $lock and .holder.tid == $tid and (.inherited | not))' held.json >/dev/null ||
        fail "task $tid does not hold $lock at event $fork: $(jq -c '.held[] | [.address, .holder.tid]' held.json)"
}

hunted bug.refork "$program"
verified 120 'forced, and it hangs' bug.refork "$program"
forced
ends 120 replay --batch run.refork
verified 0 'fixed: the lock was held at the fork, and the child finished (2 runs)' bug.refork "$program" fixed
forced
# Another thread forks: it has another number.
verified 120 'forced, and it hangs' bug.refork "$program" thread
verified 0 'the lock was held at the fork, and the child finished (2 runs)' bug.refork "$program" 'thread fixed'
forced
# The fork waits for the lock, and is made with it in the own hand.
verified 0 'nobody can fork while the lock is held (2 runs)' bug.refork "$program" around
# Not to be reached: nobody comes to it; it is given back before the interpreter's lock is, so nobody can fork meanwhile.
verified 125 'the situation could not be reached: never-concurrent: ' bug.refork "$program" apart
verified 125 'the situation could not be reached: ' bug.refork "$program" released
grep -q '^run .*nobody can run while the holder is parked' stdout || fail "who would fork is not said to wait: $(cat stdout)"
grep -q '^run .* has given the lock back before the fork$' stdout || fail "the lock given back counts as held: $(cat stdout)"
# The fork handler needs the interpreter's lock. That the holder had it when it took the log's does not protect the fork.
verified 120 'forced, and it hangs' bug.refork "$program" handler
verified 0 'the lock was held at the fork, and the child finished (2 runs)' bug.refork "$program" 'handler fixed'
forced

# The recording does not show that its holder sleeps with the lock in the hand: the runs do.
printf '%s\n' 'refork schedule 1' 'fork 1' 'acquire function libc.so.6!pthread_mutex_lock' >free.schedule
ends 120 record --schedule free.schedule -o free.refork -- "$program" free
verified 120 'forced, and it hangs' free.refork "$program" handler
verified 0 'the lock was held at the fork, and the child finished (2 runs)' free.refork "$program" fixed
forced
# That main waits for the lock long before its fork does not keep it off there.
verified 125 'the situation could not be reached: ' free.refork "$program" 'free early'
grep -q '^run .* has given the lock back before the fork$' stdout || fail "a lock given back long before the fork protects it: $(cat stdout)"

# Of two locks on the heap, taken at the same place, the child takes the one that is taken last.
hunted heap.refork "$program" heap
verified 120 'forced, and it hangs' heap.refork "$program" heap
grep -q '^run .* is taken there as well, which a child takes$' stdout || fail "the other lock counts: $(cat stdout)"
verified 0 'the lock was held at the fork, and the child finished (2 runs)' heap.refork "$program" 'heap fixed'
forced

# The schedule that a hunt leaves, and the minimal one, make it hang again.
ends 120 record --no-explain --schedule bug.refork.schedule -o again.refork -- "$program"
ends 120 minimize -o min.refork bug.refork
clean "$refork" record --no-explain --schedule min.refork.schedule -o again.refork -- "$program" >/dev/null 2>stderr </dev/null
[ $? = 120 ] || fail "the minimal schedule: $(cat stderr)"

# CPython: the writer's lock, in functions without a name, on the heap
writer=(/usr/bin/python3 "$root/tests/real/rare_writer.py")
hunted python.refork "${writer[@]}"
verified 120 'it still hangs: ' python.refork "${writer[@]}"
forced
verified 0 'the lock was held at the fork, and the child finished (2 runs)' python.refork "${writer[@]}" fixed
forced
# A copy with some bytes more is another build: nothing tells which of its functions is meant.
mkdir other
cp "$(readlink -f /usr/bin/python3)" other/ && echo >>"other/$(basename "$(readlink -f /usr/bin/python3)")" || fail "no copy of python3"
verified 125 'could not be reached: ' python.refork "$work/other/$(basename "$(readlink -f /usr/bin/python3)")" "${writer[1]}"
grep -q 'of the same file\|is another build' stdout || fail "another build: $(cat stdout)"
cd "$out" || exit 1
rm -rf "$work"
