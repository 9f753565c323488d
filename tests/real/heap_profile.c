// Runs on tcmalloc's heap profiler: a thread that allocates writes a profile now and then, with the
// profiler's spin lock held, and here the disk is slow. The child of a plain fork allocates (gperftools
// issue 1425).
#include "samples/stage.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <sys/syscall.h>

static _Thread_local bool slow;

int open(const char *path, int flags, ...) {
    va_list ap;
    va_start(ap, flags);
    int mode = va_arg(ap, int);
    va_end(ap);
    if (slow) {
        slow = false;
        hold_over_fork();
    }
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

static void *fill_cache(void *unused) {
    (void)unused;
    thread_name("worker");
    slow = true;
    for (int i = 0; i < 4; i++)
        free(malloc(1 << 20));
    return NULL;
}

int main(void) {
    thread_start(fill_cache);
    gate_wait(&held);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) {
        free(malloc(100));
        say("child: done"); // never comes
        _exit(0);
    }
    gate_open(&forked);
    return reap(child);
}
