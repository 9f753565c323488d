#include "replayer/locks/kinds.h"

#include <linux/futex.h>
#include <stdio.h>
#include <string.h>

// Layouts and frames: glibc 2.36, musl 1.2.3, GLib 2.74, libstdc++ 12, Rust, each seen in a hanging program. A
// row fits when a frame's function begins with its name, without leading underscores and versions; the
// innermost frame that fits decides, so wrappers come to no harm. `offset`: from the start of the object to the
// futex word. Names that begin with another row's name come before it.
struct row {
    const char *function;
    const char *kind;
    enum lock_rule rule;
    enum lock_wants wants;
    int offset;
    int offset_odd; // when the word is the upper half of an aligned 8 bytes (0: the same)
    bool owner;
};

#define MUTEX       "pthread_mutex"
#define COND        "pthread_cond"
#define RUST_RWLOCK "Rust RwLock"

static const struct row rows[] = {
    {"pthread_mutex_lock", MUTEX, RULE_WORD, WANTS_LOCK, 0, 0, true},
    {"pthread_mutex_cond_lock", MUTEX, RULE_WORD, WANTS_LOCK, 0, 0, true},
    {"pthread_mutex_timedlock", MUTEX, RULE_WORD, WANTS_LOCK, 0, 0, true},
    {"pthread_mutex_clocklock", MUTEX, RULE_WORD, WANTS_LOCK, 0, 0, true},
    {"futex_lock_pi", MUTEX, RULE_OWNER, WANTS_LOCK, 0, 0, true},
    {"mtx_lock", MUTEX, RULE_WORD, WANTS_LOCK, 0, 0, true},
    {"mtx_timedlock", MUTEX, RULE_WORD, WANTS_LOCK, 0, 0, true},
    {"pthread_rwlock_wrlock", "pthread_rwlock", RULE_RWLOCK, WANTS_LOCK, 8, 12, false},
    {"pthread_rwlock_timedwrlock", "pthread_rwlock", RULE_RWLOCK, WANTS_LOCK, 8, 12, false},
    {"pthread_rwlock_clockwrlock", "pthread_rwlock", RULE_RWLOCK, WANTS_LOCK, 8, 12, false},
    {"pthread_rwlock_rdlock", "pthread_rwlock", RULE_RWLOCK, WANTS_LOCK, 8, 0, false},
    {"pthread_rwlock_timedrdlock", "pthread_rwlock", RULE_RWLOCK, WANTS_LOCK, 8, 0, false},
    {"pthread_rwlock_clockrdlock", "pthread_rwlock", RULE_RWLOCK, WANTS_LOCK, 8, 0, false},
    {"new_sem_wait", "sem", RULE_SEMAPHORE, WANTS_POST, 0, 0, false},
    {"sem_wait", "sem", RULE_SEMAPHORE, WANTS_POST, 0, 0, false},
    {"sem_timedwait", "sem", RULE_SEMAPHORE, WANTS_POST, 0, 0, false},
    {"sem_clockwait", "sem", RULE_SEMAPHORE, WANTS_POST, 0, 0, false},
    {"pthread_cond_destroy", COND, RULE_NONE, WANTS_COND_LEAVE, 36, 0, false},
    {"pthread_cond_signal", COND, RULE_NONE, WANTS_COND_LEAVE, 16, 20, false},
    {"pthread_cond_broadcast", COND, RULE_NONE, WANTS_COND_LEAVE, 16, 20, false},
    {"pthread_cond_", COND, RULE_NONE, WANTS_COND, 40, 44, false},
    {"cnd_", COND, RULE_NONE, WANTS_COND, 40, 44, false},
    {"pthread_barrier_wait", "pthread_barrier", RULE_NONE, WANTS_BARRIER, 4, 0, false},
    {"pthread_once", "pthread_once", RULE_NONE, WANTS_ONCE, 0, 0, false},
    {"pthread_clockjoin", "thread that is joined", RULE_NONE, WANTS_JOIN, 0, 0, false},
    {"pthread_timedjoin", "thread that is joined", RULE_NONE, WANTS_JOIN, 0, 0, false},
    {"pthread_join", "thread that is joined", RULE_NONE, WANTS_JOIN, 0, 0, false},
    {"cxa_guard_acquire", "guard of a static", RULE_GUARD, WANTS_LOCK, 0, 0, false},
    {"aio_suspend", "aio request", RULE_NONE, WANTS_AIO, 0, 0, false},
    {"aio_cancel", "aio request", RULE_NONE, WANTS_AIO, 0, 0, false},
    {"lio_listio", "aio request", RULE_NONE, WANTS_AIO, 0, 0, false},
    {"g_mutex_lock", "GMutex", RULE_WORD, WANTS_LOCK, 0, 0, false},
    {"g_cond_wait", "GCond", RULE_NONE, WANTS_VALUE, 0, 0, false},
    {"g_bit_lock", "g_bit_lock", RULE_WORD, WANTS_LOCK, 0, 0, false},
    {"g_pointer_bit_lock", "g_bit_lock", RULE_WORD, WANTS_LOCK, 0, 0, false},
    {"base::internal::SpinLockDelay", "SpinLock", RULE_WORD, WANTS_LOCK, 0, 0, false},
    {"SpinLock::SlowLock", "SpinLock", RULE_WORD, WANTS_LOCK, 0, 0, false},
    {"std::sys::unix::locks::futex_mutex::Mutex", "Rust Mutex", RULE_WORD, WANTS_LOCK, 0, 0, false},
    {"std::sys::sync::mutex::futex::Mutex", "Rust Mutex", RULE_WORD, WANTS_LOCK, 0, 0, false},
    {"std::sys::unix::locks::futex_rwlock::RwLock::write", RUST_RWLOCK, RULE_RUST_RWLOCK, WANTS_LOCK, 4, 0,
     false},
    {"std::sys::unix::locks::futex_rwlock::RwLock", RUST_RWLOCK, RULE_RUST_RWLOCK, WANTS_LOCK, 0, 0, false},
    {"std::sys::sync::rwlock::futex::RwLock::write", RUST_RWLOCK, RULE_RUST_RWLOCK, WANTS_LOCK, 4, 0, false},
    {"std::sys::sync::rwlock::futex::RwLock", RUST_RWLOCK, RULE_RUST_RWLOCK, WANTS_LOCK, 0, 0, false},
    {"std::sys_common::once::futex::Once", "Rust Once", RULE_RUST_ONCE, WANTS_LOCK, 0, 0, false},
    // (Its states have other numbers than before.)
    {"std::sys::sync::once::futex::Once", "Rust Once", RULE_NONE, WANTS_ONCE, 0, 0, false},
    {"std::sys::unix::locks::futex_condvar::Condvar", "Rust Condvar", RULE_NONE, WANTS_VALUE, 0, 0, false},
    {"std::sys::sync::condvar::futex::Condvar", "Rust Condvar", RULE_NONE, WANTS_VALUE, 0, 0, false},
    {"std::sys::unix::thread_parker", "Rust parker", RULE_NONE, WANTS_PARK, 0, 0, false},
    {"std::sys_common::thread_parker", "Rust parker", RULE_NONE, WANTS_PARK, 0, 0, false},
    {"std::sys::sync::thread_parking", "Rust parker", RULE_NONE, WANTS_PARK, 0, 0, false},
    {"std::thread::thread::Thread::park", "Rust parker", RULE_NONE, WANTS_PARK, 0, 0, false},
    {"std::thread::park", "Rust parker", RULE_NONE, WANTS_PARK, 0, 0, false},
    {"runtime.futex", "Go runtime", RULE_NONE, WANTS_GO, 0, 0, false},
    {"runtime.notesleep", "Go runtime", RULE_NONE, WANTS_GO, 0, 0, false},
    // Last: libc's own locks have no function of their own above this helper.
    {"lll_lock_wait_private", "libc lock", RULE_WORD, WANTS_LOCK, 0, 0, false},
};

// musl waits in helpers of its own (timedwait_cp.c, __wait.c, __lock.c): the same names mean other layouts there.
// Its conditions wait on a word on the waiter's stack.
static const struct row musl_rows[] = {
    {"pthread_mutex_", MUTEX, RULE_WORD, WANTS_LOCK, 4, 0, false},
    {"mtx_", MUTEX, RULE_WORD, WANTS_LOCK, 4, 0, false},
    {"pthread_rwlock_", "pthread_rwlock", RULE_MUSL_RWLOCK, WANTS_LOCK, 0, 0, false},
    {"sem_", "sem", RULE_MUSL_SEM, WANTS_POST, 0, 0, false},
    {"pthread_once", "pthread_once", RULE_MUSL_ONCE, WANTS_LOCK, 0, 0, false},
    {"call_once", "pthread_once", RULE_MUSL_ONCE, WANTS_LOCK, 0, 0, false},
    {"pthread_cond_", COND, RULE_NONE, WANTS_PARK, 0, 0, false},
    {"pthread_barrier_", "pthread_barrier", RULE_NONE, WANTS_PARK, 0, 0, false},
    {"pthread_join", "thread that is joined", RULE_NONE, WANTS_JOIN, 0, 0, false},
    {"pthread_timedjoin", "thread that is joined", RULE_NONE, WANTS_JOIN, 0, 0, false},
    {"cxa_guard_acquire", "guard of a static", RULE_GUARD, WANTS_LOCK, 0, 0, false},
    {"lockfile", "FILE lock", RULE_WORD, WANTS_LOCK, 0, 0, false},
    {"lock", "libc lock", RULE_MUSL_LOCK, WANTS_LOCK, 0, 0, false},
};

// What the callers of a row's function make of it. `reach`: frames further out that are looked at.
struct refinement {
    const char *of, *function, *kind;
    enum lock_rule rule;
    enum lock_wants wants;
    int offset; // from the row's base to this one's
    int reach;
};

static const struct refinement refinements[] = {
    {"sem", "PyThread_acquire_lock", "Python lock", RULE_SEMAPHORE, WANTS_POST, 0, 4},
    // ceval_gil.h, CPython 3.11: {..., last_holder, locked, switch_number, cond, mutex, ...}
    {COND, "take_gil", LOCK_KIND_GIL, RULE_WORD, WANTS_LOCK, -16, 4},
    {COND, "PyEval_RestoreThread", LOCK_KIND_GIL, RULE_WORD, WANTS_LOCK, -16, 4},
    {COND, "PyEval_AcquireThread", LOCK_KIND_GIL, RULE_WORD, WANTS_LOCK, -16, 4},
    {COND, "PyGILState_Ensure", LOCK_KIND_GIL, RULE_WORD, WANTS_LOCK, -16, 4},
    {MUTEX, "g_rec_mutex_lock", "GRecMutex", RULE_WORD, WANTS_LOCK, 0, 3},
    {"pthread_rwlock", "g_rw_lock_", "GRWLock", RULE_RWLOCK, WANTS_LOCK, 0, 3},
    {"GCond", "g_once_", "GOnce", RULE_NONE, WANTS_ONCE, 0, 3},
    {COND, "aio_suspend", "aio request", RULE_NONE, WANTS_AIO, 0, 3},
    {"futex", "std::__future_base", "std::future", RULE_NONE, WANTS_VALUE, 0, 8},
    {"futex", "std::__basic_future", "std::future", RULE_NONE, WANTS_VALUE, 0, 8},
    {"futex", "std::counting_semaphore", "std::semaphore", RULE_SEMAPHORE, WANTS_POST, 0, 10},
    {"futex", "std::__atomic_semaphore", "std::semaphore", RULE_SEMAPHORE, WANTS_POST, 0, 10},
    {"futex", "std::latch", "std::latch", RULE_NONE, WANTS_VALUE, 0, 10},
    {"futex", "std::barrier", "std::barrier", RULE_NONE, WANTS_VALUE, 0, 10},
    {"futex", "std::__tree_barrier", "std::barrier", RULE_NONE, WANTS_VALUE, 0, 10},
    {"futex", "std::atomic", "std::atomic", RULE_NONE, WANTS_VALUE, 0, 10},
    {"futex", "std::__atomic_base", "std::atomic", RULE_NONE, WANTS_VALUE, 0, 10},
    {"futex", "std::__atomic_wait_address", "std::atomic", RULE_NONE, WANTS_VALUE, 0, 10},
    {"futex", "void std::__atomic_wait_address", "std::atomic", RULE_NONE, WANTS_VALUE, 0, 10},
};

enum {
    KIND_OFFSET = 16, // pthread_mutex_t.__data.__kind
    KIND_ROBUST = 16,
    KIND_PI = 32,
    FUTEX_TID = 0x3fffffff,
    WRITE_PHASE = 1,
    WRITE_LOCKED = 2,
    READER = 8,
    READER_SHIFT = 3,
    RUST_COUNT = 0x3fffffff,
    MUSL_COUNT = 0x7fffffff,
    COND_SIZE = 48,
    BARRIER_SIZE = 20,
    STREAM_OWNER = 8,
    TCB_SELF = 16,
    STACK_SCAN = 640, // bytes of pthread_cond_wait's own frames
    GUARD_PENDING = 0x100,
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
        if (frames[i].module && (begins(frames[i].module, "ld-musl") || !strcmp(frames[i].module, "libc.so")))
            return true;
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
        if (strcmp(out->kind, r->of)) continue;
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
        out->kind = "GMutex";
        out->rule = RULE_WORD;
        out->wants = WANTS_LOCK;
        return true;
    }
    for (size_t i = 0; i < n && i < 4; i++) {
        if (!is_in(&frames[i], "libgomp.so", "libgomp.a")) continue;
        out->kind = "libgomp barrier";
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
    out->kind = "libc lock";
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
    if (!strcmp(out->kind, "g_bit_lock")) out->mask = value & (value - 1) ? value & 1 : value;
    if (!strcmp(out->kind, "libc lock") && is_stream_lock(v, out->base)) out->kind = "FILE lock";
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
        (struct lock_ref){.kind = "futex",
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
        if (strcmp(out->kind, "futex") || ((uint32_t)args[2] != 1 && (uint32_t)args[2] != 2)) return;
        out->rule = RULE_WORD;
        out->bare = true;
        return;
    }
    int offset = row->offset_odd && args[0] % 8 ? row->offset_odd : row->offset;
    out->rule = row->rule;
    out->wants = row->wants;
    out->kind = row->kind;
    out->owner = row->owner;
    out->base = args[0] - (uint64_t)offset;
    out->word = musl ? args[0] : out->base; // there the futex word is the state
    out->in_libc = !strcmp(row->kind, "libc lock") || !strcmp(row->kind, "FILE lock");
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
                          .kind = "spin word",
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
        out->kind = "pthread_spinlock";
        out->rule = RULE_SPIN;
        out->wants = WANTS_LOCK;
        return;
    }
    for (size_t i = 0; i < n && i < 4; i++)
        if (frames[i].function && begins(frames[i].function, "SpinLock::")) out->kind = "SpinLock";
    if (!value) return; // not held by anybody: waited for until somebody sets it
    out->rule = RULE_WORD;
    out->bare = true;
}

bool lock_readers(enum lock_rule rule, uint32_t value, uint32_t *readers, bool *writer) {
    uint32_t count = value & (rule == RULE_RUST_RWLOCK ? RUST_COUNT : MUSL_COUNT);
    *readers = 0;
    switch (rule) {
    case RULE_RWLOCK:
        *writer = (value & (WRITE_PHASE | WRITE_LOCKED)) == (WRITE_PHASE | WRITE_LOCKED);
        *readers = value >> READER_SHIFT;
        return true;
    case RULE_RUST_RWLOCK:
    case RULE_MUSL_RWLOCK:
        *writer = count == (rule == RULE_RUST_RWLOCK ? RUST_COUNT : MUSL_COUNT);
        if (!*writer) *readers = count;
        return true;
    default:
        return false;
    }
}

bool lock_is_held(enum lock_rule rule, uint32_t value) {
    uint32_t readers;
    bool writer;
    switch (rule) {
    case RULE_NONE:
        return false;
    case RULE_WORD:
        return value != 0;
    case RULE_OWNER:
        return value & FUTEX_TID;
    case RULE_RWLOCK:
    case RULE_RUST_RWLOCK:
    case RULE_MUSL_RWLOCK:
        lock_readers(rule, value, &readers, &writer);
        return readers || writer;
    case RULE_SEMAPHORE:
        return value == 0;
    case RULE_GUARD:
        return value & GUARD_PENDING;
    case RULE_SPIN:
        return (int32_t)value <= 0;
    case RULE_RUST_ONCE:
        return value == 2 || value == 3;
    case RULE_MUSL_LOCK:
        return (int32_t)value < 0;
    case RULE_MUSL_SEM:
        return (int32_t)value <= 0;
    case RULE_MUSL_ONCE:
        return value == 1 || value == 3;
    }
    return false;
}
