#!/bin/bash
# Rare twins of the samples with mutexes.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/twins.sh
. "$(dirname "$0")/../twins.sh"

mutex="orphaned-lock confidence=proved lock=log_mutex lockkind=pthread_mutex holder=worker start=rare_work gone=worker \
fork=fork,rare_run"
protected='log_mutex atfork-protected'
twin pthreads mutex_deadlock "$mutex waiting=pthread_mutex_lock,mutex_lock acquired=pthread_mutex_lock,mutex_lock" "$protected"
twin pthreads grandchild "$mutex" "$protected"
twin pthreads mutex_adaptive "$mutex" "$protected"
twin pthreads mutex_errorcheck "$mutex" "$protected"
twin pthreads mutex_recursive "$mutex" "$protected"
twin pthreads mutex_robust "$mutex" "$protected"
twin pthreads mutex_pi "$mutex" "$protected"
twin pthreads mutex_timed "${mutex/=proved/=likely}" "$protected"
twin pthreads fiber "$mutex" "$protected"
twin pthreads mtx_c11 "${mutex/log_mutex/c11_mutex}" 'c11_mutex atfork-protected'
twin pthreads thread_heaps "$mutex local=recent localmodule=libmimalloc.so.2" "$protected" LD_PRELOAD=libmimalloc.so.2
heap="${mutex/lock=log_mutex /}"
twin pthreads heap_mutex "$heap lock=*made_mutex" 'pthread_mutex atfork-protected'
twin pthreads heap_pool "$heap lock=*made_mutex" 'pthread_mutex atfork-protected'
twin pthreads held_more "$mutex" "$protected"
twin pthreads shared_mutex_stuck "$mutex" "$protected"
twin pthreads fcntl_stuck "$mutex" "$protected"
