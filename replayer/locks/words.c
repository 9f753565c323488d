#include "replayer/locks/words.h"

#include "core/atomic_emulate.h"
#include "core/array.h"
#include "core/error.h"
#include "core/futex.h"
#include "replayer/locks/kinds.h"

#include <stdlib.h>
#include <string.h>

enum {
    GUARD_PENDING = 0x100,
    RUST_WRITE_LOCKED = 0x3fffffff,
    SPINS = 16, // tries in a row: who only asks whether a flag is set asks once
    SMALL = 16, // 1, 2, 3 of mutexes, 8 of absl's, 16 of musl's
};

static const struct {
    enum lock_kind kind;
    enum lock_rule rule;
} families[LOCK_FAMILIES] = {
#define FAMILY(family, kind, rule) [LOCK_##family] = {KIND_##kind, RULE_##rule},
#include "replayer/locks/kinds.def"
};

enum lock_kind lock_family_kind(int family) {
    return family >= 0 && family < LOCK_FAMILIES ? families[family].kind : KIND_LOCK_WORD;
}

const char *lock_family_name(int family) {
    return lock_kind_name(lock_family_kind(family));
}

// ---- the table

static uint64_t mix_place(const struct word_place *p) {
    return hash_mix(p->address ^ hash_mix(p->identity ^ hash_mix(p->space)));
}

static struct word_place place_of(const struct lock *l) {
    return (struct word_place){l->space, l->identity, l->address};
}

static uint64_t mixed_place(const void *context, size_t i) {
    const struct word_place at = place_of(&((const struct lock_words *)context)->locks[i]);
    return mix_place(&at);
}

static bool same_place(const void *context, size_t i, const void *key) {
    const struct lock *l = &((const struct lock_words *)context)->locks[i];
    const struct word_place *at = key;
    return l->address == at->address && l->space == at->space && l->identity == at->identity;
}

struct lock *lock_words_find(const struct lock_words *w, struct word_place place) {
    uint32_t found = hash_find(&w->by_place, mix_place(&place), same_place, w, &place);
    return found ? &w->locks[found - 1] : NULL;
}

struct lock *lock_words_add(struct lock_words *w, struct word_place place, int family, int size,
                            uint64_t value) {
    if (w->count >= LOCK_WORDS_MAX) {
        w->dropped = true;
        return NULL;
    }
    rf_assert(hash_room(&w->by_place, w->count, mixed_place, w));
    struct lock *l = array_add(w->locks, w->count);
    *hash_slot(&w->by_place, mix_place(&place), same_place, w, &place) = (uint32_t)w->count;
    *l = (struct lock){.space = place.space,
                       .identity = place.identity,
                       .address = place.address,
                       .family = (uint8_t)family,
                       .size = (uint8_t)size,
                       .value = value,
                       .name = -1};
    return l;
}

void lock_words_release(struct lock_words *w) {
    for (size_t i = 0; i < w->count; i++) {
        free(w->locks[i].holders);
        free(w->locks[i].claims);
    }
    free(w->locks);
    hash_release(&w->by_place);
    free(w->spans);
    free(w->ops);
    free(w->open);
    *w = (struct lock_words){0};
}

// ---- values

bool lock_is_rwlock(int family) {
    struct lock_sharing ignored;
    return family >= 0 && family < LOCK_FAMILIES && lock_sharing(families[family].rule, 0, &ignored);
}

bool lock_value_held(int family, uint64_t value) {
    enum lock_rule rule = families[family].rule;
    // A word that behaves like a lock may be a pointer.
    return rule == RULE_WORD ? value != 0 : lock_is_held(rule, (uint32_t)value);
}

static bool is_increase(int operation) {
    return operation == ATOMIC_XADD || operation == ATOMIC_ADD || operation == ATOMIC_INC ||
           operation == ATOMIC_ADC;
}

bool lock_may_begin(const struct lock_access *a) {
    if (a->failed || a->before || !a->after) return false;
    if (is_increase(a->operation) || a->operation == ATOMIC_SUB || a->operation == ATOMIC_DEC) return false;
    uint64_t v = a->after;
    return v <= SMALL || v == GUARD_PENDING || v == RUST_WRITE_LOCKED || v == a->fs_base ||
           (v <= 0xffffffff && (v & FUTEX_TID_MASK) == (uint64_t)a->tid) || v == 0xff || v == 0xffffffff;
}

// ---- holders

static void add_op(struct lock_words *w, const struct lock *l, const struct lock_access *a, int kind) {
    if (w->op_count >= LOCK_OPS_MAX) {
        w->ops_dropped = true;
        return;
    }
    array_push(w->ops, w->op_count,
               (struct lock_op){.lock = (uint32_t)(l - w->locks),
                                .kind = (uint8_t)kind,
                                .between = a->unseen,
                                .tid = a->tid,
                                .ordinal = a->unseen ? 0 : l->ordinal,
                                .pc = a->pc,
                                .event = a->event,
                                .before = a->before,
                                .after = a->after});
}

static void now_open(struct lock_words *w, struct lock *l) {
    l->watched = true;
    if (l->open) return;
    l->open = true;
    array_push(w->open, w->open_count, (uint32_t)(l - w->locks));
}

static void take(struct lock_words *w, struct lock *l, const struct lock_access *a, bool reader, int tid) {
    array_push(l->holders, l->holder_count,
               (struct lock_holder){.tid = tid,
                                    .reader = reader,
                                    .event = a->event,
                                    .asked = a->event,
                                    .ordinal = a->unseen ? 0 : l->ordinal,
                                    .pc = a->pc,
                                    .time_us = a->time_us});
    if (!l->taken.ordinal) l->taken = l->holders[l->holder_count - 1];
    l->acquired++;
    l->tried += !a->unseen && !a->blind;
    l->of_libc |= a->of_libc;
    struct lock_access op = *a;
    op.tid = tid;
    add_op(w, l, &op, LOCK_OP_ACQUIRE);
    now_open(w, l);
}

// How a hold ends.
struct span_end {
    uint64_t event; // 0: not before the end
    uint64_t time_us;
    bool between, by_other; // as in struct lock_span
};

static void close_span(struct lock_words *w, struct lock *l, size_t i, struct span_end end) {
    struct lock_span s = {.lock = (uint32_t)(l - w->locks),
                          .to = end.event,
                          .between = end.between,
                          .by_other = end.by_other,
                          .holder = l->holders[i]};
    uint64_t length = s.to - s.holder.event;
    bool longer = length > l->longest.to - l->longest.holder.event || !l->longest.to;
    if (s.to && longer) {
        l->longest = s;
        l->longest_us = end.time_us > s.holder.time_us ? end.time_us - s.holder.time_us : 0;
    }
    l->held_events += s.to ? length : 0;
    array_remove(l->holders, l->holder_count, i);
    if (s.to == s.holder.event) return;
    if (w->span_count >= LOCK_SPANS_MAX) {
        w->dropped = true;
        return;
    }
    array_push(w->spans, w->span_count, s);
}

static void leave(struct lock_words *w, struct lock *l, size_t i, const struct lock_access *a) {
    bool other = l->holders[i].tid && a->tid && a->tid != l->holders[i].tid;
    l->released++;
    l->between += a->unseen;
    l->released_by_other += other && !l->holders[i].inherited;
    add_op(w, l, a, LOCK_OP_RELEASE);
    close_span(w, l, i, (struct span_end){a->event, a->time_us, a->unseen, other});
}

// The index of a holder: tid's own, else (any) the one that has held it longest; -1.
static int holder_index(const struct lock *l, int tid, int reader, bool any) {
    for (uint32_t i = 0; i < l->holder_count; i++)
        if (l->holders[i].tid == tid && (reader < 0 || l->holders[i].reader == reader)) return (int)i;
    for (uint32_t i = 0; any && i < l->holder_count; i++)
        if (reader < 0 || l->holders[i].reader == reader) return (int)i;
    return -1;
}

// The claims of a rwlock: who has come, and waits for the readers or for the writer to leave.
static void claim(struct lock *l, const struct lock_access *a, bool reader) {
    array_push(l->claims, l->claim_count,
               (struct lock_holder){.tid = a->tid,
                                    .reader = reader,
                                    .asked = a->event,
                                    .ordinal = a->unseen ? 0 : l->ordinal,
                                    .pc = a->pc});
}

static int claim_index(const struct lock *l, int tid, bool reader) {
    for (uint32_t i = 0; i < l->claim_count; i++)
        if (l->claims[i].reader == reader && (!tid || l->claims[i].tid == tid)) return (int)i;
    return -1;
}

// Whoever let them in, it is theirs from this access on; they asked for it where they came.
static void let_in(struct lock_words *w, struct lock *l, const struct lock_access *a, bool reader) {
    for (int i; (i = claim_index(l, 0, reader)) >= 0;) {
        const struct lock_holder c = l->claims[i];
        array_remove(l->claims, l->claim_count, (uint32_t)i);
        take(w, l, a, reader, c.tid);
        struct lock_holder *h = &l->holders[l->holder_count - 1];
        h->asked = c.asked;
        h->ordinal = c.ordinal;
        h->pc = c.pc;
    }
}

static void leaves(struct lock_words *w, struct lock *l, const struct lock_access *a, bool reader) {
    int i = holder_index(l, a->tid, reader, true);
    if (i >= 0) leave(w, l, (size_t)i, a);
}

static void rwlock_changed(struct lock_words *w, struct lock *l, const struct lock_access *a) {
    struct lock_sharing was, is;
    enum lock_rule rule = families[l->family].rule;
    if (!lock_sharing(rule, (uint32_t)a->before, &was) || !lock_sharing(rule, (uint32_t)a->after, &is))
        return;
    if (was.writer && !is.writer) leaves(w, l, a, false);
    if (is.claimed && !was.claimed) claim(l, a, false);
    if (is.registered == was.registered + 1) claim(l, a, true);
    if (is.writer && !was.writer) let_in(w, l, a, false);
    if (is.readers && is.readers == is.registered) let_in(w, l, a, true);
    // Gave up, or let in before and done now.
    int gone = !is.claimed && was.claimed ? claim_index(l, 0, false) : -1;
    if (gone >= 0) array_remove(l->claims, l->claim_count, (uint32_t)gone);
    if (is.registered + 1 != was.registered) return;
    gone = claim_index(l, a->tid, true);
    if (gone >= 0)
        array_remove(l->claims, l->claim_count, (uint32_t)gone);
    else
        leaves(w, l, a, true);
}

static void semaphore_changed(struct lock_words *w, struct lock *l, const struct lock_access *a) {
    uint32_t from = (uint32_t)a->before, to = (uint32_t)a->after;
    if (to < from) take(w, l, a, false, a->tid);
    if (to <= from) return;
    int i = holder_index(l, a->tid, -1, true);
    if (i >= 0) leave(w, l, (size_t)i, a);
}

static void leave_all(struct lock_words *w, struct lock *l, const struct lock_access *a) {
    while (l->holder_count)
        leave(w, l, l->holder_count - 1, a);
}

static bool is_held(const struct lock *l, uint64_t value) {
    if (l->owner) return value & FUTEX_TID_MASK;
    return l->done ? value && value != l->done : lock_value_held(l->family, value);
}

static void word_changed(struct lock_words *w, struct lock *l, const struct lock_access *a) {
    uint64_t tid = a->after & FUTEX_TID_MASK;
    if (!l->holder_count && (l->family == LOCK_WORD || l->family == LOCK_MUTEX) && !a->before)
        l->owner = tid > SMALL && (tid == (uint64_t)a->tid || a->unseen);
    bool before = is_held(l, a->before), now = is_held(l, a->after);
    // Nobody marks a lock that he holds himself: this one is done with it, for good.
    bool by_holder = before && now && l->family == LOCK_WORD && !l->owner && a->tid &&
                     holder_index(l, a->tid, -1, false) >= 0;
    if (by_holder && a->before != a->after && !l->released) {
        l->done = a->after;
        l->family = LOCK_ONCE;
        now = false;
    }
    if (before && !now) leave_all(w, l, a);
    if (!before && now) {
        take(w, l, a, false, l->owner ? (int)tid : a->tid);
        return;
    }
    if (!before || !now || a->before == a->after) return;
    l->marks++;
    // The kernel hands a PI mutex from one task to the next: the word says to whom.
    uint64_t from = a->before & FUTEX_TID_MASK, to = a->after & FUTEX_TID_MASK;
    if (l->owner && from != to) {
        leave_all(w, l, a);
        take(w, l, a, false, (int)to);
        return;
    }
    // A count goes up and down by one above 1; a mark is made once.
    if ((is_increase(a->operation) ||
         (a->operation == ATOMIC_CMPXCHG && a->after == a->before + 1 && a->before > 1)) ||
        (a->after + 1 == a->before && a->operation != ATOMIC_XCHG))
        l->counted++;
    add_op(w, l, a, LOCK_OP_MARK);
}

static void changed(struct lock_words *w, struct lock *l, const struct lock_access *a) {
    if (lock_is_rwlock(l->family))
        rwlock_changed(w, l, a);
    else if (l->family == LOCK_SEMAPHORE)
        semaphore_changed(w, l, a);
    else
        word_changed(w, l, a);
}

void lock_accessed(struct lock_words *w, struct lock *l, const struct lock_access *a) {
    uint64_t seen_before = l->slice;
    if (!a->unseen) {
        if (l->slice != a->event) l->ordinal = 0;
        l->slice = a->event;
        l->ordinal++;
    }
    if (!l->first_event) l->first_event = a->event;
    l->last_event = a->event;
    if (l->value != a->before) {
        // Stores that are no atomic instructions came between. Of this task, if they were in this slice.
        struct lock_access between = *a;
        if (!l->watched && seen_before != a->event) between.tid = 0;
        between.before = l->value;
        between.after = a->before;
        between.unseen = true;
        between.pc = LOCK_NO_PLACE;
        between.operation = ATOMIC_NONE;
        changed(w, l, &between);
    }
    l->value = a->after;
    if (a->before != a->after)
        changed(w, l, a);
    else if (is_held(l, a->before) && !lock_is_rwlock(l->family) && !a->unseen &&
             (a->failed || a->operation == ATOMIC_XCHG)) {
        l->failed++;
        l->spins = l->spin_event == a->event ? l->spins + 1 : 1;
        l->spin_event = a->event;
        l->spun += l->spins == SPINS;
        add_op(w, l, a, LOCK_OP_TRY_FAILED);
    }
}

void lock_call_acquired(struct lock_words *w, struct lock *l, const struct lock_access *a) {
    if (!l->first_event) l->first_event = a->event;
    l->last_event = a->event;
    if (l->slice != a->event) l->ordinal = 0;
    l->slice = a->event;
    l->ordinal++;
    if (a->failed) {
        l->failed++;
        add_op(w, l, a, LOCK_OP_TRY_FAILED);
        return;
    }
    take(w, l, a, false, a->tid);
}

void lock_call_released(struct lock_words *w, struct lock *l, const struct lock_access *a) {
    l->last_event = a->event;
    int i = holder_index(l, a->tid, -1, true);
    if (i >= 0) leave(w, l, (size_t)i, a);
}

void lock_called(struct lock *l, int tid, int nr) {
    for (uint32_t i = 0; i < l->holder_count; i++) {
        if (l->holders[i].tid != tid) continue;
        l->holders[i].calls++;
        l->call_count++;
        for (size_t k = 0; k < sizeof l->calls / sizeof *l->calls; k++) {
            if (l->calls[k].count && l->calls[k].nr != nr) continue;
            l->calls[k].nr = nr;
            l->calls[k].count++;
            return;
        }
        return;
    }
}

void lock_wait_begins(struct lock_words *w, struct lock *l, int tid, uint64_t event) {
    enum { NAMED = sizeof l->waiters / sizeof *l->waiters };
    l->waits++;
    const struct lock_access a = {
        .event = event, .tid = tid, .pc = LOCK_NO_PLACE, .before = l->value, .after = l->value};
    add_op(w, l, &a, LOCK_OP_WAIT);
    for (uint32_t i = 0; i < l->waiter_count && i < NAMED; i++)
        if (l->waiters[i] == tid) return;
    if (l->waiter_count < NAMED) l->waiters[l->waiter_count] = tid;
    l->waiter_count++;
}

void lock_wait_ended(struct lock *l, int tid, uint64_t from, uint64_t to, uint64_t us) {
    if (to - from <= l->longest_wait) return;
    l->longest_wait = to - from;
    l->longest_wait_us = us;
    l->longest_wait_from = from;
    l->longest_waiter = tid;
}

void lock_inherited(struct lock_words *w, size_t from, uint32_t space, uint64_t event) {
    const struct lock was = w->locks[from];
    const struct word_place copy = {.space = space, .address = was.address};
    if (lock_words_find(w, copy)) return;
    struct lock *l = lock_words_add(w, copy, was.family, was.size, was.value);
    if (!l) return;
    l->name = was.name;
    l->done = was.done;
    l->owner = was.owner;
    l->first_event = l->last_event = event;
    l->last_address = was.address;
    l->last_space = space;
    for (uint32_t i = 0; i < was.holder_count; i++) {
        array_push(l->holders, l->holder_count, was.holders[i]);
        l->holders[i].inherited = true;
    }
    if (l->holder_count) now_open(w, l);
}

void lock_gone(struct lock_words *w, struct lock *l, uint64_t event) {
    l->watched = false;
    l->claim_count = 0;
    while (l->holder_count)
        close_span(w, l, l->holder_count - 1, (struct span_end){.event = event, .between = true});
}

// ---- which words are locks

// A word of libc's that is taken by a try is a lock the first time: what its code looks like is known.
enum { OWN_ENOUGH = 2 };

static bool behaves(const struct lock *l) {
    uint64_t own = l->released - l->released_by_other;
    // A semaphore that others post is a signal, and nobody holds it.
    if (l->done) return l->waits > 0;
    if (l->family == LOCK_SEMAPHORE) return !l->released || l->released_by_other * 8 <= own;
    if (l->family != LOCK_WORD) return true;
    // A flag that is set and reset, or the count of references of an object that never had two.
    if (!l->acquired || l->counted || !(l->tried || l->failed || l->waits)) return false;
    if ((l->waits || l->spun) && !l->released_by_other) return true;
    return own >= (l->of_libc ? 1 : OWN_ENOUGH) && l->released_by_other * 8 <= own;
}

struct group {
    uint32_t root; // the image that the space is a copy of, or LOCK_SHARED
    uint32_t lock;
    uint64_t identity, address;
};

static int compare_groups(const void *left, const void *right) {
    const struct group *a = left, *b = right;
    if (a->root != b->root) return a->root < b->root ? -1 : 1;
    if (a->identity != b->identity) return a->identity < b->identity ? -1 : 1;
    if (a->address != b->address) return a->address < b->address ? -1 : 1;
    return a->lock < b->lock ? -1 : a->lock > b->lock;
}

// The copies of one word in a process and its forked children are of one kind: what each of them saw counts.
static void judge(struct lock_words *w, const struct group *first, size_t n) {
    struct lock all = {.family = LOCK_WORD};
    for (size_t i = 0; i < n; i++) {
        const struct lock *l = &w->locks[first[i].lock];
        all.acquired += l->acquired;
        all.tried += l->tried;
        all.failed += l->failed;
        all.spun += l->spun;
        all.waits += l->waits;
        all.released += l->released;
        all.released_by_other += l->released_by_other;
        all.counted += l->counted;
        all.of_libc |= l->of_libc;
        if (l->done) all.done = l->done;
        if (l->family != LOCK_WORD) all.family = l->family;
    }
    bool good = behaves(&all);
    for (size_t i = 0; i < n; i++) {
        w->locks[first[i].lock].confirmed = good;
        if (w->locks[first[i].lock].family == LOCK_WORD) w->locks[first[i].lock].family = all.family;
    }
}

static void judge_all(struct lock_words *w, const uint32_t *roots) {
    struct group *v = malloc((w->count + 1) * sizeof *v);
    rf_assert(v);
    for (size_t i = 0; i < w->count; i++) {
        const struct lock *l = &w->locks[i];
        v[i] = (struct group){.root = l->space == LOCK_SHARED ? LOCK_SHARED : roots[l->space],
                              .lock = (uint32_t)i,
                              .identity = l->identity,
                              .address = l->address};
    }
    if (w->count) qsort(v, w->count, sizeof *v, compare_groups);
    for (size_t i = 0, n; i < w->count; i += n) {
        for (n = 1; i + n < w->count && v[i + n].root == v[i].root && v[i + n].identity == v[i].identity &&
                    v[i + n].address == v[i].address;
             n++)
            continue;
        judge(w, &v[i], n);
    }
    free(v);
}

void lock_words_finish(struct lock_words *w, const uint32_t *roots) {
    for (size_t i = 0; i < w->count; i++) {
        struct lock *l = &w->locks[i];
        l->still_held = l->holder_count;
        if (l->holder_count) l->still = l->holders[0];
        while (l->holder_count)
            close_span(w, l, l->holder_count - 1, (struct span_end){0});
    }
    judge_all(w, roots);
    size_t kept = 0;
    for (size_t i = 0; i < w->span_count; i++)
        if (w->locks[w->spans[i].lock].confirmed) w->spans[kept++] = w->spans[i];
    w->span_count = kept;
    kept = 0;
    for (size_t i = 0; i < w->op_count; i++)
        if (w->locks[w->ops[i].lock].confirmed) w->ops[kept++] = w->ops[i];
    w->op_count = kept;
}
