// tcmalloc_raw_fork, repaired: fork() runs the fork handlers of the allocator, _Fork() does not.
#include "samples/stage.h"

#include <dlfcn.h>
#include <sys/syscall.h>

static _Thread_local int slow;

// The kernel takes its time, as it does for much memory.
int madvise(void *address, size_t size, int advice) {
    if (slow) {
        slow = 0;
        usleep(20000); // main wants to fork now
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
    say("child: done");
    _exit(0);
}

int main(void) {
    free(malloc(1 << 20));
    thread_start(give_back);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    return reap(child);
}
