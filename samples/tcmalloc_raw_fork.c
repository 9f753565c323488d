// tcmalloc gives memory back to the kernel with its page heap's spin lock held. fork() is safe (it has
// handlers), _Fork() is not: the child's first allocation polls a word that nobody will change, with sleeps
// of up to a quarter of a second.
//
// run: LD_PRELOAD=libtcmalloc_minimal.so.4
// expect: orphaned-lock confidence=likely lock=tcmalloc::Static::pageheap_lock_ lockkind=SpinLock
//         holder=worker start=give_back acquired=give_back/TCMallocImplementation::ReleaseToSystem
//         waiting=run_child fork=main/Fork
// expect: cross-process-wait cause=orphaned-lock
// held: tcmalloc::Static::pageheap_lock_
// status: 120
#include "samples/stage.h"

#include <dlfcn.h>
#include <sys/syscall.h>

static _Thread_local int slow;

// The kernel takes its time, as it does for much memory.
int madvise(void *address, size_t size, int advice) {
    if (slow) {
        slow = 0;
        hold_over_fork();
    }
    return (int)syscall(SYS_madvise, address, size, advice);
}

static void *give_back(void *unused) {
    (void)unused;
    thread_name("worker");
    void (*release)(void) = (void (*)(void))dlsym(RTLD_DEFAULT, "MallocExtension_ReleaseFreeMemory");
    slow = 1;
    release();
    return NULL;
}

static void run_child(void) {
    if (!malloc(4 << 20)) abort();
    say("child: done"); // never comes
    _exit(0);
}

int main(void) {
    free(malloc(1 << 20));
    thread_start(give_back);
    gate_wait(&held);
    say("main: fork");
    pid_t child = _Fork();
    if (child == 0) run_child();
    gate_open(&forked);
    return reap(child);
}
