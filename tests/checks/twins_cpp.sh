#!/bin/bash
# Rare twins of the samples with locks of the C++ library and its run-time.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/twins.sh
. "$(dirname "$0")/../twins.sh"

lock='orphaned-lock holder=worker start=rare_work gone=worker'
proved="$lock confidence=proved"
twin cpp std_mutex "$proved lockkind=pthread_mutex" '(anonymous_namespace)::log_mutex atfork-protected'
twin cpp std_timed_mutex "$lock confidence=likely lockkind=pthread_mutex" '(anonymous_namespace)::timed_mutex atfork-protected'
twin cpp std_shared_mutex "$proved lockkind=pthread_rwlock" '(anonymous_namespace)::table_mutex atfork-protected'
twin cpp std_semaphore "$lock confidence=likely lockkind=std::semaphore" '(anonymous_namespace)::log_permit atfork-protected'
twin cpp thread_local "$proved lockkind=pthread_mutex destructors=1 local=*" '(anonymous_namespace)::log_mutex atfork-protected'
twin cpp static_guard "$proved lockkind=guard_of_a_static waiting=cxa_guard_acquire" 'guard_variable_for_* child-went-on'
twin cpp heap_new "$proved lockkind=pthread_mutex lock=cache::lock" 'pthread_mutex atfork-protected' LD_PRELOAD=libtcmalloc_minimal.so.4
