// A callback forks while its caller has a lock for reading, and a prepare handler wants that lock for writing. There is one
// lock, and no order to turn round.
//
// expect: atfork-deadlock lockkind=pthread_rwlock acquired=each_slot/pthread_rwlock_rdlock
//     waiting=lock_slots/pthread_rwlock_wrlock
// status: 120
#include "samples/stage.h"

static pthread_rwlock_t slots = PTHREAD_RWLOCK_INITIALIZER;

static void lock_slots(void) {
    pthread_rwlock_wrlock(&slots);
}

static void unlock_slots(void) {
    pthread_rwlock_unlock(&slots);
}

static void ask_user(void) {
    pid_t child = fork();
    if (child == 0) _exit(0);
    reap(child);
}

static void each_slot(void (*callback)(void)) {
    pthread_rwlock_rdlock(&slots);
    callback();
    pthread_rwlock_unlock(&slots);
}

int main(void) {
    pthread_atfork(lock_slots, unlock_slots, unlock_slots);
    each_slot(ask_user);
    return 0;
}
