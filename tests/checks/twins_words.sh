#!/bin/bash
# Rare twins of the samples with rwlocks, semaphores, and locks made of an atomic; and: no sample has none.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/twins.sh
. "$(dirname "$0")/../twins.sh"

# Nothing vanishes with a thread there: the one lock is the open file's, the other is in memory that processes share.
always=' flock_left shared_mutex_ended '
# A look-up is over at once: the sample holds one in the middle by taking a page of the library's away.
held=' lookup_flag '
# Their locks have twins under other names: what these show is what stands beside the wait, or how the lock is named.
beside=' idle_heartbeat idle_semaphore member_cpp rwlock_claimed try_backoff try_mutex try_sem '
has_twin() {
    [[ $always$held$beside != *" $1 "* ]] || return
    grep -qE "^twin [a-z]+ $1 " "$root"/tests/checks/twins_*.sh || fail "the sample '$1' has no rare twin"
}
while read -r sample; do
    sample=${sample##*/}
    has_twin "${sample%.*}"
done < <(grep -lE '^// expect: orphaned-(lock|spin)' "$root"/samples/*.c "$root"/samples/*.cc)

# Without symbols, and with libc linked in (its functions are known by their code)
gcc -std=gnu17 -O1 -D_GNU_SOURCE -I"$root" -static -s -o bare "$root/tests/twins/pthreads.c" -pthread || fail "gcc -static"
strip -o stripped "$twins/pthreads" || fail strip
found stripped_spin_ttas 'orphaned-spin lockkind=spin_word lock=stripped+* holder=worker' ./stripped spin_ttas
found stripped_futex_word 'orphaned-lock lockkind=futex lock=stripped+* holder=worker' ./stripped futex_word
found bare_mutex 'orphaned-lock confidence=proved lockkind=pthread_mutex holder=worker' ./bare mutex_deadlock
found bare_sem 'orphaned-lock confidence=likely lockkind=sem holder=worker' ./bare sem_lock
found bare_spin_ttas 'orphaned-spin lockkind=spin_word lock=bare+* holder=worker' ./bare spin_ttas
found bare_spin_ticket 'orphaned-spin lockkind=spin_word lock=bare+* waker=worker' ./bare spin_ticket

table='orphaned-lock confidence=proved lock=table_lock lockkind=pthread_rwlock holder=worker start=rare_work gone=worker'
twin pthreads rwlock_reader "$table acquired=pthread_rwlock_rdlock,table_read" 'table_lock atfork-protected'
twin pthreads rwlock_writer_reader "$table acquired=pthread_rwlock_wrlock,table_write" 'table_lock atfork-protected'
twin pthreads rwlock_writer_writer "$table acquired=pthread_rwlock_wrlock,table_write" 'table_lock atfork-protected'
twin pthreads sem_lock 'orphaned-lock confidence=likely lock=log_permit lockkind=sem holder=worker' 'log_permit atfork-protected'
twin pthreads futex_word 'orphaned-lock confidence=proved lock=counter_lock lockkind=futex holder=worker' 'counter_lock atfork-protected'
twin pthreads spin_pthread 'orphaned-spin lock=pthread_spin lockkind=pthread_spinlock holder=worker' 'pthread_spin holder-needed'
# Nobody holds a ticket lock: it is known who would have served the next number.
twin pthreads spin_ticket 'orphaned-spin lock=ticket.served lockkind=spin_word waker=worker waiting=ticket_lock' 'ticket holder-needed'
spin='orphaned-spin lock=counter_lock lockkind=spin_word holder=worker start=rare_work gone=worker'
twin pthreads spin_ttas "$spin waiting=ttas_lock acquired=ttas_lock" 'counter_lock holder-needed'
twin pthreads spin_yield "$spin waiting=yield_lock acquired=yield_lock" 'counter_lock holder-needed'
twin pthreads spin_nanosleep "$spin waiting=nap_lock acquired=nap_lock" 'counter_lock holder-needed'
