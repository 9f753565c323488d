#include "recorder/plan/task_plan.h"

#include "core/error.h"

#include <stdlib.h>

struct task_plan *plan_of(struct task *t) {
    if (!t->plan) t->plan = calloc(1, sizeof *t->plan);
    rf_assert(t->plan);
    return t->plan;
}
