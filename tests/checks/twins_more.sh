#!/bin/bash
# Rare twins of the samples with musl, GLib and allocators.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/twins.sh
. "$(dirname "$0")/../twins.sh"

lock='orphaned-lock holder=worker start=rare_work gone=worker'
proved="$lock confidence=proved"
twin musl musl_mutex "$proved lock=log_mutex* lockkind=pthread_mutex" 'log_mutex* atfork-protected'
twin musl musl_once "$lock lock=tables_once lockkind=pthread_once" 'tables_once child-went-on'
twin musl musl_stdio "$proved lockkind=FILE_lock" 'lock_word child-went-on'
twin glib glib_mutex "$proved lock=log_mutex lockkind=GMutex" 'log_mutex atfork-protected'
twin glib glib_rec_mutex "$proved lockkind=pthread_mutex acquired=pthread_mutex_lock,rec_lock" 'pthread_mutex atfork-protected'
twin glib glib_rw_lock "$proved lockkind=GRWLock acquired=g_rw_lock_reader_lock" 'pthread_rwlock atfork-protected'
twin glib glib_bit_lock "$proved lock=flags lockkind=g_bit_lock" 'flags atfork-protected'
twin libc tcmalloc_raw_fork "$lock confidence=likely lock=tcmalloc::Static::pageheap_lock_ lockkind=SpinLock fork=Fork" \
    'tcmalloc::Static::pageheap_lock_ atfork-protected' LD_PRELOAD=libtcmalloc_minimal.so.4
twin libc jemalloc_raw_fork "$proved lockkind=pthread_mutex fork=Fork" 'pthread_mutex atfork-protected' \
    LD_PRELOAD=libjemalloc.so.2 MALLOC_CONF=narenas:1
