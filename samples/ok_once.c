// pthread_once of glibc counts the forks: the child sees that the initialisation it finds half done is not
// its own, and does it again. refork must stay silent.
//
// expect: none
// status: 0
#include "samples/stage.h"

#include <stdbool.h>

static pthread_once_t tables_once = PTHREAD_ONCE_INIT;
static bool in_child;

static void make_tables(void) {
    if (!in_child) hold_over_fork();
}

static void *compute(void *unused) {
    (void)unused;
    thread_name("worker");
    pthread_once(&tables_once, make_tables);
    return NULL;
}

static void run_child(void) {
    in_child = true;
    pthread_once(&tables_once, make_tables);
    say("child: done");
    _exit(0);
}

int main(void) {
    thread_start(compute);
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    gate_open(&forked);
    return reap(child);
}
