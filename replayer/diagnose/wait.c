// What each thread of a process waits for, and what the lock's own memory says about it.
#include "replayer/diagnose/wait.h"

#include "core/futex.h"
#include "core/calls/syscalls.h"

#include "replayer/diagnose/threads.h"
#include "replayer/locks/name.h"
#include "replayer/names/frames.h"
#include "replayer/names/member.h"
#include "replayer/names/python_lock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { FRAMES_MAX = 256 };

// pthread_mutex_t: __lock 0, __count 4, __owner 8, __nusers 12, __kind 16. pthread_rwlock_t: __cur_writer 24.
// _IO_lock_t: lock 0, cnt 4, owner 8 (the thread's struct pthread). Seen in hanging programs, glibc 2.36.
enum {
    MUTEX_OWNER = 8,
    RWLOCK_WRITER = 24,
    STDIO_COUNT = 4,
    STDIO_OWNER = 8,
    STDIO_COUNT_MAX = 1000,
};

// rr jumps from each system call of libc into code of its own (librrpreload.so), which makes the call.
static size_t without_rr(struct frame *frames, size_t count) {
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        const char *module = frames[i].module;
        if (module && (!strncmp(module, "librrpreload", 12) || !strncmp(module, "librrpage", 9))) continue;
        frames[kept++] = frames[i];
    }
    return kept;
}

struct stack party_stack(struct diagnosis *d, const struct party *p, const struct snapshot_thread *t,
                         bool *signal_handler) {
    struct raw_frame raw[FRAMES_MAX];
    struct stack s = {0};
    if (signal_handler) *signal_handler = false;
    if (!t->regs.rsp) return s;
    const struct view *v = &p->snapshot->view;
    size_t n = unwind_stack(v, &t->regs, raw, FRAMES_MAX);
    for (size_t i = 1; i < n && signal_handler; i++)
        *signal_handler |= raw[i].exact;
    s.frames = calloc(FRAMES_MAX, sizeof *s.frames);
    rf_assert(s.frames);
    s.count = frames_name(d->symbols, v, &(struct raw_stack){raw, n, t->regs.fs_base}, s.frames, FRAMES_MAX);
    s.count = without_rr(s.frames, s.count);
    s.frames = reallocarray(s.frames, s.count + 1, sizeof *s.frames);
    rf_assert(s.frames);
    return s;
}

// What it is in, which says more than its address: by what the functions on the stack of `t` know.
static bool name_member(struct diagnosis *d, const struct party *p, const struct snapshot_thread *t,
                        struct wait *w) {
    const struct view *v = &p->snapshot->view;
    const uint64_t address = w->ref.base;
    char name[sizeof w->lock.symbol];
    if (!python_lock_name(d->symbols, v, &t->regs, address, name, sizeof name) &&
        !member_name(d->symbols, v, &t->regs, address, name, sizeof name))
        return false;
    memcpy(w->lock.symbol, name, sizeof name);
    w->lock.of_this_run = false;
    return true;
}

void party_name_lock(struct diagnosis *d, const struct party *p, struct wait *w) {
    lock_name(d->symbols, &p->snapshot->view, lock_kind_name(w->ref.kind), w->ref.base, w->shared, &w->lock);
    for (const struct wait *other = p->waits; w->lock.unnamed && other < w; other++)
        if (other->ref.base == w->ref.base && other->lock.unnamed) {
            w->lock = other->lock; // a pool's threads all wait for one
            return;
        }
    for (size_t i = 0; w->lock.unnamed && i < p->snapshot->thread_count; i++) {
        const struct snapshot_thread *t = &p->snapshot->threads[i];
        if (t->tid == w->task.tid && t->stopped && name_member(d, p, t, w)) return;
    }
}

static uint32_t word_at(const struct party *p, uint64_t address) {
    uint32_t word = 0;
    const struct view *v = &p->snapshot->view;
    return v->read(v->context, address, &word, sizeof word) ? word : 0;
}

// The thread whose struct pthread is `tcb`, if this is the lock of a FILE. Of vanished threads the address says
// nothing more: their TID is gone.
static int stdio_owner(const struct party *p, uint64_t base) {
    const struct view *v = &p->snapshot->view;
    uint32_t count = word_at(p, base + STDIO_COUNT);
    uint64_t tcb;
    if (!count || count > STDIO_COUNT_MAX || !v->read(v->context, base + STDIO_OWNER, &tcb, sizeof tcb))
        return 0;
    for (size_t i = 0; i < p->tcb_count; i++)
        if (p->tcbs[i].address == tcb) return p->tcbs[i].tid;
    for (size_t i = 0; i < p->snapshot->thread_count; i++)
        if (p->snapshot->threads[i].stopped && p->snapshot->threads[i].regs.fs_base == tcb)
            return p->snapshot->threads[i].inside;
    return 0;
}

// The TID that the lock names as its holder's; 0: it names none, or is of a kind or a layout that is not known.
static int owner_of(const struct party *p, const struct lock_ref *ref) {
    uint32_t word = word_at(p, ref->word);
    struct lock_sharing sharing;
    switch (ref->rule) {
    case RULE_OWNER: // the next one to lock gets EOWNERDEAD: nobody holds it
        return word & FUTEX_OWNER_DIED ? 0 : (int)(word & FUTEX_TID_MASK);
    case RULE_RWLOCK:
        return lock_sharing(ref->rule, word, &sharing) && sharing.writer
                   ? (int)word_at(p, ref->base + RWLOCK_WRITER)
                   : 0;
    case RULE_WORD:
        if (ref->in_libc) return stdio_owner(p, ref->base);
        // Of another value the mutex is not glibc's.
        return ref->owner && (word == 1 || word == 2) ? (int)word_at(p, ref->base + MUTEX_OWNER) : 0;
    default:
        return 0;
    }
}

static bool is_shared(const struct snapshot *s, uint64_t address) {
    const struct view_map *map = view_find(&s->view, address);
    return !map || s->shared[map - s->view.maps];
}

static bool waits_in_futex(const struct snapshot_thread *t, bool *timed) {
    if (!t->in_call || !t->stopped || t->nr != SYS_futex || !futex_waits(t->args)) return false;
    *timed = t->args[3] != 0;
    return true;
}

bool waits_for_child(const struct snapshot_thread *t, int *child) {
    *child = 0;
    if (!t->in_call) return false;
    *child = syscall_awaited_child(t->nr, t->args);
    if (t->nr == SYS_wait4) return *child || (int)t->args[0] == -1;
    return t->nr == SYS_waitid && (t->args[0] == P_ALL || t->args[0] == P_PID);
}

static void look_at_thread(struct diagnosis *d, struct party *p, size_t i) {
    const struct snapshot_thread *t = &p->snapshot->threads[i];
    struct wait *w = &p->waits[i];
    w->task = (struct finding_task){.pid = p->snapshot->pid, .tid = t->tid};
    snprintf(w->task.name, sizeof w->task.name, "%s", t->name);
    w->owner_thread = NO_THREAD;
    w->stack = party_stack(d, p, t, &w->signal_handler);
    if (t->tid != p->snapshot->pid)
        stack_start_routine(&w->stack, w->task.start_routine, sizeof w->task.start_routine);
    w->in_futex = waits_in_futex(t, &w->timed);
    if (!w->in_futex) return;
    lock_recognise(w->stack.frames, w->stack.count, t->args, &p->snapshot->view, t->regs.rsp, &w->ref);
    w->shared = is_shared(p->snapshot, t->args[0]) || is_shared(p->snapshot, w->ref.base);
    party_name_lock(d, p, w);
    uint32_t value = word_at(p, w->ref.word);
    w->held = lock_is_held(w->ref.rule, w->ref.mask ? value & w->ref.mask : value);
    if (!w->held) return;
    w->owner = owner_of(p, &w->ref);
    if (w->owner) w->owner_thread = threads_index(p, w->owner);
}

bool wait_is_closed(const struct wait *w) {
    return w->spins || (w->in_futex && !w->timed && !w->shared);
}

static bool is_closed(const struct party *p) {
    const struct snapshot *s = p->snapshot;
    for (size_t i = 0; i < s->thread_count; i++)
        if (!wait_is_closed(&p->waits[i])) return false;
    return s->complete && s->alone && s->thread_count;
}

void party_look(struct diagnosis *d, struct party *p) {
    p->waits = calloc(p->snapshot->thread_count + 1, sizeof *p->waits);
    rf_assert(p->waits);
    threads_find(d, p);
    for (size_t i = 0; i < p->snapshot->thread_count; i++)
        look_at_thread(d, p, i);
}

void party_close(struct party *p) {
    p->closed = is_closed(p);
}

void party_release(struct party *p) {
    for (size_t i = 0; p->waits && i < p->snapshot->thread_count; i++)
        free(p->waits[i].stack.frames);
    free(p->waits);
    free(p->tcbs);
    snapshot_free(p->snapshot);
}
