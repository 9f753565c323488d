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
