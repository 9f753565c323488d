#!/bin/bash
# Allocators that take care of fork() themselves: nothing to report.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/real.sh
. "$(dirname "$0")/../real.sh"
library libjemalloc.so.2 libjemalloc2
library libmimalloc.so.2.0 libmimalloc2.0
verdict glibc 0 none "$programs/allocate_and_fork"
verdict jemalloc 0 none env LD_PRELOAD=libjemalloc.so.2 "$programs/allocate_and_fork"
verdict mimalloc 0 none env LD_PRELOAD=libmimalloc.so.2.0 "$programs/allocate_and_fork"

# Preloaded into refork itself they ask for the time and lock where they like, too.
for library in libmimalloc.so.2 libjemalloc.so.2 libtcmalloc.so.4; do
    trace=$out/preloaded.refork
    clean env "LD_PRELOAD=$library" "$refork" record -o "$trace" -- /bin/ls / >"$out/preloaded.1" || fail "recording with $library in refork: status $?"
    clean env "LD_PRELOAD=$library" "$refork" replay --batch "$trace" >"$out/preloaded.2" || fail "replaying with $library in refork: status $?; $trace"
    cmp "$out/preloaded.1" "$out/preloaded.2" || fail "with $library in refork the output differs: $trace"
    rm -f "$trace"
done
