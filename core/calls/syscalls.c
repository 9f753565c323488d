// The rows of core/calls/syscalls.def, and what needs nothing but them and the arguments.
#include "core/calls/syscall_requests.h"
#include "core/calls/syscall_numbers.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/file.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/socket.h>
#include <sys/wait.h>

// A wait in 64 bits: its kind, timeout and condition, as PACK puts them.
enum { UNTIL_POINTER = 1, UNTIL_MILLISECONDS, CONDITION_UNLESS = 1, CONDITION_ONLY_IF };
#define PACK(value, at)  ((uint64_t)(value) << (at))
#define PART(packed, at) ((unsigned)((packed) >> (at)) & 15)
#define WAIT_KIND(wait)  ((enum syscall_wait)((wait)&255))
enum {
    TIMEOUT_FORM = 8,
    TIMEOUT_ARGUMENT = 12,
    CONDITION_FORM = 16,
    CONDITION_ARGUMENT = 20,
    CONDITION_BITS = 32
};

#define UNTIL(i)    (PACK(UNTIL_POINTER, TIMEOUT_FORM) | PACK(i, TIMEOUT_ARGUMENT))
#define UNTIL_MS(i) (PACK(UNTIL_MILLISECONDS, TIMEOUT_FORM) | PACK(i, TIMEOUT_ARGUMENT))
#define UNLESS(i, bits)                                                                                      \
    (PACK(CONDITION_UNLESS, CONDITION_FORM) | PACK(i, CONDITION_ARGUMENT) | PACK(bits, CONDITION_BITS))
#define ONLY_IF(i, bits)                                                                                     \
    (PACK(CONDITION_ONLY_IF, CONDITION_FORM) | PACK(i, CONDITION_ARGUMENT) | PACK(bits, CONDITION_BITS))

// An effect in 32: its kind, the argument that it is on, and where its value is.
enum { VALUE_NOWHERE, VALUE_IN, VALUE_AT };
enum { EFFECT_ARGUMENT = 8, VALUE_FORM = 12, VALUE_ARGUMENT = 16 };
#define EFFECT_KIND(effect)       ((enum syscall_effect)((effect)&255))
#define ON(kind, argument, value) (EFFECT_##kind | PACK(argument, EFFECT_ARGUMENT) | (value))
#define NOWHERE                   0
#define VALUE(i)                  (PACK(VALUE_IN, VALUE_FORM) | PACK(i, VALUE_ARGUMENT))
#define AT(i)                     (PACK(VALUE_AT, VALUE_FORM) | PACK(i, VALUE_ARGUMENT))
#define EFFECT_OPEN(path, flags)  ON(OPEN, path, flags)
#define EFFECT_WRITE(fd, offset)  ON(WRITE, fd, offset)
#define EFFECT_COPY(fd, offset)   ON(COPY, fd, offset)
#define EFFECT_NEW_PAIR(address)  ON(NEW_PAIR, address, NOWHERE)
// Of a row that leaves the column free.
enum { WAITS_0 = WAITS_NOT, EFFECT_0 = EFFECT_ELSE };

static const struct syscall_row rows[] = {
#define SYSCALL(number, call, what, waits, does, result, count, ...)                                         \
    [number] = {.name = #call,                                                                               \
                .policy = POLICY_##what,                                                                     \
                .wait = WAITS_##waits,                                                                       \
                .effect = EFFECT_##does,                                                                     \
                .answer = (result),                                                                          \
                .args = (count)},
#include "core/calls/syscalls.def"
#undef SYSCALL
};

// A row has its number; its columns name arguments that the call has; what never reaches the kernel neither waits nor does
// anything; the effects that an engine has code for belong to the calls that get there.
#define HAS(argument, count, form) ((form) ? (argument) < (count) : 1)
#define ONLY_OF(kinds, policy)     ((kinds) ? (policy) : 1)
#define SYSCALL(number, call, what, waits, does, result, count, ...)                                         \
    static_assert((number) == __NR_##call, "the row of " #call " has the wrong number");                     \
    static_assert(                                                                                           \
        HAS(PART(WAITS_##waits, TIMEOUT_ARGUMENT), count, PART(WAITS_##waits, TIMEOUT_FORM)) &&              \
            HAS(PART(WAITS_##waits, CONDITION_ARGUMENT), count, PART(WAITS_##waits, CONDITION_FORM)),        \
        "the wait of " #call " names an argument that it does not have");                                    \
    static_assert(HAS(PART(EFFECT_##does, EFFECT_ARGUMENT), count, (EFFECT_##does) >> EFFECT_ARGUMENT) &&    \
                      HAS(PART(EFFECT_##does, VALUE_ARGUMENT), count, PART(EFFECT_##does, VALUE_FORM)),      \
                  "the effect of " #call " names an argument that it does not have");                        \
    static_assert(ONLY_OF(POLICY_##what >= POLICY_FAKE, !(WAITS_##waits) && !(EFFECT_##does)),               \
                  #call " is answered by refork and cannot wait or have an effect");                         \
    static_assert(ONLY_OF(EFFECT_KIND(EFFECT_##does) >= EFFECT_BIRTH &&                                      \
                              EFFECT_KIND(EFFECT_##does) <= EFFECT_REGISTERS,                                \
                          POLICY_##what == POLICY_TASK),                                                     \
                  "the effect of " #call " is known of TASK rows alone");                                    \
    static_assert(ONLY_OF(EFFECT_KIND(EFFECT_##does) == EFFECT_PROTECT, POLICY_##what == POLICY_MEMORY),     \
                  "the effect of " #call " is known of MEMORY rows alone");
#include "core/calls/syscalls.def"
#undef SYSCALL

#define ROWS ((long)(sizeof rows / sizeof rows[0]))

static const struct syscall_row unknown_row = {
    .name = "unknown", .policy = POLICY_REFUSE, .answer = ENOSYS, .args = 6};

const struct syscall_row *syscall_row(long nr) {
    return nr >= 0 && nr < ROWS && rows[nr].name ? &rows[nr] : &unknown_row;
}

const char *syscall_name_in(long nr, char room[SYSCALL_NAME]) {
    const struct syscall_row *row = syscall_row(nr);
    if (row != &unknown_row) return row->name;
    snprintf(room, SYSCALL_NAME, "syscall_%ld", nr);
    return room;
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

enum syscall_wait syscall_wait(long nr) {
    return WAIT_KIND(syscall_row(nr)->wait);
}

bool syscall_has_timeout(long nr, const uint64_t args[6]) {
    uint64_t wait = syscall_row(nr)->wait, value = args[PART(wait, TIMEOUT_ARGUMENT)];
    if (WAIT_KIND(wait) == WAITS_TIME || WAIT_KIND(wait) == WAITS_AGAIN)
        return true; // the kernel restarts timed waits so
    if (PART(wait, TIMEOUT_FORM) == UNTIL_MILLISECONDS) return (int32_t)value >= 0;
    return PART(wait, TIMEOUT_FORM) && value;
}

bool syscall_only_sleeps(long nr, const uint64_t args[6]) {
    switch (syscall_wait(nr)) {
    case WAITS_TIME:
        return true;
    case WAITS_POLL:
        return args[1] == 0;
    case WAITS_SELECT:
        return args[0] == 0;
    default:
        return false;
    }
}

int syscall_awaited_child(long nr, const uint64_t args[6]) {
    if (nr == __NR_wait4) return (int)args[0] > 0 ? (int)args[0] : 0;
    return nr == __NR_waitid && args[0] == P_PID ? (int)args[1] : 0;
}

enum syscall_effect syscall_effect(long nr) {
    return EFFECT_KIND(syscall_row(nr)->effect);
}

uint64_t syscall_effect_on(long nr, const uint64_t args[6]) {
    return args[PART(syscall_row(nr)->effect, EFFECT_ARGUMENT)];
}

bool syscall_effect_value(long nr, const uint64_t args[6], tracee_reader read, void *context,
                          uint64_t *value) {
    uint32_t effect = syscall_row(nr)->effect;
    *value = args[PART(effect, VALUE_ARGUMENT)];
    if (PART(effect, VALUE_FORM) == VALUE_IN) return true;
    return PART(effect, VALUE_FORM) == VALUE_AT && *value && read(context, *value, value, sizeof *value);
}

// What neither row nor flags say: zero as a timeout, an offset, a request.
bool syscall_may_block(long nr, const uint64_t args[6]) {
    uint64_t wait = syscall_row(nr)->wait;
    bool set = args[PART(wait, CONDITION_ARGUMENT)] & wait >> CONDITION_BITS;
    if (!wait || (PART(wait, CONDITION_FORM) && set != (PART(wait, CONDITION_FORM) == CONDITION_ONLY_IF)))
        return false;
    if (PART(wait, TIMEOUT_FORM) == UNTIL_MILLISECONDS)
        return (int32_t)args[PART(wait, TIMEOUT_ARGUMENT)] != 0;
    switch (nr) {
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
