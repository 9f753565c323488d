// g_once_init_enter while a vanished thread is between it and g_once_init_leave: the child waits for the
// end of an initialisation that nobody is doing any more. (glibc's own pthread_once copes with fork.)
//
// expect: vanished-waker lockkind=GOnce waker=worker waiting=type_of/g_once_init_enter fork=main/fork
// expect: cross-process-wait cause=vanished-waker
// status: 120
#include "samples/stage.h"

#include <glib.h>

static gsize type;

static gsize type_of(void) {
    if (g_once_init_enter(&type)) {
        hold_over_fork(); // registers the type, say
        g_once_init_leave(&type, 1);
    }
    return type;
}

static void *register_type(void *unused) {
    (void)unused;
    thread_name("worker");
    type_of();
    return NULL;
}

static void run_child(void) {
    type_of();
    say("child: done"); // never comes
    _exit(0);
}

int main(void) {
    thread_start(register_type);
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    gate_open(&forked);
    return reap(child);
}
