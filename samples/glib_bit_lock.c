// g_bit_lock makes a lock of one bit of any integer; the other bits of the word live on.
//
// expect: orphaned-lock confidence=proved lock=flags lockkind=g_bit_lock holder=worker start=write_report
//         acquired=write_report/g_bit_lock waiting=run_child/g_bit_lock fork=main/fork
// expect: cross-process-wait cause=orphaned-lock
// status: 120
#include "samples/stage.h"

#include <glib.h>

static volatile gint flags = 6; // bit 0 is the lock

static void *write_report(void *unused) {
    (void)unused;
    thread_name("worker");
    g_bit_lock(&flags, 0);
    hold_over_fork();
    g_bit_unlock(&flags, 0);
    return NULL;
}

static void run_child(void) {
    g_bit_lock(&flags, 0);
    say("child: done"); // never comes
    _exit(0);
}

int main(void) {
    thread_start(write_report);
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    gate_open(&forked);
    return reap(child);
}
