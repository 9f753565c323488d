// As samples/torn_list.c with a GMutex, which does not say who has it: the lock history does.
//
// expect: torn-data confidence=likely signal=11 lock=list_mutex holder=worker start=add_item
//         acquired=add_item/g_mutex_lock waiting=count_items fork=main/fork
// status: 139
#include "samples/stage.h"

#include <glib.h>

struct item {
    struct item *next;
};

static GMutex list_mutex;
static struct item *first;

static void renew_mutex(void) {
    g_mutex_init(&list_mutex);
}

static void *add_item(void *unused) {
    (void)unused;
    thread_name("worker");
    static struct item item;
    g_mutex_lock(&list_mutex);
    item.next = (struct item *)8; // made of what was there before, until the next line
    first = &item;
    hold_over_fork();
    item.next = NULL;
    g_mutex_unlock(&list_mutex);
    return NULL;
}

static int count_items(void) {
    int n = 0;
    g_mutex_lock(&list_mutex);
    for (struct item *i = first; i; i = i->next)
        n++;
    g_mutex_unlock(&list_mutex);
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
