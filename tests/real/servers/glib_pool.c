// GLib: a thread pool whose threads vanished; the child waits for an answer of it. The twin's child makes a pool of its own.
// pkg: glib-2.0
// debian: libglib2.0-dev
// expect: vanished-waker lockkind=GCond waker=pool waiting=g_async_queue_pop,in_child focus=in_child
#include "server.h"

#include <glib.h>
#include <stdbool.h>

static GThreadPool *pool;
static GAsyncQueue *answers;
static bool healthy;

static void work(gpointer job, gpointer unused) {
    (void)unused;
    g_async_queue_push(answers, job);
}

static void worker(void) {
    g_thread_pool_push(pool, GINT_TO_POINTER(1), NULL);
    g_async_queue_pop(answers);
    hold();
}

static void in_child(void) {
    if (healthy) pool = g_thread_pool_new(work, NULL, 2, TRUE, NULL);
    g_thread_pool_push(pool, GINT_TO_POINTER(2), NULL);
    g_async_queue_pop(answers);
}

int main(int argc, char **argv) {
    (void)argv;
    healthy = argc > 1;
    answers = g_async_queue_new();
    pool = g_thread_pool_new(work, NULL, 1, TRUE, NULL);
    return serve(argc);
}
