// Makes one call of refork fail, by LD_PRELOAD: FAULT_CALL=write (to a recording) or malloc, FAULT_AT=N (the N-th one), FAULT_HOW=enospc, eio,
// eintr or short (a write of half of it). FAULT_COUNT=FILE: how many there were goes into FILE. The recorded
// program and refork's helpers are left alone.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);

static bool writes, allocations;
static char how[16];
static int count_fd = -1;
static unsigned long at, seen;

__attribute__((constructor)) static void begin(void) {
    const char *call = getenv("FAULT_CALL"), *n = getenv("FAULT_AT"), *way = getenv("FAULT_HOW"),
               *count = getenv("FAULT_COUNT");
    if (!call || strcmp(program_invocation_short_name, "refork")) return;
    snprintf(how, sizeof how, "%s", way ? way : "");
    if (count) count_fd = fcntl(open(count, O_WRONLY | O_CREAT | O_TRUNC, 0600), F_DUPFD_CLOEXEC, 900);
    at = n ? strtoul(n, NULL, 10) : 0;
    unsetenv("LD_PRELOAD");
    unsetenv("FAULT_CALL");
    writes = !strcmp(call, "write");
    allocations = !strcmp(call, "malloc");
}

// Counted as it goes: refork may end without its destructors, as the recorded program did.
static bool now(void) {
    char text[32];
    unsigned long n = __atomic_add_fetch(&seen, 1, __ATOMIC_RELAXED);
    int len = snprintf(text, sizeof text, "%lu\n", n);
    if (count_fd >= 0 && syscall(SYS_pwrite64, count_fd, text, len, 0) < 0) _exit(9);
    return n == at;
}

// Is it a recording, under its own name or the one that it has first?
static bool recording(int fd) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0) return false;
    path[n] = 0;
    return strstr(path, ".refork");
}

// 0: not this time; -1: it fails; else so many bytes are written.
static ssize_t fault(int fd, size_t len) {
    if (!writes || !recording(fd) || !now()) return 0;
    if (!strcmp(how, "short")) return len > 1 ? (ssize_t)(len / 2) : 0;
    errno = !strcmp(how, "enospc") ? ENOSPC : !strcmp(how, "eio") ? EIO : EINTR;
    return -1;
}

ssize_t write(int fd, const void *buffer, size_t len) {
    ssize_t f = fault(fd, len);
    return f < 0 ? -1 : syscall(SYS_write, fd, buffer, f ? (size_t)f : len);
}

ssize_t pwrite(int fd, const void *buffer, size_t len, off_t offset) {
    ssize_t f = fault(fd, len);
    return f < 0 ? -1 : syscall(SYS_pwrite64, fd, buffer, f ? (size_t)f : len, offset);
}

ssize_t pwrite64(int fd, const void *buffer, size_t len, off_t offset) {
    return pwrite(fd, buffer, len, offset);
}

ssize_t writev(int fd, const struct iovec *v, int count) {
    ssize_t f = fault(fd, v[0].iov_len);
    return f < 0 ? -1 : f ? syscall(SYS_write, fd, v[0].iov_base, f) : syscall(SYS_writev, fd, v, count);
}

ssize_t pwritev(int fd, const struct iovec *v, int count, off_t offset) {
    ssize_t f = fault(fd, v[0].iov_len);
    return f < 0   ? -1
           : f > 0 ? syscall(SYS_pwrite64, fd, v[0].iov_base, f, offset)
                   : syscall(SYS_pwritev, fd, v, count, offset, 0);
}

static bool refused(void) {
    if (!allocations || !now()) return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size) {
    return refused() ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size) {
    return refused() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *old, size_t size) {
    return refused() ? NULL : __libc_realloc(old, size);
}
