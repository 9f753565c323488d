#!/bin/bash
# A trace that passes a gigabyte is told of while it is made, with what makes it so big. A small one is not.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
work=$(mktemp -d "$out/trace-size-XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

head -c 67108864 /dev/urandom >noise || fail "cannot make the data"
names=()
for ((i = 0; i < 17; i++)); do names+=(noise); done
clean "$refork" record -o big.refork -- cat "${names[@]}" >/dev/null 2>err || fail "record: status $?: $(cat err)"
[ "$(stat -c %s big.refork)" -gt 1000000000 ] || fail "the trace is no gigabyte: nothing is tested"
grep -qE '^refork: the trace has passed 1 GB: (9[0-9]|100)% of its data came with read' err || fail "no word of the size: $(cat err)"
[ "$(grep -c 'has passed' err)" = 1 ] || fail "said more than once: $(cat err)"
clean "$refork" record -o small.refork -- cat noise >/dev/null 2>err || fail "record: status $?"
[ ! -s err ] || fail "a small trace: $(cat err)"
