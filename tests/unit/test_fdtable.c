// The model of the standard streams' aliases, by hand-made calls, and against the kernel: a process makes
// random calls on real descriptors and the model must agree with what fstat says of each.
#include "core/calls/fdtable.h"
#include "core/calls/syscall_numbers.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static bool read_self(void *context, uint64_t address, void *buffer, size_t len) {
    (void)context;
    struct iovec local = {buffer, len}, remote = {(void *)address, len};
    return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)len;
}

#define U(x) ((uint64_t)(uintptr_t)(x))
#define DO(t, nr, result, ...)                                                                               \
    ((t) = fdtable_syscall((t), (nr), (const uint64_t[6]){__VA_ARGS__}, (result), read_self, NULL))

static void test_basics(void **state) {
    (void)state;
    struct fdtable *t = fdtable_new();
    assert_int_equal(fdtable_stream(t, 0), FDTABLE_STDIN);
    assert_int_equal(fdtable_stream(t, 1), FDTABLE_STDOUT);
    assert_int_equal(fdtable_stream(t, 2), FDTABLE_STDERR);
    assert_int_equal(fdtable_stream(t, 3), FDTABLE_NONE);
    assert_int_equal(fdtable_stream(t, -1), FDTABLE_NONE);
    assert_int_equal(fdtable_stream(t, 1 << 30), FDTABLE_NONE);
    DO(t, __NR_dup, 10, 1);
    DO(t, __NR_close, 0, 1);
    assert_int_equal(fdtable_stream(t, 1), FDTABLE_NONE);
    assert_int_equal(fdtable_stream(t, 10), FDTABLE_STDOUT);
    DO(t, __NR_dup2, 1, 10, 1);
    assert_int_equal(fdtable_stream(t, 1), FDTABLE_STDOUT);
    DO(t, __NR_dup2, -EBADF, 50, 1);
    assert_int_equal(fdtable_stream(t, 1), FDTABLE_STDOUT);
    DO(t, __NR_dup2, 1, 50, 1); // a file over stdout
    assert_int_equal(fdtable_stream(t, 1), FDTABLE_NONE);
    DO(t, __NR_close, -EINTR, 10); // closed nevertheless
    assert_int_equal(fdtable_stream(t, 10), FDTABLE_NONE);
    DO(t, __NR_close, -EBADF, 2);
    assert_int_equal(fdtable_stream(t, 2), FDTABLE_STDERR);
    DO(t, __NR_dup2, 2, 2, 2);
    assert_int_equal(fdtable_stream(t, 2), FDTABLE_STDERR);
    DO(t, __NR_fcntl, 20, 2, F_DUPFD, 20);
    assert_int_equal(fdtable_stream(t, 20), FDTABLE_STDERR);
    DO(t, __NR_socket, 20, 1, 1, 0); // whatever closed it before: no stale alias
    assert_int_equal(fdtable_stream(t, 20), FDTABLE_NONE);
    DO(t, __NR_dup, 0x7fffffff, 2); // a hostile trace: ignored, no huge table
    assert_int_equal(fdtable_stream(t, 0x7fffffff), FDTABLE_NONE);
    fdtable_unref(t);
    fdtable_unref(NULL);
}

static void test_exec(void **state) {
    (void)state;
    struct fdtable *t = fdtable_new();
    DO(t, __NR_fcntl, 5, 1, F_DUPFD_CLOEXEC, 5);
    DO(t, __NR_dup3, 6, 1, 6, O_CLOEXEC);
    DO(t, __NR_dup3, 7, 6, 7, 0);
    DO(t, __NR_dup, 8, 1);
    DO(t, __NR_fcntl, 0, 8, F_SETFD, FD_CLOEXEC);
    DO(t, __NR_dup, 9, 1);
    DO(t, __NR_ioctl, 0, 9, FIOCLEX);
    DO(t, __NR_dup, 10, 1);
    DO(t, __NR_ioctl, 0, 10, FIOCLEX);
    DO(t, __NR_ioctl, 0, 10, FIONCLEX);
    for (int fd = 11; fd < 15; fd++)
        DO(t, __NR_dup, fd, 2);
    DO(t, __NR_close_range, 0, 11, 12, 4);
    for (int fd = 5; fd < 15; fd++)
        assert_int_not_equal(fdtable_stream(t, fd), FDTABLE_NONE);
    struct fdtable *shared = fdtable_ref(t);
    t = fdtable_exec(t);
    assert_ptr_not_equal(t, shared);
    static const int stays[] = {7, 10, 13, 14, 0, 1, 2}, goes[] = {5, 6, 8, 9, 11, 12};
    for (size_t i = 0; i < sizeof stays / sizeof stays[0]; i++)
        assert_true(fdtable_stream(t, stays[i]));
    for (size_t i = 0; i < sizeof goes / sizeof goes[0]; i++) {
        assert_false(fdtable_stream(t, goes[i]));
        assert_true(fdtable_stream(shared, goes[i]));
    }
    fdtable_unref(t);
    fdtable_unref(shared);
}

static void test_sharing(void **state) {
    (void)state;
    struct fdtable *a = fdtable_new(), *b = fdtable_ref(a), *c = fdtable_clone(a);
    DO(a, __NR_close, 0, 1);
    assert_int_equal(fdtable_stream(b, 1), FDTABLE_NONE);
    assert_int_equal(fdtable_stream(c, 1), FDTABLE_STDOUT);
    DO(b, __NR_unshare, 0, CLONE_FILES);
    assert_ptr_not_equal(a, b);
    DO(b, __NR_close, 0, 2);
    assert_int_equal(fdtable_stream(a, 2), FDTABLE_STDERR);
    struct fdtable *d = fdtable_ref(c);
    DO(d, __NR_close_range, 0, 1, UINT32_MAX, 2);
    assert_int_equal(fdtable_stream(c, 2), FDTABLE_STDERR);
    assert_int_equal(fdtable_stream(d, 2), FDTABLE_NONE);
    assert_int_equal(fdtable_stream(d, 0), FDTABLE_STDIN);
    struct fdtable *alone = d;
    DO(d, __NR_unshare, 0, CLONE_FILES);
    assert_ptr_equal(alone, d);
    fdtable_unref(a), fdtable_unref(b), fdtable_unref(c), fdtable_unref(d);
}

static void test_paths(void **state) {
    (void)state;
    struct fdtable *t = fdtable_new();
    DO(t, __NR_openat, 5, (uint64_t)AT_FDCWD, U("/dev/stdout"), O_WRONLY);
    assert_int_equal(fdtable_stream(t, 5), FDTABLE_STDOUT);
    DO(t, __NR_open, 6, U("/dev/stderr"), O_WRONLY | O_CLOEXEC);
    assert_int_equal(fdtable_stream(t, 6), FDTABLE_STDERR);
    DO(t, __NR_open, 7, U("/proc/self/fd/6"), O_WRONLY);
    assert_int_equal(fdtable_stream(t, 7), FDTABLE_STDERR);
    DO(t, __NR_openat, 8, 0, U("/dev/fd/5"), O_WRONLY);
    assert_int_equal(fdtable_stream(t, 8), FDTABLE_STDOUT);
    DO(t, __NR_creat, 9, U("/dev/stdout"), 0600);
    assert_int_equal(fdtable_stream(t, 9), FDTABLE_STDOUT);
    DO(t, __NR_open, 10, U("/dev/tty"), O_RDWR);
    assert_int_equal(fdtable_stream(t, 10), FDTABLE_TERMINAL);
    DO(t, __NR_openat, 11, 0, U("/proc/self/fd/1x"), O_WRONLY);
    assert_int_equal(fdtable_stream(t, 11), FDTABLE_NONE);
    DO(t, __NR_openat, 11, 0, U("/proc/self/fd/"), O_WRONLY);
    assert_int_equal(fdtable_stream(t, 11), FDTABLE_NONE);
    DO(t, __NR_openat, 11, 0, U("/dev/stdout"), O_PATH);
    assert_int_equal(fdtable_stream(t, 11), FDTABLE_NONE);
    DO(t, __NR_openat, 5, 0, U("/etc/passwd"), O_RDONLY);
    assert_int_equal(fdtable_stream(t, 5), FDTABLE_NONE);
    DO(t, __NR_openat, 12, 0, 8, O_RDONLY); // an address that cannot be read
    assert_int_equal(fdtable_stream(t, 12), FDTABLE_NONE);
    uint64_t how[3] = {O_WRONLY | O_CLOEXEC, 0, 0};
    DO(t, __NR_openat2, 13, 0, U("/dev/stderr"), U(how), sizeof how);
    assert_int_equal(fdtable_stream(t, 13), FDTABLE_STDERR);
    int fds[2] = {1, 2};
    DO(t, __NR_pipe2, 0, U(fds), 0);
    assert_int_equal(fdtable_stream(t, 1), FDTABLE_NONE);
    assert_int_equal(fdtable_stream(t, 2), FDTABLE_NONE);
    t = fdtable_exec(t);
    assert_int_equal(fdtable_stream(t, 6), FDTABLE_NONE);
    assert_int_equal(fdtable_stream(t, 13), FDTABLE_NONE);
    assert_int_equal(fdtable_stream(t, 7), FDTABLE_STDERR);
    fdtable_unref(t);
}

// ---- against the kernel

#define FDS 40

static uint64_t random_state;

static uint32_t random_below(uint32_t n) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % n;
}

static int64_t made(struct fdtable **t, long nr, uint64_t a, uint64_t b, uint64_t c) {
    long result = syscall(nr, a, b, c);
    if (result < 0) result = -errno;
    *t = fdtable_syscall(*t, nr, (const uint64_t[6]){a, b, c}, result, read_self, NULL);
    return result;
}

static int report_fd; // far above those that the walk uses

// The streams are three temporary files: which one an fd leads to is its inode.
static int kernel_stream(int fd, const struct stat streams[3]) {
    static const int kinds[3] = {FDTABLE_STDIN, FDTABLE_STDOUT, FDTABLE_STDERR};
    struct stat st;
    if (fstat(fd, &st) < 0) return FDTABLE_NONE;
    for (int i = 0; i < 3; i++)
        if (st.st_ino == streams[i].st_ino && st.st_dev == streams[i].st_dev) return kinds[i];
    return FDTABLE_NONE;
}

static int random_walk(uint64_t seed) {
    struct stat streams[3];
    for (int i = 0; i < 3; i++) {
        char name[] = "/tmp/refork-fdtable-XXXXXX";
        int fd = mkstemp(name);
        unlink(name);
        fstat(fd, &streams[i]);
        dup2(fd, 100 + i);
        close(fd);
    }
    for (int i = 0; i < 3; i++)
        dup2(100 + i, i);
    syscall(__NR_close_range, 3, 199, 0);
    struct fdtable *t = fdtable_new();
    random_state = seed;
    int pair[2];
    char path[40];
    for (int step = 0; step < 400; step++) {
        uint32_t a = random_below(FDS), b = random_below(FDS);
        switch (random_below(14)) {
        case 0:
            made(&t, __NR_dup, a, 0, 0);
            break;
        case 1:
            made(&t, __NR_dup2, a, b, 0);
            break;
        case 2:
            made(&t, __NR_dup3, a, b, random_below(2) ? O_CLOEXEC : 0);
            break;
        case 3:
            made(&t, __NR_close, a, 0, 0);
            break;
        case 4:
            made(&t, __NR_fcntl, a, F_DUPFD, b);
            break;
        case 5:
            made(&t, __NR_fcntl, a, F_DUPFD_CLOEXEC, b);
            break;
        case 6:
            made(&t, __NR_fcntl, a, F_SETFD, random_below(2));
            break;
        case 7:
            made(&t, __NR_ioctl, a, random_below(2) ? FIOCLEX : FIONCLEX, 0);
            break;
        case 8:
            made(&t, __NR_close_range, a, a + random_below(3), random_below(2) ? 4 : 0);
            break;
        case 9:
            made(&t, __NR_open, U("/dev/null"), O_RDWR | (random_below(2) ? O_CLOEXEC : 0), 0);
            break;
        case 10:
            made(&t, __NR_pipe2, U(pair), 0, 0);
            break;
        case 11:
            made(&t, __NR_eventfd2, 0, 0, 0);
            break;
        case 12:
            made(&t, __NR_close_range, a, a + 5, 2);
            break;
        default:
            snprintf(path, sizeof path, "/proc/self/fd/%u", a);
            made(&t, __NR_open, U(path), O_RDWR | (random_below(2) ? O_CLOEXEC : 0), 0);
        }
        for (int fd = 0; fd < 120; fd++) {
            int want = kernel_stream(fd, streams), have = fdtable_stream(t, fd);
            if (want == have) continue;
            dprintf(report_fd, "seed %llu, step %d: fd %d is %d, the table says %d\n",
                    (unsigned long long)seed, step, fd, want, have);
            return 1;
        }
    }
    // what an exec would leave
    int expected[120];
    for (int fd = 0; fd < 120; fd++) {
        int flags = fcntl(fd, F_GETFD);
        expected[fd] = flags >= 0 && !(flags & FD_CLOEXEC) ? kernel_stream(fd, streams) : FDTABLE_NONE;
    }
    t = fdtable_exec(t);
    for (int fd = 0; fd < 120; fd++) {
        if (expected[fd] == fdtable_stream(t, fd)) continue;
        dprintf(report_fd, "seed %llu: after exec fd %d is %d, the table says %d\n", (unsigned long long)seed,
                fd, expected[fd], fdtable_stream(t, fd));
        return 1;
    }
    fdtable_unref(t);
    return 0;
}

static void test_against_the_kernel(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        fflush(NULL);
        report_fd = fcntl(2, F_DUPFD_CLOEXEC, 200);
        assert_true(report_fd >= 200);
        pid_t child = fork();
        assert_true(child >= 0);
        if (!child) _exit(random_walk(seed));
        close(report_fd);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_basics),
        cmocka_unit_test(test_exec),
        cmocka_unit_test(test_sharing),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_against_the_kernel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
