// uses_library LIBRARY: a thread holds own.so's lock over a fork, and the child wants it.
#include "samples/stage.h"

#include <dlfcn.h>

static void (*library_lock)(void);

static void *hold(void *unused) {
    library_lock();
    hold_over_fork();
    return unused;
}

int main(int argc, char **argv) {
    void *library = argc == 2 ? dlopen(argv[1], RTLD_NOW) : NULL;
    if (!library) return 2;
    library_lock = (void (*)(void))dlsym(library, "library_lock");
    thread_start(hold);
    gate_wait(&held);
    pid_t child = fork();
    if (child == 0) {
        library_lock();
        _exit(0);
    }
    gate_open(&forked);
    return reap(child);
}
