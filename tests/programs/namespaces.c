// PID namespaces: TIDs inside and outside of them differ. "hang": a lock that names its owner by TID is held at a fork inside of one.
// "outside": the same where the kernel refuses namespaces, for a comparison. Status 77: it refuses them.
#include "program.h"

#include <linux/sched.h>
#include <sched.h>

static pthread_mutex_t lock = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
static atomic_int held;

static void make_namespace(void) {
    if (unshare(CLONE_NEWPID) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWPID) == 0) return;
    printf("no namespaces here: %s\n", strerror(errno));
    exit(77);
}

static void *holds(void *unused) {
    pthread_mutex_lock(&lock);
    held = 1;
    if (unused) return unused;
    for (;;)
        pause();
}

static int hang(void) {
    pthread_t t;
    pthread_create(&t, NULL, holds, NULL);
    while (!held)
        sched_yield();
    pid_t child = fork();
    if (!child) {
        pthread_mutex_lock(&lock);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    return 1;
}

static int first_process(void) {
    int status;
    pthread_t t;
    CHECK(getpid() == 1 && getppid() == 0 && syscall(SYS_gettid) == 1);
    for (int i = 0; i < 3; i++) {
        pid_t child = fork();
        if (!child) _exit(getpid() + 10);
        CHECK(child == 2 + i && waitpid(child, &status, 0) == child && status == (child + 10) << 8);
    }
    pid_t child =
        (pid_t)syscall(SYS_clone3, &(struct clone_args){.exit_signal = SIGCHLD}, sizeof(struct clone_args));
    if (!child) {
        execl("/bin/sh", "sh", "-c", "test $$ = 5 && kill -TERM $$", (char *)NULL);
        _exit(1);
    }
    CHECK(child == 5 && waitpid(-1, &status, 0) == child && WIFSIGNALED(status) &&
          WTERMSIG(status) == SIGTERM);
    // A robust lock that its owner leaves behind: the kernel compares TIDs.
    pthread_mutexattr_t robust;
    CHECK(!pthread_mutexattr_init(&robust) && !pthread_mutexattr_setrobust(&robust, PTHREAD_MUTEX_ROBUST) &&
          !pthread_mutex_init(&lock, &robust));
    CHECK(!pthread_create(&t, NULL, holds, &robust) && !pthread_join(t, NULL));
    CHECK(pthread_mutex_lock(&lock) == EOWNERDEAD);
    CHECK(kill(0, 0) == 0 && kill(4711, 0) == -1 && errno == ESRCH);
    // One in a namespace of its own, and two that live until this process ends, which takes all of them along.
    int pair[2];
    char byte = 'x';
    CHECK(pipe(pair) == 0);
    if (unshare(CLONE_NEWPID)) return 0;
    if (!(child = fork())) {
        CHECK(getpid() == 1);
        if (!fork())
            for (;;)
                pause();
        CHECK(write(pair[1], &byte, 1) == 1);
        for (;;)
            pause();
    }
    CHECK(read(pair[0], &byte, 1) == 1);
    printf("inside: %d\n", child);
    return 3;
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    int status;
    if (!strcmp(what, "outside")) return hang();
    make_namespace();
    pid_t child = fork();
    if (!child) {
        if (!strcmp(what, "fault")) *(volatile int *)NULL = 1;
        status = strcmp(what, "hang") ? first_process() : hang();
        fflush(stdout);
        _exit(status);
    }
    CHECK(child > 1 && waitpid(child, &status, 0) == child);
    if (!strcmp(what, "fault")) {
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
        return 0;
    }
    printf("outside: %d ended with %d\n", child, status >> 8);
    CHECK(WIFEXITED(status) && (WEXITSTATUS(status) == 3 || WEXITSTATUS(status) == 0));
    return 0;
}
