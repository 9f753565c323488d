#include "replayer/verdict/thread_reads.h"

#include "replayer/stepping.h"

#include <stdlib.h>
#include <sys/syscall.h>

enum {
    EVENTS_MAX = 1000, // that are looked through for the waiter's own
    CALLS_MAX = 3,     // of the waiter's own before the one that it sleeps in: membarrier, futex
};

// From the stack pointer at the fork to the end of the mapping: frames, and above them thread_local data and the descriptor.
struct own_memory {
    uint64_t from, to;
};

struct stepper {
    const struct own_memory *own;
    size_t count;
    bool *read;
};

static void note_reads(void *context, struct replay *r, const struct break_hit *hit) {
    struct stepper *s = context;
    struct memory_operand operands[4];
    int n = stepping_operands(r, hit, operands);
    for (int i = 0; i < n; i++)
        for (size_t k = 0; k < s->count; k++)
            s->read[k] |= operands[i].address >= s->own[k].from && operands[i].address < s->own[k].to;
}

// Memory that a thread of the child has got since says nothing.
static bool is_taken(struct analysis *a, size_t space, const struct own_memory *own) {
    struct replay *r = timeline_replay(a->timeline);
    for (size_t i = 0; i < replay_task_count(r); i++) {
        const struct replay_task *task = replay_task_at(r, i);
        size_t life = history_life(&a->history, task->tid, timeline_position(a->timeline));
        bool same = life != NONE && a->history.lives[life].space == space;
        if (same && task->regs.fs_base >= own->from && task->regs.fs_base < own->to) return true;
    }
    return false;
}

static int own_memory(struct analysis *a, const struct waiter *w, uint64_t fork, const int *tids,
                      size_t count, struct own_memory *own, struct rf_error *err) {
    if (timeline_seek(a->timeline, fork, err) < 0) return -1;
    for (size_t i = 0; i < count; i++) {
        const struct replay_task *task = replay_task_find(timeline_replay(a->timeline), tids[i]);
        struct view view;
        if (!task || replay_view(timeline_replay(a->timeline), tids[i], &view, err) < 0) continue;
        const struct view_map *map = view_find(&view, task->regs.rsp);
        bool whole = map && task->regs.fs_base >= task->regs.rsp && task->regs.fs_base < map->end;
        if (whole) own[i] = (struct own_memory){task->regs.rsp, map->end};
    }
    if (timeline_seek(a->timeline, w->stuck->event, err) < 0) return -1;
    for (size_t i = 0; i < count; i++)
        if (own[i].to && is_taken(a, a->history.lives[w->life].space, &own[i]))
            own[i] = (struct own_memory){0};
    return 0;
}

// A loop has its words already.
static int polled_in(struct analysis *a, const struct waiter *w, uint64_t fork, const int *tids, size_t count,
                     bool *read, struct rf_error *err) {
    struct own_memory *own = calloc(count, sizeof *own);
    rf_assert(own);
    int failed = own_memory(a, w, fork, tids, count, own, err);
    for (size_t i = 0; i < count && !failed; i++)
        for (size_t k = 0; k < w->stuck->word_count; k++)
            read[i] |= w->stuck->words[k].address >= own[i].from && w->stuck->words[k].address < own[i].to;
    free(own);
    return failed;
}

int thread_reads_find(struct analysis *a, const struct waiter *w, uint64_t fork, const int *tids,
                      size_t count, bool *read, struct rf_error *err) {
    int tid = a->history.lives[w->life].tid;
    struct event e;
    if (w->ref.polled) return polled_in(a, w, fork, tids, count, read, err);
    uint64_t asleep = stepping_landmark(a->timeline, tid, w->stuck->event, EVENTS_MAX, &e), begin = asleep;
    if (!asleep || e.kind != EV_ENTER || e.nr != SYS_futex) return 0;
    struct own_memory *own = calloc(count, sizeof *own);
    rf_assert(own);
    int failed = own_memory(a, w, fork, tids, count, own, err);
    struct stepper s = {.own = own, .count = count, .read = read};
    bool any = false;
    // One way into a call after the other, backwards.
    for (int calls = 0; !failed && !any && begin && calls <= CALLS_MAX; calls++) {
        struct rf_error why;
        if (stepping_run(a->timeline, tid, (struct event_span){begin - 1, begin}, note_reads, &s, &why) < 0 &&
            why.status != RF_DIVERGED) {
            *err = why;
            failed = -1;
        }
        for (size_t i = 0; i < count; i++)
            any |= read[i];
        if (failed || any) break;
        begin = stepping_landmark(a->timeline, tid, begin, EVENTS_MAX, &e);
        if (begin && e.kind != EV_SYSCALL && e.kind != EV_EXIT) break;
    }
    free(own);
    return failed;
}
