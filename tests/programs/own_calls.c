// Makes each kind of call that refork lets the program make by itself, often enough that it does, with good and bad
// arguments, from one thread, two, and a forked child. Everything it does is the same in each run, but for process numbers
// and times.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 40, BIG = 100000 };

static volatile sig_atomic_t broken;
static long sum;
static char buffer[BIG];
static char *volatile nowhere = (char *)16;

static void on_pipe(int sig) {
    (void)sig;
    broken++;
}

static void add(long value) {
    sum = sum * 31 + (value < 0 ? -errno : value);
}

static void bytes(const void *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        sum = sum * 31 + ((const unsigned char *)p)[i];
}

static void files(int fd, int i) {
    struct stat st;
    int n = snprintf(buffer, sizeof buffer, "line %d of the file\n", i);
    add(pwrite(fd, buffer, (size_t)n, i * 32));
    add(lseek(fd, i * 7, SEEK_SET));
    add(write(fd, buffer, (size_t)n));
    add(write(fd, buffer, BIG / 2));
    add(lseek(fd, i * 5, SEEK_SET));
    ssize_t got = read(fd, buffer, 100);
    add(got);
    bytes(buffer, got > 0 ? (size_t)got : 0);
    got = pread(fd, buffer, (size_t)(i & 1 ? 4096 : BIG), i);
    add(got);
    bytes(buffer, got > 0 ? (size_t)got : 0);
    add(pread(fd, buffer, 10, 1 << 30)); // the end
    add(pread(fd, nowhere, 10, 0));
    add(write(fd, nowhere, 10));
    add(read(-1, buffer, 10));
    memset(&st, 0, sizeof st);
    add(fstat(fd, &st));
    add(st.st_size);
    add(stat("/dev/null", &st));
    add(lstat("/nowhere/at all", &st));
    add(access("/dev/null", R_OK));
    add(fcntl(fd, F_GETFL));
    add(fcntl(fd, F_GETFD));
}

// Some devices never look at what they are given.
static void devices(int null, int zero) {
    char *hole = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(hole + 4096, 4096);
    add(write(null, nowhere, 100));
    add(close(dup(null)));
    add(close(-1));
    add(write(null, hole + 4000, 200));
    add(read(zero, hole, 64));
    add(read(zero, hole + 4090, 64)); // partly
    munmap(hole, 4096);
}

static void pipes(const int ends[2], int i) {
    struct pollfd p = {ends[0], POLLIN, 0};
    add(poll(&p, 1, 0));
    add(read(ends[0], buffer, 10)); // nothing there: EAGAIN
    add(write(ends[1], &i, sizeof i));
    add(poll(&p, 1, 1000));
    add(p.revents);
    int got = 0;
    add(read(ends[0], &got, sizeof got));
    add(got);
}

static void sockets(const int ends[2], int epoll, int i) {
    struct epoll_event events[4];
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)i};
    add(epoll_ctl(epoll, EPOLL_CTL_MOD, ends[1], &event));
    add(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[1], &event)); // EEXIST
    add(epoll_ctl(epoll, EPOLL_CTL_DEL, -1, NULL));
    add(epoll_wait(epoll, events, 4, 0));
    add(send(ends[0], &i, sizeof i, MSG_NOSIGNAL));
    add(epoll_wait(epoll, events, 4, 1000));
    add(epoll_wait(epoll, events, 4, -1));
    int got = 0;
    add(recv(ends[1], &got, sizeof got, MSG_PEEK));
    add(recv(ends[1], &got, sizeof got, 0));
    add(got);
    add(recv(ends[1], &got, sizeof got, MSG_DONTWAIT));
    add(write(ends[1], "ab", 2));
    add(read(ends[0], buffer, 10));
}

static void messages(const int ends[2], int i) {
    char got[8] = {0};
    struct iovec from[] = {{&i, sizeof i}, {"xy", 2}}, to[] = {{got, 3}, {got + 3, 5}};
    struct msghdr out = {.msg_iov = from, .msg_iovlen = 2}, in = {.msg_iov = to, .msg_iovlen = 2};
    char control[64];
    add(recvmsg(ends[1], &in, MSG_DONTWAIT));
    add(sendmsg(ends[0], &out, MSG_NOSIGNAL));
    add(recvmsg(ends[1], &in, MSG_PEEK));
    in.msg_control = control;
    in.msg_controllen = sizeof control;
    add(recvmsg(ends[1], &in, MSG_PEEK));
    in.msg_control = NULL;
    in.msg_controllen = 0;
    add(recvmsg(ends[1], &in, 0));
    bytes(got, 6);
    out.msg_iov = (void *)nowhere;
    add(sendmsg(ends[0], &out, 0)); // EFAULT
    add(sendmsg(-1, &out, 0));
}

static volatile sig_atomic_t came;
static void on_usr(int signal) {
    came += signal;
}

// What waits comes with the call that lets it.
static void masks(void) {
    sigset_t usr, old;
    sigemptyset(&usr);
    sigaddset(&usr, SIGUSR1);
    came = 0;
    add(sigprocmask(SIG_BLOCK, &usr, &old));
    bytes(&old, sizeof(long));
    add(sigprocmask(SIG_BLOCK, NULL, &old));
    bytes(&old, sizeof(long));
    add(sigprocmask(SIG_UNBLOCK, &usr, NULL));
    add(sigprocmask(SIG_BLOCK, &usr, NULL));
    add(raise(SIGUSR1));
    add(came);
    add(sigprocmask(SIG_UNBLOCK, &usr, NULL));
    if (came != SIGUSR1) exit(6);
    add(sigprocmask(12345, &usr, NULL));
    add(syscall(SYS_rt_sigprocmask, SIG_BLOCK, nowhere, NULL, 8));
}

static void others(void) {
    static uint32_t word = 1;
    struct timespec now;
    struct timeval day;
    struct rusage usage;
    char random[16];
    add(syscall(SYS_futex, &word, FUTEX_WAKE, 1, NULL, NULL, 0));
    add(syscall(SYS_futex, &word, FUTEX_WAIT, 2, NULL, NULL, 0)); // EAGAIN
    add(clock_gettime(CLOCK_MONOTONIC, &now));
    add(clock_gettime(12345, &now));
    add(clock_getres(CLOCK_MONOTONIC, &now));
    add(gettimeofday(&day, NULL));
    add(time(NULL) > 0);
    add(getrusage(RUSAGE_SELF, &usage));
    add(syscall(SYS_getpid) > 0);
    add(syscall(SYS_gettid) > 0);
    add(getppid() > 0);
    add(getuid() != geteuid());
    add(getpgid(12345678));
    add(getsid(0) > 0);
    add(getpriority(PRIO_PROCESS, 0));
    add(getrandom(random, sizeof random, 0));
    add(getrandom(nowhere, 16, 0));
    add(getgid() != getegid());
    add(getpgrp() > 0);
}

static void vectors(const int ends[2], int fd, int i) {
    static char parts[4][600];
    memset(parts, 'a' + i % 26, sizeof parts);
    struct iovec v[12] = {{parts[0], 600}, {parts[1], (size_t)i}, {parts[3], 7}, {nowhere, 0}};
    for (int k = 4; k < 12; k++)
        v[k] = (struct iovec){parts[2], 3};
    add(writev(ends[1], v, 4)); // the first two lie side by side
    memset(parts, 0, sizeof parts);
    add(readv(ends[0], v, 3));
    bytes(parts, sizeof parts);
    add(readv(ends[0], v, 3)); // EAGAIN
    add(lseek(fd, i, SEEK_SET));
    add(writev(fd, v, 12)); // many
    v[1].iov_base = nowhere;
    v[1].iov_len = 5;
    add(writev(fd, v, 2)); // part of it
    add(writev(fd, (struct iovec *)nowhere, 2));
    add(syscall(SYS_writev, fd, v, -1L));
    add(lseek(fd, 0, SEEK_SET));
    v[1] = (struct iovec){buffer, BIG};
    add(readv(fd, v, 2));
    add(preadv(fd, v, 1, i));
    bytes(parts[0], 600);
    add(pwritev(fd, v, 1, i * 3));
    add(preadv(-1, v, 1, 0));
}

static void names(int folder, int i) {
    char name[PATH_MAX] = "";
    struct statfs fs;
    struct statx x;
    add(lseek(folder, 0, SEEK_SET));
    add(syscall(SYS_getdents64, folder, buffer, i & 1 ? 8192 : 300));
    add(readlink("/proc/self/cwd", name, (size_t)(i % 7) + 1));
    add(readlinkat(AT_FDCWD, "/nowhere", name, sizeof name));
    add(readlinkat(AT_FDCWD, "/proc/self/root", name, sizeof name));
    bytes(name, 8);
    add(syscall(SYS_getcwd, name, i & 1 ? sizeof name : 1) > 0);
    add(statfs("/", &fs));
    add(fstatfs(folder, &fs));
    add(statx(folder, "", AT_EMPTY_PATH, STATX_ALL, &x));
    add(getxattr("/", "user.none", name, sizeof name));
    add(lgetxattr("/", "user.none", name, sizeof name));
    add(fgetxattr(folder, "user.none", name, sizeof name));
    add(faccessat(AT_FDCWD, "/", R_OK, 0));
    add(syscall(SYS_faccessat2, AT_FDCWD, "/", R_OK, 0));
}

// A write into a pipe without readers: its signal comes before the call has returned.
static void broken_pipe(int out, int i) {
    add(write(out, "x", 1));
    if (broken != i + 1) _exit(3);
}

// Sockets that do not wait: they are not asked before. Full, empty, without the other side, and a pipe in the place of one.
static void no_waiting(const int ends[2], int lonely, int i) {
    struct iovec parts[2] = {{buffer, 3}, {buffer + 3, 4}};
    int before = broken, got = 0, pipe_ends[2];
    add(read(ends[1], &got, sizeof got)); // EAGAIN
    add(write(ends[0], &i, sizeof i));
    add(read(ends[1], &got, sizeof got));
    add(got);
    add(write(ends[0], "abcdefg", 7));
    add(readv(ends[1], parts, 2));
    add(recv(ends[1], &got, sizeof got, 0)); // EAGAIN
    for (int k = 0; k < 5; k++)
        add(write(ends[0], buffer, BIG / 2)); // a part, then EAGAIN
    for (ssize_t n = 1; n > 0;)
        add(n = read(ends[1], buffer, BIG / 2));
    add(write(ends[0], nowhere, 8)); // EFAULT
    add(write(lonely, "x", 1));      // EPIPE, and its signal
    if (broken != before + 1) _exit(7);
    broken = before;
    if (i % 8 || pipe(pipe_ends)) return;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    add(write(fd, "x", 1)); // ENOTCONN
    dup2(pipe_ends[1], fd);
    for (int k = 0; k < 3; k++) {
        add(write(fd, "xy", 2));
        add(read(pipe_ends[0], buffer, 5));
    }
    close(fd);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    fcntl(ends[0], F_SETFL, 0);
    add(write(ends[0], &i, sizeof i));
    add(read(ends[1], &got, sizeof got));
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
}

static void *everything(void *unused) {
    (void)unused;
    int pipe_ends[2], pair[2], gone[2], quick[2], lonely[2];
    char name[] = "own_calls.XXXXXX";
    int fd = mkstemp(name), null = open("/dev/null", O_RDWR), zero = open("/dev/zero", O_RDONLY),
        epoll = epoll_create1(0), folder = open("/usr", O_RDONLY | O_DIRECTORY);
    unlink(name);
    if (fd < 0 || pipe2(pipe_ends, O_NONBLOCK) || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) || pipe(gone))
        exit(2);
    close(gone[0]);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, quick) || socketpair(AF_UNIX, SOCK_STREAM, 0, lonely)) exit(2);
    close(lonely[1]);
    const int none[] = {quick[0], quick[1], lonely[0]};
    for (int i = 0; i < 3; i++)
        fcntl(none[i], F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 0x1122334455667788};
    epoll_ctl(epoll, EPOLL_CTL_ADD, pair[1], &event);
    broken = 0;
    for (int i = 0; i < ROUNDS; i++) {
        files(fd, i);
        devices(null, zero);
        pipes(pipe_ends, i);
        sockets(pair, epoll, i);
        no_waiting(quick, lonely[0], i);
        messages(pair, i);
        masks();
        others();
        names(folder, i);
        vectors(pipe_ends, fd, i);
        broken_pipe(gone[1], i);
    }
    const int all[] = {fd,      null,    zero,    epoll,    folder,   pipe_ends[0], pipe_ends[1],
                       pair[0], pair[1], gone[1], quick[0], quick[1], lonely[0]};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        close(all[i]);
    return NULL;
}

static void *reader(void *event) {
    uint64_t value = 0;
    usleep(1000);
    ssize_t n = read(*(int *)event, &value, sizeof value);
    return (void *)(n == sizeof value ? value : 0);
}

// poll says that there is room, and there is, but not for this number: the write sleeps until somebody reads.
static void sleeps_all_the_same(void) {
    int event = eventfd(0, 0);
    uint64_t most = UINT64_MAX - 2, five = 5;
    pthread_t thread;
    void *got;
    for (int i = 0; i < 20; i++) {
        add(write(event, &most, sizeof most));
        pthread_create(&thread, NULL, reader, &event);
        add(write(event, &five, sizeof five));
        pthread_join(thread, &got);
        if ((uint64_t)got != most) exit(4);
        add(read(event, &five, sizeof five));
        if (five != 5) exit(5);
    }
    close(event);
}

// `fd` is written to by the call that has a jump by now. What is written shows in both mappings; a write to `other` in neither.
static void mapped(int fd, int other) {
    char path[64];
    add(ftruncate(fd, 4096));
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int readable = open(path, O_RDONLY);
    char *shared = mmap(NULL, 4096, PROT_READ, MAP_SHARED, readable, 0),
         *own = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, readable, 0);
    if (shared == MAP_FAILED || own == MAP_FAILED) abort();
    for (int i = 0; i < ROUNDS; i++) {
        int n = snprintf(buffer, sizeof buffer, "mapped %d", i);
        add(pwrite(fd, buffer, (size_t)n, i * 16));
        add(pwrite(other, buffer, (size_t)n, i * 16));
        bytes(shared, 16 * ROUNDS);
        bytes(own, 16 * ROUNDS);
    }
    munmap(shared, 4096);
    munmap(own, 4096);
    close(readable);
}

static void maps(void) {
    int other = open("/tmp", O_TMPFILE | O_RDWR, 0600), own = open("/tmp", O_TMPFILE | O_RDWR, 0600);
    for (int i = 0; i < ROUNDS; i++)
        add(pwrite(other, "other", 5, i));
    if (fcntl(3, F_GETFD) >= 0 && other != 3) mapped(3, other); // it came with the process
    mapped(own, other);
    close(other);
    close(own);
    printf("%lx\n", sum);
}

// A file whose text refork changes: a read of it is not the program's own, however many there were before.
static void own_status(void) {
    static char text[8192];
    int fd = open("/dev/zero", O_RDONLY);
    for (int i = 0; i < 300; i++)
        if (read(fd, text, 64) != 64) _exit(97);
    close(fd);
    fd = open("/proc/self/status", O_RDONLY);
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = 0;
    const char *tracer = strstr(text, "TracerPid:"), *filters = strstr(text, "Seccomp:");
    printf("%.12s, %.10s\n", tracer ? tracer : "none", filters ? filters : "none");
}

int main(void) {
    pthread_t thread;
    own_status();
    maps();
    int status = 0;
    signal(SIGPIPE, on_pipe);
    signal(SIGUSR1, on_usr);
    everything(NULL);
    printf("%lx\n", sum);
    sleeps_all_the_same();
    pthread_create(&thread, NULL, everything, NULL);
    pthread_join(thread, NULL);
    printf("%lx\n", sum);
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        everything(NULL);
        printf("%lx\n", sum);
        exit(0);
    }
    waitpid(child, &status, 0);
    everything(NULL);
    printf("%lx %d\n", sum, status);
    return 0;
}
