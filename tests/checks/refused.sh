#!/bin/bash
# What refork refuses is named in the verdict: what came of it may not be what comes without refork.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work
says 120 'io_uring_setup.*not recorded.*ENOSYS' record -o t.refork -- "$build/tests/programs/refused"
grep -q 'refork refused' stderr || fail "record's verdict does not name the refused call: $(<stderr)"
grep -q 'waits for ever (likely)' stderr || fail "record is sure of what a refusal may have caused: $(<stderr)"
has_finding t.refork orphaned-lock work_lock
into json 120 explain --json t.refork
json 'all(.findings[]; .confidence == "likely") and (.findings[0].reason | test("refused a call .io_uring_setup"))'
json '(.refused | length) == 1 and (.refused[0] | test("io_uring_setup.*ENOSYS"))'
ends 120 explain t.refork
grep -A1 'refork refused' stdout | grep -q io_uring_setup || fail "explain does not name it: $(<stdout)"
# Also where nothing waits; and nothing is said where nothing was refused.
ends 0 record -o true.refork -- true
into json 0 explain --json true.refork
json '.refused == []'
ends 0 explain true.refork
grep -q refused stdout && fail "explain names what there is not: $(<stdout)"
exit 0
