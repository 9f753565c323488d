#!/bin/bash
# "No deadlock" is a claim: of a trace that is cut it is not made, a hunt that had nothing to hunt says
# so, and --fail-on decides alike for record, explain and hunt.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work
programs=$build/tests/programs

# ---- cut anywhere: no command calls it fine
ends 120 record --no-explain -o whole.refork -- "$build/samples/mutex_deadlock"
[ "$(stat -c %a whole.refork)" = 600 ] || fail "a recording is private: $(stat -c %a whole.refork)"
size=$(stat -c %s whole.refork)
for percent in 2 60; do
    head -c $((size * percent / 100)) whole.refork >cut.refork
    for command in explain 'explain --json' locks lint dump 'export --to json -o -'; do
        # shellcheck disable=SC2086
        ends 122 $command cut.refork
        grep -qE "cut off|has no end|too short|no refork trace" stderr || fail "$command at $percent%: it is not said: $(cat stderr)"
        grep -q '^no deadlock' stdout && fail "$command at $percent%: a claim: $(cat stdout)"
    done
done
ends 120 explain whole.refork
ends 120 explain --fail-on proved whole.refork
ends 125 explain --fail-on certain whole.refork
ends 120 record --fail-on proved -o again.refork -- "$build/samples/mutex_deadlock"

# ---- nothing to hunt
ends 123 hunt --runs 5 --junit junit.xml -o found.refork -- sh -c 'echo the reason >&2; exit 3'
grep -q '^Nothing was hunted: the program made no fork; its first run ended with exit' stdout && grep -q '| the reason' stdout || fail "fails at once: $(cat stdout)"
grep -q 'errors="1"' junit.xml && grep -q 'nothing was hunted' junit.xml || fail "JUnit: $(cat junit.xml)"
ends 123 hunt --runs 2 -o found.refork -- sh -c '(true); (true)'
tr '\n' ' ' <stdout | grep -q 'it had no second thread' || fail "one thread: $(cat stdout)"
ends 123 hunt --runs 2 --timeout 1 -o found.refork -- sleep infinity
grep -q 'each run was ended by its time limit' stdout || fail "time limit: $(cat stdout)"
# A program that ends its recorder: refork dies in each run.
# shellcheck disable=SC2016
ends 123 hunt --runs 3 --junit junit.xml -o found.refork -- sh -c 'echo last words >&2; kill -9 $PPID'
tr '\n' ' ' <stdout | grep -q 'Nothing was hunted:.*could not be recorded' || fail "refork dies: $(cat stdout)"
grep -q 'errors="1"' junit.xml || fail "refork dies, JUnit: $(cat junit.xml)"
# Look-alikes: it fails, but it has forked beside a thread; a thread beside the fork is enough.
clean "$refork" hunt --runs 2 --json -o found.refork -- "$programs/rare_locks" mutex unused >json 2>stderr </dev/null
jq -e '.nothing_hunted == null and .stderr == null and .deadlock == false' json >/dev/null || fail "a healthy program: $(cat stderr json)"

# ---- hunt and explain agree about what hunt keeps, also of a run that ended by itself: its supervisor killed what hung
ends 120 hunt --runs 1 -o killed.refork -- "$build/samples/killed_cond"
tr '\n' ' ' <stdout | grep -q 'killed by its parent at' || fail "by whom? $(cat stdout)"
ends 120 explain killed.refork
ends 0 explain --fail-on proved killed.refork
ends 0 hunt --runs 1 --fail-on proved -o none.refork -- "$build/samples/killed_cond"
ends 0 record --fail-on proved -o again.refork -- "$build/samples/killed_cond"
ends 120 hunt --strategy directed -o kept.refork -- "$programs/rare_locks" mutex
ends 120 explain kept.refork
rm -rf "$work"
