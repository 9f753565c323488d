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
