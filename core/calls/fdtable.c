#include "core/calls/fdtable.h"

#include "core/abi.h"

#include "core/error.h"
#include "core/calls/syscall_numbers.h"
#include "core/calls/syscalls.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define STREAM_MASK  0x7f
#define CLOEXEC_FLAG 0x80

#define CLOSE_RANGE_UNSHARE_FLAG 2
#define CLOSE_RANGE_CLOEXEC_FLAG 4

// slots[fd]: the stream in the low bits, CLOEXEC_FLAG. Only fds that lead to a stream have a non-zero slot,
// so the array ends at the highest of these.
struct fdtable {
    unsigned references;
    size_t count;
    uint8_t *slots;
};

struct fdtable *fdtable_new(void) {
    struct fdtable *t = calloc(1, sizeof *t);
    rf_assert(t);
    t->references = 1;
    t->count = 3;
    t->slots = malloc(t->count);
    rf_assert(t->slots);
    t->slots[0] = FDTABLE_STDIN;
    t->slots[1] = FDTABLE_STDOUT;
    t->slots[2] = FDTABLE_STDERR;
    return t;
}

struct fdtable *fdtable_clone(const struct fdtable *t) {
    struct fdtable *copy = calloc(1, sizeof *copy);
    rf_assert(copy);
    copy->references = 1;
    copy->count = t->count;
    copy->slots = malloc(t->count ? t->count : 1);
    rf_assert(copy->slots);
    memcpy(copy->slots, t->slots, t->count);
    return copy;
}

struct fdtable *fdtable_ref(struct fdtable *t) {
    t->references++;
    return t;
}

void fdtable_unref(struct fdtable *t) {
    if (!t) return;
    rf_assert(t->references > 0);
    if (--t->references) return;
    free(t->slots);
    free(t);
}

static struct fdtable *unshare_table(struct fdtable *t) {
    if (t->references == 1) return t;
    struct fdtable *copy = fdtable_clone(t);
    fdtable_unref(t);
    return copy;
}

struct fdtable *fdtable_exec(struct fdtable *t) {
    t = unshare_table(t);
    for (size_t fd = 0; fd < t->count; fd++)
        if (t->slots[fd] & CLOEXEC_FLAG) t->slots[fd] = FDTABLE_NONE;
    return t;
}

int fdtable_stream(const struct fdtable *t, int fd) {
    return fd >= 0 && (size_t)fd < t->count ? t->slots[fd] & STREAM_MASK : FDTABLE_NONE;
}

// The highest fd that a kernel allows is sysctl_nr_open_max, below 2^31; a trace may claim any.
static void set_slot(struct fdtable *t, int64_t fd, int stream, bool cloexec) {
    if (fd < 0 || fd > (1 << 26)) return;
    if ((size_t)fd >= t->count) {
        if (stream == FDTABLE_NONE) return;
        uint8_t *slots = realloc(t->slots, (size_t)fd + 1);
        rf_assert(slots);
        memset(slots + t->count, FDTABLE_NONE, (size_t)fd + 1 - t->count);
        t->slots = slots;
        t->count = (size_t)fd + 1;
    }
    t->slots[fd] = (uint8_t)(stream == FDTABLE_NONE ? FDTABLE_NONE : stream | (cloexec ? CLOEXEC_FLAG : 0));
}

void fdtable_received(struct fdtable *t, int fd, int stream) {
    set_slot(t, fd, stream & STREAM_MASK, false);
}

static void set_cloexec(struct fdtable *t, int fd, bool cloexec) {
    int stream = fdtable_stream(t, fd);
    if (stream != FDTABLE_NONE) set_slot(t, fd, stream, cloexec);
}

// Reads a path of at most size-1 bytes, page by page (the next page need not be there); longer ones are no
// alias of anything.
static bool read_path(tracee_reader read, void *context, uint64_t address, char *path, size_t size) {
    for (size_t done = 0; done < size;) {
        size_t chunk = next_page(address + done) - (address + done);
        if (chunk > size - done) chunk = size - done;
        if (!read(context, address + done, path + done, chunk)) return false;
        if (memchr(path + done, 0, chunk)) return true;
        done += chunk;
    }
    return false;
}

static int stream_of_path(const struct fdtable *t, const char *path) {
    static const struct {
        const char *path;
        int fd;
    } names[] = {{"/dev/stdin", 0}, {"/dev/stdout", 1}, {"/dev/stderr", 2}};
    static const char *const folders[] = {"/dev/fd/", "/proc/self/fd/", "/proc/thread-self/fd/"};
    if (!strcmp(path, "/dev/tty")) return FDTABLE_TERMINAL;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (!strcmp(path, names[i].path)) return fdtable_stream(t, names[i].fd);
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        size_t len = strlen(folders[i]);
        if (strncmp(path, folders[i], len)) continue;
        const char *digits = path + len;
        if (!*digits || strlen(digits) > 9 || digits[strspn(digits, "0123456789")]) return FDTABLE_NONE;
        return fdtable_stream(t, atoi(digits));
    }
    return FDTABLE_NONE;
}

// openat2's struct open_how begins with u64 flags.
static void opened(struct fdtable *t, long nr, const uint64_t args[6], int64_t fd, tracee_reader read,
                   void *context) {
    uint64_t flags;
    if (!syscall_effect_value(nr, args, read, context, &flags)) flags = 0;
    char path[64];
    int stream = FDTABLE_NONE;
    if (!(flags & O_PATH) && read_path(read, context, syscall_effect_on(nr, args), path, sizeof path))
        stream = stream_of_path(t, path);
    set_slot(t, fd, stream, flags & O_CLOEXEC);
}

static struct fdtable *close_range_of(struct fdtable *t, const uint64_t args[6]) {
    uint64_t first = (uint32_t)args[0], last = (uint32_t)args[1];
    uint32_t flags = (uint32_t)args[2];
    if (flags & CLOSE_RANGE_UNSHARE_FLAG) t = unshare_table(t);
    for (uint64_t fd = first; fd <= last && fd < t->count; fd++) {
        if (flags & CLOSE_RANGE_CLOEXEC_FLAG)
            set_cloexec(t, (int)fd, true);
        else
            t->slots[fd] = FDTABLE_NONE;
    }
    return t;
}

// Two new fds that the kernel stored at `address`.
static void new_pair(struct fdtable *t, uint64_t address, tracee_reader read, void *context) {
    int fds[2];
    if (!read(context, address, fds, sizeof fds)) return;
    set_slot(t, fds[0], FDTABLE_NONE, false);
    set_slot(t, fds[1], FDTABLE_NONE, false);
}

static void fcntl_of(struct fdtable *t, const uint64_t args[6], int64_t result) {
    int fd = (int)args[0];
    switch ((uint32_t)args[1]) {
    case F_DUPFD:
        set_slot(t, result, fdtable_stream(t, fd), false);
        break;
    case F_DUPFD_CLOEXEC:
        set_slot(t, result, fdtable_stream(t, fd), true);
        break;
    case F_SETFD:
        set_cloexec(t, fd, args[2] & FD_CLOEXEC);
        break;
    }
}

struct fdtable *fdtable_syscall(struct fdtable *t, long nr, const uint64_t args[6], int64_t result,
                                tracee_reader read, void *context) {
    int fd = (int)args[0];
    if (nr == __NR_close) {
        // The slot is free even when close fails, except for EBADF (close_fd() comes before filp_flush());
        // the restart codes are made EINTR.
        if (result != -9) set_slot(t, fd, FDTABLE_NONE, false);
        return t;
    }
    if (result < 0) return t;
    switch (syscall_effect(nr)) {
    case EFFECT_OPEN:
        opened(t, nr, args, result, read, context);
        return t;
    case EFFECT_NEW_FD:
        set_slot(t, result, FDTABLE_NONE, false);
        return t;
    case EFFECT_NEW_PAIR:
        new_pair(t, syscall_effect_on(nr, args), read, context);
        return t;
    default:
        break;
    }
    switch (nr) {
    case __NR_dup:
        set_slot(t, result, fdtable_stream(t, fd), false);
        break;
    case __NR_dup2:
        if (fd != (int)args[1]) set_slot(t, result, fdtable_stream(t, fd), false);
        break;
    case __NR_dup3:
        set_slot(t, result, fdtable_stream(t, fd), args[2] & O_CLOEXEC);
        break;
    case __NR_fcntl:
        fcntl_of(t, args, result);
        break;
    case __NR_ioctl:
        if ((uint32_t)args[1] == FIOCLEX || (uint32_t)args[1] == FIONCLEX)
            set_cloexec(t, fd, (uint32_t)args[1] == FIOCLEX);
        else if ((uint32_t)args[1] == TIOCGPTPEER)
            set_slot(t, result, FDTABLE_NONE, false);
        break;
    case __NR_close_range:
        return close_range_of(t, args);
    case __NR_unshare:
        return args[0] & CLONE_FILES ? unshare_table(t) : t;
    case __NR_signalfd:
    case __NR_signalfd4:
        if (fd == -1) set_slot(t, result, FDTABLE_NONE, false);
        break;
    }
    return t;
}
