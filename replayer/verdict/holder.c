#include "replayer/verdict/holder.h"

#include "core/array.h"
#include "core/atomic_emulate.h"
#include "core/guard.h"
#include "replayer/locks/follow.h"
#include "replayer/names/frames.h"
#include "replayer/verdict/sem_inits.h"

#include <stdlib.h>
#include <string.h>

enum {
    INSTRUCTION_MAX = 15,
    READERS_MAX = 64,
    FRAMES_MAX = 128,
    FIRST_WINDOW = 16, // events; a window costs 20 us per write, so the first ones are small
    WINDOW_FACTOR = 16,
    FIRST_WINDOW_US = 20000, // ... and a slice may be long
    OWNER_TID = 0x3fffffff,
    HITS_MAX = 2000,    // of a window; 30 ms
    BESIDE_MOST = 2000, // to a protected page, in a window; 0.1 to 0.5 seconds
    BESIDE_STACK = 20000,
    TAIL_FIRST = 32, // accesses at the end of a window of which there are more
    TAIL_MAX = 8192,
};

struct acquire {
    int tid;
    uint64_t event;
    unsigned ordinal;
    bool by_kernel;
    bool skipped; // as in struct holder
    uint64_t skip;
};

struct tracker {
    enum lock_rule rule;
    uint32_t mask;
    struct acquire list[READERS_MAX]; // the holder, or the readers
    size_t count;
    struct acquire writer; // of a rwlock: who set the write-locked bit
    uint32_t value;
    bool changed;
    uint64_t event; // where the latest change was
    unsigned ordinal;
    // holder_stack
    const struct holder *want;
    struct symbols *symbols;
    struct frame frames[FRAMES_MAX];
    size_t frame_count;
    struct write_facts facts;
    // holder_release
    bool until_free;
    uint64_t freed;
    unsigned hits_left; // find_in_space; 0: no limit
    bool any;           // the rest of a slice need not be watched
    bool too_many;
    // find_in_tail
    const struct watched_lock *tail;
    bool read_only, reading;
    size_t met;
    struct follow_place passed; // the access that was met last
    bool elsewhere;             // it changed, and no access is known in that slice
    // made_anew
    bool until_stored, stored;
    // holder_changes
    bool collect;
    struct word_change *changes;
    size_t change_count;
};

// ---- the state machine

static void take(struct tracker *k, struct acquire a) {
    k->list[0] = a;
    k->count = 1;
}

static void readers_changed(struct tracker *k, const struct lock_sharing *from, const struct lock_sharing *to,
                            struct acquire a) {
    // Who comes counts: a writer has it when the readers are out, a reader when the writer is.
    uint32_t before = from->registered, now = to->registered;
    bool written = from->claimed, writes = to->claimed;
    if (writes && !written) k->writer = a;
    if (written && !writes) k->writer.tid = 0;
    if (now == before + 1 && k->count < READERS_MAX) k->list[k->count++] = a;
    if (now + 1 != before) return;
    for (size_t i = k->count; i-- > 0;) {
        if (k->list[i].tid != a.tid) continue;
        array_remove(k->list, k->count, i);
        return;
    }
}

static void word_changed(struct tracker *k, uint32_t from, uint32_t to, struct acquire a) {
    struct lock_sharing was, is;
    if (lock_sharing(k->rule, from, &was) && lock_sharing(k->rule, to, &is)) {
        readers_changed(k, &was, &is, a);
        return;
    }
    if (k->rule == RULE_OWNER) {
        // The kernel hands a PI mutex from one waiter to the next: the word says to whom.
        if ((from & OWNER_TID) == (to & OWNER_TID)) return;
        if (a.by_kernel) a.tid = (int)(to & OWNER_TID);
    } else if (lock_is_held(k->rule, from) == lock_is_held(k->rule, to)) {
        return;
    }
    if (lock_is_held(k->rule, to))
        take(k, a);
    else
        k->count = 0;
}

// Is everybody who holds it now known?
static bool complete(const struct tracker *k) {
    struct lock_sharing s;
    if (!lock_sharing(k->rule, k->value, &s)) return k->count > 0;
    return s.writer ? k->writer.tid != 0 : k->count && k->count >= s.readers;
}

// ---- watching

static enum write_sort sort_of(uint8_t operation, bool locked) {
    switch (operation) {
    case ATOMIC_CMPXCHG:
    case ATOMIC_XCHG:
    case ATOMIC_BTS:
    case ATOMIC_OR:
        return locked ? WRITE_EXCHANGE : WRITE_PLAIN;
    default:
        return WRITE_COUNT;
    }
}

// The instruction in front of `pc`: the longest one that ends there. glibc jumps over lock prefixes while a process
// has one thread only: without one it is cmpxchg all the same. The end of a constant, as in `movl $1, word`, reads as
// `add %al,(%rax)` (00 00): nothing without a prefix counts in less than 4 bytes.
static enum write_sort sort_of_write(const struct view *v, uint64_t pc) {
    uint8_t code[INSTRUCTION_MAX];
    struct atomic_instruction a;
    if (!v->read(v->context, pc - sizeof code, code, sizeof code)) return WRITE_PLAIN;
    for (size_t i = 0; i < sizeof code; i++)
        if (atomic_decode(code + i, sizeof code - i, &a) && a.length == sizeof code - i &&
            (a.locked || a.size >= 4 || a.operation == ATOMIC_CMPXCHG || a.operation == ATOMIC_XCHG))
            return sort_of(a.operation, a.locked || a.operation == ATOMIC_CMPXCHG);
    return WRITE_PLAIN;
}

size_t holder_frames(struct symbols *s, struct replay *r, const struct watch_hit *hit, struct frame *out,
                     size_t max) {
    struct view view;
    struct rf_error err;
    struct raw_frame raw[FRAMES_MAX];
    if (replay_view(r, hit->tid, &view, &err) < 0) return 0;
    size_t n = unwind_stack(&view, hit->regs, raw, FRAMES_MAX);
    // A watchpoint traps behind the instruction that wrote.
    if (n && !hit->from_kernel) raw[0].exact = false;
    return frames_name(s, &view, &(struct raw_stack){raw, n, hit->regs->fs_base}, out, max);
}

static void capture(struct tracker *k, struct replay *r, const struct watch_hit *hit) {
    struct view view;
    struct rf_error err;
    k->frame_count = holder_frames(k->symbols, r, hit, k->frames, FRAMES_MAX);
    if (replay_view(r, hit->tid, &view, &err) < 0) return;
    k->facts.foreign_stack =
        hit->tid != hit->pid && view_find(&view, hit->regs->rsp) != view_find(&view, hit->regs->fs_base);
    k->facts.value = (uint32_t)hit->new_value;
    k->facts.sort = hit->from_kernel ? WRITE_PLAIN : sort_of_write(&view, hit->regs->rip);
}

static bool is_plain_store(struct replay *r, const struct watch_hit *hit) {
    struct view view;
    struct rf_error err;
    return !hit->from_kernel && replay_view(r, hit->tid, &view, &err) == 0 &&
           sort_of_write(&view, hit->regs->rip) == WRITE_PLAIN;
}

// What changed the word since the access that was passed last is that access, or a plain store behind it.
static void place_of(struct tracker *k, struct acquire *a) {
    a->skipped = k->passed.event == a->event;
    a->skip = k->passed.index;
    a->ordinal = 1;
    if (!a->skipped && !a->by_kernel) k->elsewhere = true;
}

static bool is_wanted(const struct tracker *k, const struct watch_hit *hit) {
    const struct holder *w = k->want;
    if (!w || w->event != k->event) return false;
    return w->by_kernel ? hit->from_kernel : w->ordinal == k->ordinal;
}

static void collect_change(struct tracker *k, struct replay *r, const struct watch_hit *hit,
                           struct word_change c) {
    struct view view;
    struct rf_error err;
    struct acquire a = {.event = k->event, .ordinal = k->ordinal, .by_kernel = hit->from_kernel};
    if (k->tail) place_of(k, &a);
    c.tid = hit->tid;
    c.event = a.event;
    c.ordinal = a.ordinal;
    c.by_kernel = a.by_kernel;
    c.skipped = a.skipped;
    c.skip = a.skip;
    if (k->tail)
        c.sort = a.skipped ? WRITE_EXCHANGE : WRITE_PLAIN;
    else if (!a.by_kernel && replay_view(r, hit->tid, &view, &err) == 0)
        c.sort = sort_of_write(&view, hit->regs->rip);
    array_push(k->changes, k->change_count, c);
    if (k->change_count > WORD_CHANGES_MAX) replay_unwatch(r);
}

static void on_hit(void *context, struct replay *r, const struct watch_hit *hit) {
    struct tracker *k = context;
    if (k->until_stored) {
        k->stored = is_plain_store(r, hit);
        if (k->stored) replay_unwatch(r);
        return;
    }
    if (k->hits_left && !--k->hits_left) {
        k->too_many = true;
        replay_unwatch(r);
        return;
    }
    uint32_t from = (uint32_t)hit->old_value & k->mask, to = (uint32_t)hit->new_value & k->mask;
    if (hit->next_event != k->event || !k->changed) k->ordinal = 0;
    k->changed = true;
    k->event = hit->next_event;
    k->ordinal++;
    k->value = to;
    if (k->collect) {
        collect_change(k, r, hit, (struct word_change){.from = from, .to = to});
        return;
    }
    struct acquire a = {
        .tid = hit->tid, .event = hit->next_event, .ordinal = k->ordinal, .by_kernel = hit->from_kernel};
    if (k->tail) place_of(k, &a);
    word_changed(k, from, to, a);
    if (is_wanted(k, hit)) {
        capture(k, r, hit);
        replay_unwatch(r);
    }
    if (k->until_free && !lock_is_held(k->rule, to)) {
        k->freed = hit->next_event;
        replay_unwatch(r);
    }
}

bool holder_word(struct timeline *t, const struct history *h, size_t space, uint64_t address,
                 uint32_t *value) {
    struct view view;
    struct rf_error err;
    int tid = history_task_in(h, space, timeline_position(t));
    return tid && replay_view(timeline_replay(t), tid, &view, &err) == 0 &&
           view.read(view.context, address, value, sizeof *value);
}

// Its state word, in the address space at the timeline's position or in the memory that processes share.
static bool read_word(const struct watched_lock *l, uint32_t *value) {
    const struct lock_ref *ref = l->ref;
    if (ref->shared)
        return replay_shared_read(timeline_replay(l->timeline), ref->identity, ref->offset, value,
                                  sizeof *value);
    return holder_word(l->timeline, l->history, l->space, ref->word, value);
}

static uint32_t mask_of(const struct lock_ref *ref) {
    return ref->mask ? ref->mask : UINT32_MAX;
}

// From the timeline's position on, which is in the slice behind `event`.
static int start_watching(const struct watched_lock *l, uint64_t event, struct tracker *k,
                          struct rf_error *err) {
    struct replay *r = timeline_replay(l->timeline);
    const struct lock_ref *ref = l->ref;
    const struct watch_client client = {.hit = on_hit, .context = k, .compared = k->read_only};
    k->rule = ref->rule;
    k->mask = mask_of(ref);
    read_word(l, &k->value); // 0 while it is not mapped yet
    k->value &= k->mask;
    if (ref->shared) return replay_watch_shared(r, ref->identity, ref->offset, 4, client, err);
    int tid = history_task_in(l->history, l->space, event);
    if (!tid)
        return rf_fail(err, RF_BAD_TRACE, "no task lives in process %d at event %llu",
                       l->history->spaces[l->space].pid, (unsigned long long)event);
    return replay_watch(r, tid, ref->word, 4, client, err);
}

// Runs the slices with the word watched.
static int watch_window(const struct watched_lock *l, struct event_span span, struct tracker *k,
                        struct rf_error *err) {
    struct replay *r = timeline_replay(l->timeline);
    if (timeline_seek(l->timeline, span.from, err) < 0) return -1;
    if (start_watching(l, span.from, k, err) < 0) return -1;
    if (k->until_stored) replay_watch_all_writes(r);
    replay_watch_seldom(r, k->want || k->until_stored ? BESIDE_STACK : k->any ? 0 : BESIDE_MOST);
    int failed = timeline_seek(l->timeline, span.until, err);
    if (!failed) replay_watch_look(r);
    k->too_many |= replay_watch_gave_up(r);
    replay_unwatch(r);
    return failed;
}

// ---- words that are written often

// Right before an access.
static void read_at_place(void *context, struct replay *r, const struct follow_place *place) {
    struct tracker *k = context;
    struct rf_error ignored;
    if (k->reading)
        replay_watch_look(r);
    else
        k->reading = start_watching(k->tail, place->event - 1, k, &ignored) == 0;
    k->passed = *place;
    k->met++;
}

// From the first of `last` on, or from `from` if that is not 0.
static int read_at_places(struct follow *f, const struct follow_place *last, size_t count,
                          struct event_span span, struct tracker *k, struct rf_error *err) {
    struct replay *r = timeline_replay(k->tail->timeline);
    int failed = 0;
    if (span.from) {
        if (timeline_seek(k->tail->timeline, span.from, err) < 0 ||
            start_watching(k->tail, span.from, k, err) < 0)
            return -1;
        k->reading = true;
        uint64_t until = count ? last[count - 1].event - 1 : span.until;
        failed = timeline_seek(k->tail->timeline, until, err);
    }
    if (!failed && count) failed = follow_run(f, last, count, span.until, read_at_place, k, err);
    if (!failed) replay_watch_look(r);
    replay_unwatch(r);
    k->elsewhere |= k->met != count;
    return failed;
}

// The last accesses to the word in `span`, the latest first: `count` of them. NULL: `err`.
static struct follow_place *last_accesses(struct follow *f, const struct watched_lock *l,
                                          struct event_span span, int *count, struct rf_error *err) {
    const struct lock_ref *ref = l->ref;
    if (timeline_seek(l->timeline, span.from, err) < 0) return NULL;
    int tid = history_task_in(l->history, l->space, span.from);
    const struct follow_word word = {.space = replay_space_of(timeline_replay(l->timeline), tid),
                                     .identity = ref->shared ? ref->identity : 0,
                                     .address = ref->shared ? ref->offset : ref->word};
    struct follow_place *last = malloc(TAIL_MAX * sizeof *last);
    rf_assert(last);
    *count = follow_last(f, &word, span, last, TAIL_MAX, err);
    if (*count >= 0) return last;
    free(last);
    return NULL;
}

enum tail { TAIL_FAILED = -1, TAIL_UNKNOWN, TAIL_EXPLAINS, TAIL_HAS_NOTHING };

// The end of `span` in growing pieces; all of it at last, if every access to the word is known. Does it explain the value `now`?
static enum tail find_in_tail(const struct watched_lock *l, struct event_span span, uint32_t now,
                              struct tracker *k, struct rf_error *err) {
    scoped_follow struct follow *f = follow_new(l->timeline);
    int count;
    scoped_free struct follow_place *last = last_accesses(f, l, span, &count, err);
    if (!last) return TAIL_FAILED;
    for (int n = TAIL_FIRST;; n *= 16) {
        bool all = n >= count && follow_has_all(f);
        *k = (struct tracker){.tail = l, .read_only = true};
        const struct event_span piece = {all ? span.from : 0, span.until};
        if (n > count) n = count;
        if ((n || all) && read_at_places(f, last, (size_t)n, piece, k, err) < 0) return TAIL_FAILED;
        if (k->value == now && complete(k) && !k->elsewhere) return TAIL_EXPLAINS;
        if (all) return k->elsewhere ? TAIL_UNKNOWN : TAIL_HAS_NOTHING;
        if (n == count) return TAIL_UNKNOWN;
    }
}

// Watches the window. Where that is too much, the word is read at its last accesses and between slices.
static int watch_or_read(const struct watched_lock *l, struct event_span span, struct tracker *k,
                         struct rf_error *err) {
    int count = 0, failed = watch_window(l, span, k, err);
    if (failed || !k->too_many) return failed;
    scoped_follow struct follow *f = follow_new(l->timeline);
    // (Of a release only the slice is asked for.)
    scoped_free struct follow_place *last = k->until_free ? NULL : last_accesses(f, l, span, &count, err);
    if (!k->until_free && !last) return -1;
    free(k->changes);
    *k = (struct tracker){.tail = l, .read_only = true, .collect = k->collect, .until_free = k->until_free};
    return read_at_places(f, last, (size_t)count, span, k, err);
}

// ---- the search

static struct acquire choose(const struct tracker *k, const struct history *h, uint64_t fork, int forker,
                             uint64_t until) {
    struct lock_sharing s;
    if (!lock_sharing(k->rule, k->value, &s)) return k->list[0];
    if (s.writer) return k->writer;
    // Of several readers the one that is to blame: alive at the fork, and not copied into the child.
    for (size_t i = 0; fork && i < k->count; i++)
        if (k->list[i].tid != forker && history_life(h, k->list[i].tid, fork) != NONE) return k->list[i];
    // Or one that has ended with the lock.
    for (size_t i = 0; !fork && i < k->count; i++)
        if (history_life(h, k->list[i].tid, until) == NONE) return k->list[i];
    return k->list[0];
}

static void list_others(const struct tracker *k, struct holder *out) {
    struct lock_sharing s;
    if (!lock_sharing(k->rule, k->value, &s) || s.writer) return;
    for (size_t i = 0; i < k->count && out->other_count < HOLDER_OTHERS; i++) {
        const struct acquire *a = &k->list[i];
        if (a->event == out->event && a->ordinal == out->ordinal && a->skip == out->skip) continue;
        out->others[out->other_count++] = (struct holder_other){
            .tid = a->tid, .event = a->event, .ordinal = a->ordinal, .skipped = a->skipped, .skip = a->skip};
    }
}

// A semaphore is made with the same 0 that it has when its permits are used up: what its memory held before says nothing.
static int made_anew(const struct watched_lock *l, uint64_t until, bool *anew, struct rf_error *err) {
    struct tracker k = {.until_stored = true};
    *anew = false;
    if (l->ref->rule != RULE_SEMAPHORE) return 0;
    const struct event_span span = {l->history->spaces[l->space].begin, until};
    int failed = watch_window(l, span, &k, err);
    *anew = k.stored || k.too_many;
    // (Words of the C++ library's semaphores are made by a store.)
    bool by_call = l->ref->kind == KIND_SEM || l->ref->kind == KIND_PYTHON_LOCK;
    return failed || k.stored || !k.too_many || !by_call ? failed : sem_inits_met(l, span, anew, err);
}

// Watches one window whose end has the value `now`. 1: its acquires explain that, and `out` has them; 0, -1.
static int find_in_window(const struct watched_lock *l, struct event_span span, uint32_t now,
                          struct holder *out, struct rf_error *err) {
    struct tracker k = {.hits_left = HITS_MAX};
    if (watch_window(l, span, &k, err) < 0) return -1;
    if (k.too_many) {
        enum tail found = find_in_tail(l, span, now, &k, err);
        if (found == TAIL_FAILED) return -1;
        if (found == TAIL_HAS_NOTHING) return 0;
        if (found == TAIL_UNKNOWN) { // all of it: not only atomic instructions write
            k = (struct tracker){.any = true};
            if (watch_window(l, span, &k, err) < 0) return -1;
        }
    }
    if (k.value != now || !complete(&k)) return 0;
    const struct history *h = l->history;
    int forker = out->fork ? h->spaces[out->child_space].forker : 0;
    struct acquire a = choose(&k, h, out->fork, forker, span.until);
    out->tid = a.tid;
    out->event = a.event;
    out->ordinal = a.ordinal;
    out->by_kernel = a.by_kernel;
    out->skipped = a.skipped;
    out->skip = a.skip;
    out->space = l->space;
    out->life = history_life(h, a.tid, a.event ? a.event - 1 : 0);
    list_others(&k, out);
    return 1;
}

// In one address space: fills out->tid if an acquire explains the value at `until`; *inherited when the lock
// was held at the space's beginning already.
static int find_in_space(const struct watched_lock *l, uint64_t until, struct holder *out, bool *inherited,
                         struct rf_error *err) {
    const struct space_life *space = &l->history->spaces[l->space];
    const struct lock_ref *ref = l->ref;
    uint64_t begin = ref->shared ? 1 : space->begin;
    uint32_t now = 0, first = 0;
    *inherited = false;
    if (timeline_seek(l->timeline, until, err) < 0) return -1;
    uint32_t mask = mask_of(ref);
    if (!read_word(l, &now) || !lock_is_held(ref->rule, now & mask)) return 0;
    now &= mask;
    out->held = true;
    for (uint64_t window = FIRST_WINDOW;; window *= WINDOW_FACTOR) {
        uint64_t from = until > window && until - window > begin ? until - window : begin;
        int found = find_in_window(l, (struct event_span){from, until}, now, out, err);
        if (found) return found < 0 ? -1 : 0;
        if (from == begin) break;
    }
    if (ref->shared || space->parent == NONE) return 0;
    if (timeline_seek(l->timeline, begin, err) < 0) return -1;
    *inherited = holder_word(l->timeline, l->history, l->space, ref->word, &first) &&
                 lock_is_held(ref->rule, first & mask);
    bool anew = false;
    if (*inherited && made_anew(l, until, &anew, err) < 0) return -1;
    *inherited &= !anew;
    return 0;
}

int holder_find(const struct watched_lock *lock, uint64_t until, struct holder *out, struct rf_error *err) {
    struct watched_lock l = *lock;
    bool inherited;
    *out = (struct holder){.life = NONE, .space = NONE, .child_space = NONE};
    if (l.ref->rule == RULE_NONE || l.ref->word % 4) return 0;
    for (;;) {
        if (find_in_space(&l, until, out, &inherited, err) < 0) return -1;
        if (!inherited) return 0;
        out->child_space = l.space;
        out->fork = until = l.history->spaces[l.space].begin;
        l.space = l.history->spaces[l.space].parent;
    }
}

static void watch_from(void *context, struct replay *r, const struct follow_place *place) {
    struct tracker *k = context;
    struct rf_error ignored;
    (void)r;
    start_watching(k->tail, place->event - 1, k, &ignored);
}

int holder_stack(const struct watched_lock *lock, const struct holder *who, struct stack *out,
                 struct write_facts *facts, struct rf_error *err) {
    struct watched_lock there = *lock;
    scoped_free struct tracker *k = calloc(1, sizeof *k);
    rf_assert(k);
    k->want = who;
    k->symbols = timeline_symbols(lock->timeline);
    there.space = who->space;
    *out = (struct stack){0};
    int failed;
    if (who->skipped) {
        scoped_follow struct follow *f = follow_new(lock->timeline);
        const struct follow_place place = {who->event, who->skip};
        k->tail = &there;
        failed = follow_run(f, &place, 1, who->event, watch_from, k, err);
        replay_unwatch(timeline_replay(lock->timeline));
    } else {
        failed = watch_window(&there, (struct event_span){who->event - 1, who->event}, k, err);
    }
    if (!failed) *out = stack_of(k->frames, k->frame_count);
    if (facts) *facts = k->facts;
    return failed;
}

struct holder holder_of_change(const struct word_change *c, size_t space) {
    return (struct holder){.tid = c->tid,
                           .life = NONE,
                           .event = c->event,
                           .ordinal = c->ordinal,
                           .skipped = c->skipped,
                           .skip = c->skip,
                           .by_kernel = c->by_kernel,
                           .space = space,
                           .child_space = NONE};
}

int holder_changes(const struct watched_lock *lock, struct event_span span, each_change each, void *context,
                   struct rf_error *err) {
    struct tracker k = {.collect = true};
    int failed = watch_or_read(lock, span, &k, err);
    for (size_t i = 0; !failed && i < k.change_count; i++)
        if (!each(context, &k.changes[i])) break;
    free(k.changes);
    return failed;
}

int holder_release(const struct watched_lock *lock, uint64_t from, uint64_t *event, struct rf_error *err) {
    struct tracker k = {.until_free = true};
    *event = 0;
    int failed = watch_or_read(lock, (struct event_span){from, timeline_last(lock->timeline)}, &k, err);
    if (!failed) *event = k.freed;
    return failed;
}
