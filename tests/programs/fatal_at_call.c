// A signal that ends a process comes while it computes, and its next landmark is a call: the call is not made unseen.
#include "program.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

static long call(long nr, const void *a) {
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(nr), "D"(a), "S"(0L) : "rcx", "r11", "memory");
    return result;
}

static volatile unsigned long *shared;

static __attribute__((noinline)) void compute_and_call(void) {
    const struct timespec nap = {0, 300000};
    for (;;) {
        for (unsigned long i = 0; i < 300000; i++)
            shared[1] += i; // nothing of a library
        shared[0]++;
        call(SYS_nanosleep, &nap);
        shared[2] += (unsigned long)call(SYS_getppid, NULL) != 0;
    }
}

int main(void) {
    shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    for (int i = 0; i < 12; i++) {
        pid_t child = fork();
        if (!child) {
            struct itimerval after = {{0, 0}, {0, 2000 + 300 * i}};
            setitimer(ITIMER_REAL, &after, NULL);
            compute_and_call();
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM);
        CHECK(shared[0] - shared[2] <= (unsigned long)i + 1);
    }
    printf("%d %lu %lu\n", shared[0] >= shared[2], shared[1], shared[2]);
    return 0;
}
