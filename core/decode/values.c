#include "core/decode/values.h"

#include "core/calls/syscall_requests.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

enum { KERNEL_RTMIN = 32, KERNEL_SIGNALS = 64 };

bool decode_read(struct decode_memory memory, uint64_t address, void *buffer, size_t len) {
    return memory.read && address && memory.read(memory.context, address, buffer, len);
}

size_t decode_bytes(struct decode_memory memory, uint64_t address, void *buffer, size_t len) {
    if (decode_read(memory, address, buffer, len)) return len;
    size_t have = 0;
    while (have < len && decode_read(memory, address + have, (char *)buffer + have, 1))
        have++;
    return have;
}

void decode_pointer(struct text *t, uint64_t address) {
    text_add(t, address ? "%#llx" : "NULL", (unsigned long long)address);
}

void decode_descriptor(struct text *t, const struct decode_call *c, int fd) {
    char name[256];
    text_add(t, "%d", fd);
    if (!c->descriptor || !c->descriptor(c->descriptor_context, fd, name, sizeof name)) return;
    text_add(t, "<");
    bool path = *name == '/'; // of which a '>' would end the name
    for (const char *p = name; *p; p++)
        text_add(t, (path && (*p == '<' || *p == '>')) || (unsigned char)*p < ' ' ? "\\%o" : "%c", *p);
    text_add(t, ">");
}

static void add_signal(struct text *t, int signal, const char *prefix) {
    // The libc says POLL, which is the same signal
    const char *name = signal == SIGIO                       ? "IO"
                       : signal > 0 && signal < KERNEL_RTMIN ? sigabbrev_np(signal)
                                                             : NULL;
    if (name)
        text_add(t, "%s%s", prefix, name);
    else if (signal == KERNEL_RTMIN)
        text_add(t, "%sRTMIN", prefix);
    else if (signal > KERNEL_RTMIN && signal <= KERNEL_SIGNALS)
        text_add(t, "%sRT_%d", prefix, signal - KERNEL_RTMIN);
    else
        text_add(t, "%d", signal);
}

void decode_signal(struct text *t, int signal) {
    add_signal(t, signal, "SIG");
}

void decode_sigset(struct text *t, uint64_t set) {
    bool most = __builtin_popcountll(set) >= KERNEL_SIGNALS * 2 / 3;
    if (most) set = ~set;
    text_add(t, most ? "~[" : "[");
    bool any = false;
    for (int signal = 1; signal <= KERNEL_SIGNALS; signal++) {
        if (!(set >> (signal - 1) & 1)) continue;
        if (any) text_add(t, " ");
        add_signal(t, signal, "");
        any = true;
    }
    text_add(t, "]");
}

void decode_status(struct text *t, int status) {
    text_add(t, "{");
    if (WIFEXITED(status)) {
        text_add(t, "WIFEXITED(s) && WEXITSTATUS(s) == %d", WEXITSTATUS(status));
    } else if (WIFSIGNALED(status)) {
        text_add(t, "WIFSIGNALED(s) && WTERMSIG(s) == ");
        decode_signal(t, WTERMSIG(status));
        if (WCOREDUMP(status)) text_add(t, " && WCOREDUMP(s)");
    } else if (WIFCONTINUED(status)) {
        text_add(t, "WIFCONTINUED(s)");
    } else {
        text_add(t, "WIFSTOPPED(s) && WSTOPSIG(s) == ");
        decode_signal(t, WSTOPSIG(status));
    }
    text_add(t, "}");
}

static void add_type(struct text *t, uint32_t mode) {
    const char *type = decode_name(SET_file_type, mode & S_IFMT);
    if (type)
        text_add(t, "%s|", type);
    else if (mode & S_IFMT)
        text_add(t, "%#o|", mode & S_IFMT);
    if (mode & S_ISUID) text_add(t, "S_ISUID|");
    if (mode & S_ISGID) text_add(t, "S_ISGID|");
    if (mode & S_ISVTX) text_add(t, "S_ISVTX|");
    text_add(t, "%#03o", mode & 0777);
}

static void add_limit(struct text *t, uint64_t limit) {
    if (limit == UINT64_MAX)
        text_add(t, "RLIM64_INFINITY");
    else if (limit > 1024 && limit % 1024 == 0)
        text_add(t, "%llu*1024", (unsigned long long)limit / 1024);
    else
        text_add(t, "%llu", (unsigned long long)limit);
}

// The lowest byte is the signal that the child's end sends.
static void add_clone(struct text *t, uint64_t flags) {
    int signal = flags & 0xff;
    if (flags & ~0xffull) decode_flags(t, SET_clone, flags & ~0xffull);
    if (signal || !flags) {
        if (flags & ~0xffull) text_add(t, "|");
        decode_signal(t, signal);
    }
}

static int64_t sign_extended(uint64_t value, size_t size) {
    if (size == 1) return (int8_t)value;
    if (size == 2) return (int16_t)value;
    if (size == 4) return (int32_t)value;
    return (int64_t)value;
}

static void add_directory(struct text *t, const struct decode_call *c, int fd) {
    if (fd == AT_FDCWD)
        text_add(t, "AT_FDCWD");
    else
        decode_descriptor(t, c, fd);
}

static void add_request(struct text *t, const char *name, uint64_t number) {
    if (name)
        text_add(t, "%s", name);
    else
        text_add(t, "%#llx", (unsigned long long)number);
}

static void add_protocol(struct text *t, uint64_t family, uint64_t protocol) {
    if (family == AF_INET || family == AF_INET6)
        decode_enum(t, SET_inet_protocol, protocol);
    else
        text_add(t, "%llu", (unsigned long long)protocol);
}

void decode_value(struct text *t, const struct decode_call *c, struct form form, uint64_t value,
                  size_t size) {
    uint64_t whole = size >= 8 ? value : value & ((1ull << 8 * size) - 1);
    switch (form.kind) {
    case FORM_UINT:
        text_add(t, "%llu", (unsigned long long)whole);
        break;
    case FORM_HEX:
        text_add(t, "%#llx", (unsigned long long)whole);
        break;
    case FORM_OCT:
        text_add(t, "%#03llo", (unsigned long long)whole);
        break;
    case FORM_PTR:
        decode_pointer(t, whole);
        break;
    case FORM_DIRFD:
        add_directory(t, c, (int)value);
        break;
    case FORM_FD:
        decode_descriptor(t, c, (int)value);
        break;
    case FORM_SIGNAL:
        decode_signal(t, (int)value);
        break;
    case FORM_TYPE:
        add_type(t, (uint32_t)value);
        break;
    case FORM_DEVICE:
        text_add(t, "makedev(%#x, %#x)", major(value), minor(value));
        break;
    case FORM_FLAGS:
        decode_flags(t, form.which, whole);
        break;
    case FORM_ENUM:
        decode_enum(t, form.which, whole);
        break;
    case FORM_REQUEST:
        add_request(t, request_name(c->nr, form.arg, value), whole);
        break;
    case FORM_CLONE:
        add_clone(t, whole);
        break;
    case FORM_LIMIT:
        add_limit(t, value);
        break;
    case FORM_PORT:
        text_add(t, "htons(%u)", ntohs((uint16_t)value));
        break;
    case FORM_PROTOCOL:
        add_protocol(t, c->args[0], whole);
        break;
    default: // FORM_INT
        text_add(t, "%lld", (long long)sign_extended(value, size));
        break;
    }
}
