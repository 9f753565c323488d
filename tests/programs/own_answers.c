// Calls whose plain answer would show the recorder, or hurt it: the answers are those of a run without it.
#include "program.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <x86intrin.h>

#define FAILS(call, error) CHECK((errno = 0, (long)(call) == -1) && errno == (error))

static void settings(void) {
    int mode = 0;
    CHECK(prctl(PR_GET_DUMPABLE) == 1);
    CHECK(prctl(PR_SET_DUMPABLE, 0) == 0 && prctl(PR_GET_DUMPABLE) == 0);
    pid_t child = fork();
    if (!child) _exit(prctl(PR_GET_DUMPABLE) == 0 && prctl(PR_SET_DUMPABLE, 1) == 0 ? 3 : 4);
    CHECK(reap(child) == 3 && prctl(PR_GET_DUMPABLE) == 0);
    FAILS(prctl(PR_SET_DUMPABLE, 2), EINVAL);
    CHECK(prctl(PR_GET_TSC, &mode) == 0 && mode == PR_TSC_ENABLE);
    FAILS(prctl(PR_GET_TSC, 8), EFAULT);
    child = fork();
    if (!child) { // obeyed: SIGSEGV
        CHECK(prctl(PR_SET_TSC, PR_TSC_SIGSEGV) == 0);
        CHECK(prctl(PR_GET_TSC, &mode) == 0 && mode == PR_TSC_SIGSEGV);
        _exit((int)__rdtsc() | 1);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    // In a VM whose kernel runs unprivileged (PVM) it is taken and does nothing. The recorded program's lines are those of the program alone.
    CHECK(WIFSIGNALED(status) ? WTERMSIG(status) == SIGSEGV : WIFEXITED(status));
    printf("rdtsc that is forbidden: %s\n", WIFSIGNALED(status) ? "a signal" : "goes on");
    FAILS(prctl(PR_SET_TSC, 7), EINVAL);
}

static void descriptors(void) {
    int null = open("/dev/null", O_RDONLY), s = socket(AF_UNIX, SOCK_DGRAM, 0);
    socklen_t length = 0;
    FAILS(ioctl(-1, 0x2400, 0), EBADF);
    FAILS(ioctl(900, 0xdead, 0), EBADF);
    FAILS(ioctl(null, 0xdead, 0), ENOTTY);
    FAILS(fcntl(901, 4711), EBADF);
    FAILS(fcntl(null, 4711), EINVAL);
    CHECK(getsockname(s, NULL, &length) == 0 && length == 2);
    FAILS(getpeername(s, NULL, &length), ENOTCONN);
    close(null);
    close(s);
}

static void numbers(void) {
    FAILS(syscall(-10), ENOSYS);
    FAILS(syscall(100000), ENOSYS);
    CHECK(syscall(SYS_membarrier, 0, 0, 0) > 0);
    CHECK(syscall(SYS_membarrier, 1 /* GLOBAL */, 0, 0) == 0);
}

// A pipe's other end is in a child that nobody would see.
static void untraced(bool third) {
    int fds[2], status;
    char c;
    CHECK(pipe(fds) == 0);
    struct clone_args a = {.flags = CLONE_UNTRACED, .exit_signal = SIGCHLD};
    pid_t child = third ? (pid_t)syscall(SYS_clone3, &a, sizeof a)
                        : (pid_t)syscall(SYS_clone, CLONE_UNTRACED | SIGCHLD, NULL, NULL, NULL, NULL);
    CHECK(child >= 0);
    CHECK(a.flags == CLONE_UNTRACED);
    if (!child) {
        sleep_ms(30);
        _exit(write(fds[1], "x", 1) == 1 ? 0 : 5);
    }
    close(fds[1]);
    CHECK(read(fds[0], &c, 1) == 1 && c == 'x');
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    close(fds[0]);
}

static void in_part(void) {
    char *p = mmap(NULL, 6 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    memset(p, 'a', 6 * PAGE);
    CHECK(munmap(p + 2 * PAGE, PAGE) == 0);
    FAILS(madvise(p + PAGE, 3 * PAGE, MADV_DONTNEED), ENOMEM);
    CHECK(p[0] == 'a' && p[PAGE] == 0 && p[3 * PAGE] == 0 && p[4 * PAGE] == 'a');
    if (mlock(p + 4 * PAGE, PAGE) == 0) {
        FAILS(madvise(p + 3 * PAGE, 3 * PAGE, MADV_DONTNEED), EINVAL);
        CHECK(p[4 * PAGE] == 'a' && p[5 * PAGE] == 'a');
    }
    FAILS(mprotect(p, 4 * PAGE, PROT_READ), ENOMEM);
    CHECK(*p == 'a' && p[3 * PAGE] == 0);
    p[3 * PAGE] = 'b';
    FAILS(mprotect(p, 3 * PAGE, PROT_READ | PROT_WRITE), ENOMEM);
    *p = p[PAGE] = 'c';
    CHECK(p[0] + p[PAGE] == 2 * 'c' && p[3 * PAGE] == 'b');
    FAILS(mprotect(p + 2 * PAGE, PAGE, PROT_READ | PROT_WRITE), ENOMEM);
}

int main(void) {
    settings();
    descriptors();
    numbers();
    untraced(false);
    untraced(true);
    in_part();
    printf("answered at %lld\n", now_ns());
    return 0;
}
