#include "replayer/locks/takers.h"

#include "core/path.h"
#include "replayer/engine/breakpoints.h"
#include "replayer/engine/probes.h"
#include "replayer/locks/pass.h"
#include "replayer/names/frames.h"
#include "replayer/names/member.h"
#include "replayer/names/python_lock.h"
#include "replayer/names/script.h"
#include "replayer/names/short_name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FRAMES_MAX = 128 };

// ---- one access

struct capture {
    struct timeline *timeline;
    uint64_t address, event;
    uint32_t ordinal, seen;
    bool noted; // as note number `index` of the slice
    uint64_t index;
    bool naming; // the lock's name is wanted, too
    char name[256];
    struct frame frames[FRAMES_MAX];
    size_t count;
};

static void take_stack(struct capture *c, const struct break_hit *hit) {
    struct view view;
    struct rf_error err;
    if (replay_view(timeline_replay(c->timeline), hit->tid, &view, &err) < 0) return;
    timeline_foreign(c->timeline, true);
    struct symbols *s = timeline_symbols(c->timeline);
    c->count = frames_at(s, &view, hit->regs, c->frames, FRAMES_MAX);
    if (c->naming && !python_lock_name(s, &view, hit->regs, c->address, c->name, sizeof c->name) &&
        !member_name(s, &view, hit->regs, c->address, c->name, sizeof c->name))
        c->name[0] = 0;
    timeline_foreign(c->timeline, false);
}

static void look(void *context, struct lock_pass *p, const struct break_hit *hit, uint64_t address,
                 uint64_t index) {
    struct capture *c = context;
    (void)p;
    if (hit->next_event != c->event || address != c->address || ++c->seen != c->ordinal) return;
    c->noted = !hit->regs;
    c->index = index;
    if (hit->regs) take_stack(c, hit);
}

static void ignore(void *context, struct lock_pass *p, const struct break_hit *hit, uint64_t address,
                   uint64_t index) {
    (void)context, (void)p, (void)hit, (void)address, (void)index;
}

static void paused(void *context, struct replay *r, const struct break_hit *hit) {
    (void)r;
    take_stack(context, hit);
}

// The slice of c->event with an observer of its accesses; c->noted: stopped at that note.
static int run_slice(struct capture *c, const struct lock_functions *functions, struct rf_error *err) {
    struct timeline *t = c->timeline;
    if (timeline_seek(t, c->event - 1, err) < 0) return -1;
    struct lock_history nothing = {0};
    struct lock_pass *p = lock_pass_new(t, &nothing, functions, true);
    lock_pass_observe(p, c->noted ? ignore : look, paused, c);
    const struct break_client client = lock_pass_client(p);
    int failed = replay_breaks(timeline_replay(t), &client, err);
    if (!failed) {
        if (c->noted) replay_note_pause(timeline_replay(t), c->index);
        failed = timeline_seek(t, c->event, err);
        struct rf_error ignored;
        replay_breaks(timeline_replay(t), NULL, &ignored);
    }
    lock_pass_free(p);
    free(nothing.places);
    free(nothing.strings);
    return failed;
}

// Twice, when the access was noted without a stop: first to learn which note it is.
static int look_at(struct capture *c, const struct lock_functions *functions, struct rf_error *err) {
    int failed = run_slice(c, functions, err);
    return !failed && c->noted ? run_slice(c, functions, err) : failed;
}

int lock_history_stack(struct timeline *t, const struct lock *l, struct access_at at,
                       const struct lock_functions *functions, struct stack *out, struct rf_error *err) {
    *out = (struct stack){0};
    if (!at.event || !at.ordinal) return 0;
    struct capture *c = calloc(1, sizeof *c);
    rf_assert(c);
    *c =
        (struct capture){.timeline = t, .address = l->last_address, .event = at.event, .ordinal = at.ordinal};
    int failed = look_at(c, functions, err);
    if (!failed) *out = stack_of(c->frames, c->count);
    free(c);
    return failed;
}

// ---- many

// "Config::reload at config.cc:31": the line of the program, not the lock function that it calls.
static int32_t caller_of(struct lock_history *h, const struct capture *c) {
    if (!c->count) return LOCK_CALLER_UNKNOWN;
    char text[600];
    struct stack stack = {.frames = (struct frame *)c->frames, .count = c->count};
    struct frame f = script_focus(&stack, true);
    if (!f.function && !f.module) return LOCK_CALLER_UNKNOWN;
    char name[1024];
    snprintf(name, sizeof name, "%s", f.function ? f.function : f.module);
    short_name(name, SHORT_NAME_COLUMNS);
    if (f.file && f.line > 0)
        snprintf(text, sizeof text, "%.400s at %.100s:%d", name, base_name(f.file), f.line);
    else
        snprintf(text, sizeof text, "%.400s", name);
    return lock_history_add_string(h, text);
}

static bool may_be_asked(const struct lock_taker *v) {
    struct access_at at = lock_asked_at(v->holder);
    return v->holder->caller == LOCK_CALLER_NOT_ASKED && at.event && at.ordinal;
}

static int compare_takers(const void *left, const void *right) {
    const struct lock_taker *a = left, *b = right;
    struct access_at x = lock_asked_at(a->holder), y = lock_asked_at(b->holder);
    if (x.event != y.event) return x.event < y.event ? -1 : 1;
    if (x.ordinal != y.ordinal) return x.ordinal < y.ordinal ? -1 : 1;
    return a->lock < b->lock ? -1 : a->lock > b->lock;
}

// What a process inherited was taken once, in its parent.
static bool is_same(const struct lock_history *h, const struct lock_taker *a, const struct lock_taker *b) {
    struct access_at x = lock_asked_at(a->holder), y = lock_asked_at(b->holder);
    return x.event == y.event && x.ordinal == y.ordinal &&
           h->words.locks[a->lock].last_address == h->words.locks[b->lock].last_address;
}

int lock_history_takers(struct timeline *t, struct lock_history *h, const struct lock_functions *functions,
                        struct lock_taker *v, size_t n, struct rf_error *err) {
    struct capture *c = malloc(sizeof *c);
    rf_assert(c);
    int failed = 0;
    if (n) qsort(v, n, sizeof *v, compare_takers);
    for (size_t i = 0; i < n && !failed; i++) {
        if (!may_be_asked(&v[i])) continue;
        struct lock *l = &h->words.locks[v[i].lock];
        struct access_at at = lock_asked_at(v[i].holder);
        memset(c, 0, sizeof *c);
        c->timeline = t;
        c->address = l->last_address;
        c->event = at.event;
        c->ordinal = at.ordinal;
        c->naming = l->name < 0;
        failed = look_at(c, functions, err);
        int32_t caller = failed ? LOCK_CALLER_NOT_ASKED : caller_of(h, c);
        for (size_t k = i; k < n && is_same(h, &v[i], &v[k]); k++)
            v[k].holder->caller = caller;
        if (failed || !*c->name) continue;
        l->name = lock_history_add_string(h, c->name);
        l->by_stack = true;
    }
    free(c);
    return failed;
}
