// What a call writes and what content it reads: evaluation of the range columns of core/calls/syscalls.def.
#include "core/calls/syscall_ranges.h"

#include "core/abi.h"
#include "core/calls/syscall_calls.h"
#include "core/calls/syscall_requests.h"

#include <string.h>

enum { RULE_END, RULE_PLAIN, RULE_IOVEC, RULE_CALL };
enum { SIZE_END, SIZE_FIXED, SIZE_ARG, SIZE_INT, SIZE_RET, SIZE_PAGES };
enum { WHEN_OK, WHEN_POSITIVE, WHEN_INTERRUPTED, WHEN_ANY };

struct size_rule {
    uint8_t op;
    uint8_t arg;
    uint16_t scale; // FIXED: the bytes
};

struct range_rule {
    uint8_t kind, dir, arg, when;
    uint8_t count;             // IOVEC: the argument that holds the number of entries
    struct size_rule sizes[2]; // at exit; at entry (END: as at exit)
    void (*call)(struct walk *w);
};

#define FIXED(bytes)                                                                                         \
    { SIZE_FIXED, 0, (bytes) }
#define ARG(i)                                                                                               \
    { SIZE_ARG, (i), 1 }
#define ARGS(i, scale)                                                                                       \
    { SIZE_ARG, (i), (scale) }
#define INT(i)                                                                                               \
    { SIZE_INT, (i), 1 }
#define INTS(i, scale)                                                                                       \
    { SIZE_INT, (i), (scale) }
#define RET                                                                                                  \
    { SIZE_RET, 0, 1 }
#define RETS(scale)                                                                                          \
    { SIZE_RET, 0, (scale) }
#define PAGES(i)                                                                                             \
    { SIZE_PAGES, (i), 1 }

#define RULE(direction, argument, condition, ...)                                                            \
    {                                                                                                        \
        .kind = RULE_PLAIN, .dir = (direction), .arg = (argument), .when = (condition), .sizes = {           \
            __VA_ARGS__                                                                                      \
        }                                                                                                    \
    }
#define OUT(arg, ...)               RULE(RANGE_OUT, arg, WHEN_OK, __VA_ARGS__)
#define OUT_POSITIVE(arg, ...)      RULE(RANGE_OUT, arg, WHEN_POSITIVE, __VA_ARGS__)
#define OUT_ANY(arg, ...)           RULE(RANGE_OUT, arg, WHEN_ANY, __VA_ARGS__)
#define INOUT(arg, ...)             RULE(RANGE_INOUT, arg, WHEN_OK, __VA_ARGS__)
#define INOUT_INTERRUPTED(arg, ...) RULE(RANGE_INOUT, arg, WHEN_INTERRUPTED, __VA_ARGS__)
#define INOUT_ANY(arg, ...)         RULE(RANGE_INOUT, arg, WHEN_ANY, __VA_ARGS__)
#define IN(arg, ...)                RULE(RANGE_IN, arg, WHEN_OK, __VA_ARGS__)
#define IOVEC_OUT(address, entries)                                                                          \
    { .kind = RULE_IOVEC, .dir = RANGE_OUT, .arg = (address), .count = (entries) }
#define IOVEC_IN(address, entries)                                                                           \
    { .kind = RULE_IOVEC, .dir = RANGE_IN, .arg = (address), .count = (entries) }
#define CALL(name)                                                                                           \
    { .kind = RULE_CALL, .call = walk_##name }

#define RULES_PER_ROW 4

static const struct range_rule rules[][RULES_PER_ROW] = {
#define SYSCALL(number, name, policy, wait, effect, answer, args, ...) [number] = {__VA_ARGS__},
#include "core/calls/syscalls.def"
#undef SYSCALL
};

static uint64_t size_of(const struct walk *w, const struct size_rule *s) {
    uint64_t value = w->args[s->arg];
    switch (s->op) {
    case SIZE_FIXED:
        return s->scale;
    case SIZE_INT:
        return (int32_t)value < 0 ? 0 : (uint64_t)(int32_t)value * s->scale;
    case SIZE_PAGES:
        return value / PAGE + (value % PAGE != 0);
    case SIZE_RET:
        return *w->result < 0 ? 0 : (uint64_t)*w->result * s->scale;
    default:
        return value > UINT64_MAX / s->scale ? UINT64_MAX : value * s->scale;
    }
}

static bool applies(const struct walk *w, int when) {
    if (!w->result) return true;
    switch (when) {
    case WHEN_OK:
        return !is_error(*w->result);
    case WHEN_POSITIVE:
        return *w->result > 0;
    case WHEN_INTERRUPTED:
        return result_interrupted(*w->result);
    default:
        return true;
    }
}

static void plain(struct walk *w, const struct range_rule *rule) {
    uint64_t address = w->args[rule->arg];
    if (!address || !applies(w, rule->when)) return;
    const struct size_rule *most = &rule->sizes[rule->sizes[1].op != SIZE_END];
    uint64_t size = size_of(w, most);
    if (rule->sizes[0].op == SIZE_RET) {
        if (size > MAX_RW_COUNT) size = MAX_RW_COUNT;
        if (w->result) {
            uint64_t written = size_of(w, &rule->sizes[0]);
            if (written < size) size = written;
        }
    }
    // A failed call may have failed because of this very pointer.
    if (w->result && is_error(*w->result))
        walk_add_readable(w, rule->dir, rule->arg, address, size);
    else
        walk_add(w, rule->dir, rule->arg, address, size);
}

int syscall_ranges(long nr, const uint64_t args[6], const int64_t *result, tracee_reader read, void *context,
                   struct syscall_range *out) {
    const struct syscall_row *row = syscall_row(nr);
    struct walk w = {.nr = nr, .args = args, .result = result, .read = read, .context = context, .out = out};
    if (row->policy == POLICY_FAKE) return 0;
    if (row->policy == POLICY_REFUSE) return -1;
    const struct range_rule *rule = rules[nr];
    for (int i = 0; i < RULES_PER_ROW && rule[i].kind != RULE_END && w.count >= 0; i++) {
        switch (rule[i].kind) {
        case RULE_PLAIN:
            // Two rules for one argument (different conditions) are one range at entry.
            if (!result && i > 0 && rule[i - 1].kind == RULE_PLAIN && rule[i - 1].arg == rule[i].arg) break;
            plain(&w, &rule[i]);
            break;
        case RULE_IOVEC:
            if (result && *result <= 0) break;
            walk_iovec(&w, rule[i].dir, args[rule[i].arg], args[rule[i].count],
                       result ? (uint64_t)*result : UINT64_MAX);
            break;
        case RULE_CALL:
            rule[i].call(&w);
            break;
        }
    }
    return w.count;
}
