// Read-copy-update as liburcu does it: readers are in a list and count in thread_local data, or in an arena; who changes something
// waits, in a futex or by the clock, until each reader has left its section. A reader that vanishes at a fork stays in the child's
// copy of the list. First argument: what the reader does at the fork; second: how its change is waited for. "kill": by a signal
// to each reader, whose handler says that it has come ("alive": to a reader that the child has); "arena": by looking again and again.
//
// case inside: vanished-waker confidence=likely waker=reader waiting=synchronize
// case outside: none
// case outside kill: orphaned-spin confidence=likely waker=reader waiting=ask_all
// case outside alive: none
// case inside arena: orphaned-spin confidence=likely holder=reader waiting=look_again
// case outside arena: none
#include "samples/stage.h"

#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/syscall.h>

struct reader {
    atomic_ulong counter; // 0: in no section
    struct reader *next;
    pthread_t thread;
    atomic_int asked;
};

static __thread struct reader own;
static struct reader *slot; // of the arena
static const char *how = "";
static pthread_mutex_t registry = PTHREAD_MUTEX_INITIALIZER;
static struct reader *readers;
static atomic_int waits; // -1: somebody does
static bool inside;

static void join_readers(void) {
    struct reader *mine = slot ? slot : &own;
    pthread_mutex_lock(&registry);
    mine->thread = pthread_self();
    mine->next = readers;
    readers = mine;
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

static void answer(int signal) {
    (void)signal;
    atomic_store(&own.asked, 0);
}

__attribute__((noinline)) static void ask_all(void) {
    for (struct reader *r = readers; r; r = r->next) {
        if (pthread_equal(r->thread, pthread_self())) continue;
        for (atomic_store(&r->asked, 1); atomic_load(&r->asked); poll(NULL, 0, 1))
            pthread_kill(r->thread, SIGUSR1);
    }
}

__attribute__((noinline)) static void look_again(void) {
    while (any_inside())
        poll(NULL, 0, 1);
}

static void change(void) {
    if (!strcmp(how, "kill") || !strcmp(how, "alive"))
        ask_all();
    else if (!strcmp(how, "arena"))
        look_again();
    else
        synchronize();
}

static void leave_section(void) {
    atomic_store(slot ? &slot->counter : &own.counter, 0);
    if (atomic_load(&waits) == 0) return;
    atomic_store(&waits, 0);
    syscall(SYS_futex, &waits, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void *read_things(void *nothing) {
    thread_name("reader");
    join_readers();
    atomic_store(slot ? &slot->counter : &own.counter, 1);
    if (!inside) leave_section();
    hold_over_fork();
    leave_section();
    return nothing;
}

static void *read_in_child(void *nothing) {
    join_readers();
    gate_open(&settled);
    for (;;)
        pause();
    return nothing;
}

int main(int argc, char **argv) {
    inside = argc > 1 && !strcmp(argv[1], "inside");
    if (argc > 2) how = argv[2];
    signal(SIGUSR1, answer);
    join_readers();
    if (!strcmp(how, "arena")) slot = calloc(1, sizeof *slot);
    thread_start(read_things);
    gate_wait(&held);
    pid_t child = fork();
    if (!child) {
        if (!strcmp(how, "alive")) {
            readers = NULL;
            thread_start(read_in_child);
            gate_wait(&settled);
        }
        change();
        _exit(0);
    }
    int status = reap(child);
    gate_open(&forked);
    return status;
}
