#!/bin/bash
# refork hunt: deadlocks that plain runs do not show happen within a few runs, and their recordings replay to the same verdict; what cannot
# deadlock is refuted with the reason.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work
programs=$build/tests/programs
guard=$build/tests/real/rare_guard

# hunted STATUS [OPTION...] -- PROGRAM [ARG...]: the hunt ends so; its JSON is in json
hunted() {
    local want=$1
    shift
    rm -f found*
    into json "$want" hunt --seed 1 --json -o found.refork "$@"
    jq -e '(.deadlock | type) == "boolean" and .runs >= 1 and (.covered | [.forks, .sites, .pairs, .candidates] | all(. >= 0)) and
        (.refuted | all(.reason != null and .verdict != "none")) and (.findings | type) == "array"' json >/dev/null || fail "$*: JSON: $(cat json)"
    [ "$(find . -name 'found*' ! -name 'found*.refork' ! -name 'found*.refork.schedule')" = '' ] || fail "$*: left: $(ls)"
    [ "$want" = 120 ] || [ "$(find . -name 'found*')" = '' ] || fail "$*: kept a recording: $(ls)"
}
# replays KIND LOCK: the recording has that verdict, each time
replays() {
    local i
    for ((i = 0; i < $(often 20 4); i++)); do
        ends 120 replay --batch found.refork
        [ $i -lt "$(often 3 1)" ] || continue # the verdict is worked out anew
        has_finding found.refork "$1" "$2"
    done
}

# ---- rare: plain recordings are healthy as a rule, and the hunt needs 5 runs at most
# hunted_from_health PROGRAM [ARG...]: the hunt's first run was healthy. It may hang by luck: that is found, too, but shows nothing of the gate.
hunted_from_health() {
    local i
    for ((i = 0; i < 4; i++)); do
        hunted 120 --strategy directed -- "$@"
        json '.deadlock and .runs <= 5 and .trace == "found.refork" and .schedule == "found.refork.schedule"'
        jq -e '.found[0].how != "the program as it is"' json >/dev/null && return
        json '.runs == 1'
    done
    fail "$*: each of $i hunts began with a run that hung by itself"
}
rare() { # KIND LOCK PROGRAM [ARG...]
    local kind=$1 lock=$2 i healthy=0 got
    shift 2
    for ((i = 0; i < $(often 20 6); i++)); do
        clean "$refork" record --no-explain -o plain.refork -- "$@" >stdout 2>stderr </dev/null
        got=$?
        [ $got = 0 ] || [ $got = 120 ] || fail "$*: status $got of a plain recording: $(cat stderr)"
        [ $got = 120 ] || ((++healthy))
    done
    ((healthy > i - healthy)) || fail "$*: only $healthy of $i plain recordings are healthy"
    hunted_from_health "$@"
    json '.covered.pairs >= 1'
    json 'any(.findings[]; .kind == $kind and (.lock.symbol | contains($lock)))' --arg kind "$kind" --arg lock "$lock"
    json 'all(.findings[]; .kind != "lock-cycle")'
    replays "$kind" "$lock"
}
rare orphaned-lock mutex "$programs/rare_locks" mutex
# The schedule alone makes it happen again.
for ((i = 0; i < 3; i++)); do
    ends 120 record --no-explain --schedule found.refork.schedule -o again.refork -- "$programs/rare_locks" mutex
done
rare orphaned-lock recursive "$programs/rare_locks" recursive
rare orphaned-lock rwlock "$programs/rare_locks" rwlock
rare orphaned-lock rwlock "$programs/rare_locks" reader
rare orphaned-spin spin "$programs/rare_locks" spin
rare orphaned-lock sem "$programs/rare_locks" sem
rare orphaned-spin word "$programs/rare_locks" xchg
rare orphaned-lock envlock "$programs/rare_locks" setenv
rare orphaned-lock 'guard variable for instance()::object' "$guard"

# 30 threads, 200 locks, 50 forks, one deadly pair
hunted_from_health "$programs/rare_crowd"
json '.covered.forks == 50 and .covered.sites >= 200 and any(.findings[]; .lock.symbol == "words[117]")'
replays orphaned-spin 'words[117]'

# ---- fixed: refuted with the reason
refuted() { # LOCK VERDICT
    json 'any(.refuted[]; .lock == $lock and .verdict == $verdict and (.reason | length) > 10)' --arg lock "$1" --arg verdict "$2"
    json '.deadlock == false and .findings == [] and .trace == null and .covered.pairs == .covered.candidates'
}
for kind in mutex sem; do
    hunted 0 --strategy directed -- "$programs/rare_locks" $kind protected
    refuted $kind atfork-protected
done
for kind in spin xchg; do # the forking thread spins in a fork handler
    hunted 0 --strategy directed -- "$programs/rare_locks" $kind protected
    refuted ${kind/xchg/word} holder-needed
done
for kind in mutex rwlock sem spin xchg; do
    hunted 0 --strategy directed -- "$programs/rare_locks" $kind unused
    lock=${kind/xchg/word}
    refuted "$lock" child-went-on
done
hunted 0 --strategy directed -- "$programs/rare_locks" mutex alone
refuted mutex never-concurrent
# Readers do not keep readers out: that handler protects nothing.
hunted 120 --strategy directed -- "$programs/rare_locks" reader protected
replays orphaned-lock rwlock

# ---- nothing to hunt; what hangs by itself
hunted 123 --runs 2 -- true
json '.runs == 1 and .covered.forks == 0 and (.stopped | contains("one task"))'
hunted 120 -- "$build/samples/mutex_deadlock"
json '.runs == 1 and .found[0].how == "the program as it is"'
replays orphaned-lock log_mutex

# A hang is a deadlock, whatever its cause; who only waits for the one that hangs does not make it known.
hunted 120 -- "$programs/unknown_wait"
json '.runs == 1 and any(.findings[]; .kind == "unexplained-wait")'
says 125 'a reason that is not known' minimize found.refork
rm -f found*

# ---- other schedules, by their seed
for strategy in pct random delay; do
    hunted 0 --strategy $strategy --runs 3 -- "$programs/rare_locks" mutex unused
    json '.runs == 3 and .refuted == [] and .covered.pairs == 0'
done

# ---- the program's surroundings
cat >counts.sh <<'END'
#!/bin/sh
read -r line && exit 9 # its input is empty
[ -e made ] || exit 8
echo "a line of the program"
echo run >>runs
END
chmod +x counts.sh
rm -f runs
hunted 123 --strategy random --runs 3 --before 'touch made' --after 'rm made' -- ./counts.sh
[ "$(wc -l <runs)" = 3 ] || fail "not 3 runs: $(cat runs)"
grep -q 'a line' json stderr && fail "the program's output is shown"
[ ! -e made ] || fail "--after was not run"
clean "$refork" hunt --before 'exit 3' -- true >stdout 2>stderr && fail "a failing --before is ignored"
cat stdout stderr | grep -q "the command of '--before' failed" || fail "--before: $(cat stdout stderr)"
hunted 123 --runs 1 --timeout 1 -- sleep infinity

# ---- the summary, JUnit
rm -f found*
ends 0 hunt --seed 1 --strategy directed --junit junit.xml -o found.refork -- "$programs/rare_locks" mutex protected
grep -q '^No deadlock was found\.$' stdout && grep -q '2 forks at 1 place' stdout && grep -q '^  atfork-protected, 1 pair: ' stdout || fail "the summary: $(cat stdout)"
[ ! -s stderr ] || fail "stderr: $(cat stderr)"
clean /usr/bin/python3 -c '
import sys, xml.etree.ElementTree as tree
suite = tree.parse(sys.argv[1]).getroot()
cases = suite.findall("testcase")
assert int(suite.get("tests")) == len(cases) and suite.get("failures") == "0", suite.attrib
assert any("atfork-protected" in (c.findtext("system-out") or "") for c in cases)' junit.xml || fail "JUnit: $(cat junit.xml)"
# Pairs with one outcome stand together, the program's own lock before libc's, which is the likelier one here
ends 0 hunt --seed 1 --strategy directed -o found.refork -- "$programs/rare_locks" mutex alone
sed -n '/^  never-concurrent, [0-9]* pairs: /,$p' stdout | sed -n 's/^    \([a-z_]*\) (.*/\1/p' >order
[ "$(head -1 order)" = mutex ] || fail "the order of the pairs: $(cat stdout)"
ends 120 hunt --seed 1 --junit junit.xml -o found.refork -- "$programs/rare_locks" mutex
grep -q '^Finding 1 of 2: orphaned-lock (proved)$' stdout && grep -q "^Again: refork record --schedule 'found.refork.schedule' -- " stdout || fail "the report: $(cat stdout)"
clean /usr/bin/python3 -c '
import sys, xml.etree.ElementTree as tree
suite = tree.parse(sys.argv[1]).getroot()
assert suite.get("failures") == "1" and "orphaned-lock" in suite.find("testcase/failure").text' junit.xml || fail "JUnit: $(cat junit.xml)"

# ---- refused
refused() { # STATUS STDERR ARG...
    local want=$1 says=$2 got
    shift 2
    ends "$want" hunt "$@"
    grep -qF -- "$says" stderr || fail "hunt $*: no '$says': $(cat stderr)"
}
refused 125 'no program given'
refused 125 "bad value 'all' of '--strategy'" --strategy all true
refused 125 "bad value '3x' of '--for'" --for 3x true
refused 127 'not found' ./no-such-program
rm -rf "$work"
