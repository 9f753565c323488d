#include "replayer/compare/compare.h"

#include <stdlib.h>

// ---- the schedule

// A time in which one task alone runs. It may end between two steps: a time slice is over behind so many library calls.
struct turn {
    size_t first, last; // indexes of steps
    uint32_t task;
    uint64_t made;  // its own steps at the end
    uint64_t place; // of the end, when it is not right behind a step; 0: it is
};

// That a task is gone is nobody's turn.
static bool is_aside(const struct step *x) {
    return x->kind == EV_DEATH;
}

// The turn that begins at or behind index `from`; false: there is none.
static bool turn_at(const struct steps *s, size_t from, struct turn *out) {
    while (from < s->count && is_aside(&s->all[from]))
        from++;
    if (from == s->count) return false;
    *out = (struct turn){.first = from, .task = s->all[from].task};
    for (size_t i = from; i < s->count; i++) {
        const struct step *x = &s->all[i];
        if (is_aside(x)) continue;
        if (x->task != out->task) break;
        out->last = i;
        out->made = x->made;
        out->place = x->place;
    }
    return true;
}

// Both are of one task and began at one place. Which ends first? Less than 0: x.
static int turn_order(const struct steps *a, const struct turn *x, const struct steps *b,
                      const struct turn *y) {
    if (x->made != y->made) return x->made < y->made ? -1 : 1;
    if (x->place == y->place) return 0;
    if (!x->place || !y->place) return x->place ? 1 : -1;
    uint64_t m = a->all[x->last].calls, n = b->all[y->last].calls;
    return m && n && m > n ? 1 : -1; // places of other kinds have no order; where they part is as true
}

// What the task does when it goes on behind where the other turn has ended.
static size_t goes_on(const struct steps *s, const struct turn *longer, const struct turn *shorter) {
    for (size_t i = longer->first; i < longer->last; i++)
        if (s->all[i].task == longer->task && !s->all[i].place && s->all[i].made > shorter->made) return i;
    return longer->last;
}

static struct difference first_turn(const struct steps *a, const struct steps *b) {
    struct turn x, y, next;
    for (size_t i = 0, j = 0;; i = x.last + 1, j = y.last + 1) {
        bool in_a = turn_at(a, i, &x), in_b = turn_at(b, j, &y);
        if (!in_a && !in_b) return (struct difference){0};
        if (!in_a || !in_b || x.task != y.task)
            return (struct difference){true, in_a ? x.first : NO_STEP, in_b ? y.first : NO_STEP, true, true};
        int order = turn_order(a, &x, b, &y);
        if (order < 0)
            return (struct difference){true, turn_at(a, x.last + 1, &next) ? next.first : NO_STEP,
                                       goes_on(b, &y, &x), true, false};
        if (order > 0)
            return (struct difference){true, goes_on(a, &x, &y),
                                       turn_at(b, y.last + 1, &next) ? next.first : NO_STEP, false, true};
    }
}

// ---- the data

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
    while (i < s->count && (s->all[i].task != l->task || s->all[i].kind == EV_EXIT || s->all[i].place))
        i++;
    l->at = i < s->count ? i : NO_STEP;
}

// Where its result is: an ENTER's is with the EXIT. NULL: it has none.
static const struct step *outcome(const struct lane *l) {
    const struct step *x = &l->steps->all[l->at];
    if (x->kind != EV_ENTER) return x;
    for (size_t i = l->at + 1; i < l->steps->count; i++)
        if (l->steps->all[i].task == l->task && !l->steps->all[i].place)
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
        *out = (struct difference){.found = true, .a = x.at, .b = y.at};
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

// ---- both

// Steps before index `end`, without places between two of them.
static size_t steps_before(const struct steps *s, size_t end) {
    size_t count = 0;
    for (size_t i = 0; i < end && i < s->count; i++)
        count += !s->all[i].place;
    return count;
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
    size_t end_a = a->count, end_b = b->count;
    const struct difference *both[] = {&out->schedule, &out->data};
    for (int i = 0; i < 2; i++) {
        if (both[i]->found && both[i]->a < end_a) end_a = both[i]->a;
        if (both[i]->found && both[i]->b < end_b) end_b = both[i]->b;
    }
    size_t same_a = steps_before(a, end_a), same_b = steps_before(b, end_b);
    out->same = same_a < same_b ? same_a : same_b;
}
