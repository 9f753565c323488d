#!/bin/bash
# tcmalloc of Debian: its heap profiler hangs the child of a plain fork (gperftools issue 1425); without the profiler
# fork() is safe. (With _Fork(), see samples/tcmalloc_raw_fork.c.)
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/real.sh
. "$(dirname "$0")/../real.sh"
library libtcmalloc.so.4 libgoogle-perftools4
verdict heap_profiler 120 "\
orphaned-lock confidence=likely lockkind=SpinLock holder=worker start=fill_cache acquired=fill_cache,start_thread waiting=SpinLock::SlowLock,main fork=fork,main gone=worker
cross-process-wait cause=orphaned-lock" \
    env LD_PRELOAD=libtcmalloc.so.4 "HEAPPROFILE=$work/heap" HEAP_PROFILE_ALLOCATION_INTERVAL=1048576 "$programs/heap_profile"
library libtcmalloc_minimal.so.4 libtcmalloc-minimal4
verdict minimal 0 none env LD_PRELOAD=libtcmalloc_minimal.so.4 "$programs/allocate_and_fork"

# The page heap's lock is held over madvise while threads free and end together: `refork locks` ranks it first, and
# shows what it was held over and who waited.
trace=$work/free_together.refork
clean "$refork" record --chaos --seed 1 -o "$trace" -- env LD_PRELOAD=libtcmalloc_minimal.so.4 TCMALLOC_AGGRESSIVE_DECOMMIT=t \
    "$programs/free_together" >/dev/null 2>"$work/record.err" || fail "record: $(cat "$work/record.err")"
into "$work/locks.json" 0 locks --no-cache --json "$trace"
jq -e '.locks[0] | (.symbol | startswith("tcmalloc::Static::pageheap_lock_")) and .waits > 0 and .waiters > 1
    and .syscalls.madvise > 0 and .longest_hold_us > 0 and .longest_wait > 0' "$work/locks.json" >/dev/null ||
    fail "the first lock is $(jq -c '.locks[0]' "$work/locks.json"); $refork locks $trace"
clean "$refork" locks "$trace" | head -n 6 >"$work/locks.txt"
grep -q 'madvise [0-9]' "$work/locks.txt" || fail "the text does not say madvise: $(cat "$work/locks.txt")"
rm -f "$trace"
