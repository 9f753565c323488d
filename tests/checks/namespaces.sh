#!/bin/bash
# PID namespaces of the program's own (tests/programs/namespaces.c): exact, and a lock that names its owner by a TID of the inside has
# its holder in the verdict.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work
program=$build/tests/programs/namespaces

"${as_clean[@]}" "$program" >alone
status=$?
[ $status = 77 ] && skip "the kernel refuses PID namespaces: $(<alone)"
[ $status = 0 ] || fail "alone it ended with $status: $(<alone)"
for way in '' --chaos --paranoid=1; do
    ends 0 record $way -o t.refork -- "$program"
    mv stdout recorded
    ends 0 replay --batch t.refork
    cmp recorded stdout || fail "$way: the replay prints something else"
done

# The first process of a namespace is shielded from signals, from faults of its own as well while it is traced.
ends 0 record -o fault.refork -- "$program" fault
ends 0 replay --batch fault.refork

ends 120 record -o hang.refork -- "$program" hang
has_finding hang.refork orphaned-lock lock
json='.findings[0].confidence'
[ "$(jq -r "$json" verdict.json)" = proved ] || fail "not proved: $(jq -c .findings verdict.json)"
