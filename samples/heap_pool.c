// A mutex in memory that the program got from mmap, without an allocator.
//
// expect: orphaned-lock confidence=proved lockkind=pthread_mutex lock=pool::lock allocated=mmap:make_pool/mmap
//         holder=worker start=write_report acquired=write_report/pthread_mutex_lock
//         waiting=run_child/pthread_mutex_lock fork=main/fork
// expect: cross-process-wait cause=orphaned-lock
// status: 120
#include "samples/stage.h"

#include <sys/mman.h>

struct pool {
    char blocks[8][512];
    pthread_mutex_t lock;
};

static struct pool *pool;

static void make_pool(void) {
    pool = mmap(NULL, sizeof *pool, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pool == MAP_FAILED) abort();
    pthread_mutex_init(&pool->lock, NULL);
}

static void *write_report(void *unused) {
    (void)unused;
    thread_name("worker");
    pthread_mutex_lock(&pool->lock);
    hold_over_fork();
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

static void run_child(void) {
    pthread_mutex_lock(&pool->lock);
    say("child: done"); // never comes
    _exit(0);
}

int main(void) {
    make_pool();
    thread_start(write_report);
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    gate_open(&forked);
    return reap(child);
}
