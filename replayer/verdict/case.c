#include "replayer/verdict/case.h"

#include "core/array.h"
#include "replayer/verdict/glibc.h"

#include <stdlib.h>
#include <string.h>

enum { FRAMES_MAX = 256 };

// ---- who is who

struct watched_lock case_lock_in(const struct analysis *a, size_t space, const struct lock_ref *ref) {
    return (struct watched_lock){a->timeline, &a->history, space, ref};
}

struct watched_lock case_lock(const struct analysis *a, const struct waiter *w) {
    return case_lock_in(a, a->history.lives[w->life].space, &w->ref);
}

void case_point(struct analysis *a, int tid, struct finding_point *out) {
    struct frame frames[FRAMES_MAX];
    size_t life = history_life(&a->history, tid, timeline_position(a->timeline));
    size_t n = timeline_stack(a->timeline, tid, frames, FRAMES_MAX);
    *out = (struct finding_point){.event = timeline_position(a->timeline),
                                  .pid = life == NONE ? 0 : a->history.lives[life].pid,
                                  .tid = tid,
                                  .stack = stack_of(frames, n)};
}

void case_task(struct analysis *a, size_t life, const struct stack *stack, struct finding_task *out) {
    const struct life *l = &a->history.lives[life];
    const struct replay_task *task = replay_task_find(timeline_replay(a->timeline), l->tid);
    *out = (struct finding_task){.pid = l->pid, .tid = l->tid};
    if (task) snprintf(out->name, sizeof out->name, "%s", task->name);
    // The thread that a process begins with has main, or the stack of whoever forked it.
    if (l->tid == l->pid || !stack) return;
    stack_start_routine(stack, out->start_routine, sizeof out->start_routine);
    if (stack_is_whole(stack) || !task || task->death) return;
    // The stack of a fiber (makecontext) does not say it, libc's own note does.
    struct view view;
    struct rf_error err;
    struct frame f;
    if (replay_view(timeline_replay(a->timeline), l->tid, &view, &err) < 0) return;
    uint64_t routine = libc_start_routine(timeline_symbols(a->timeline), &view, task->regs.fs_base);
    if (!routine) return;
    symbols_pc(timeline_symbols(a->timeline), &view, routine, &f);
    if (f.function) snprintf(out->start_routine, sizeof out->start_routine, "%s", f.function);
}

void case_party(struct finding_party **list, size_t *count, const struct finding_task *task,
                const struct finding_point *point, const char *what) {
    struct finding_party *p = array_add(*list, *count);
    *p = (struct finding_party){.task = *task, .point = *point};
    snprintf(p->what, sizeof p->what, "%s", what);
}

// ---- what becomes a finding

void case_append(struct analysis *a, const struct finding *f) {
    struct verdict *v = a->verdict;
    size_t ranked = v->count;
    array_push(a->order, ranked, (struct order){.rank = RANK_CAUSE});
    array_push(v->findings, v->count, *f);
}

struct finding *case_add(struct analysis *a, const struct waiter *w, enum finding_kind kind, int rank) {
    struct finding f = {.kind = kind,
                        .confidence = w->proved ? CONFIDENCE_PROVED : CONFIDENCE_LIKELY,
                        .lock = w->lock,
                        .waiter = w->task,
                        .waiting = w->waiting};
    f.waiting.stack = stack_copy(&w->waiting.stack);
    case_append(a, &f);
    a->order[a->verdict->count - 1] = (struct order){.rank = rank, .main = w->stuck->main};
    return &a->verdict->findings[a->verdict->count - 1];
}

void case_parties(struct finding_party **to, size_t *to_count, const struct finding_party *from,
                  size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct finding_point point = from[i].point;
        point.stack = stack_copy(&point.stack);
        case_party(to, to_count, &from[i].task, &point, from[i].what);
    }
}

void case_add_holder(struct finding *f, const struct waiter *w) {
    if (!w->who.tid) return;
    f->holder = w->holder;
    f->holder_is_forker = w->holder_forks;
    f->acquired = w->acquired;
    f->acquired.stack = stack_copy(&w->acquired.stack);
    case_parties(&f->holders, &f->holder_count, w->holders, w->holder_count);
    f->initialised = w->initialised;
    f->initialised.stack = stack_copy(&w->initialised.stack);
    bool guess = w->ref.wants == WANTS_POST || (w->ref.bare && w->facts.sort != WRITE_EXCHANGE);
    if (w->doubtful || guess) f->confidence = CONFIDENCE_LIKELY;
}

void case_add_fork(struct finding *f, const struct waiter *w) {
    if (!w->fork.event) return;
    f->fork = w->fork;
    f->fork.stack = stack_copy(&w->fork.stack);
}

size_t case_explain(struct analysis *a, const struct waiter *w) {
    size_t more = 0;
    for (size_t i = 0; i < a->waiter_count; i++) {
        struct waiter *o = &a->waiters[i];
        if (o->first != w->first) continue;
        more += o != w && !o->explained;
        o->explained = true;
    }
    return more;
}

bool case_is_explained(const struct analysis *a, int pid, const struct waiter *but) {
    for (size_t i = 0; i < a->waiter_count; i++)
        if (&a->waiters[i] != but && a->waiters[i].explained && a->waiters[i].task.pid == pid) return true;
    return false;
}

// ---- the end

void case_release(struct analysis *a) {
    for (size_t i = 0; i < a->waiter_count; i++) {
        free(a->waiters[i].waiting.stack.frames);
        free(a->waiters[i].acquired.stack.frames);
        free(a->waiters[i].fork.stack.frames);
        free(a->waiters[i].initialised.stack.frames);
        for (size_t k = 0; k < a->waiters[i].holder_count; k++)
            free(a->waiters[i].holders[k].point.stack.frames);
        for (size_t k = 0; k < a->waiters[i].waker_count; k++)
            free(a->waiters[i].wakers[k].point.stack.frames);
        free(a->waiters[i].holders);
        free(a->waiters[i].wakers);
    }
    free(a->waiters);
    free(a->order);
    lock_history_free(a->locks);
    history_release(&a->history);
}
