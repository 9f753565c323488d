// Read-copy-update as libraries do it: a reader counts itself in and out in thread_local data, and who changes something waits until
// each reader of a list has left its section. A reader that vanishes at the fork stays in the child's copy of the list, inside.
//
// expect: vanished-waker confidence=likely waker=reader waiting=synchronize
// expect: cross-process-wait cause=vanished-waker waiting=main
// status: 120
#include "samples/stage.h"

#include <linux/futex.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/syscall.h>

struct reader {
    atomic_ulong inside;
    struct reader *next;
};

static __thread struct reader own;
static struct reader *readers; // in this sample one at the most
static atomic_int waits;       // -1: somebody does

static bool any_inside(void) {
    bool any = false;
    for (struct reader *r = readers; r; r = r->next)
        any |= atomic_load(&r->inside) != 0;
    return any;
}

__attribute__((noinline)) static void synchronize(void) {
    while (any_inside()) {
        atomic_store(&waits, -1);
        if (!any_inside()) break;
        syscall(SYS_futex, &waits, FUTEX_WAIT, -1, NULL, NULL, 0);
    }
    atomic_store(&waits, 0);
}

static void leave_section(void) {
    atomic_store(&own.inside, 0);
    if (atomic_exchange(&waits, 0)) syscall(SYS_futex, &waits, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void *read_things(void *nothing) {
    thread_name("reader");
    readers = &own;
    atomic_store(&own.inside, 1);
    hold_over_fork();
    leave_section();
    return nothing;
}

int main(void) {
    thread_start(read_things);
    gate_wait(&held);
    pid_t child = fork();
    if (!child) {
        synchronize();
        _exit(0);
    }
    gate_open(&forked);
    return reap(child);
}
