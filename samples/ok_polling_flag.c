// The child polls a word in shared memory, with a nanosleep loop, until the parent sets it. It looks like a
// lost spin, and the one who will change the word is alive: refork must stay silent.
//
// expect: none
// status: 0
#include "samples/stage.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <time.h>

int main(void) {
    atomic_bool *go = mmap(NULL, sizeof *go, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (go == MAP_FAILED) return 1;
    say("main: fork");
    pid_t child = fork();
    if (child == 0) {
        while (!*go)
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        say("child: go");
        _exit(0);
    }
    usleep(200000);
    *go = true;
    return reap(child);
}
