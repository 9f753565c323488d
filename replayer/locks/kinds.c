#include "replayer/locks/kinds.h"

#include <linux/futex.h>
#include <stdio.h>
#include <string.h>

const char *lock_kind_name(enum lock_kind kind) {
    static const char *const names[LOCK_KINDS] = {
#define KIND(kind, name) [KIND_##kind] = name,
#include "replayer/locks/kinds.def"
    };
    return names[kind];
}

struct row {
    const char *function;
    enum lock_kind kind;
    enum lock_rule rule;
    enum lock_wants wants;
    int offset, offset_odd;
};

#define ROW(function, kind, rule, wants, offset, offset_odd)                                                 \
    {function, KIND_##kind, RULE_##rule, WANTS_##wants, offset, offset_odd},

static const struct row rows[] = {
#define WAITS ROW
#include "replayer/locks/kinds.def"
};

static const struct row musl_rows[] = {
#define MUSL_WAITS ROW
#include "replayer/locks/kinds.def"
};

struct refinement {
    enum lock_kind of;
    const char *function;
    enum lock_kind kind;
    enum lock_rule rule;
    enum lock_wants wants;
    int offset, reach;
};

static const struct refinement refinements[] = {
#define WITHIN(of, function, kind, rule, wants, offset, reach)                                               \
    {KIND_##of, function, KIND_##kind, RULE_##rule, WANTS_##wants, offset, reach},
#include "replayer/locks/kinds.def"
};

enum {
    KIND_OFFSET = 16, // pthread_mutex_t.__data.__kind
    KIND_ROBUST = 16,
    KIND_PI = 32,
    COND_SIZE = 48,
    BARRIER_SIZE = 20,
    STREAM_OWNER = 8,
    TCB_SELF = 16,
    STACK_SCAN = 640, // bytes of pthread_cond_wait's own frames
    DEEP_ENOUGH = 12, // frames, the inlined ones counted
};

static bool begins(const char *name, const char *with) {
    return !strncmp(name, with, strlen(with));
}

static bool is_in(const struct frame *f, const char *module, const char *library) {
    return (f->module && begins(f->module, module)) || (f->library && begins(f->library, library));
}

static bool is_musl(const struct frame *frames, size_t n) {
    static const char *const helpers[] = {"__timedwait", "__timedwait_cp", "__wait", "__lock", "__lockfile"};
    for (size_t i = 0; i < n && i < DEEP_ENOUGH; i++) {
        if (stack_is_musl(&frames[i])) return true;
        for (size_t k = 0; frames[i].function && k < sizeof helpers / sizeof *helpers; k++)
            if (!strcmp(frames[i].function, helpers[k])) return true;
    }
    return false;
}

static const struct row *find_row(const struct frame *frames, size_t n, bool musl, size_t *at) {
    const struct row *table = musl ? musl_rows : rows;
    size_t count = musl ? sizeof musl_rows / sizeof *musl_rows : sizeof rows / sizeof *rows;
    for (size_t i = 0; i < n && i < DEEP_ENOUGH; i++) {
        const char *name = frames[i].function ? stack_plain_name(frames[i].function) : "";
        for (size_t k = 0; k < count; k++) {
            if (!begins(name, table[k].function)) continue;
            *at = i;
            return &table[k];
        }
    }
    return NULL;
}

static void refine(const struct frame *frames, size_t n, size_t at, struct lock_ref *out) {
    for (size_t k = 0; k < sizeof refinements / sizeof *refinements; k++) {
        const struct refinement *r = &refinements[k];
        if (out->kind != r->of) continue;
        for (size_t i = at; i < n && i <= at + (size_t)r->reach; i++) {
            if (!frames[i].function || !begins(stack_plain_name(frames[i].function), r->function)) continue;
            out->kind = r->kind;
            out->rule = r->rule;
            out->wants = r->wants;
            out->base += (uint64_t)(int64_t)r->offset;
            out->word = out->base;
            out->function = stack_plain_name(frames[i].function);
            return;
        }
    }
}

// Libraries whose waiting functions have no names: they are static.
static bool recognise_module(const struct frame *frames, size_t n, uint32_t value, struct lock_ref *out) {
    // g_mutex_lock ends in a jump to its slow path, which waits while the word is 2.
    if (n > 1 && frames[1].module && begins(frames[1].module, "libglib-2.0") && value == 2) {
        out->kind = KIND_GMUTEX;
        out->rule = RULE_WORD;
        out->wants = WANTS_LOCK;
        return true;
    }
    for (size_t i = 0; i < n && i < 4; i++) {
        if (!is_in(&frames[i], "libgomp.so", "libgomp.a")) continue;
        out->kind = KIND_LIBGOMP;
        out->wants = WANTS_TEAM;
        out->function = NULL;
        for (; i < n && is_in(&frames[i], "libgomp.so", "libgomp.a"); i++)
            if (frames[i].function) out->function = frames[i].function;
        return true;
    }
    return false;
}

// glibc keeps {wseq, cond, mutex, private} for its cancellation handler in the waiting function's frame
// (struct _condvar_cleanup_buffer in nptl/pthread_cond_wait.c).
static uint64_t mutex_of_cond(const struct view *v, uint64_t cond, uint64_t sp) {
    uint64_t words[STACK_SCAN / 8];
    if (!sp || !v->read(v->context, sp & ~7ull, words, sizeof words)) return 0;
    for (size_t i = 0; i + 1 < sizeof words / sizeof *words; i++)
        if (words[i] == cond && words[i + 1] && words[i + 1] % 4 == 0 && view_find(v, words[i + 1]))
            return words[i + 1];
    return 0;
}

// Without libc's own debug file neither the wait helper nor a static function has a name: then the call that
// the program made into libc names the lock, and the futex call's form says that it is libc's ordinary lock.
static void recognise_unnamed(const struct frame *frames, size_t n, const uint64_t args[6],
                              struct lock_ref *out) {
    if (!n || !stack_is_libc(&frames[0])) return;
    if (frames[0].function && !strcmp(frames[0].function, "syscall")) return; // somebody else's futex
    size_t last = 0;
    while (last + 1 < n && stack_is_libc(&frames[last + 1]))
        last++;
    out->function = frames[last].function ? stack_plain_name(frames[last].function) : NULL;
    if (args[1] != (FUTEX_WAIT | FUTEX_PRIVATE_FLAG) || (uint32_t)args[2] != 2) return;
    out->rule = RULE_WORD;
    out->wants = WANTS_LOCK;
    out->kind = KIND_LIBC;
    out->in_libc = true;
}

// stdio's lock is {lock, count, owner}, and the owner is the address of a TCB, which holds its own address
// (_IO_lock_t in sysdeps/nptl/stdio-lock.h, tcbhead_t.self). Also malloc's and others' locks are waited for in the same
// helper: they have no owner.
static bool is_stream_lock(const struct view *v, uint64_t address) {
    uint64_t owner = 0, self = 0;
    return v->read(v->context, address + STREAM_OWNER, &owner, sizeof owner) && owner &&
           v->read(v->context, owner + TCB_SELF, &self, sizeof self) && self == owner;
}

static void measure(struct lock_ref *out, const uint64_t args[6], const struct view *v, uint64_t sp) {
    out->size = 4;
    if (out->wants == WANTS_COND || out->wants == WANTS_COND_LEAVE) out->size = COND_SIZE;
    if (out->wants == WANTS_BARRIER) out->size = BARRIER_SIZE;
    if (out->wants == WANTS_COND) out->mutex = mutex_of_cond(v, out->base, sp);
    // g_bit_lock(address, bit) waits with the whole word; other bits of it may be data. Bit 0 is what GLib and
    // its users take.
    uint32_t value = (uint32_t)args[2];
    if (out->kind == KIND_G_BIT_LOCK) out->mask = value & (value - 1) ? value & 1 : value;
    if (out->kind == KIND_LIBC && is_stream_lock(v, out->base)) out->kind = KIND_FILE;
    uint32_t kind = 0;
    if (out->owner && v->read(v->context, out->base + KIND_OFFSET, &kind, sizeof kind) &&
        kind & (KIND_ROBUST | KIND_PI))
        out->rule = RULE_OWNER;
}

void lock_recognise(const struct frame *frames, size_t n, const uint64_t args[6], const struct view *v,
                    uint64_t sp, struct lock_ref *out) {
    size_t at = 0;
    bool musl = is_musl(frames, n);
    const struct row *row = find_row(frames, n, musl, &at);
    *out =
        (struct lock_ref){.kind = KIND_FUTEX,
                          .wants = WANTS_VALUE,
                          .base = args[0],
                          .word = args[0],
                          .size = 4,
                          .in_fork = stack_in_fork(frames, n),
                          .function = n && frames[0].function ? stack_plain_name(frames[0].function) : NULL};
    if (!row) {
        recognise_unnamed(frames, n, args, out);
        if (out->in_libc || recognise_module(frames, n, (uint32_t)args[2], out)) return;
        refine(frames, n, 0, out);
        // A lock made of a bare futex: 1 is held, 2 with waiters (U. Drepper, Futexes Are Tricky). 0 is waited for
        // by nobody who wants a lock.
        if (out->kind != KIND_FUTEX || ((uint32_t)args[2] != 1 && (uint32_t)args[2] != 2)) return;
        out->rule = RULE_WORD;
        out->bare = true;
        return;
    }
    int offset = row->offset_odd && args[0] % 8 ? row->offset_odd : row->offset;
    out->rule = row->rule;
    out->wants = row->wants;
    out->kind = row->kind;
    out->owner = row->kind == KIND_MUTEX && !musl;
    out->base = args[0] - (uint64_t)offset;
    out->word = musl ? args[0] : out->base; // there the futex word is the state
    out->in_libc = row->kind == KIND_LIBC || row->kind == KIND_FILE;
    size_t named = at;
    if (out->in_libc) named++; // the function that has the lock is the helper's caller
    while (out->in_libc && named + 1 < n && frames[named].inlined)
        named++;
    if (named < n && frames[named].function) out->function = stack_plain_name(frames[named].function);
    refine(frames, n, at, out);
    measure(out, args, v, sp);
}

void lock_recognise_polled(const struct frame *frames, size_t n, uint64_t address, uint64_t value,
                           unsigned size, struct lock_ref *out) {
    // Of more than 4 bytes the half that is not zero; of less the word that has them.
    uint64_t word = size == 8 && !(uint32_t)value && value ? address + 4 : address & ~3ull;
    *out =
        (struct lock_ref){.polled = true,
                          .kind = KIND_POLLED,
                          .wants = WANTS_VALUE,
                          .base = address,
                          .word = word,
                          .size = size,
                          .in_fork = stack_in_fork(frames, n),
                          .function = n && frames[0].function ? stack_plain_name(frames[0].function) : NULL};
    if (size < 4) out->mask = ((1u << size * 8) - 1) << (address % 4 * 8);
    for (size_t i = 0; i < n && i < 3; i++) {
        if (!frames[i].function || !begins(stack_plain_name(frames[i].function), "pthread_spin_lock"))
            continue;
        out->kind = KIND_SPIN;
        out->rule = RULE_SPIN;
        out->wants = WANTS_LOCK;
        return;
    }
    for (size_t i = 0; i < n && i < 4; i++)
        if (frames[i].function && begins(frames[i].function, "SpinLock::")) out->kind = KIND_TCMALLOC_SPIN;
    if (!value) return; // not held by anybody: waited for until somebody sets it
    out->rule = RULE_WORD;
    out->bare = true;
    refine(frames, n, 0, out);
}
