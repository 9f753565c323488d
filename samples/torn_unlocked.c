// A list without a lock: the worker makes a change in two steps, and the fork falls between them. The child reads half a
// change and crashes; nothing was held.
//
// expect: torn-data confidence=likely signal=11 lock=item lockkind=data holder=worker start=worker
//         acquired=add_item waiting=count_items fork=main/fork
// status: 139
#include "samples/stage.h"

struct item {
    struct item *next;
    int value;
};

static struct item item, second;
static struct item *volatile first;

__attribute__((noinline)) static void add_item(void) {
    item.next = (struct item *)0x7f0000000010; // where it was in another life
    first = &item;
    hold_over_fork();
    item.next = &second;
}

static void *worker(void *unused) {
    (void)unused;
    thread_name("worker");
    add_item();
    return NULL;
}

static int count_items(void) {
    int n = 0;
    for (struct item *i = first; i; i = i->next)
        n += i->value;
    return n;
}

int main(void) {
    pthread_t thread = thread_start(worker);
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) _exit(count_items()); // crashes
    gate_open(&forked);
    int status = reap(child);
    pthread_join(thread, NULL);
    return status;
}
