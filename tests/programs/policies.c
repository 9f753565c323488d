// Scheduling policies: what a program sets it is told of afterwards, a child inherits it, and the kernel's refusals are its own;
// although none of its threads keeps the CPU from the recorder.
#include "program.h"

#include <sched.h>
#include <sys/resource.h>

static void now(const char *what) {
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t more[3];
    } a = {0};
    struct sched_param p = {-1};
    struct timespec slice = {-1, -1};
    CHECK(syscall(SYS_sched_getattr, 0, &a, sizeof a, 0) == 0 && sched_getparam(0, &p) == 0);
    CHECK(sched_rr_get_interval(0, &slice) == 0);
    printf("%s: %x %u %lx nice %d/%d, priority %u %d, slice %s\n", what, (unsigned)sched_getscheduler(0),
           a.policy, a.flags, a.nice, getpriority(PRIO_PROCESS, 0), a.priority, p.sched_priority,
           a.policy != SCHED_FIFO && a.policy != SCHED_RR ? "unknown"
           : slice.tv_nsec                                ? "some"
                                                          : "none");
}

static void set(const char *what, int policy, int priority) {
    struct sched_param p = {priority};
    int got = sched_setscheduler(0, policy, &p);
    printf("%s%s%s\n", what, got < 0 ? ": " : "", got < 0 ? strerror(errno) : "");
    now(what);
}

static void in_child(const char *what) {
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        now(what);
        fflush(stdout);
        _exit(0);
    }
    CHECK(reap(child) == 0);
}

static void *in_thread(void *unused) {
    now("thread");
    set("thread again", SCHED_OTHER, 0);
    return unused;
}

int main(void) {
    struct sched_param p = {9};
    pthread_t thread;
    now("at first");
    set("fifo", SCHED_FIFO, 7);
    in_child("child of fifo");
    CHECK(pthread_create(&thread, NULL, in_thread, NULL) == 0 && pthread_join(thread, NULL) == 0);
    printf("setparam %d\n", sched_setparam(0, &p) ? errno : 0);
    now("another priority");
    set("too high", SCHED_RR, 200);
    set("no policy", 77, 0);
    CHECK(sched_setscheduler(0, SCHED_RR, NULL) == -1);
    set("round robin", SCHED_RR | SCHED_RESET_ON_FORK, 5);
    in_child("child of round robin");
    volatile unsigned turns = 0;
    while (turns < 3000000) // a slice or more
        turns++;
    CHECK(setpriority(PRIO_PROCESS, 0, 3) == 0);
    now("nicer");
    set("batch", SCHED_BATCH, 0);
    set("other", SCHED_OTHER, 0);
    set("idle", SCHED_IDLE, 0);
    struct {
        uint32_t size, policy, words[12];
    } small = {.size = 8};
    int got = (int)syscall(SYS_sched_setattr, 0, &small, 0);
    printf("setattr %s, size %u\n", got < 0 ? strerror(errno) : "done", small.size);
    CHECK(sched_setscheduler(0x3ffffff, SCHED_OTHER, &(struct sched_param){0}) == -1 && errno == ESRCH);
    return 0;
}
