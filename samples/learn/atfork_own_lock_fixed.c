// atfork_own_lock, repaired: the callback is called when the lock is free again.
#include "samples/stage.h"

static pthread_rwlock_t slots = PTHREAD_RWLOCK_INITIALIZER;
static int slot_count = 1;

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
    int count = slot_count;
    pthread_rwlock_unlock(&slots);
    for (int i = 0; i < count; i++)
        callback();
}

int main(void) {
    pthread_atfork(lock_slots, unlock_slots, unlock_slots);
    each_slot(ask_user);
    return 0;
}
