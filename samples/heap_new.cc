// A std::mutex in an object that operator new made, and an allocator that stands for libc's: the object's memory is told
// by the call, whichever library has the function.
//
// run: LD_PRELOAD=libtcmalloc_minimal.so.4
// expect: orphaned-lock confidence=proved lockkind=pthread_mutex lock=cache::lock allocated=operator_new:make_cache
//         holder=worker start=fill acquired=fill waiting=run_child fork=main/fork
// expect: cross-process-wait cause=orphaned-lock
// status: 120
#include "samples/stage.h"

#include <mutex>

struct cache {
    long entries[4];
    std::mutex lock;
};

static cache *shared_cache;

__attribute__((noinline)) static cache *make_cache() {
    return new cache();
}

static void *fill(void *) {
    thread_name("worker");
    shared_cache->lock.lock();
    hold_over_fork();
    shared_cache->lock.unlock();
    return nullptr;
}

static void run_child() {
    shared_cache->lock.lock();
    say("child: done"); // never comes
    _exit(0);
}

int main() {
    shared_cache = make_cache();
    thread_start(fill);
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    gate_open(&forked);
    return reap(child);
}
