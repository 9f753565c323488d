// A GRWLock points to a pthread read-write lock on the heap.
//
// expect: orphaned-lock confidence=proved lockkind=GRWLock holder=worker start=look_up
//         acquired=look_up/g_rw_lock_reader_lock waiting=run_child/g_rw_lock_writer_lock fork=main/fork
// expect: cross-process-wait cause=orphaned-lock
// status: 120
#include "samples/stage.h"

#include <glib.h>

static GRWLock table_lock;

static void *look_up(void *unused) {
    (void)unused;
    thread_name("worker");
    g_rw_lock_reader_lock(&table_lock);
    hold_over_fork();
    g_rw_lock_reader_unlock(&table_lock);
    return NULL;
}

static void run_child(void) {
    g_rw_lock_writer_lock(&table_lock);
    say("child: done"); // never comes
    _exit(0);
}

int main(void) {
    thread_start(look_up);
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    gate_open(&forked);
    return reap(child);
}
