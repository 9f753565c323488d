// The rows of core/syscalls.def, and what needs nothing but them and the arguments.
#include "core/syscall_requests.h"
#include "core/syscall_numbers.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define BLOCK     SYS_MAY_BLOCK
#define NO_RETURN SYS_NO_RETURN

static const struct syscall_row rows[] = {
#define SYSCALL(number, call, what, bits, result, count, ...)                                                \
    [number] = {.name = #call, .policy = POLICY_##what, .flags = (bits), .answer = (result), .args = (count)},
#include "core/syscalls.def"
#undef SYSCALL
};

#define SYSCALL(number, call, what, bits, result, count, ...)                                                \
    static_assert((number) == __NR_##call, "the row of " #call " has the wrong number");
#include "core/syscalls.def"
#undef SYSCALL

#define ROWS ((long)(sizeof rows / sizeof rows[0]))

static const struct syscall_row unknown_row = {
    .name = "unknown", .policy = POLICY_REFUSE, .answer = ENOSYS, .args = 6};

const struct syscall_row *syscall_row(long nr) {
    return nr >= 0 && nr < ROWS && rows[nr].name ? &rows[nr] : &unknown_row;
}

const char *syscall_name(long nr) {
    const struct syscall_row *row = syscall_row(nr);
    if (row != &unknown_row) return row->name;
    // A few at a time may be in use in one message.
    static _Thread_local char names[4][32];
    static _Thread_local unsigned next;
    char *name = names[next++ % 4];
    snprintf(name, sizeof names[0], "syscall_%ld", nr);
    return name;
}

bool syscall_answer(long nr, const uint64_t args[6], int64_t *answer, bool *said) {
    const struct syscall_row *row = syscall_row(nr);
    if (request_answer(nr, args, answer, said)) return true;
    *said = row->policy == POLICY_REFUSE;
    if (row->policy == POLICY_REFUSE)
        *answer = -row->answer;
    else if (row->policy == POLICY_FAKE)
        *answer = row->answer;
    else
        return false;
    return true;
}

// Calls that do not sleep when a bit of a flags argument is set: MSG_DONTWAIT, WNOHANG, O_NONBLOCK...
static const struct {
    short nr;
    uint8_t arg;
    uint32_t never; // any of these bits: does not block
} nonblocking[] = {
    {__NR_open, 1, O_NONBLOCK | O_DIRECTORY | O_PATH},
    {__NR_openat, 2, O_NONBLOCK | O_DIRECTORY | O_PATH},
    {__NR_open_by_handle_at, 2, O_NONBLOCK | O_DIRECTORY | O_PATH},
    {__NR_sendto, 3, MSG_DONTWAIT},
    {__NR_recvfrom, 3, MSG_DONTWAIT},
    {__NR_sendmsg, 2, MSG_DONTWAIT},
    {__NR_recvmsg, 2, MSG_DONTWAIT},
    {__NR_sendmmsg, 3, MSG_DONTWAIT},
    {__NR_recvmmsg, 3, MSG_DONTWAIT},
    {__NR_wait4, 2, WNOHANG},
    {__NR_waitid, 3, WNOHANG},
    {__NR_flock, 1, LOCK_NB | LOCK_UN},
    {__NR_msgsnd, 3, IPC_NOWAIT},
    {__NR_msgrcv, 4, IPC_NOWAIT},
};

bool syscall_may_block(long nr, const uint64_t args[6]) {
    if (!(syscall_row(nr)->flags & SYS_MAY_BLOCK)) return false;
    for (size_t i = 0; i < sizeof nonblocking / sizeof nonblocking[0]; i++)
        if (nonblocking[i].nr == nr) return !((uint32_t)args[nonblocking[i].arg] & nonblocking[i].never);
    switch (nr) {
    case __NR_poll:
        return (int32_t)args[2] != 0;
    case __NR_epoll_wait:
    case __NR_epoll_pwait:
        return (int32_t)args[3] != 0;
    case __NR_clone:
        return args[0] & 0x4000; // CLONE_VFORK
    // With an offset they are pread and pwrite; -1 stands for the file's own position.
    case __NR_preadv2:
    case __NR_pwritev2:
        return args[3] == UINT64_MAX;
    case __NR_syslog:
        return (int32_t)args[0] == 2; // SYSLOG_ACTION_READ
    case __NR_ioctl:
    case __NR_fcntl:
    case __NR_futex:
        return request_may_block(nr, args);
    default:
        return true;
    }
}

static int format_argument(char *buffer, size_t size, long nr, int index, uint64_t value) {
    const char *name = request_name(nr, index, value);
    if (name) return snprintf(buffer, size, "%s", name);
    // An int argument arrives as 32 bits, with or without its sign above them.
    int64_t number = (int64_t)value;
    if (value >= 0xfffff000u && value <= UINT32_MAX) number = (int32_t)value;
    if (number == AT_FDCWD && strlen(syscall_row(nr)->name) > 2) return snprintf(buffer, size, "AT_FDCWD");
    if (number > -4096 && number < 65536) return snprintf(buffer, size, "%lld", (long long)number);
    return snprintf(buffer, size, "0x%llx", (unsigned long long)value);
}

void syscall_format(long nr, const uint64_t args[6], char *buffer, size_t size) {
    if (!size) return;
    size_t used = (size_t)snprintf(buffer, size, "%s(", syscall_name(nr));
    int count = syscall_row(nr)->args;
    for (int i = 0; i < count && used < size; i++) {
        if (i) used += (size_t)snprintf(buffer + used, size - used, ", ");
        if (used < size) used += (size_t)format_argument(buffer + used, size - used, nr, i, args[i]);
    }
    if (used < size) snprintf(buffer + used, size - used, ")");
}
