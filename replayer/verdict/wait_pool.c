// libstdc++'s std::atomic<T>::wait, and what is made of it (std::atomic_flag, std::barrier), sleeps on a word of its
// own when T is no int: one of 16 that all objects of the process share (__waiter_pool_base in bits/atomic_wait.h, GCC 11
// to 14). The object itself is what the waiting code looked at before it slept, 16 times (__atomic_spin_count): the
// instructions on the way into the call are executed once more, one at a time, and their reads are held against the
// pool's own choice of a word.
#include "replayer/verdict/wait_pool.h"

#include "replayer/locks/name.h"
#include "replayer/stepping.h"

#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

// _S_for(address) takes __w[(address >> 2) % 16]; an entry has _M_wait and _M_ver on cache lines of their own.
enum { POOL_ENTRIES = 16, ENTRY_SIZE = 128, VERSION_OFFSET = 64, ADDRESS_SHIFT = 2 };
enum {
    EVENTS_MAX = 1000, // that are looked through for the waiter's own
    READS_MAX = 64,    // different addresses
    LOOKS = 12,        // of the 16: those of the spin without sched_yield
    DESCRIPTOR = 4096, // bytes at the thread pointer that are the thread's own
};

struct stepper {
    int tid;
    uint64_t pool;  // address of __w
    unsigned entry; // that is waited on
    struct object_read {
        uint64_t address;
        unsigned size, count;
    } reads[READS_MAX];
    size_t read_count;
};

// ---- one instruction after the other

// May it be the object that is waited for? What the code keeps on its stack is not, nor what it cannot change.
static bool is_object(const struct stepper *s, struct replay *r, const struct break_hit *hit,
                      uint64_t address) {
    struct view view;
    struct rf_error ignored;
    if (((address >> ADDRESS_SHIFT) % POOL_ENTRIES) != s->entry ||
        address - hit->regs->fs_base < DESCRIPTOR || address - s->pool < POOL_ENTRIES * ENTRY_SIZE ||
        replay_view(r, hit->tid, &view, &ignored) < 0)
        return false;
    const struct view_map *map = view_find(&view, address), *stack = view_find(&view, hit->regs->rsp);
    return map && map != stack && map->prot & PROT_WRITE;
}

static void note_read(struct stepper *s, const struct memory_operand *o) {
    for (size_t i = 0; i < s->read_count; i++) {
        if (s->reads[i].address != o->address) continue;
        s->reads[i].count++;
        return;
    }
    if (s->read_count < READS_MAX) s->reads[s->read_count++] = (struct object_read){o->address, o->size, 1};
}

static void note_reads(void *context, struct replay *r, const struct break_hit *hit) {
    struct stepper *s = context;
    struct memory_operand operands[4];
    int n = stepping_operands(r, hit, operands);
    for (int i = 0; i < n; i++)
        if (!operands[i].written && operands[i].size <= 8 && is_object(s, r, hit, operands[i].address))
            note_read(s, &operands[i]);
}

// The one that was looked at as often as the wait does; NULL: none, or several were.
static const struct object_read *object_of(const struct stepper *s) {
    const struct object_read *found = NULL;
    for (size_t i = 0; i < s->read_count; i++) {
        if (s->reads[i].count < LOOKS) continue;
        if (found) return NULL;
        found = &s->reads[i];
    }
    return found;
}

// ---- the wait

// The landmark from which the waiter came to its sleep without another call than sched_yield; 0: not known.
static uint64_t way_begins(struct analysis *a, const struct stuck *s, int tid, uint64_t word,
                           uint64_t *asleep) {
    struct event e;
    uint64_t at = *asleep = stepping_landmark(a->timeline, tid, s->event, EVENTS_MAX, &e);
    if (!at || e.kind != EV_ENTER || e.nr != SYS_futex || !(e.flags & EVF_REGS) || e.regs.rdi != word)
        return 0;
    uint64_t begin = at - 1;
    while ((at = stepping_landmark(a->timeline, tid, at, EVENTS_MAX, &e)) && e.kind == EV_SYSCALL &&
           e.nr == SYS_sched_yield)
        begin = at - 1;
    return begin;
}

int wait_pool_resolve(struct analysis *a, struct waiter *w, struct rf_error *err) {
    struct data_symbol symbol;
    struct view view;
    struct stepper s = {.tid = a->history.lives[w->life].tid};
    uint64_t word = w->ref.base, asleep = 0;
    if (replay_view(timeline_replay(a->timeline), s.tid, &view, err) < 0) return -1;
    if (!symbols_data(timeline_symbols(a->timeline), &view, word, &symbol) || !lock_is_waiter_pool(&symbol) ||
        symbol.size != POOL_ENTRIES * ENTRY_SIZE || symbol.offset % ENTRY_SIZE != VERSION_OFFSET)
        return 0;
    s.pool = word - symbol.offset;
    s.entry = (unsigned)(symbol.offset / ENTRY_SIZE);
    uint64_t from = way_begins(a, w->stuck, s.tid, word, &asleep);
    if (!from) return 0;
    struct rf_error why;
    // Not all of the way need be seen: the object is looked at in a part of it.
    if (stepping_run(a->timeline, s.tid, (struct event_span){from, asleep}, note_reads, &s, &why) < 0 &&
        why.status != RF_DIVERGED) {
        *err = why;
        return -1;
    }
    if (timeline_seek(a->timeline, w->stuck->event, err) < 0) return -1;
    const struct object_read *object = object_of(&s);
    if (!object) return 0;
    w->ref.base = object->address;
    w->ref.word = object->address & ~3ull;
    w->ref.size = object->size;
    return 0;
}
