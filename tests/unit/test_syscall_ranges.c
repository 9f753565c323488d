// Does a row say all that the kernel writes? Every call here is really made, on memory filled with a pattern; every byte that
// changed must lie in a range that the table claims, each claimed range must fit what it claimed at entry, and what is claimed as
// OUT (not INOUT) must really have been written: each scenario runs twice, with two patterns, and a byte that kept both is not written.
#include "core/syscall_numbers.h"
#include "core/syscalls.h"

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
#include <sys/mman.h>
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

#define ARENA_SIZE (256 * 1024)
#define CALLS_MAX  64
#define GAP        64

static uint8_t *arena, *before;
static size_t arena_used;
static uint8_t pattern;
static uint8_t *kept[CALLS_MAX]; // run 1: which bytes an OUT range claimed and the call left alone
static int call_index, run;
static unsigned long calls_made, bytes_checked;

// A buffer in the arena, still holding the pattern.
static void *room(size_t size)
{
    arena_used = (arena_used + GAP + 15) & ~(size_t)15;
    assert_true(arena_used + size + GAP < ARENA_SIZE);
    void *p = arena + arena_used;
    memset(p, pattern, size);
    arena_used += size;
    return p;
}

static void *room_with(const void *data, size_t size)
{
    return memcpy(room(size), data, size);
}

static bool read_self(void *context, uint64_t address, void *buffer, size_t len)
{
    (void)context;
    struct iovec local = {buffer, len}, remote = {(void *)address, len};
    return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)len;
}

static int64_t raw(long nr, const uint64_t a[6])
{
    register uint64_t r10 __asm__("r10") = a[3];
    register uint64_t r8 __asm__("r8") = a[4];
    register uint64_t r9 __asm__("r9") = a[5];
    int64_t result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(nr), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

static bool within(const struct syscall_range *r, uint64_t address)
{
    return address >= r->address && address - r->address < r->size;
}

static void describe(const char *what, long nr, const uint64_t args[6], int64_t result, size_t offset)
{
    char text[256];
    syscall_format(nr, args, text, sizeof text);
    fail_msg("%s = %lld: %s (arena+%zu, %p)", text, (long long)result, what, offset, (void *)(arena + offset));
}

static int64_t call(long nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
    const uint64_t args[6] = {a0, a1, a2, a3, a4, a5};
    struct syscall_range entry[SYSCALL_RANGES], out[SYSCALL_RANGES];
    int entries = syscall_ranges(nr, args, NULL, read_self, NULL, entry);
    assert_true(entries >= 0);
    memcpy(before, arena, ARENA_SIZE);
    int64_t result = raw(nr, args);
    int n = syscall_ranges(nr, args, &result, read_self, NULL, out);
    assert_true(n >= 0);
    assert_true(call_index < CALLS_MAX);
    if (run == 0) kept[call_index] = calloc(1, ARENA_SIZE);
    for (size_t i = 0; i < ARENA_SIZE; i++) {
        uint64_t address = (uint64_t)(uintptr_t)(arena + i);
        bool changed = arena[i] != before[i], claimed = false, must = false;
        for (int k = 0; k < n; k++) {
            if (out[k].dir == RANGE_IN || !within(&out[k], address)) continue;
            claimed = true;
            must |= out[k].dir == RANGE_OUT;
        }
        if (changed && !claimed) describe("a byte changed that no range claims", nr, args, result, i);
        if (!must) continue;
        bytes_checked++;
        bool unwritten = !changed;
        if (run == 0)
            kept[call_index][i] = unwritten;
        else if (unwritten && kept[call_index][i])
            describe("a byte claimed as OUT was not written", nr, args, result, i);
    }
    for (int k = 0; k < n; k++) {
        if (out[k].arg >= 0) assert_int_equal(out[k].address, args[(int)out[k].arg]);
        bool fits = false;
        for (int e = 0; e < entries; e++)
            fits |= out[k].address >= entry[e].address &&
                    out[k].address + out[k].size <= entry[e].address + entry[e].size;
        // value-result lengths may say more than there was room: INOUT, readable
        if (!fits && out[k].dir != RANGE_INOUT)
            describe("more is claimed at exit than at entry", nr, args, result, out[k].address - (uintptr_t)arena);
    }
    call_index++;
    calls_made++;
    return result;
}

#define U(x)         ((uint64_t)(uintptr_t)(x))
#define C0(n)        call(n, 0, 0, 0, 0, 0, 0)
#define C1(n, a)     call(n, (uint64_t)(a), 0, 0, 0, 0, 0)
#define C2(n, a, b)  call(n, (uint64_t)(a), (uint64_t)(b), 0, 0, 0, 0)
#define C3(n, a, b, c) call(n, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), 0, 0, 0)
#define C4(n, a, b, c, d) call(n, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), (uint64_t)(d), 0, 0)
#define C5(n, a, b, c, d, e) call(n, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), (uint64_t)(d), (uint64_t)(e), 0)
#define C6(n, a, b, c, d, e, f)                                                                              \
    call(n, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), (uint64_t)(d), (uint64_t)(e), (uint64_t)(f))
#define OK(x) assert_true((x) >= 0)

// The bytes that an IN range covers after a call, joined.
static size_t content(long nr, const uint64_t args[6], int64_t result, char *bytes, size_t size)
{
    struct syscall_range out[SYSCALL_RANGES];
    int n = syscall_ranges(nr, args, &result, read_self, NULL, out);
    assert_true(n >= 0);
    size_t used = 0;
    for (int i = 0; i < n; i++) {
        if (out[i].dir != RANGE_IN) continue;
        assert_true(used + out[i].size <= size);
        memcpy(bytes + used, (void *)(uintptr_t)out[i].address, out[i].size);
        used += out[i].size;
    }
    return used;
}

static int temporary_file(const char *text)
{
    char name[] = "/tmp/refork-ranges-XXXXXX";
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    unlink(name);
    assert_int_equal(pwrite(fd, text, strlen(text), 0), (ssize_t)strlen(text));
    return fd;
}

static void on_signal(int number)
{
    (void)number;
}

// From now on a signal comes every 2 ms until the block's end: whatever sleeps is interrupted, however late it began.
static void signals_start(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval every = {{0, 2000}, {0, 2000}};
    setitimer(ITIMER_REAL, &every, NULL);
}

static void signals_stop(void)
{
    struct itimerval none = {0};
    setitimer(ITIMER_REAL, &none, NULL);
    signal(SIGALRM, SIG_DFL);
}

// ---- scenarios -----------------------------------------------------------------------------------------------------

static void scenario_files(void)
{
    int fd = temporary_file("hello, world: some content");
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    OK(C3(__NR_read, fd, room(100), 100));
    OK(C4(__NR_pread64, fd, room(100), 5, 3));
    struct iovec *iov = room(3 * sizeof *iov);
    iov[0] = (struct iovec){room(4), 4};
    iov[1] = (struct iovec){room(0), 0};
    iov[2] = (struct iovec){room(100), 100};
    lseek(fd, 0, SEEK_SET);
    assert_int_equal(C3(__NR_readv, fd, iov, 3), 26);
    assert_int_equal(C5(__NR_preadv, fd, iov, 3, 20, 0), 6);
    assert_int_equal(C6(__NR_preadv2, fd, iov, 3, 23, 0, 0), 3);
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

static void scenario_attributes(void)
{
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

static void scenario_waits(void)
{
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
    assert_int_equal(C5(__NR_select, fds[0] + 1, set, 0, 0, room_with(&(struct timeval){1000, 5}, 16)), -EINTR);
    assert_int_equal(set[0], 1ull << fds[0]);
    assert_int_equal(
        C6(__NR_pselect6, fds[0] + 1, set, 0, 0, room_with(&(struct timespec){1000, 5}, 16), 0), -EINTR);
    // ERESTART_RESTARTBLOCK becomes EINTR where a handler runs; the rest is stored
    assert_int_equal(C2(__NR_nanosleep, room_with(&(struct timespec){1000, 0}, 16), room(16)), -EINTR);
    assert_int_equal(C4(__NR_clock_nanosleep, CLOCK_MONOTONIC, 0, room_with(&(struct timespec){1000, 0}, 16), room(16)),
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
    assert_int_equal(C5(__NR_select, fds[1] + 1, set, write_set, except, room_with(&(struct timeval){5, 0}, 16)), 1);
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

static void scenario_children(void)
{
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

static void scenario_identity(void)
{
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
    munmap(pages, 5 * 4096);
}
