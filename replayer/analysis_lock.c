#include "replayer/analysis_lock.h"

#include <linux/futex.h>
#include <stdio.h>
#include <string.h>

// Layouts and frames: glibc 2.36, each seen in a hanging program. A row fits when a frame's function begins
// with its name, without leading underscores and versions; the innermost frame that fits decides, so wrappers
// come to no harm. `offset`: from the start of the object to the futex word. Names that begin with another
// row's name come before it.
struct row {
    const char *function;
    const char *kind;
    enum lock_rule rule;
    int offset;
    int offset_odd; // when the word is the upper half of an aligned 8 bytes (0: the same)
    bool owner;
};

static const struct row rows[] = {
    {"pthread_mutex_lock", "pthread_mutex", RULE_WORD, 0, 0, true},
    {"pthread_mutex_cond_lock", "pthread_mutex", RULE_WORD, 0, 0, true},
    {"pthread_mutex_timedlock", "pthread_mutex", RULE_WORD, 0, 0, true},
    {"pthread_mutex_clocklock", "pthread_mutex", RULE_WORD, 0, 0, true},
    {"futex_lock_pi", "pthread_mutex", RULE_OWNER, 0, 0, true},
    {"mtx_lock", "pthread_mutex", RULE_WORD, 0, 0, true},
    {"pthread_rwlock_wrlock", "pthread_rwlock", RULE_RWLOCK, 8, 12, false},
    {"pthread_rwlock_timedwrlock", "pthread_rwlock", RULE_RWLOCK, 8, 12, false},
    {"pthread_rwlock_clockwrlock", "pthread_rwlock", RULE_RWLOCK, 8, 12, false},
    {"pthread_rwlock_rdlock", "pthread_rwlock", RULE_RWLOCK, 8, 0, false},
    {"pthread_rwlock_timedrdlock", "pthread_rwlock", RULE_RWLOCK, 8, 0, false},
    {"pthread_rwlock_clockrdlock", "pthread_rwlock", RULE_RWLOCK, 8, 0, false},
    {"new_sem_wait", "sem", RULE_SEMAPHORE, 0, 0, false},
    {"sem_wait", "sem", RULE_SEMAPHORE, 0, 0, false},
    {"pthread_cond_destroy", "pthread_cond", RULE_NONE, 36, 0, false},
    {"pthread_cond_signal", "pthread_cond", RULE_NONE, 16, 20, false},
    {"pthread_cond_broadcast", "pthread_cond", RULE_NONE, 16, 20, false},
    {"pthread_cond_", "pthread_cond", RULE_NONE, 40, 44, false},
    {"cnd_", "pthread_cond", RULE_NONE, 40, 44, false},
    {"pthread_barrier_wait", "pthread_barrier", RULE_NONE, 4, 0, false},
    {"pthread_once", "pthread_once", RULE_NONE, 0, 0, false},
    {"pthread_clockjoin", "thread that is joined", RULE_NONE, 0, 0, false},
    {"pthread_timedjoin", "thread that is joined", RULE_NONE, 0, 0, false},
    {"pthread_join", "thread that is joined", RULE_NONE, 0, 0, false},
    {"cxa_guard_acquire", "guard of a static", RULE_GUARD, 0, 0, false},
    {"g_mutex_lock", "GMutex", RULE_WORD, 0, 0, false},
    {"g_cond_wait", "GCond", RULE_NONE, 0, 0, false},
    {"std::sys::unix::locks::futex_mutex::Mutex", "Rust Mutex", RULE_WORD, 0, 0, false},
    {"std::sys::sync::mutex::futex::Mutex", "Rust Mutex", RULE_WORD, 0, 0, false},
    // Last: libc's own locks have no function of their own above this helper.
    {"lll_lock_wait_private", "libc lock", RULE_WORD, 0, 0, false},
};

enum {
    KIND_OFFSET = 16, // pthread_mutex_t.__data.__kind
    KIND_ROBUST = 16,
    KIND_PI = 32,
    FUTEX_TID = 0x3fffffff,
    WRITE_PHASE = 1,
    WRITE_LOCKED = 2,
    READER = 8,
    GUARD_PENDING = 0x100,
    DEEP_ENOUGH = 12, // frames, the inlined ones counted
};

static const char *plain(const char *name) {
    while (*name == '_')
        name++;
    if (!strncmp(name, "GI_", 3)) name += 3;
    while (*name == '_')
        name++;
    return name;
}

static bool begins(const char *name, const char *with) {
    return !strncmp(name, with, strlen(with));
}

static bool is_libc(const struct frame *f) {
    return f->module && (begins(f->module, "libc.so") || begins(f->module, "libc-") ||
                         begins(f->module, "libpthread") || begins(f->module, "ld-linux"));
}

bool stack_in_fork(const struct frame *frames, size_t n) {
    static const char *const names[] = {"fork", "libc_fork", "run_fork_handlers", "run_prefork_handlers",
                                        "run_postfork_handlers"};
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; frames[i].function && k < sizeof names / sizeof *names; k++)
            if (!strcmp(plain(frames[i].function), names[k])) return true;
    return false;
}

static const struct row *find_row(const struct frame *frames, size_t n, size_t *at) {
    for (size_t i = 0; i < n && i < DEEP_ENOUGH; i++) {
        const char *name = frames[i].function ? plain(frames[i].function) : "";
        for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
            if (!begins(name, rows[k].function)) continue;
            *at = i;
            return &rows[k];
        }
    }
    return NULL;
}

// Without libc's own debug file neither the wait helper nor a static function has a name: then the call that
// the program made into libc names the lock, and the futex call's form says that it is libc's ordinary lock.
static void recognise_unnamed(const struct frame *frames, size_t n, const uint64_t args[6],
                              struct lock_ref *out) {
    if (!n || !is_libc(&frames[0])) return;
    size_t last = 0;
    while (last + 1 < n && is_libc(&frames[last + 1]))
        last++;
    out->function = frames[last].function ? plain(frames[last].function) : NULL;
    if (args[1] != (FUTEX_WAIT | FUTEX_PRIVATE_FLAG) || (uint32_t)args[2] != 2) return;
    out->rule = RULE_WORD;
    out->kind = "libc lock";
    out->in_libc = true;
}

void lock_recognise(const struct frame *frames, size_t n, const uint64_t args[6], const struct view *v,
                    struct lock_ref *out) {
    size_t at = 0;
    const struct row *row = find_row(frames, n, &at);
    *out = (struct lock_ref){.kind = "futex",
                             .base = args[0],
                             .word = args[0],
                             .in_fork = stack_in_fork(frames, n),
                             .function = n && frames[0].function ? plain(frames[0].function) : NULL};
    if (!row) {
        recognise_unnamed(frames, n, args, out);
        return;
    }
    int offset = row->offset_odd && args[0] % 8 ? row->offset_odd : row->offset;
    out->rule = row->rule;
    out->kind = row->kind;
    out->owner = row->owner;
    out->base = out->word = args[0] - (uint64_t)offset;
    out->in_libc = !strcmp(row->kind, "libc lock");
    if (out->in_libc) at++; // the function that has the lock is the helper's caller
    while (out->in_libc && at + 1 < n && frames[at].inlined)
        at++;
    if (at < n && frames[at].function) out->function = plain(frames[at].function);
    uint32_t kind = 0;
    if (row->owner && v->read(v->context, out->base + KIND_OFFSET, &kind, sizeof kind) &&
        kind & (KIND_ROBUST | KIND_PI))
        out->rule = RULE_OWNER;
}

bool lock_is_held(enum lock_rule rule, uint32_t value) {
    switch (rule) {
    case RULE_NONE:
        return false;
    case RULE_WORD:
        return value != 0;
    case RULE_OWNER:
        return value & FUTEX_TID;
    case RULE_RWLOCK:
        return value >= READER || (value & (WRITE_PHASE | WRITE_LOCKED)) == (WRITE_PHASE | WRITE_LOCKED);
    case RULE_SEMAPHORE:
        return value == 0;
    case RULE_GUARD:
        return value & GUARD_PENDING;
    }
    return false;
}

void stack_start_routine(const struct stack *s, char *out, size_t size) {
    static const char *const outside[] = {"start_thread", "clone", "clone3", "thread_start",
                                          "execute_native_thread_routine"};
    *out = 0;
    for (size_t i = s->count; i-- > 0;) {
        const struct frame *f = &s->frames[i];
        if (!f->function) {
            if (is_libc(f) || !f->module) continue;
            return;
        }
        const char *name = plain(f->function);
        bool skip = is_libc(f) || begins(f->function, "std::") || begins(f->function, "void std::");
        for (size_t k = 0; k < sizeof outside / sizeof *outside; k++)
            skip |= !strcmp(name, outside[k]);
        if (skip) continue;
        snprintf(out, size, "%s", f->function);
        return;
    }
}
