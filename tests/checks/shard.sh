#!/bin/bash
# refork hunt --shard I/N --state DIR: four shards under GNU parallel make one list of runs, each of them once; what they find is merged, and
# replays; a shard that is killed leaves nothing broken, and goes on when it is started again.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
command -v parallel >/dev/null || skip "GNU parallel is not installed: make deps"
in_work
programs=$build/tests/programs

# under_parallel DIR STATUSES [OPTION...] -- PROGRAM [ARG...]: four shards at a time; each ends so (a regex); their last words are in DIR.log
under_parallel() {
    local state=$1 want=$2 command
    shift 2
    printf -v command '%q ' "$refork" hunt --shard '{}/4' --state "$state" "$@"
    command=${command//'\{\}'/'{}'}
    clean parallel --will-cite -j 4 --joblog "$state.jobs" "$command" ::: 1 2 3 4 >"$state.log" 2>&1 </dev/null
    awk -v want="$want" 'NR > 1 && $7 ~ "^(" want ")$" {n++} END {exit n != 4}' "$state.jobs" || fail "$state: the shards end with: $(cat "$state.jobs" "$state.log")"
}
# merged STATUS DIR: what is known of the whole hunt is in json
merged() {
    clean "$refork" hunt --state "$2" --json >json 2>stderr </dev/null
    local got=$?
    [ $got = "$1" ] || fail "the merged result of $2: status $got, not $1: $(cat stderr json)"
}
# once DIR LENGTH: the runs 2 to LENGTH of the list have one result each, made by the shard whose they are, and all by different plans
once() {
    jq -es --argjson length "$2" '([.[].run] | sort) == [range(2; $length + 1)] and ([.[].plan] | unique | length) == $length - 1 and
        all(.[]; (.shard | split("/") | map(tonumber)) as [$shard, $shards] | (.run - 2) % $shards == $shard - 1)' "$1"/run-*.json >/dev/null ||
        fail "$1 is not one list of $2 runs: $(ls "$1")"
    [ "$(find "$1" -name 'tmp-*')" = '' ] || fail "left in $1: $(ls "$1")"
}

# ---- a fixed twin: all of the list, and every pair refuted
under_parallel fixed 0 --runs 41 --seed 100 --before 'echo run >>fixed.runs' -- "$programs/rare_locks" mutex protected
merged 0 fixed
once fixed 41
json '.deadlock == false and .trace == null and .list == {state: "fixed", done: 41, length: 41, complete: true}'
json '.covered.pairs == .covered.candidates and .covered.pairs > 0 and any(.refuted[]; .lock == "mutex" and .verdict == "atfork-protected")'
jq -es '[.[].plan | capture("seed (?<n>[0-9]+)").n | tonumber] | sort as $seeds | $seeds == [range(100; 100 + ($seeds | length))]' fixed/run-*.json >/dev/null ||
    fail "the seeds: $(grep -h seed fixed/run-*.json)"
[ "$(wc -l <fixed.runs)" = "$(jq .runs json)" ] || fail "$(wc -l <fixed.runs) executions, told: $(jq .runs json)"
[ "$(find fixed -name 'claim-*' | wc -l)" = 1 ] || fail "the first run was made by: $(ls fixed)"
# Once more: nothing is left to do.
under_parallel fixed 0 --before 'echo run >>more.runs' -- "$programs/rare_locks" mutex protected
[ ! -e more.runs ] || fail "a finished hunt runs its program again"
ends 0 hunt --state fixed --junit junit.xml
grep -q "^Of the list in 'fixed' 41 of 41 runs are done\.$" stdout && grep -qE '^  atfork-protected, [0-9]+ pairs?: ' stdout || fail "the merged text: $(cat stdout)"
clean /usr/bin/python3 -c '
import sys, xml.etree.ElementTree as tree
suite = tree.parse(sys.argv[1]).getroot()
assert len(suite.findall("testcase")) == int(suite.get("tests")) and suite.get("failures") == suite.get("skipped") == "0"' junit.xml || fail "JUnit: $(cat junit.xml)"

# ---- words that may be no locks are in the list, too
ends 0 hunt --state words --shard 1/1 --runs 6 --seed 1 -- "$programs/rare_locks" counter
jq -e 'any(.shown.candidates[]; .kind == 3)' words/plan.json >/dev/null || fail "no atomic word: $(jq -c '.shown.candidates[] | [.kind, .lock]' words/plan.json)"
merged 0 words
json '.list == {state: "words", done: 6, length: 6, complete: true} and any(.refuted[]; .candidate == "atomic-word")'

# ---- one that deadlocks: it is found, the other shards stop, and the recording replays
found() { # DIR LOCK KIND
    merged 120 "$1"
    json '.deadlock and .trace != null and (.found | length) >= 1 and .list.done < .list.length'
    jq -e --arg lock "$2" 'any(.findings[]; .lock.symbol | contains($lock))' json >/dev/null || fail "$1: not $2: $(jq -c .findings json)"
    local trace i
    trace=$(jq -r .trace json)
    for ((i = 0; i < 3; i++)); do
        ends 120 replay --batch "$trace"
    done
    has_finding "$trace" "$3" "$2"
}
under_parallel crowd 120 --runs 400 --strategy directed -- "$programs/rare_crowd"
found crowd 'words[117]' orphaned-spin
json '.list.length > 100 and .list.done < 50'
under_parallel deadly 120 --runs 400 -- "$programs/rare_locks" mutex
found deadly mutex orphaned-lock
if jq -e '.found[0].how | startswith("fork gate")' json >/dev/null; then # the first run may hang by luck
    ends 120 record --no-explain --schedule "$(jq -r .schedule json)" -o again.refork -- "$programs/rare_locks" mutex
fi
# With --keep-going all of the list is made, and what is the same deadlock is told once. A shard tells what is known when it ends.
under_parallel going '0|120' --runs 9 --keep-going --strategy directed -- "$programs/rare_locks" mutex
merged 120 going
json '.list.complete and .list.done == .list.length and ([.found[] | [.verdict.findings[0].waiting.stack[0].offset, .verdict.findings[0].acquired.stack[0].offset]] | length == (unique | length))'

# ---- killed, and started again
# In the middle of its first run: the other shard takes that over.
cat >slow.sh <<'END_OF_PROGRAM'
#!/bin/sh
echo run >>slow.runs
until [ -e go ]; do sleep 0.02; done
END_OF_PROGRAM
chmod +x slow.sh
slow=(hunt --state slow --strategy random --runs 12 --seed 1 --json)
"${as_clean[@]}" "$refork" "${slow[@]}" --shard 1/2 -- ./slow.sh >one.json 2>one.err </dev/null &
first=$!
until_true [ -s slow.runs ] || fail "the first run does not begin: $(cat one.err)"
"${as_clean[@]}" "$refork" "${slow[@]}" --shard 2/2 -- ./slow.sh >two.json 2>two.err </dev/null &
second=$!
merged 125 slow
grep -q "no hunt in 'slow': its first run is not done" stderr || fail "before the first run: $(cat stderr)"
kill -KILL $first
wait $first 2>/dev/null
until_true [ -e slow/claim-0002.json ] || fail "nobody takes the first run over: $(ls slow; cat two.err)"
touch go
wait $second
[ $? = 123 ] || fail "the second shard: $(cat two.err two.json)"
merged 125 slow
grep -q "the hunt in 'slow' is not complete" stderr || fail "half of the list: $(cat stderr)"
json '.list == {state: "slow", done: 6, length: 12, complete: false} and .deadlock == false'
# In the middle of its share: the runs that it has made stay made. What the first one left half done must not be taken for its own.
rm -f go slow/tmp-*
"${as_clean[@]}" "$refork" "${slow[@]}" --shard 1/2 --before '[ ! -e slow/run-000006-* ] || rm -f go' -- ./slow.sh >one.json 2>one.err </dev/null &
first=$!
until_true sh -c 'ls slow/tmp-*.refork' >/dev/null 2>&1 || fail "the share is not begun: $(ls slow; cat one.err)"
kill -KILL $first
wait $first 2>/dev/null
ls slow/tmp-* >/dev/null 2>&1 || fail "nothing is left half done: $(ls slow)"
touch go
into one.json 123 "${slow[@]}" --shard 1/2 -- ./slow.sh
merged 123 slow
json '.list.complete and .list.done == 12 and .runs == 12'
once slow 12
# A hunt in one process with --state goes on like that, too; a signal ends it as it ends others.
rm go
"${as_clean[@]}" "$refork" hunt --state alone --strategy random --runs 5 --seed 1 -- ./slow.sh >stdout 2>stderr </dev/null &
first=$!
until_true sh -c 'ls alone/tmp-*.refork' >/dev/null 2>&1 || fail "it does not begin: $(cat stderr)"
kill -TERM $first
wait $first
[ $? = 143 ] && [ "$(find alone -name 'tmp-*')" = '' ] || fail "SIGTERM: $(cat stderr; ls alone)"
touch go
ends 123 hunt --state alone --strategy random --runs 5 --seed 1 -- ./slow.sh
once alone 5

# ---- refused
refused() { # STDERR ARG...
    local says=$1 got
    shift
    clean "$refork" hunt "$@" >stdout 2>stderr </dev/null
    got=$?
    [ $got = 125 ] && grep -qF -- "$says" stderr || fail "hunt $*: status $got, no '$says': $(cat stderr)"
}
for bad in 0/4 5/4 x 1 1/ /4 1/2/3 -1/4 1/0 1/100001; do refused "bad value '$bad' of '--shard'" --state other --shard "$bad" -- true; done
refused '--shard needs --state' --shard 1/4 -- true
refused 'no program given' --shard 1/4 --state fixed
refused "--output goes without --state" --shard 1/4 --state other -o x.refork -- true
refused "there is no hunt in 'nowhere'" --state nowhere
[ ! -e nowhere ] || fail "asking makes a folder"
refused "'slow.sh' is no folder" --state slow.sh -- true
refused "cannot make the folder 'no/such'" --state no/such -- true
refused "/proc/self" --state /proc/self -- true
refused "is the hunt of '$programs/rare_locks mutex protected', not of 'true'" --state fixed --shard 1/4 -- true
refused "has --seed 100, not 7" --state fixed --shard 1/4 --seed 7 -- "$programs/rare_locks" mutex protected
refused "has --runs 41, not 50" --state fixed --shard 1/4 --runs 50 -- "$programs/rare_locks" mutex protected
refused "was begun without --keep-going" --state fixed --shard 1/4 --keep-going -- "$programs/rare_locks" mutex protected
refused "has --strategy all, not pct" --state fixed --shard 1/4 --strategy pct -- "$programs/rare_locks" mutex protected
echo '# another build' >>slow.sh
refused "is the hunt of another build of './slow.sh'" --state slow --shard 1/2 -- ./slow.sh
one=$(find fixed -name 'run-000005-*')
cp "$one" kept
head -c 40 kept >"$one"
refused "is no file of a hunt" --state fixed
jq '.try = {candidate: 4000} | .found = [{trace: "../x"}]' kept >"$one"
refused "is no result of a hunt" --state fixed
jq '.shown.candidates[0].uses[0].fork = 77' fixed/plan.json >plan.json && cp plan.json fixed/plan.json
refused "is no plan of a hunt" --state fixed
rm -rf "$work"
