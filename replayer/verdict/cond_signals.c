#include "replayer/verdict/cond_signals.h"

#include "core/array.h"
#include "replayer/engine/breakpoints.h"
#include "replayer/functions.h"

#include <stdlib.h>
#include <string.h>

enum {
    FIRST_WINDOW = 64, // events
    WINDOW_FACTOR = 16,
    CALLS_MAX = 64,
    ASK_EVERY = 512, // hits
    // Of the search, some 1.5 s on a quiet machine. Counted, not timed: a busy machine must not change what a verdict says.
    HITS_MOST = 50000,
    EVENTS_MOST = 100000,
};

static const char *const functions[] = {"pthread_cond_signal", "pthread_cond_broadcast", "cnd_signal",
                                        "cnd_broadcast"};

struct search {
    struct analysis *a;
    const struct waiter *waiter;
    size_t space;
    uint64_t condition, fork;
    struct cond_signals *out;
    uint64_t hits, events;
};

static bool enough(const struct search *s) {
    return s->hits > HITS_MOST || s->events > EVENTS_MOST;
}

static void add_function(void *context, struct replay *r, uint32_t space, uint64_t address,
                         const char *name) {
    (void)context;
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (!strcmp(name, functions[i])) replay_break_add(r, space, address, 0, i);
}

static void mapped(void *context, struct replay *r, const struct break_mapping *mapping) {
    struct search *s = context;
    functions_mapped(s->a->timeline, r, mapping, add_function, s);
}

static void keep(struct search *s, struct replay *r, const struct break_hit *hit) {
    struct cond_signals *all = s->out;
    struct cond_signal *c = NULL;
    for (size_t i = 0; i < all->count && !c; i++)
        if (all->calls[i].point.tid == hit->tid) c = &all->calls[i];
    bool later = hit->next_event > s->fork;
    if (c && later) return;
    if (!c) {
        if (all->count == CALLS_MAX) return;
        c = array_add(all->calls, all->count);
    }
    free(c->point.stack.frames);
    c->point = (struct finding_point){.event = hit->next_event,
                                      .pid = hit->pid,
                                      .tid = hit->tid,
                                      .stack = functions_stack(s->a->timeline, r, hit)};
}

static enum break_action on_hit(void *context, struct replay *r, struct break_hit *hit) {
    struct search *s = context;
    struct rf_error ignored;
    if (++s->hits % ASK_EVERY == 0) {
        if (timeline_report(s->a->timeline, hit->next_event, timeline_last(s->a->timeline), &ignored) < 0)
            return BREAK_STOP;
        if (enough(s)) replay_break_mute(r, hit->space, hit->address);
    }
    size_t life = history_life(&s->a->history, hit->tid, hit->next_event - 1);
    if (life == NONE || hit->regs->rdi != s->condition) return BREAK_EXECUTE;
    size_t space = s->a->history.lives[life].space;
    if (space == s->space) keep(s, r, hit);
    s->out->own |= space == s->a->history.lives[s->waiter->life].space && hit->tid != s->waiter->task.tid;
    return BREAK_EXECUTE;
}

static int run(struct search *s, uint64_t from, uint64_t until, struct rf_error *err) {
    const struct break_client client = {.mapped = mapped, .hit = on_hit, .context = s};
    struct replay *r = timeline_replay(s->a->timeline);
    struct rf_error ignored;
    s->events += until - from;
    if (timeline_seek(s->a->timeline, from, err) < 0 || replay_breaks(r, &client, err) < 0) return -1;
    int failed = timeline_seek(s->a->timeline, until, err);
    replay_breaks(r, NULL, &ignored);
    if (failed) timeline_reset(s->a->timeline, &ignored);
    return failed;
}

int cond_signals_find(struct analysis *a, const struct waiter *w, size_t child, struct cond_signals *out,
                      struct rf_error *err) {
    const struct space_life *space = &a->history.spaces[child];
    struct search s = {.a = a,
                       .space = space->parent,
                       .waiter = w,
                       .condition = w->ref.base,
                       .fork = space->begin,
                       .out = out};
    uint64_t begin = a->history.spaces[space->parent].begin, last = timeline_last(a->timeline);
    uint64_t window = FIRST_WINDOW, end = s.fork;
    for (uint64_t from = s.fork; from < last && !enough(&s); window *= WINDOW_FACTOR) {
        if (out->count && from >= w->stuck->event) break;
        uint64_t until = last - from > window ? from + window : last;
        if (run(&s, from, until, err) < 0) return -1;
        from = until;
    }
    for (window = FIRST_WINDOW; end > begin && !out->count && !enough(&s); window *= WINDOW_FACTOR) {
        uint64_t from = end - begin > window ? end - window : begin;
        if (run(&s, from, end, err) < 0) return -1;
        end = from;
    }
    return 0;
}

void cond_signals_free(struct cond_signals *s) {
    for (size_t i = 0; i < s->count; i++)
        free(s->calls[i].point.stack.frames);
    free(s->calls);
    *s = (struct cond_signals){0};
}
