#include "replayer/compare/compare.h"

#include <stdlib.h>

// By turns: only whose step it is.
static struct difference first_turn(const struct steps *a, const struct steps *b) {
    size_t i = 0;
    while (i < a->count && i < b->count && a->all[i].task == b->all[i].task && a->all[i].own == b->all[i].own)
        i++;
    if (i == a->count && i == b->count) return (struct difference){0};
    return (struct difference){true, i < a->count ? i : NO_STEP, i < b->count ? i : NO_STEP};
}

// An ENTER in one and a SYSCALL in the other are one call: who ran in between is the schedule's matter.
static bool same_call(const struct step *x, const struct step *y) {
    bool call_x = x->kind == EV_SYSCALL || x->kind == EV_ENTER,
         call_y = y->kind == EV_SYSCALL || y->kind == EV_ENTER;
    return (call_x && call_y ? true : x->kind == y->kind) && x->nr == y->nr;
}

// The steps of one task, an ENTER and its EXIT as one.
struct lane {
    const struct steps *steps;
    uint32_t task;
    size_t at; // NO_STEP: no more
};

static void next(struct lane *l) {
    const struct steps *s = l->steps;
    size_t i = l->at == NO_STEP ? 0 : l->at + 1;
    while (i < s->count && (s->all[i].task != l->task || s->all[i].kind == EV_EXIT))
        i++;
    l->at = i < s->count ? i : NO_STEP;
}

// Where its result is: an ENTER's is with the EXIT. NULL: it has none.
static const struct step *outcome(const struct lane *l) {
    const struct step *x = &l->steps->all[l->at];
    if (x->kind != EV_ENTER) return x;
    for (size_t i = l->at + 1; i < l->steps->count; i++)
        if (l->steps->all[i].task == l->task)
            return l->steps->all[i].kind == EV_EXIT ? &l->steps->all[i] : NULL;
    return NULL;
}

// False: the task does the same in both.
static bool first_of_task(const struct steps *a, const struct steps *b, uint32_t task, struct difference *out,
                          enum data_difference *how, size_t *clocks) {
    struct lane x = {a, task, NO_STEP}, y = {b, task, NO_STEP};
    for (;;) {
        next(&x);
        next(&y);
        if (x.at == NO_STEP || y.at == NO_STEP) break; // who ends first has met the other's end, or hangs
        const struct step *p = &a->all[x.at], *q = &b->all[y.at];
        const struct step *r = outcome(&x), *t = outcome(&y);
        *out = (struct difference){true, x.at, y.at};
        *how = DATA_CALL;
        if (!same_call(p, q)) return true;
        *how = DATA_WRITTEN;
        if (p->data != q->data) return true;
        *how = DATA_RESULT;
        bool same = !r || !t || r->result == t->result;
        if (!same && !r->clock) return true;
        *clocks += !same;
    }
    *out = (struct difference){0};
    return false;
}

const char *data_difference_text(enum data_difference how) {
    static const char *const ways[] = {
        [DATA_CALL] = "does something else",
        [DATA_RESULT] = "gets something else from the same call",
        [DATA_WRITTEN] = "writes something else by the same call",
    };
    return ways[how];
}

void compare_steps(const struct steps *a, const struct steps *b, struct comparison *out) {
    *out = (struct comparison){.tasks_a = a->task_count, .tasks_b = b->task_count};
    out->schedule = first_turn(a, b);
    size_t tasks = a->task_count < b->task_count ? a->task_count : b->task_count;
    for (uint32_t task = 1; task <= tasks; task++) {
        struct difference d;
        enum data_difference how;
        if (!first_of_task(a, b, task, &d, &how, &out->clocks)) continue;
        if (out->data.found && out->data.a <= d.a) continue;
        out->data = d;
        out->how = how;
    }
    out->same = a->count < b->count ? a->count : b->count;
    const struct difference *both[] = {&out->schedule, &out->data};
    for (int i = 0; i < 2; i++) {
        if (!both[i]->found) continue;
        size_t at = both[i]->a < both[i]->b ? both[i]->a : both[i]->b;
        if (at < out->same) out->same = at;
    }
}
