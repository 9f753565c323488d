#include "replayer/compare/match.h"

#include "core/array.h"

#include <stdlib.h>

void task_calls_make(const struct steps *steps, struct task_calls *out) {
    *out = (struct task_calls){steps, calloc(steps->task_count + 1, sizeof *out->tasks)};
    rf_assert(out->tasks);
    for (size_t i = 0; i < steps->count; i++) {
        if (steps->all[i].kind == EV_EXIT || steps->all[i].place) continue;
        struct call_list *list = &out->tasks[steps->all[i].task - 1];
        array_push(list->at, list->count, i);
    }
}

void task_calls_release(struct task_calls *c) {
    for (size_t i = 0; c->steps && i < c->steps->task_count; i++)
        free(c->tasks[i].at);
    free(c->tasks);
    *c = (struct task_calls){0};
}

// How many of the task's calls have begun by `event`.
static size_t begun(const struct task_calls *c, const struct call_list *list, uint64_t event) {
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (c->steps->all[list->at[middle]].event <= event)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// The EXIT of the task's call number k; NO_EXIT: it has none of its own.
#define NO_EXIT ((size_t)-1)
static size_t exit_of(const struct task_calls *c, const struct call_list *list, size_t k) {
    const struct step *all = c->steps->all;
    size_t i = list->at[k];
    if (all[i].kind != EV_ENTER) return NO_EXIT;
    size_t end = k + 1 < list->count ? list->at[k + 1] : c->steps->count;
    for (size_t j = i + 1; j < end; j++)
        if (all[j].task == all[i].task && !all[j].place) return j;
    return NO_EXIT;
}

// The task of that TID; one that is used again names a new task, which has not begun before its first call. 0: none.
static size_t task_of(const struct task_calls *c, int tid, uint64_t event) {
    size_t first = 0;
    for (size_t i = c->steps->task_count; i-- > 0;) {
        if (c->steps->tids[i] != tid) continue;
        first = i + 1;
        if (begun(c, &c->tasks[i], event)) break;
    }
    return first;
}

enum step_match step_match(const struct task_calls *from, uint64_t event, int tid,
                           const struct task_calls *to, uint64_t *to_event, int *to_tid) {
    size_t task = task_of(from, tid, event);
    if (!task || task > to->steps->task_count) return MATCH_NONE;
    const struct call_list *here = &from->tasks[task - 1], *there = &to->tasks[task - 1];
    size_t k = begun(from, here, event);
    if (!k || !there->count) return MATCH_NONE;
    enum step_match how = k <= there->count ? MATCH_SAME : MATCH_LAST;
    size_t own_exit = exit_of(from, here, k - 1);
    bool done = own_exit != NO_EXIT && from->steps->all[own_exit].event <= event;
    if (how == MATCH_LAST) k = there->count;
    size_t step = there->at[k - 1], exit = done || how == MATCH_LAST ? exit_of(to, there, k - 1) : NO_EXIT;
    *to_event = to->steps->all[exit == NO_EXIT ? step : exit].event;
    *to_tid = to->steps->tids[task - 1];
    return how;
}
