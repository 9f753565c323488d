// The worker holds a spin lock at the fork, a handler makes it free in the child, and the child crashes: of something else
// that is its own fault, without the lock and in no function that the worker was in. No finding.
//
// expect: none
// status: 139
#include "samples/stage.h"

#include <stdatomic.h>

static atomic_int table_word;
static int table[16];

static void table_lock(void) {
    while (atomic_exchange(&table_word, 1))
        continue;
}

static void table_unlock(void) {
    atomic_store(&table_word, 0);
}

static void *fill(void *unused) {
    (void)unused;
    thread_name("worker");
    for (int i = 0; i < 16; i++) {
        table_lock();
        table[i] = i;
        if (i == 8) hold_over_fork();
        table_unlock();
    }
    return NULL;
}

static void look_up(int key) {
    table_lock();
    int found = table[key];
    table_unlock();
    if (!found) *(volatile int *)16 = key;
}

int main(void) {
    pthread_atfork(NULL, NULL, table_unlock);
    thread_start(fill);
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) look_up(0); // crashes
    gate_open(&forked);
    return reap(child);
}
