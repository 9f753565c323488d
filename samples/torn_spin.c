// The list of samples/torn_list.c under a spin lock of the program's own, of which only its word says that it is one. The
// fork handler makes the word free in the child; the list is as the worker left it, in the middle of a change.
//
// expect: torn-data confidence=likely signal=11 lock=list_word lockkind=lock_word holder=worker start=add_item
//         acquired=list_lock waiting=count_items fork=main/fork
// status: 139
#include "samples/stage.h"

#include <stdatomic.h>

struct item {
    struct item *next;
};

static atomic_int list_word;
static struct item *first;

static void list_lock(void) {
    while (atomic_exchange(&list_word, 1))
        continue;
}

static void list_unlock(void) {
    atomic_store(&list_word, 0);
}

static void *add_item(void *unused) {
    (void)unused;
    thread_name("worker");
    static struct item item;
    list_lock();
    list_unlock();
    list_lock();
    item.next = (struct item *)8; // made of what was there before, until the next line
    first = &item;
    hold_over_fork();
    item.next = NULL;
    list_unlock();
    return NULL;
}

static int count_items(void) {
    int n = 0;
    list_lock();
    for (struct item *i = first; i; i = i->next)
        n++;
    list_unlock();
    return n;
}

int main(void) {
    pthread_atfork(NULL, NULL, list_unlock);
    thread_start(add_item);
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) _exit(count_items()); // crashes
    gate_open(&forked);
    return reap(child);
}
