// libevent: a buffer's lock is held while a function that looks at its changes runs.
// pkg: libevent libevent_pthreads
// debian: libevent-dev
// expect: orphaned-lock confidence=proved lockkind=pthread_mutex holder=worker acquired=evbuffer_add,worker waiting=evbuffer_add,in_child focus=in_child
#include "server.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/thread.h>

static struct evbuffer *output;

static void changed(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *unused) {
    (void)buffer, (void)info, (void)unused;
    hold();
}

static void worker(void) {
    evbuffer_add(output, "request", 7);
}

static void in_child(void) {
    evbuffer_add(output, "child", 5);
}

int main(int argc, char **argv) {
    (void)argv;
    evthread_use_pthreads();
    output = evbuffer_new();
    evbuffer_enable_locking(output, NULL);
    evbuffer_add_cb(output, changed, NULL);
    return serve(argc);
}
