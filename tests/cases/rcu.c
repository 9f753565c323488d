// Read-copy-update as liburcu's "mb" flavour does it: readers are in a list and count in thread_local data; who changes something
// waits, in a futex, until each reader has left its section. A reader that vanishes at a fork stays in the child's copy of the list.
// Argument: what the reader does at the fork.
//
// case inside: vanished-waker confidence=likely waker=reader waiting=synchronize
// case outside: none
#include "samples/stage.h"

#include <linux/futex.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/syscall.h>

struct reader {
    atomic_ulong counter; // 0: in no section
    struct reader *next;
};

static __thread struct reader own;
static pthread_mutex_t registry = PTHREAD_MUTEX_INITIALIZER;
static struct reader *readers;
static atomic_int waits; // -1: somebody does
static bool inside;

static void join_readers(void) {
    pthread_mutex_lock(&registry);
    own.next = readers;
    readers = &own;
    pthread_mutex_unlock(&registry);
}

static bool any_inside(void) {
    bool any = false;
    pthread_mutex_lock(&registry);
    for (struct reader *r = readers; r; r = r->next)
        any |= atomic_load(&r->counter) != 0;
    pthread_mutex_unlock(&registry);
    return any;
}

__attribute__((noinline)) static void synchronize(void) {
    for (int turns = 0; any_inside(); turns++) {
        if (turns < 100) continue;
        atomic_store(&waits, -1);
        if (!any_inside()) break;
        syscall(SYS_futex, &waits, FUTEX_WAIT, -1, NULL, NULL, 0);
    }
    atomic_store(&waits, 0);
}

static void leave_section(void) {
    atomic_store(&own.counter, 0);
    if (atomic_load(&waits) == 0) return;
    atomic_store(&waits, 0);
    syscall(SYS_futex, &waits, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void *read_things(void *nothing) {
    thread_name("reader");
    join_readers();
    atomic_store(&own.counter, 1);
    if (!inside) leave_section();
    hold_over_fork();
    leave_section();
    return nothing;
}

int main(int argc, char **argv) {
    inside = argc > 1 && !strcmp(argv[1], "inside");
    join_readers();
    thread_start(read_things);
    gate_wait(&held);
    pid_t child = fork();
    if (!child) {
        synchronize();
        _exit(0);
    }
    int status = reap(child);
    gate_open(&forked);
    return status;
}
