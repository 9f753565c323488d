#!/bin/bash
# Real libraries, used every 5 ms by another thread: a hunt finds their deadlocks after a first run that was healthy, and
# refutes those that are taken care of.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/twins.sh
. "$(dirname "$0")/../twins.sh"
# setenv, localtime, a static guard and GMutex: twins_libc.sh, twins_cpp.sh, twins_more.sh

found dlopen 'orphaned-lock confidence=proved lock=_rtld_global* holder=worker waiting=dlopen,load_library' "$twins/libc" dlopen

# Its profiler takes a lock of its own, and unwinds the stack with it held, which takes those of libunwind and the loader.
profiler=(env LD_PRELOAD=libtcmalloc.so.4 "HEAPPROFILE=$work/heap" "$twins/libc" malloc_fork)
found heap_profiler 'orphaned-lock holder=worker acquired=allocate_100_k,rare_work waiting=allocate_100_k,rare_child' "${profiler[@]}"
hunted heap_profiler 120 --keep-going --runs 40 -- "${profiler[@]}"
holds heap_profiler 'any(.findings[]; .kind == "orphaned-lock" and .lock.kind == "SpinLock" and .holder.name == "worker")'

writer=(/usr/bin/python3 "$root/tests/real/rare_writer.py")
found cpython 'orphaned-lock confidence=likely lockkind=Python_lock holder=python3 gone=python3 fork=fork,Py_BytesMain' "${writer[@]}"
# The schedule alone makes it happen again.
hunted cpython 120 -- "${writer[@]}"
into again.out 120 record --no-explain --schedule cpython.refork.schedule -o again.refork -- "${writer[@]}"
refuted cpython '_PyRuntime+*' child-went-on "${writer[@]}" fixed

# What fork() takes care of, and what needs no care
refuted glibc_malloc 'lock_word' atfork-protected "$twins/libc" malloc_fork
refuted glibc_stdio 'lock_word' child-went-on "$twins/libc" stdio_fork
refuted tcmalloc_minimal 'tcmalloc::Static::pageheap_lock_' atfork-protected \
    env LD_PRELOAD=libtcmalloc_minimal.so.4 "$twins/libc" malloc_fork
hunted mimalloc 0 --runs 200 -- env LD_PRELOAD=libmimalloc.so.2 "$build/tests/real/allocate_and_fork"
holds mimalloc '.covered.forks == 20 and .covered.pairs == .covered.candidates and .findings == []'
refuted jemalloc 'pthread_mutex' atfork-protected env LD_PRELOAD=libjemalloc.so.2 "$twins/libc" malloc_fork
