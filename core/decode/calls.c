#include "core/decode/calls.h"

#include "core/abi.h"
#include "core/decode/memory.h"
#include "core/decode/structs.h"
#include "core/decode/values.h"
#include "core/calls/syscalls.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

enum result_kind {
    RESULT_INT,
    RESULT_FD,
    RESULT_HEX,
    RESULT_OCT,
    RESULT_PTR,
    RESULT_NEVER,
    RESULT_FDFLAGS,   // of F_GETFD
    RESULT_OPENFLAGS, // of F_GETFL
    RESULT_SEALS,     // of F_GET_SEALS
};

struct row {
    uint8_t result; // enum result_kind
    bool written;   // false: there is no such row
    struct form forms[6];
};

// A number has the size of its argument in `arg`.
#define INT                                                                                                  \
    { FORM_INT, 0, 4 }
#define LONG                                                                                                 \
    { FORM_INT, 0, 8 }
#define UINT                                                                                                 \
    { FORM_UINT, 0, 8 }
#define U32                                                                                                  \
    { FORM_UINT, 0, 4 }
#define HEX                                                                                                  \
    { FORM_HEX, 0, 8 }
#define X32                                                                                                  \
    { FORM_HEX, 0, 4 }
#define OFFSET                                                                                               \
    { FORM_HEX, 0, 8 }
#define OCT                                                                                                  \
    { FORM_OCT, 0, 4 }
#define PTR                                                                                                  \
    { FORM_PTR, 0, 8 }
#define FD                                                                                                   \
    { FORM_FD, 0, 4 }
#define DIRFD                                                                                                \
    { FORM_DIRFD, 0, 4 }
#define SIGNAL                                                                                               \
    { FORM_SIGNAL, 0, 4 }
#define TYPE                                                                                                 \
    { FORM_TYPE, 0, 4 }
#define PROTOCOL                                                                                             \
    { FORM_PROTOCOL, 0, 4 }
#define UNUSED                                                                                               \
    { FORM_UNUSED, 0, 0 }
#define FLAGS(set)                                                                                           \
    { FORM_FLAGS, SET_##set, 4 }
#define ENUM(set)                                                                                            \
    { FORM_ENUM, SET_##set, 4 }
#define BITSET                                                                                               \
    { FORM_ENUM, SET_futex_bits, 4 }
#define REQUEST(i)                                                                                           \
    { FORM_REQUEST, 0, i }
#define PATH                                                                                                 \
    { FORM_PATH, 0, 0 }
#define STRING                                                                                               \
    { FORM_STRING, 0, 0 }
#define STRINGS                                                                                              \
    { FORM_STRINGS, 0, 0 }
#define ENVIRONMENT                                                                                          \
    { FORM_ENVIRONMENT, 0, 0 }
#define BYTES_IN(i)                                                                                          \
    { FORM_BYTES_IN, 0, i }
#define BYTES_OUT                                                                                            \
    { FORM_BYTES_OUT, 0, 0 }
#define HEX_OUT                                                                                              \
    { FORM_HEX_OUT, 0, 0 }
#define STRING_OUT                                                                                           \
    { FORM_STRING_OUT, 0, 0 }
#define NAME_OUT                                                                                             \
    { FORM_STRING_OUT, 0, 0 }
#define INT_IN                                                                                               \
    { FORM_INT_IN, 0, 0 }
#define INT_OUT                                                                                              \
    { FORM_INT_OUT, 0, 0 }
#define LONG_IN                                                                                              \
    { FORM_LONG_IN, 0, 0 }
#define LONG_OUT                                                                                             \
    { FORM_LONG_OUT, 0, 0 }
#define PAIR_OUT                                                                                             \
    { FORM_PAIR_OUT, 0, 0 }
#define IN(id)                                                                                               \
    { FORM_STRUCT_IN, STRUCT_##id, 0 }
#define OUT(id)                                                                                              \
    { FORM_STRUCT_OUT, STRUCT_##id, 0 }
#define TIMEOUT(id)                                                                                          \
    { FORM_TIMEOUT, STRUCT_##id, 0 }
#define LEFT(id)                                                                                             \
    { FORM_LEFT, STRUCT_##id, 0 }
#define PAIR_IN(id)                                                                                          \
    { FORM_PAIR_IN, STRUCT_##id, 0 }
#define ARRAY_IN(id, i)                                                                                      \
    { FORM_ARRAY_IN, STRUCT_##id, i }
#define ARRAY_OUT(id)                                                                                        \
    { FORM_ARRAY_OUT, STRUCT_##id, 0 }
#define IOVEC_IN(i)                                                                                          \
    { FORM_IOVEC_IN, 0, i }
#define IOVEC_OUT(i)                                                                                         \
    { FORM_IOVEC_OUT, 0, i }
#define ADDRESS_IN(i)                                                                                        \
    { FORM_ADDRESS_IN, 0, i }
#define ADDRESS_OUT(i)                                                                                       \
    { FORM_ADDRESS_OUT, 0, i }
#define LENGTH                                                                                               \
    { FORM_LENGTH, 0, 0 }
#define MESSAGE_IN                                                                                           \
    { FORM_MESSAGE_IN, 0, 0 }
#define MESSAGE_OUT                                                                                          \
    { FORM_MESSAGE_OUT, 0, 0 }
#define OPTION_IN(i)                                                                                         \
    { FORM_OPTION_IN, 0, i }
#define OPTION_OUT                                                                                           \
    { FORM_OPTION_OUT, 0, 4 }
#define SIGSET_IN                                                                                            \
    { FORM_SIGSET_IN, 0, 0 }
#define SIGSET_OUT                                                                                           \
    { FORM_SIGSET_OUT, 0, 0 }
#define STATUS_OUT                                                                                           \
    { FORM_STATUS_OUT, 0, 0 }
#define FD_SET_OF                                                                                            \
    { FORM_FD_SET, 0, 0 }
#define POLL(i)                                                                                              \
    { FORM_POLL, 0, i }
#define ENTRIES_OUT                                                                                          \
    { FORM_ENTRIES_OUT, 0, 0 }
#define CLONE                                                                                                \
    { FORM_CLONE_ALL, 0, 0 }

enum { ROWS = 512 }; // numbers of calls are below this

static const struct row rows[ROWS] = {
#define CALL(name, result, ...) [__NR_##name] = {RESULT_##result, true, {__VA_ARGS__}},
#define CALL_IF(...)
#include "core/decode/calls.def"
#undef CALL
#undef CALL_IF
};

static const struct row_if {
    int nr, arg;
    uint32_t bits, value;
    struct row row;
} rows_if[] = {
#define CALL(...)
#define CALL_IF(name, arg, bits, value, result, ...)                                                         \
    {__NR_##name, arg, (uint32_t)(bits), (uint32_t)(value), {RESULT_##result, true, {__VA_ARGS__}}},
#include "core/decode/calls.def"
#undef CALL
#undef CALL_IF
};

// The arguments of a call that has no row.
static struct row plain_row(long nr) {
    struct row row = {.written = true};
    for (int i = 0; i < syscall_row(nr)->args && i < 6; i++)
        row.forms[i] = (struct form)HEX;
    return row;
}

static struct row find_row(const struct decode_call *c) {
    for (size_t i = 0; i < sizeof rows_if / sizeof *rows_if; i++) {
        const struct row_if *r = &rows_if[i];
        if (r->nr == c->nr && ((uint32_t)c->args[r->arg] & r->bits) == r->value) return r->row;
    }
    return c->nr >= 0 && c->nr < ROWS && rows[c->nr].written ? rows[c->nr] : plain_row(c->nr);
}

static void add_arguments(struct text *t, const struct decode_call *c, const struct row *row, int from,
                          int until) {
    for (int i = from; i < until; i++) {
        struct form form = row->forms[i];
        if (form.kind == FORM_UNUSED) continue;
        if (i > from) text_add(t, ", ");
        if (form.kind > FORM_UNUSED)
            decode_memory(t, c, form, c->args[i]);
        else
            decode_value(t, c, form, c->args[i], form.kind == FORM_REQUEST ? 4 : form.arg);
    }
}

// The first argument that is known late, and how many there are.
static void bounds(const struct row *row, int *late, int *count) {
    *count = 0;
    while (*count < 6 && row->forms[*count].kind != FORM_NONE)
        ++*count;
    *late = 0;
    while (*late < *count && !decode_is_late(row->forms[*late].kind))
        ++*late;
}

void decode_entry(struct text *t, struct decode_call *c) {
    int late, count;
    struct row row = find_row(c);
    bounds(&row, &late, &count);
    text_add(t, "%s(", syscall_name(c->nr));
    add_arguments(t, c, &row, 0, late);
    if (late && late < count) text_add(t, ", ");
    for (int i = late; i < count; i++)
        if (row.forms[i].kind == FORM_LENGTH)
            c->has_length = decode_read(c->in, c->args[i], &c->length, sizeof c->length);
}

// The kernel's own codes (include/linux/errno.h) never reach the program: the call is made again, or is EINTR.
static void add_error(struct text *t, int error) {
    static const struct {
        int code;
        const char *text;
    } restarts[] = {{512, "ERESTARTSYS (To be restarted if SA_RESTART is set)"},
                    {513, "ERESTARTNOINTR (To be restarted)"},
                    {514, "ERESTARTNOHAND (To be restarted if no handler)"},
                    {516, "ERESTART_RESTARTBLOCK (Interrupted by signal)"}};
    for (size_t i = 0; i < sizeof restarts / sizeof *restarts; i++) {
        if (restarts[i].code != error) continue;
        text_add(t, "? %s", restarts[i].text);
        return;
    }
    const char *name = strerrorname_np(error), *description = strerrordesc_np(error);
    if (name && description)
        text_add(t, "-1 %s (%s)", name, description);
    else
        text_add(t, "-1 (errno %d)", error);
}

static void add_result_flags(struct text *t, enum decode_set set, int64_t result) {
    text_add(t, result ? "%#llx" : "%lld", (long long)result);
    if (!result && set != SET_open) return;
    text_add(t, " (flags ");
    decode_flags(t, set, (uint64_t)result);
    text_add(t, ")");
}

static void add_result(struct text *t, const struct decode_call *c, const struct row *row) {
    text_add(t, "= ");
    if (row->result == RESULT_NEVER) {
        text_add(t, "?");
        return;
    }
    if (is_error(c->result)) {
        add_error(t, (int)-c->result);
        return;
    }
    switch (row->result) {
    case RESULT_FD:
        decode_descriptor(t, c, (int)c->result);
        break;
    case RESULT_HEX:
    case RESULT_PTR:
        text_add(t, c->result ? "%#llx" : "%lld", (long long)c->result);
        break;
    case RESULT_OCT:
        text_add(t, "%#03llo", (long long)c->result);
        break;
    case RESULT_FDFLAGS:
        add_result_flags(t, SET_fd_flags, c->result);
        break;
    case RESULT_OPENFLAGS:
        add_result_flags(t, SET_open, c->result);
        break;
    case RESULT_SEALS:
        add_result_flags(t, SET_seals, c->result);
        break;
    default:
        text_add(t, "%lld", (long long)c->result);
        break;
    }
}

void decode_result(struct text *t, const struct decode_call *c) {
    struct row row = find_row(c);
    add_result(t, c, &row);
}

void decode_exit(struct text *t, const struct decode_call *c, size_t column) {
    int late, count;
    struct row row = find_row(c);
    bounds(&row, &late, &count);
    add_arguments(t, c, &row, late, count);
    text_add(t, ")%*s", t->used + 1 < column ? (int)(column - t->used - 1) : 1, "");
    add_result(t, c, &row);
    decode_ready(t, c, row.forms);
}
