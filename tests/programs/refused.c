// Without io_uring it does its work with threads, and forks while one of them has the lock: a deadlock that it has in a recording
// only, because refork refuses io_uring.
#include "program.h"

static pthread_mutex_t work_lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_int working;

static void *work(void *unused) {
    pthread_mutex_lock(&work_lock);
    working = 1;
    for (;;)
        pause();
    return unused;
}

int main(void) {
    pthread_t t;
    char room[256] = {0};
    long ring = syscall(SYS_io_uring_setup, 4, room);
    if (ring >= 0 || errno != ENOSYS) return 0; // also where the kernel forbids it to users
    CHECK(pthread_create(&t, NULL, work, NULL) == 0);
    while (!working)
        sched_yield();
    pid_t child = fork();
    if (!child) {
        pthread_mutex_lock(&work_lock);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    return 1;
}
