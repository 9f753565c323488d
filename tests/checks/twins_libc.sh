#!/bin/bash
# Rare twins of the samples with locks that glibc keeps for itself.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/twins.sh
. "$(dirname "$0")/../twins.sh"

lock='orphaned-lock confidence=proved lockkind=libc_lock holder=worker start=rare_work gone=worker'
twin libc libc_setenv "$lock lock=envlock waiting=add_to_environ" 'envlock child-went-on'
twin libc libc_localtime "$lock lock=tzset_lock waiting=tz_convert" 'tzset_lock child-went-on'
twin libc libc_random "$lock lock=lock waiting=random" 'lock child-went-on'
twin libc libc_getpwnam "$lock lock=lock waiting=getpwnam" 'lock child-went-on'
twin libc libc_syslog "$lock lock=syslog_lock waiting=vsyslog_internal" 'syslog_lock child-went-on'
twin libc libc_atexit "$lock lock=__exit_funcs_lock waiting=exit" '__exit_funcs_lock child-went-on'
twin libc libc_dlopen "${lock/libc_lock/pthread_mutex} lock=_rtld_global* acquired=dl_iterate_phdr" '_rtld_global* child-went-on'
twin libc malloc_raw_fork "$lock lock=main_arena fork=Fork" 'main_arena atfork-protected'
twin libc stdio_raw_fork "$lock fork=Fork waiting=print_table" 'lock_word child-went-on'
