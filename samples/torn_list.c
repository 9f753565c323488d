// A fork handler that "repairs" the mutex in the child, and only the mutex. The worker was in the middle of
// the list that it protects, and never finishes: the child reads half a list and crashes.
//
// expect: torn-data confidence=likely signal=11 lock=list_mutex holder=worker start=add_item
//         acquired=add_item/pthread_mutex_lock waiting=count_items fork=main/fork
// status: 139
#include "samples/stage.h"

struct item {
    struct item *next;
};

static pthread_mutex_t list_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct item *first;

static void renew_mutex(void) {
    pthread_mutex_init(&list_mutex, NULL);
}

static void *add_item(void *unused) {
    (void)unused;
    thread_name("worker");
    static struct item item;
    pthread_mutex_lock(&list_mutex);
    item.next = (struct item *)8; // made of what was there before, until the next line
    first = &item;
    hold_over_fork();
    item.next = NULL;
    pthread_mutex_unlock(&list_mutex);
    return NULL;
}

static int count_items(void) {
    int n = 0;
    pthread_mutex_lock(&list_mutex);
    for (struct item *i = first; i; i = i->next)
        n++;
    pthread_mutex_unlock(&list_mutex);
    return n;
}

int main(void) {
    pthread_atfork(NULL, NULL, renew_mutex);
    thread_start(add_item);
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) _exit(count_items()); // crashes
    gate_open(&forked);
    return reap(child);
}
