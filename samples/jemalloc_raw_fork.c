// jemalloc maps new memory with its arena's growth mutex held. fork() is safe (it has handlers), _Fork() is
// not.
//
// run: LD_PRELOAD=libjemalloc.so.2 MALLOC_CONF=narenas:1
// expect: orphaned-lock confidence=proved lockkind=pthread_mutex holder=worker start=allocate
//         waiting=run_child fork=main/Fork
// expect: cross-process-wait cause=orphaned-lock
// status: 120
#include "samples/stage.h"

#include <sys/mman.h>
#include <sys/syscall.h>

static _Thread_local int slow;

// The kernel takes its time, as it does when memory is short.
void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset) {
    if (slow) {
        slow = 0;
        hold_over_fork();
    }
    return (void *)syscall(SYS_mmap, address, size, protection, flags, fd, offset);
}

static void *allocate(void *unused) {
    (void)unused;
    thread_name("worker");
    slow = 1;
    free(malloc(64 << 20));
    return NULL;
}

static void run_child(void) {
    if (!malloc(64 << 20)) abort();
    say("child: done"); // never comes
    _exit(0);
}

int main(void) {
    thread_start(allocate);
    gate_wait(&held);
    say("main: fork");
    pid_t child = _Fork();
    if (child == 0) run_child();
    gate_open(&forked);
    return reap(child);
}
