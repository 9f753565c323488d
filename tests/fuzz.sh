#!/bin/bash
# COUNT mutants, from SEED on, of a made-up trace and of recordings, read by an ASan and UBSan build; none may crash it.
#   tests/fuzz.sh BUILD SEED COUNT
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
seed=$2 count=$3
mutate=$root/build-address-undefined/tests/fuzz/mutate
work=$out/fuzz-$seed
rm -rf "$work"
mkdir -p "$work"
"$mutate" --make "$work/made.refork" || fail "no trace to begin with: status $?"
clean "$refork" record -o "$work/true.refork" -- true || fail "record: status $?"
clean "$refork" record --no-explain -o "$work/deadlock.refork" -- "$build/samples/mutex_deadlock" >/dev/null 2>&1
[ $? = 120 ] || fail "record: no deadlock"
files=(made true deadlock)
shares=(60 20 20) # percent; the made-up one has all kinds of events and pieces, and is quick
for i in 0 1 2; do
    part=$((count * shares[i] / 100))
    "$mutate" "$work/${files[i]}.refork" "$seed" "$part" || fail "${files[i]}.refork, seeds from $seed: status $?"
done
rm -rf "$work"
