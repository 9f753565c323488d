// Where a lock without a name (on the heap, in anonymous memory) was initialised: the last write of "free" into its
// word before it was taken that is no release, from 0 or from something that is no lock's value. All writes are
// looked at, for most locks are made in memory that is zero already. And where its memory was allocated.
#include "replayer/verdict/origin.h"

#include "core/array.h"
#include "replayer/verdict/allocation.h"

#include <stdlib.h>
#include <string.h>

enum {
    FRAMES_MAX = 128,
    FIRST_WINDOW = 64, // events
    WINDOW_FACTOR = 32,
    WINDOW_MAX = 500000,
    WRITES_MAX = 20000, // a write costs 20 us
    LOCK_VALUES = 2,    // 1 and 2 are a held lock's
    BUDGET_US = 1500000,
};

struct search {
    enum lock_rule rule;
    struct symbols *symbols;
    uint64_t slice, found_event;
    unsigned ordinal, found_ordinal;
    size_t writes;
    bool capture;
    int tid, pid; // who wrote
    struct frame frames[FRAMES_MAX];
    size_t frame_count;
};

// A semaphore is made by a call with a name.
static bool is_sem_init(struct search *s, struct replay *r, const struct watch_hit *hit) {
    struct view view;
    struct rf_error err;
    struct frame f;
    if (replay_view(r, hit->tid, &view, &err) < 0) return false;
    symbols_pc(s->symbols, &view, hit->regs->rip - 1, &f);
    const char *name = f.function ? stack_plain_name(f.function) : "";
    return !strncmp(name, "sem_init", 8) || !strncmp(name, "new_sem_init", 12);
}

static bool makes_it_free(struct search *s, struct replay *r, const struct watch_hit *hit) {
    uint32_t from = (uint32_t)hit->old_value, to = (uint32_t)hit->new_value;
    if (hit->from_kernel) return false;
    if (s->rule == RULE_SEMAPHORE) return is_sem_init(s, r, hit);
    return !to && (!from || from > LOCK_VALUES);
}

static void on_write(void *context, struct replay *r, const struct watch_hit *hit) {
    struct search *s = context;
    if (hit->next_event != s->slice) s->ordinal = 0;
    s->slice = hit->next_event;
    s->ordinal++;
    if (++s->writes > WRITES_MAX) {
        replay_unwatch(r);
        return;
    }
    if (!s->capture && makes_it_free(s, r, hit)) {
        s->found_event = s->slice;
        s->found_ordinal = s->ordinal;
    }
    if (!s->capture || s->slice != s->found_event || s->ordinal != s->found_ordinal) return;
    s->tid = hit->tid;
    s->pid = hit->pid;
    s->frame_count = holder_frames(s->symbols, r, hit, s->frames, FRAMES_MAX);
    replay_unwatch(r);
}

static int watch(const struct watched_lock *l, struct event_span span, struct search *s,
                 struct rf_error *err) {
    struct replay *r = timeline_replay(l->timeline);
    const struct lock_ref *ref = l->ref;
    const struct watch_client client = {.hit = on_write, .context = s};
    if (timeline_seek(l->timeline, span.from, err) < 0) return -1;
    int tid = ref->shared ? 1 : history_task_in(l->history, l->space, span.from);
    if (!tid) return 0;
    int watched = ref->shared ? replay_watch_shared(r, ref->identity, ref->offset, 4, client, err)
                              : replay_watch(r, tid, ref->word, 4, client, err);
    if (watched < 0) return -1;
    replay_watch_all_writes(r);
    replay_watch_seldom(r, WRITES_MAX);
    s->slice = 0;
    s->ordinal = 0;
    s->writes = 0;
    int failed = timeline_seek(l->timeline, span.until, err);
    if (replay_watch_gave_up(r)) s->writes = WRITES_MAX + 1;
    replay_unwatch(r);
    return failed;
}

static int search_space(struct analysis *a, struct waiter *w, size_t space, uint64_t until, struct search *s,
                        struct rf_error *err) {
    const struct watched_lock lock = {a->timeline, &a->history, space, &w->ref};
    uint64_t begin = w->ref.shared ? 1 : a->history.spaces[space].begin;
    for (uint64_t window = FIRST_WINDOW; !s->found_event; window *= WINDOW_FACTOR) {
        uint64_t from = until > window && until - window > begin ? until - window : begin;
        if (watch(&lock, (struct event_span){from, until}, s, err) < 0) return -1;
        if (from == begin || window > WINDOW_MAX || s->writes > WRITES_MAX) break;
    }
    if (!s->found_event) return 0;
    s->capture = true;
    return watch(&lock, (struct event_span){s->found_event - 1, s->found_event}, s, err);
}

int origin_initialised(struct analysis *a, struct waiter *w, struct rf_error *err) {
    bool rule = w->ref.rule == RULE_WORD || w->ref.rule == RULE_OWNER || w->ref.rule == RULE_SEMAPHORE;
    if (!w->lock.unnamed || !w->who.tid || !rule || w->ref.word % 4 || w->who.event < 2) return 0;
    struct search *s = calloc(1, sizeof *s);
    rf_assert(s);
    s->rule = w->ref.rule;
    s->symbols = timeline_symbols(a->timeline);
    int failed = search_space(a, w, w->who.space, w->who.event, s, err);
    if (!failed && s->frame_count) {
        w->initialised = (struct finding_point){.event = s->found_event,
                                                .pid = s->pid,
                                                .tid = s->tid,
                                                .stack = stack_of(s->frames, s->frame_count)};
    }
    free(s);
    return failed;
}

// ---- allocations

// Where the locks of a finding and of the other edges of its cycle were taken; else: where it is waited for.
struct asked {
    struct finding_lock *lock;
    int tid;
    uint64_t event, initialised;
};

static struct asked asked_of(struct finding *f, size_t i) {
    struct finding_lock *lock = i ? &f->edges[i - 1].lock : &f->lock;
    const struct finding_point *taken = i ? &f->edges[i - 1].acquired : &f->acquired,
                               *waiting = i ? &f->edges[i - 1].waiting : &f->waiting;
    bool known = taken->event > 1;
    return (struct asked){lock, known ? taken->tid : waiting->tid, known ? taken->event : waiting->event,
                          i ? 0 : f->initialised.event};
}

static int fill(struct analysis *a, const struct asked *q, struct rf_error *err) {
    struct lock_allocation *found;
    size_t life = history_life(&a->history, q->tid, q->event ? q->event - 1 : 0);
    if (!q->lock->unnamed || life == NONE) return 0;
    const struct allocated what = {a->history.lives[life].space, q->lock->address, q->event, q->initialised};
    if (allocation_find(a->timeline, &a->history, &what, &found, err) < 0) return -1;
    if (!found) return 0;
    struct verdict *v = a->verdict;
    array_push(v->allocations, v->allocation_count, found);
    q->lock->allocated = found;
    return 0;
}

int origin_allocations(struct analysis *a, struct rf_error *err) {
    int failed = 0;
    timeline_set_budget(a->timeline, BUDGET_US);
    for (size_t i = 0; i < a->verdict->count && !failed; i++)
        for (size_t k = 0; k <= a->verdict->findings[i].edge_count && !failed; k++) {
            const struct asked q = asked_of(&a->verdict->findings[i], k);
            failed = fill(a, &q, err);
        }
    bool late = timeline_set_budget(a->timeline, 0);
    if (!failed) return 0;
    if (!late && err->status != RF_DIVERGED) return -1;
    // Without it the verdict is as good.
    verdict_note(a->verdict,
                 late ? "Where a lock's memory was allocated was not looked for to the end: that takes "
                        "longer here."
                      : "Where a lock's memory was allocated cannot be shown: the program does "
                        "something else with breakpoints in it (it may read its own code).");
    return 0;
}
