#!/bin/bash
# refork minimize: the recorded deadlock happens again with as few segments as it takes, its recording replays to the same verdict, and the two
# steps that it names decide: one order hangs, the other one does not, each time.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work
programs=$build/tests/programs

# minimized STATUS ARG...: refork minimize ends so; its JSON is in json
minimized() {
    into json "$1" minimize --json "${@:2}"
}
json() { jq -e "$@" json >/dev/null || fail "not $*: $(jq -c 'del(.verdict)' json)"; }
# verdict FILE: what is told of it, without what another run has otherwise
verdict() {
    clean "$refork" explain --json "$1" | jq -c '.findings[0] | [.kind, .lock.symbol, (.acquired, .fork | .frames // [] | map(.function))]'
}
# again STATUS SCHEDULE PROGRAM [ARG...]: record --schedule ends so. The output goes where that of minimize's runs goes: a program
# makes other calls for a file.
again() {
    local want=$1 i got
    shift
    for ((i = 0; i < $(often 3 2); i++)); do
        clean "$refork" record --no-explain --schedule "$1" -o again.refork -- "${@:2}" >/dev/null 2>&1 </dev/null
        got=$?
        [ $got = "$want" ] || fail "$*: run $i: status $got, not $want: $(cat "$1")"
    done
}
# whole FILE FIRST SECOND PROGRAM [ARG...]: minimizes FILE; the deciding steps are in these functions
whole() {
    local file=$1 first=$2 second=$3 stem=${1%.refork}
    shift 3
    rm -f "$stem"-min*
    minimized 120 "$file"
    json '.deadlock and .stopped == null and .runs <= 120'
    json '.kept.trace == $t and .kept.schedule == $t + ".schedule"' --arg t "$stem-min.refork"
    json '(.stints | length) <= .recorded.all + 1'
    json 'if .fewest then .fewest.all < .minimal.all and .fewest.trace == $s + "-min-fewest.refork" else true end' --arg s "$stem"
    [ "$(jq .fewest json)" = null ] || [ "$(verdict "$file")" = "$(verdict "$stem-min-fewest.refork")" ] || fail "$file: another deadlock in $stem-min-fewest.refork"
    json '.pair.exact and .pair.hangs.trace == $s + "-min-hangs.refork" and .pair.ends.trace == $s + "-min-ends.refork" and .pair.ends.status == 0' --arg s "$stem"
    json '[.pair.first, .pair.second | .until == .step + 1] | all'
    json '(.pair.first.next == $a) and (.pair.second.next == $b)' --arg a "$first" --arg b "$second"
    json '[.pair.first, .pair.second | .point.frames | any(.line > 0)] | all'
    [ "$(verdict "$file")" = "$(verdict "$stem-min.refork")" ] || fail "$file: $(verdict "$file"), minimal: $(verdict "$stem-min.refork")"
    [ "$(verdict "$file")" = "$(verdict "$stem-min-hangs.refork")" ] || fail "$file: another deadlock in $stem-min-hangs.refork"
    for end in min min-hangs; do
        ends 120 replay --batch "$stem-$end.refork"
        again 120 "$stem-$end.refork.schedule" "$@"
    done
    ends 0 replay --batch "$stem-min-ends.refork"
    again 0 "$stem-min-ends.refork.schedule" "$@"
    # refork diff finds by itself where they part: A's task at that line. B's is the same task; what is shown of it is its
    # next step.
    into diff.json 1 diff --json "$stem-min-hangs.refork" "$stem-min-ends.refork"
    [ "$(jq -c ".pair | [(.first | $deciding), .second.task]" json)" = "$(jq -c ".schedule | [(.a | $deciding), .b.task]" diff.json)" ] ||
        fail "$file: minimize and diff do not agree: $(jq -c .pair json) $(jq -c .schedule diff.json)"
}
deciding='.task, .point.focus.function, .point.focus.line'

# ---- they hang whoever runs when (but for how long things take here): hardly a segment is needed, and yet an order decides
sed "s/sleep_ms(5000)/sleep_ms($(stretched 1000))/" "$root/samples/mutex_deadlock.c" >mutex.c
compile mutex mutex.c
ends 120 record --no-explain -o mutex.refork -- ./mutex
whole mutex.refork 'is about to call pthread_mutex_lock' 'is about to call fork' ./mutex
json '(.stints | length) <= 1'
jq -e '.pair.first.point.frames[0].function == "log_begin" and .pair.second.point.frames[0].function == "main"' json >/dev/null || fail "other steps: $(jq .pair json)"
compile order "$root/samples/atfork_order.c"
ends 120 record --no-explain -o order.refork -- ./order
whole order.refork 'is about to call pthread_mutex_lock' 'is about to call pthread_mutex_lock' ./order

# ---- one that the fork gate has made: two segments, each needed
ends 120 hunt --seed 1 -o rare.refork -- "$programs/rare_locks" mutex
whole rare.refork 'is about to call pthread_mutex_lock' 'is about to call fork' "$programs/rare_locks" mutex
json '(.stints | length) == 2 and .minimal.all <= .recorded.all'
for i in 0 1; do
    jq -r "del(.stints[$i]) | \"refork schedule 1\", \"segments\", (.stints[] | \"segment \\(.task) until \\(.until) \\(.place // \"\")\")" json >less.schedule
    again 0 less.schedule "$programs/rare_locks" mutex
done
# The lock is taken and given back within one library call: a segment ends at an instruction.
ends 120 hunt --seed 1 -o inside.refork -- "$programs/rare_locks" setenv
whole inside.refork 'is about to call setenv' 'is about to call fork' "$programs/rare_locks" setenv

# ---- pipes leave the two steps free; or the program keeps its order by them, and then no order decides
printf '%s\n' 'refork schedule 1' 'fork 1' 'acquire function libc.so.6!pthread_mutex_lock' >pipe.schedule
# The gate closes when main comes to fork. Where main's time slice ends before, the worker has had the lock by then.
found=
for ((i = 0; i < 40 && !found; i++)); do
    clean "$refork" record --no-explain --schedule pipe.schedule -o pipe.refork -- "$programs/pipe_order" >stdout 2>stderr </dev/null
    got=$?
    [ $got = 120 ] && found=1 && break
    grep -q 'fork gate: never-concurrent' stderr || fail "pipe_order: status $got, not 120: $(cat stderr)"
done
[ "$found" ] || fail "the worker always has the lock before the fork: $(cat stderr)"
whole pipe.refork 'is about to call pthread_mutex_lock' 'is about to call fork' "$programs/pipe_order"
ends 120 record --no-explain -o kept.refork -- "$programs/pipe_order" kept
minimized 120 kept.refork
json '.stopped == null and .pair == null and .stints == []'
clean "$refork" minimize kept.refork >stdout 2>stderr </dev/null
grep -qE '^No order decides, as far as was tried: ' stdout || fail "kept: $(cat stdout)"

# ---- one that random switches have made
found=
for ((seed = 1; seed <= 40; seed++)); do
    clean "$refork" record --no-explain --seed $seed -o chaos.refork -- "$programs/rare_segments" >stdout 2>stderr
    [ $? = 120 ] && found=1 && break
done
[ "$found" ] || fail "no seed makes rare_segments hang"
rm -f chaos-min*
minimized 120 chaos.refork
json '(.stints | length) >= 1 and (.stints | length) <= .recorded.all and .pair != null'
[ "$(verdict chaos.refork)" = "$(verdict chaos-min.refork)" ] || fail "chaos: $(verdict chaos.refork), minimal: $(verdict chaos-min.refork)"
again 120 chaos-min.refork.schedule "$programs/rare_segments"
again 120 chaos-min-hangs.refork.schedule "$programs/rare_segments"
again 0 chaos-min-ends.refork.schedule "$programs/rare_segments"

# ---- as text; another name, a bound
ends 120 minimize -o named.refork rare.refork -- "$programs/rare_locks" mutex
for text in "The recording is in 'named.refork'." 'A before B: it hangs' 'B before A: it ends, exit status 0' 'mutex_lock'; do
    grep -qF -- "$text" stdout || fail "no '$text': $(cat stdout)"
done
awk 'length > 80 && !/^Again/ {print; bad = 1} END {exit bad}' stdout || fail "lines of more than 80 columns"
minimized 120 --runs 6 -o few.refork rare.refork
json '.runs <= 6 and .stopped != null and .pair == null'
[ -s few.refork ] || fail "what was found in a few runs is not kept"
# Interrupted when it has something: that is kept. (Runs of this one that do not hang take seconds.)
compile slow "$root/samples/mutex_deadlock.c"
ends 120 record --no-explain -o slow.refork -- ./slow
"${as_clean[@]}" "$refork" minimize --json -o ended.refork slow.refork >json 2>stderr </dev/null &
pid=$!
until_true test -s ended.refork.schedule || fail "nothing comes: $(cat stderr)"
kill -TERM $pid
wait $pid
[ $? = 120 ] || fail "interrupted: $(cat stderr json)"
json '.stopped == "interrupted" and .kept.trace == "ended.refork"'
[ "$(verdict slow.refork)" = "$(verdict ended.refork)" ] || fail "interrupted: $(verdict ended.refork)"
[ "$(find . -name '*.run' -o -name '*.out')" = '' ] || fail "left: $(ls)"

# ---- there is none, it cannot be read, it cannot be run, it does not hang any more
clean "$refork" record -o healthy.refork -- true 2>stderr || fail "true: $(cat stderr)"
ends 0 minimize healthy.refork
grep -q "There is no deadlock in 'healthy.refork'" stdout || fail "says nothing: $(cat stdout)"
cp rare.refork damaged.refork
printf 'XXXX' | dd of=damaged.refork bs=1 seek=$(($(stat -c %s rare.refork) / 2)) conv=notrunc status=none
minimized 122 damaged.refork
minimized 122 /dev/null
mv mutex gone
minimized 125 mutex.refork
grep -q "mutex' cannot be run any more" stderr || fail "program gone: $(cat stderr)"
minimized 125 mutex.refork -- ./mutex
minimized 125 mutex.refork -- true
grep -q 'could not be brought to hang again' stderr || fail "another program: $(cat stderr)"
minimized 125
minimized 125 -o mutex.refork mutex.refork -- ./gone
[ "$(find . -name 'mutex-min-2*')" = '' ] || fail "left: $(ls)"
