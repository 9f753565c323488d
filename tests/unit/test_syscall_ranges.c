// Does a row say all that the kernel writes? Every call here is really made, on memory filled with a pattern;
// every byte that changed must lie in a range that the table claims, each claimed range must fit what it
// claimed at entry, and what is claimed as OUT (not INOUT) must really have been written: each scenario runs
// with four patterns, and a byte that kept all of them is not written (a random one does so once in 2^32).
#include "core/calls/syscall_numbers.h"
#include "core/calls/syscall_ranges.h"
#include "core/calls/syscalls.h"
#include "tests/unit/checked_calls.h"

#include <asm/ldt.h>
#include <asm/prctl.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static int temporary_file(const char *text) {
    char name[] = "/tmp/refork-ranges-XXXXXX";
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    unlink(name);
    assert_int_equal(pwrite(fd, text, strlen(text), 0), (ssize_t)strlen(text));
    return fd;
}

static void on_signal(int number) {
    (void)number;
}

// From now on a signal comes every 2 ms until the block's end: whatever sleeps is interrupted, however late
// it began.
static void signals_start(void) {
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval every = {{0, 2000}, {0, 2000}};
    setitimer(ITIMER_REAL, &every, NULL);
}

static void signals_stop(void) {
    struct itimerval none = {0};
    setitimer(ITIMER_REAL, &none, NULL);
    signal(SIGALRM, SIG_DFL);
}

// ---- scenarios

static struct iovec *three_rooms(void) {
    struct iovec *iov = room(3 * sizeof *iov);
    iov[0] = (struct iovec){room(4), 4};
    iov[1] = (struct iovec){room(0), 0};
    iov[2] = (struct iovec){room(100), 100};
    return iov;
}

static void scenario_files(void) {
    int fd = temporary_file("hello, world: some content");
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    OK(C3(__NR_read, fd, room(100), 100));
    assert_int_equal(C4(__NR_pread64, fd, room(100), 100, 20), 6);
    lseek(fd, 0, SEEK_SET);
    assert_int_equal(C3(__NR_readv, fd, three_rooms(), 3), 26);
    assert_int_equal(C5(__NR_preadv, fd, three_rooms(), 3, 20, 0), 6);
    assert_int_equal(C6(__NR_preadv2, fd, three_rooms(), 3, 23, 0, 0), 3);
    OK(C2(__NR_fstat, fd, room(144)));
    OK(C2(__NR_stat, "/", room(144)));
    OK(C2(__NR_lstat, "/proc/self", room(144)));
    OK(C4(__NR_newfstatat, fd, "", room(144), AT_EMPTY_PATH));
    OK(C5(__NR_statx, fd, "", AT_EMPTY_PATH, 0xfff, room(256)));
    OK(C2(__NR_statfs, "/", room(120)));
    OK(C2(__NR_fstatfs, fd, room(120)));
    struct stat st;
    OK(stat("/", &st));
    C2(__NR_ustat, st.st_dev, room(64));
    OK(C3(__NR_readlink, "/proc/self", room(50), 50));
    OK(C3(__NR_readlink, path, room(4), 4));
    OK(C4(__NR_readlinkat, AT_FDCWD, path, room(200), 200));
    OK(C2(__NR_getcwd, room(300), 300));
    assert_int_equal(C2(__NR_getcwd, room(1), 1), -ERANGE);
    int folder = open("/etc", O_RDONLY | O_DIRECTORY);
    OK(folder);
    assert_true(C3(__NR_getdents64, folder, room(4096), 4096) > 0);
    assert_true(C3(__NR_getdents, folder, room(700), 700) >= 0);
    uint64_t *offset = room_with(&(uint64_t){2}, 8);
    int other = temporary_file("");
    assert_int_equal(C4(__NR_sendfile, other, fd, offset, 5), 5);
    assert_int_equal(C4(__NR_sendfile, -1, fd, offset, 5), -EBADF);
    uint64_t *from = room_with(&(uint64_t){1}, 8), *to = room_with(&(uint64_t){9}, 8);
    C6(__NR_copy_file_range, fd, from, other, to, 4, 0);
    int fds[2];
    OK(pipe(fds));
    assert_int_equal(C6(__NR_splice, fd, from, fds[1], 0, 4, 0), 4);
    assert_int_equal(C6(__NR_splice, fds[0], 0, other, to, 4, 0), 4);
    struct iovec lent[] = {{room(3), 3}, {room(4), 4}};
    assert_int_equal(C4(__NR_vmsplice, fds[1], lent, 2, 0), 7);
    int self = (int)syscall(__NR_pidfd_open, getpid(), 0);
    uint64_t *info = memset(room(64), 0, 64);
    *info = 1;                              // PIDFD_INFO_PID
    C3(__NR_ioctl, self, 0xc040ff0b, info); // PIDFD_GET_INFO, since Linux 6.13
    close(self);
    struct {
        uint32_t bytes, type;
        uint8_t data[128];
    } *handle = room(sizeof *handle);
    handle->bytes = 0;
    C5(__NR_name_to_handle_at, AT_FDCWD, "/", handle, room(8), 0);
    handle = room(sizeof *handle);
    handle->bytes = 128;
    C5(__NR_name_to_handle_at, AT_FDCWD, "/", handle, room(8), 0);
    C4(__NR_cachestat, fd, room_with((uint64_t[]){0, 0}, 16), room(40), 0);
    C5(__NR_file_getattr, fd, "", room(64), 24, AT_EMPTY_PATH);
    close(fds[0]), close(fds[1]), close(other), close(folder), close(fd);
}

static void scenario_output(void) {
    int fd = temporary_file("");
    struct iovec iov[2] = {{room(5), 5}, {room(100), 100}};
    assert_int_equal(C3(__NR_write, fd, room(20), 20), 20);
    assert_int_equal(C4(__NR_pwrite64, fd, room(20), 20, 3), 20);
    assert_int_equal(C3(__NR_writev, fd, iov, 2), 105);
    assert_int_equal(C5(__NR_pwritev, fd, iov, 2, 7, 0), 105);
    assert_int_equal(C6(__NR_pwritev2, fd, iov, 2, 7, 0, 0), 105);
    close(fd);
    int pair[2];
    OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2};
    assert_int_equal(C6(__NR_sendto, pair[0], room(20), 20, 0, 0, 0), 20);
    assert_int_equal(C3(__NR_sendmsg, pair[0], &m, 0), 105);
    close(pair[0]), close(pair[1]);
}

static void scenario_attributes(void) {
    int fd = temporary_file("x");
    if (C5(__NR_fsetxattr, fd, "user.refork", "value", 5, 0) == 0) {
        assert_int_equal(C4(__NR_fgetxattr, fd, "user.refork", room(50), 50), 5);
        assert_int_equal(C4(__NR_fgetxattr, fd, "user.refork", room(50), 0), 5);
        assert_int_equal(C4(__NR_fgetxattr, fd, "user.refork", room(50), 2), -ERANGE);
        assert_true(C3(__NR_flistxattr, fd, room(100), 100) > 0);
        char path[64];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        assert_int_equal(C4(__NR_getxattr, path, "user.refork", room(50), 50), 5);
        assert_true(C3(__NR_listxattr, path, room(100), 100) > 0);
        struct {
            uint64_t value;
            uint32_t size, flags;
        } *a = room(16);
        a->value = U(room(40)), a->size = 40, a->flags = 0;
        C6(__NR_getxattrat, fd, "", AT_EMPTY_PATH, "user.refork", a, 16);
        C5(__NR_listxattrat, fd, "", AT_EMPTY_PATH, room(100), 100);
    }
    C4(__NR_lgetxattr, "/", "user.none", room(20), 20);
    C3(__NR_llistxattr, "/", room(100), 100);
    close(fd);
}

static void scenario_waits(void) {
    int fds[2];
    OK(pipe(fds));
    struct pollfd *p = room(3 * sizeof *p);
    p[0] = (struct pollfd){fds[0], POLLIN, 0x1234};
    p[1] = (struct pollfd){fds[1], POLLOUT, 0x1234};
    p[2] = (struct pollfd){-1, POLLIN, 0x1234};
    assert_int_equal(C3(__NR_poll, p, 3, 0), 1);
    assert_int_equal(C5(__NR_ppoll, p, 2, room_with(&(struct timespec){5, 0}, 16), 0, 8), 1);
    p[0].revents = 0x1234;
    signals_start();
    assert_int_equal(C3(__NR_poll, p, 1, -1), -EINTR);
    assert_int_equal(p[0].revents, 0); // written although the call failed
    p[0].revents = 0x1234;
    assert_int_equal(C5(__NR_ppoll, p, 1, room_with(&(struct timespec){1000, 5}, 16), 0, 8), -EINTR);
    uint64_t *set = room(128);
    memset(set, 0, 128);
    set[0] = 1ull << fds[0];
    assert_int_equal(C5(__NR_select, fds[0] + 1, set, 0, 0, room_with(&(struct timeval){1000, 5}, 16)),
                     -EINTR);
    assert_int_equal(set[0], 1ull << fds[0]);
    assert_int_equal(C6(__NR_pselect6, fds[0] + 1, set, 0, 0, room_with(&(struct timespec){1000, 5}, 16), 0),
                     -EINTR);
    // ERESTART_RESTARTBLOCK becomes EINTR where a handler runs; the rest is stored
    assert_int_equal(C2(__NR_nanosleep, room_with(&(struct timespec){1000, 0}, 16), room(16)), -EINTR);
    assert_int_equal(
        C4(__NR_clock_nanosleep, CLOCK_MONOTONIC, 0, room_with(&(struct timespec){1000, 0}, 16), room(16)),
        -EINTR);
    assert_int_equal(C4(__NR_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME,
                        room_with(&(struct timespec){1000000000, 0}, 16), room(16)),
                     -EINTR);
    signals_stop();
    OK(C2(__NR_nanosleep, room_with(&(struct timespec){0, 1000}, 16), room(16)));
    memset(set, 0xff, 128);
    uint64_t *write_set = room(128), *except = room(128);
    memset(set, 0, 128), memset(write_set, 0, 128), memset(except, 0, 128);
    set[0] = except[0] = 1ull << fds[0];
    write_set[0] = 1ull << fds[1];
    write_set[1] = 0; // bits above nfds stay
    assert_int_equal(
        C5(__NR_select, fds[1] + 1, set, write_set, except, room_with(&(struct timeval){5, 0}, 16)), 1);
    OK(C5(__NR_select, 0, 0, 0, 0, room_with(&(struct timeval){0, 0}, 16)));
    int e = epoll_create1(0);
    OK(e);
    struct epoll_event event = {.events = EPOLLOUT, .data.u64 = 0x1122334455667788};
    OK(epoll_ctl(e, EPOLL_CTL_ADD, fds[1], &event));
    assert_int_equal(C4(__NR_epoll_wait, e, room(12 * 8), 8, -1), 1);
    assert_int_equal(C6(__NR_epoll_pwait, e, room(12 * 8), 8, -1, 0, 8), 1);
    assert_int_equal(C6(__NR_epoll_pwait2, e, room(12 * 8), 8, 0, 0, 8), 1);
    close(e), close(fds[0]), close(fds[1]);
}

static void scenario_children(void) {
    assert_int_equal(C4(__NR_wait4, -1, room(4), WNOHANG, room(144)), -ECHILD);
    assert_int_equal(C5(__NR_waitid, P_ALL, 0, room(128), WEXITED | WNOHANG, room(144)), -ECHILD);
    int fds[2];
    OK(pipe(fds));
    pid_t child = fork();
    if (!child) {
        char byte;
        close(fds[1]);
        _exit(read(fds[0], &byte, 1) == 0 ? 7 : 8);
    }
    close(fds[0]);
    assert_int_equal(C4(__NR_wait4, -1, room(4), WNOHANG, room(144)), 0);
    assert_int_equal(C5(__NR_waitid, P_ALL, 0, room(128), WEXITED | WNOHANG, room(144)), 0);
    close(fds[1]);
    assert_int_equal(C5(__NR_waitid, P_PID, child, room(128), WEXITED | WNOWAIT, room(144)), 0);
    assert_int_equal(C4(__NR_wait4, child, room(4), 0, room(144)), child);
}

static void scenario_identity(void) {
    OK(C1(__NR_uname, room(400)));
    OK(C1(__NR_sysinfo, room(120)));
    OK(C2(__NR_getrusage, RUSAGE_SELF, room(150)));
    C1(__NR_times, room(40));
    OK(C1(__NR_time, room(16)));
    OK(C2(__NR_gettimeofday, room(20), room(10)));
    OK(C2(__NR_clock_gettime, CLOCK_REALTIME, room(20)));
    OK(C2(__NR_clock_getres, CLOCK_REALTIME, room(20)));
    OK(C2(__NR_getrlimit, RLIMIT_NOFILE, room(20)));
    OK(C4(__NR_prlimit64, 0, RLIMIT_STACK, 0, room(20)));
    OK(C3(__NR_getresuid, room(4), room(4), room(4)));
    OK(C3(__NR_getresgid, room(4), room(4), room(4)));
    OK(C2(__NR_getgroups, 0, room(40)));
    OK(C2(__NR_getgroups, 10, room(40)));
    uint32_t v3[2] = {0x20080522, 0}, v1[2] = {0x19980330, 0}, bad[2] = {1, 0};
    OK(C2(__NR_capget, room_with(v3, 8), room(30)));
    OK(C2(__NR_capget, room_with(v1, 8), room(30)));
    assert_int_equal(C2(__NR_capget, room_with(bad, 8), room(30)), -EINVAL);
    C2(__NR_capget, room_with(bad, 8), 0);
    assert_int_equal(C2(__NR_capset, room_with(bad, 8), room(30)), -EINVAL);
    OK(C3(__NR_sched_getaffinity, 0, 128, room(140)));
    OK(C2(__NR_sched_getparam, 0, room(10)));
    OK(C4(__NR_sched_getattr, 0, room(100), 48, 0));
    OK(C4(__NR_sched_getattr, 0, room(100), 90, 0));
    C3(__NR_sched_setattr, 0, room_with((uint32_t[64]){8}, 256), 0);
    C2(__NR_sched_rr_get_interval, 0, room(20));
    OK(C3(__NR_getcpu, room(4), room(4), 0));
    OK(C3(__NR_getrandom, room(300), 300, 0));
    OK(C3(__NR_get_robust_list, 0, room(8), room(8)));
    OK(C1(__NR_adjtimex, memset(room(208), 0, 208)));
    OK(C2(__NR_clock_adjtime, 0, memset(room(208), 0, 208)));
    C3(__NR_syslog, 3, room(500), 500);
    C3(__NR_syslog, 10, room(500), 500);
    void *pages = mmap(NULL, 5 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *(char *)pages = 1;
    OK(C3(__NR_mincore, pages, 4 * 4096 + 1, room(10)));
    struct iovec *local = room(32), *remote = room(32);
    local[0] = (struct iovec){room(10), 10}, local[1] = (struct iovec){room(10), 10};
    remote[0] = (struct iovec){pages, 15};
    assert_int_equal(C6(__NR_process_vm_readv, getpid(), local, 2, remote, 1, 0), 15);
    assert_int_equal(C6(__NR_process_vm_writev, getpid(), local, 2, remote, 1, 0), 15);
    munmap(pages, 5 * 4096);
}

static void scenario_signals(void) {
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGUSR2, &ignore, NULL);
    OK(C4(__NR_rt_sigaction, SIGUSR2, 0, room(40), 8));
    uint64_t *set = room(8);
    *set = 1ull << (SIGUSR1 - 1);
    OK(C4(__NR_rt_sigprocmask, SIG_BLOCK, set, room(16), 8));
    kill(getpid(), SIGUSR1);
    OK(C2(__NR_rt_sigpending, room(16), 8));
    assert_int_equal(C4(__NR_rt_sigtimedwait, set, room(140), room_with(&(struct timespec){0}, 16), 8),
                     SIGUSR1);
    assert_int_equal(C4(__NR_rt_sigtimedwait, set, room(140), room_with(&(struct timespec){0}, 16), 8),
                     -EAGAIN);
    OK(C4(__NR_rt_sigprocmask, SIG_UNBLOCK, set, 0, 8));
    OK(C2(__NR_sigaltstack, 0, room(32)));
}

static void scenario_timers(void) {
    struct itimerval value = {{0, 0}, {1000, 5}}, none = {0};
    OK(C3(__NR_setitimer, ITIMER_REAL, room_with(&value, 32), room(40)));
    OK(C2(__NR_getitimer, ITIMER_REAL, room(40)));
    OK(C3(__NR_setitimer, ITIMER_REAL, room_with(&none, 32), room(40)));
    struct sigevent nothing = {.sigev_notify = SIGEV_NONE};
    int *id = room(4);
    OK(C3(__NR_timer_create, CLOCK_MONOTONIC, room_with(&nothing, sizeof nothing), id));
    struct itimerspec spec = {{0, 0}, {1000, 5}};
    OK(C4(__NR_timer_settime, *id, 0, room_with(&spec, 32), room(40)));
    OK(C2(__NR_timer_gettime, *id, room(40)));
    OK(C1(__NR_timer_delete, *id));
    int fd = timerfd_create(CLOCK_MONOTONIC, 0);
    OK(C4(__NR_timerfd_settime, fd, 0, room_with(&spec, 32), room(40)));
    OK(C2(__NR_timerfd_gettime, fd, room(40)));
    struct itimerspec now = {{0, 0}, {0, 1}};
    OK(C4(__NR_timerfd_settime, fd, 0, room_with(&now, 32), 0));
    assert_int_equal(C3(__NR_read, fd, room(16), 16), 8);
    close(fd);
    fd = eventfd(5, EFD_SEMAPHORE);
    assert_int_equal(C3(__NR_read, fd, room(16), 16), 8);
    close(fd);
    fd = inotify_init1(0);
    char path[] = "/tmp/refork-watch-XXXXXX";
    int file = mkstemp(path);
    OK(inotify_add_watch(fd, path, IN_ATTRIB));
    fchmod(file, 0600);
    assert_true(C3(__NR_read, fd, room(200), 200) > 0);
    unlink(path);
    close(file), close(fd);
}

static void scenario_messages(void) {
    OK(C1(__NR_pipe, room(8)));
    OK(C2(__NR_pipe2, room(8), O_CLOEXEC));
    int *pair = room(8);
    OK(C4(__NR_socketpair, AF_UNIX, SOCK_DGRAM, 0, pair));
    int on = 1;
    OK(C5(__NR_setsockopt, pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
    // a message with descriptors, credentials and two buffers
    char control[CMSG_SPACE(3 * sizeof(int))] = {0};
    struct iovec parts[2] = {{"hello", 5}, {"world", 5}};
    struct msghdr m = {
        .msg_iov = parts, .msg_iovlen = 2, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    *c = (struct cmsghdr){CMSG_LEN(3 * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
    memcpy(CMSG_DATA(c), (int[]){0, 1, 2}, 12);
    for (int i = 0; i < 3; i++)
        assert_int_equal(sendmsg(pair[0], &m, 0), 10);
    struct msghdr *r = room(sizeof *r);
    struct iovec *iov = room(2 * sizeof *iov);
    for (int i = 0; i < 3; i++) {
        iov[0] = (struct iovec){room(3), 3};
        iov[1] = (struct iovec){room(i == 1 ? 4 : 50), i == 1 ? 4 : 50}; // the second one is cut
        *r = (struct msghdr){room(128), 128, iov, 2, room(256), i == 2 ? 20 : 256, 0};
        int64_t got = C3(__NR_recvmsg, pair[1], r, i == 1 ? MSG_TRUNC : 0);
        assert_int_equal(got, 10);
    }
    assert_int_equal(C3(__NR_recvmsg, pair[1], r, MSG_DONTWAIT), -EAGAIN);
    for (int i = 0; i < 3; i++)
        assert_int_equal(send(pair[0], "datagram", 8, 0), 8);
    struct mmsghdr *v = room(4 * sizeof *v);
    for (int i = 0; i < 4; i++) {
        struct iovec *one = room(sizeof *one);
        *one = (struct iovec){room(20), 20};
        v[i].msg_hdr = (struct msghdr){0, 0, one, 1, room(64), 64, 0};
        v[i].msg_len = 0;
    }
    assert_int_equal(C5(__NR_recvmmsg, pair[1], v, 4, MSG_WAITFORONE, 0), 3);
    for (int i = 0; i < 4; i++) {
        v[i].msg_hdr.msg_controllen = 0;
        v[i].msg_hdr.msg_iov->iov_len = 8; // without the pattern behind the text
    }
    assert_int_equal(C4(__NR_sendmmsg, pair[0], v, 3, 0), 3);
    for (int i = 0; i < 4; i++)
        v[i].msg_hdr.msg_iov->iov_base = room(20);
    assert_int_equal(
        C5(__NR_recvmmsg, pair[1], v, 4, MSG_DONTWAIT, room_with(&(struct timespec){1000, 0}, 16)), 3);
    assert_int_equal(send(pair[0], "datagram", 8, 0), 8);
    assert_int_equal(C6(__NR_recvfrom, pair[1], room(20), 3, MSG_TRUNC, 0, 0), 8);
    int *length = room(4);
    *length = 100;
    OK(C5(__NR_getsockopt, pair[0], SOL_SOCKET, SO_PEERCRED, room(100), length));
    close(pair[0]), close(pair[1]);
    for (int fd = 3; fd < 64; fd++) // those that came with the messages
        close(fd);
}

static const struct sockaddr_in local = {.sin_family = AF_INET, .sin_addr.s_addr = 0x0100007f}; // 127.0.0.1

static void scenario_datagrams(void) {
    int a = socket(AF_INET, SOCK_DGRAM, 0), b = socket(AF_INET, SOCK_DGRAM, 0);
    OK(bind(a, (const void *)&local, sizeof local));
    OK(bind(b, (const void *)&local, sizeof local));
    int *length = room(4);
    *length = 16;
    struct sockaddr *name = room(128);
    OK(C3(__NR_getsockname, a, name, length));
    OK(connect(b, name, 16));
    *length = 5;
    OK(C3(__NR_getpeername, b, room(128), length));
    assert_int_equal(*length, 16);
    assert_int_equal(send(b, "12345", 5, 0), 5);
    *length = 128;
    assert_int_equal(C6(__NR_recvfrom, a, room(20), 20, 0, room(128), length), 5);
    assert_int_equal(send(b, "12345", 5, 0), 5);
    *length = 3;
    assert_int_equal(C6(__NR_recvfrom, a, room(20), 20, 0, room(128), length), 5);
    struct ifconf *conf = room(sizeof *conf);
    conf->ifc_len = 200;
    conf->ifc_buf = room(200);
    OK(C3(__NR_ioctl, a, 0x8912, conf));
    struct ifreq *request = memset(room(sizeof *request), 0, sizeof *request);
    strcpy(request->ifr_name, "lo");
    OK(C3(__NR_ioctl, a, 0x8913, request));
    OK(C3(__NR_ioctl, a, 0x8933, request));
    // SIOCETHTOOL: ETHTOOL_GLINK, ETHTOOL_GTSO, ETHTOOL_GET_TS_INFO, ETHTOOL_GDRVINFO
    static const uint32_t commands[] = {0x0a, 0x1e, 0x41, 0x03};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        uint32_t *data = memset(room(256), pattern, 256);
        request->ifr_data = (char *)data;
        *data = commands[i];
        C3(__NR_ioctl, a, 0x8946, request);
    }
    close(a), close(b);
}

// accept, MSG_TRUNC writes nothing, no address for recvfrom
static void scenario_streams(void) {
    struct sockaddr_in address = local;
    int *length = room(4);
    int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
    OK(bind(listener, (void *)&address, sizeof address));
    OK(listen(listener, 4));
    socklen_t len = sizeof address;
    OK(getsockname(listener, (void *)&address, &len));
    OK(connect(client, (void *)&address, len));
    *length = 128;
    int64_t accepted = C3(__NR_accept, listener, room(128), length);
    OK(accepted);
    int client2 = socket(AF_INET, SOCK_STREAM, 0);
    OK(connect(client2, (void *)&address, len));
    *length = 3;
    int64_t accepted2 = C4(__NR_accept4, listener, room(128), length, SOCK_CLOEXEC);
    OK(accepted2);
    assert_int_equal(send(client, "1234567890", 10, 0), 10);
    *length = 64;
    assert_int_equal(C6(__NR_recvfrom, accepted, room(20), 4, MSG_TRUNC, room(64), length), 4);
    assert_int_equal(C6(__NR_recvfrom, accepted, room(20), 4, 0, 0, 0), 4);
    static const int options[][2] = {{SOL_SOCKET, SO_TYPE},       {SOL_SOCKET, SO_RCVBUF},
                                     {SOL_SOCKET, SO_LINGER},     {SOL_SOCKET, SO_RCVTIMEO},
                                     {SOL_SOCKET, SO_ERROR},      {IPPROTO_TCP, 11 /* TCP_INFO */},
                                     {IPPROTO_IP, 1 /* IP_TOS */}};
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        *length = i == 2 ? 5 : 200;
        OK(C5(__NR_getsockopt, client, options[i][0], options[i][1], room(300), length));
    }
    OK(C3(__NR_ioctl, accepted, FIONREAD, room(8)));
    OK(C3(__NR_ioctl, client, TIOCOUTQ, room(8)));
    OK(C3(__NR_ioctl, client, 0x8905, room(8)));
    close(listener), close(client), close(client2), close((int)accepted), close((int)accepted2);
}

static void scenario_ipc(void) {
    int q = (int)syscall(SYS_msgget, 0, 0600), s = (int)syscall(SYS_semget, 0, 5, 0600),
        m = (int)syscall(SYS_shmget, 0, 8192, 0600);
    OK(q), OK(s), OK(m);
    struct {
        long type;
        char text[16];
    } message = {3, "text of message"};
    OK(syscall(SYS_msgsnd, q, &message, 10, 0));
    OK(syscall(SYS_msgsnd, q, &message, 16, 0));
    assert_int_equal(C5(__NR_msgrcv, q, room(64), 40, 0, 0), 10);
    assert_int_equal(C5(__NR_msgrcv, q, room(64), 4, 0, 010000 /* MSG_NOERROR */), 4);
    OK(C3(__NR_msgctl, q, 2, room(160)));
    OK(C3(__NR_msgctl, q, 3, room(160)));
    OK(C3(__NR_msgctl, q, 12, room(160)));
    OK(C4(__NR_semctl, s, 0, 2, room(160)));
    OK(C4(__NR_semctl, s, 0, 3, room(160)));
    OK(C4(__NR_semctl, s, 0, 19, room(160)));
    OK(C4(__NR_semctl, s, 0, 13, room(20)));
    OK(C4(__NR_semctl, s, 1, 12, 0));
    OK(C3(__NR_shmctl, m, 2, room(160)));
    OK(C3(__NR_shmctl, m, 3, room(160)));
    OK(C3(__NR_shmctl, m, 14, room(160)));
    OK(C3(__NR_msgctl, q, 0, 0));
    OK(C4(__NR_semctl, s, 0, 0, 0));
    OK(C3(__NR_shmctl, m, 0, 0));
    long attributes[8] = {0, 5, 32};
    int queue = (int)syscall(SYS_mq_open, "refork-test-queue", O_RDWR | O_CREAT, 0600, attributes);
    if (queue < 0) { // no mqueue file system in this container
        print_message("mq_getsetattr and mq_timedreceive are not tried: mq_open says %s\n", strerror(errno));
        tried[__NR_mq_getsetattr] = tried[__NR_mq_timedreceive] = true;
        return;
    }
    syscall(SYS_mq_unlink, "refork-test-queue");
    OK(C5(__NR_mq_timedsend, queue, "message", 7, 9, 0));
    OK(C3(__NR_mq_getsetattr, queue, 0, room(80)));
    assert_int_equal(C5(__NR_mq_timedreceive, queue, room(64), 40, room(8), 0), 7);
    close(queue);
}

static void scenario_requests(void) {
    OK(C5(__NR_prctl, 16, room(32), 0, 0, 0));
    OK(C5(__NR_prctl, 2, room(8), 0, 0, 0) | C5(__NR_prctl, 37, room(8), 0, 0, 0));
    C5(__NR_prctl, 40, room(16), 0, 0, 0);
    C5(__NR_prctl, 35, 15, room(8), 0, 0);
    C5(__NR_prctl, 0x41555856 /* PR_GET_AUXV */, room(600), 600, 0, 0);
    OK(C5(__NR_prctl, 30, 0, 0, 0, 0));
    OK(C2(__NR_arch_prctl, ARCH_GET_FS, room(16)));
    OK(C2(__NR_arch_prctl, ARCH_GET_GS, room(16)));
    static const int arch_gets[] = {0x1021, 0x1022, 0x4001, 0x4003};
    for (size_t i = 0; i < sizeof arch_gets / sizeof *arch_gets; i++)
        C2(__NR_arch_prctl, arch_gets[i], room(16));
    int fd = temporary_file("locked");
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    OK(C3(__NR_fcntl, fd, F_GETLK, room_with(&lock, sizeof lock)));
    OK(C3(__NR_fcntl, fd, F_OFD_GETLK, room_with(&(struct flock){.l_type = F_WRLCK}, sizeof lock)));
    OK(C3(__NR_fcntl, fd, F_GETOWN_EX, room(16)));
    C3(__NR_fcntl, fd, 17, room(16));
    OK(C3(__NR_fcntl, fd, 1035, room(16)));
    OK(C3(__NR_fcntl, fd, F_GETFL, room(16)));
    static const uint32_t file_requests[] = {FIONREAD,   0x5460,     0x2,       0x80086601,
                                             0x80087601, 0x801c581f, 0x81009431};
    for (size_t i = 0; i < sizeof file_requests / sizeof file_requests[0]; i++)
        C3(__NR_ioctl, fd, file_requests[i], memset(room(300), pattern, 300));
    close(fd);
    fd = open("/dev/urandom", O_RDONLY);
    OK(C3(__NR_ioctl, fd, 0x80045200, room(8)));
    C3(__NR_ioctl, fd, 0x5207 /* RNDRESEEDCRNG */, room(8));
    assert_int_equal(C3(__NR_read, fd, room(33), 33), 33);
    close(fd);
    int terminal = open("/dev/ptmx", O_RDWR | O_NOCTTY);
    OK(terminal);
    static const uint32_t terminal_requests[] = {
        0x5401,     0x802c542a, 0x5405,   0x5413, 0x5424, 0x80045430, 0x80045432, 0x80045438, 0x80045439,
        0x80045440, FIONREAD,   TIOCOUTQ, 0x540f, 0x5429, 0x5419,     0x5456,     0x5415};
    for (size_t i = 0; i < sizeof terminal_requests / sizeof terminal_requests[0]; i++)
        C3(__NR_ioctl, terminal, terminal_requests[i], room(64));
    OK(C3(__NR_ioctl, terminal, TCGETS, room(64)));
    OK(C3(__NR_ioctl, terminal, TIOCGWINSZ, room(64)));
    close(terminal);
    // statmount and listmount of the root: whatever this kernel knows of them
    struct {
        uint32_t size, spare;
        uint64_t id, param, ns;
    } request = {24, 0, ~0ull, 0, 0};
    C4(__NR_listmount, room_with(&request, sizeof request), room(400), 50, 0);
    struct statx x;
    if (syscall(SYS_statx, AT_FDCWD, "/", 0, 0x4000 /* STATX_MNT_ID_UNIQUE */, &x) == 0) {
        memcpy(&request.id, (char *)&x + 0x90, 8);
        request.param = 0x3f;
        C4(__NR_statmount, room_with(&request, sizeof request), room(2000), 2000, 0);
        C4(__NR_statmount, room_with(&request, sizeof request), room(100), 100, 0);
    }
}

static void scenario_futexes(void) {
    uint32_t *word = memset(room(4), 0, 4), *second = memset(room(4), 0, 4);
    OK(C6(__NR_futex, word, FUTEX_WAKE_OP, 1, 1, second, FUTEX_OP(FUTEX_OP_SET, 5, FUTEX_OP_CMP_EQ, 0)));
    assert_int_equal(*second, 5);
    OK(C6(__NR_futex, word, FUTEX_LOCK_PI | FUTEX_PRIVATE_FLAG, 0, 0, 0, 0));
    assert_int_equal(*word, gettid());
    OK(C6(__NR_futex, word, FUTEX_UNLOCK_PI | FUTEX_PRIVATE_FLAG, 0, 0, 0, 0));
    OK(C6(__NR_futex, word, FUTEX_TRYLOCK_PI | FUTEX_PRIVATE_FLAG, 0, 0, 0, 0));
    assert_int_equal(C6(__NR_futex, word, FUTEX_LOCK_PI2 | FUTEX_PRIVATE_FLAG, 0, 0, 0, 0), -EDEADLK);
    assert_int_equal(C6(__NR_futex, second, FUTEX_WAIT, 6, 0, 0, 0), -EAGAIN);
    OK(C6(__NR_futex, second, FUTEX_WAKE, 1, 0, 0, 0));
}

// ---- the table

// A row that says what memory a call touches is believed by recorder and replay alike: none without a scenario.
// Keys of the process's own ring; the lists of security modules. A kernel may lack them.
static void scenario_security(void) {
    enum { PROCESS_RING = -2 };
    uint32_t size = 4096, small = 2;
    long key = syscall(SYS_add_key, "user", "refork-test", "some bytes", 10, PROCESS_RING);
    if (key >= 0) {
        OK(C4(__NR_keyctl, 6, key, room(64), 64));
        OK(C4(__NR_keyctl, 6, key, room(64), 8)); // too small: nothing
        assert_int_equal(C4(__NR_keyctl, 11, key, room(32), 32), 10);
        assert_int_equal(C4(__NR_keyctl, 11, key, room(32), 4), 10);
        OK(C4(__NR_keyctl, 17, key, room(64), 64));
        C3(__NR_keyctl, 31, room(32), 32);
        OK(syscall(SYS_keyctl, 9, key, PROCESS_RING)); // unlink
    }
    struct user_desc segment = {.entry_number = 1, .limit = 1, .useable = 1};
    if (C3(__NR_modify_ldt, 0x11, room_with(&segment, sizeof segment), sizeof segment) == 0)
        assert_int_equal(C3(__NR_modify_ldt, 0, room(64), 64), 64);
    C3(__NR_modify_ldt, 2, room(256), 256);
    C3(__NR_lsm_list_modules, room(4096), room_with(&size, sizeof size), 0);
    C3(__NR_lsm_list_modules, room(64), room_with(&small, sizeof small), 0);
    C4(__NR_lsm_get_self_attr, 100, room(4096), room_with(&size, sizeof size), 0);
    tried[__NR_keyctl] = true;
}

static void scenario_places(void) {
    uint64_t map[4 + 4 * 7] = {0, ~0ull, 0, 4}, same[7] = {0, 4096, 1, 0, 4096};
    C3(__NR_ioctl, same[3] = (uint64_t)temporary_file("extents"), 0xc020660b, room_with(map, sizeof map));
    C3(__NR_ioctl, same[3], 0xc0189436 /* FIDEDUPERANGE */, room_with(same, sizeof same));
    C3(__NR_sysfs, 2, 0, room(64));
    static const int gets[] = {0x800004, 0x800005, 0x800007, 0x800009, 0x5803, 0x5805, 0x5808, 0x5809};
    for (size_t i = 0; i < sizeof gets / sizeof *gets; i++)
        C4(__NR_quotactl, (uint32_t)gets[i] << 8, "/", 0, room(256));
    C4(__NR_quotactl_fd, 0, (uint32_t)gets[0] << 8, 0, room(256));
    C5(__NR_get_mempolicy, room(8), room(128), 1024, 0, 0);
    C6(__NR_move_pages, 0, 2, room_with((void *[]){arena, map}, 16), 0, room(8), 0);
}

static void test_every_row(void **state) {
    (void)state;
    static const struct {
        long nr;
        const char *name, *ranges; // as the table has them
    } rows[] = {
#define SYSCALL(nr, name, policy, wait, effect, answer, args, ...) {nr, #name, #__VA_ARGS__},
#include "core/calls/syscalls.def"
#undef SYSCALL
    };
    char missing[4096] = "";
    size_t used = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        // restart_syscall() writes what the call writes that it goes on with.
        if (*rows[i].ranges && !tried[rows[i].nr] && rows[i].nr != __NR_restart_syscall &&
            used < sizeof missing)
            used += (size_t)snprintf(missing + used, sizeof missing - used, " %s", rows[i].name);
    if (used) fail_msg("no scenario makes these calls, whose rows name memory:%s", missing);
}

static void differential(void **state) {
    void (*scenario)(void) = (void (*)(void)) * state;
    static const uint8_t patterns[RUNS] = {0xa5, 0x5a, 0x3c, 0xc3};
    for (run = 0; run < RUNS; run++) {
        pattern = patterns[run];
        memset(arena, pattern, ARENA_SIZE);
        arena_used = 0;
        call_index = 0;
        scenario();
    }
    for (int i = 0; i < CALLS_MAX; i++) {
        free(kept[i]);
        kept[i] = NULL;
    }
}

static int start(void **state) {
    (void)state;
    arena = mmap(NULL, ARENA_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    before = malloc(ARENA_SIZE);
    return arena == MAP_FAILED || !before ? -1 : 0;
}

static int finish(void **state) {
    (void)state;
    print_message("%lu calls made, %lu bytes claimed as written and found written\n", calls_made,
                  bytes_checked);
    free(before);
    return munmap(arena, ARENA_SIZE);
}

#define SCENARIO(scenario)                                                                                   \
    { .name = #scenario, .test_func = differential, .initial_state = (void *)scenario_##scenario }

int main(void) {
    const struct CMUnitTest tests[] = {
        SCENARIO(files),
        SCENARIO(output),
        SCENARIO(attributes),
        SCENARIO(waits),
        SCENARIO(children),
        SCENARIO(identity),
        SCENARIO(signals),
        SCENARIO(timers),
        SCENARIO(messages),
        SCENARIO(datagrams),
        SCENARIO(streams),
        SCENARIO(ipc),
        SCENARIO(requests),
        SCENARIO(futexes),
        SCENARIO(security),
        SCENARIO(places),
        cmocka_unit_test(test_every_row), // the last: it looks at what the others made
    };
    return cmocka_run_group_tests(tests, start, finish);
}
