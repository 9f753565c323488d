// liburcu, built once per flavour (-DFLAVOUR="<urcu-bp.h>"): a reader vanishes at a fork, and the child waits for a grace period.
// Argument: "inside": the reader is in a section; "outside": it has left; "gone": it is not registered any more.
#define URCU_API_MAP
#include FLAVOUR
#include "samples/stage.h"

#include <stdbool.h>

static const char *where;

static void *read_things(void *nothing) {
    thread_name("reader");
    rcu_register_thread();
    rcu_read_lock();
    if (strcmp(where, "inside")) {
        rcu_read_unlock();
        rcu_thread_offline(); // which only the flavour "qsbr" has to be told
    }
    if (!strcmp(where, "gone")) rcu_unregister_thread();
    hold_over_fork();
    if (!strcmp(where, "inside")) rcu_read_unlock();
    return nothing;
}

__attribute__((noinline)) static void change(void) {
    synchronize_rcu();
}

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    where = argv[1];
    rcu_register_thread();
    rcu_thread_offline();
    thread_start(read_things);
    gate_wait(&held);
    pid_t child = fork();
    if (!child) {
        rcu_thread_online();
        change();
        _exit(0);
    }
    int status = reap(child);
    gate_open(&forked);
    return status;
}
