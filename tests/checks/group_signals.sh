#!/bin/bash
# A program that signals its process group, refork's own: see tests/programs/group_signals.c.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
in_work
clean setsid -w "$refork" record -o t.refork -- "$build/tests/programs/group_signals" group >recorded 2>errors
status=$?
[ $status = 137 ] || fail "record ended with $status instead of 137: $(cat errors)"
grep -q 'came through' recorded || fail "the program did not come through: $(cat errors)"
clean "$refork" replay --batch t.refork >replayed 2>errors
status=$?
[ $status = 137 ] || fail "replay ended with $status instead of 137: $(cat errors)"
cmp recorded replayed || fail "the replay prints something else"
# A whole recording, not one that was cut off.
into info 0 info t.refork
grep -qi 'cut' info stderr && fail "the recording was cut off: $(cat info stderr)"
exit 0
