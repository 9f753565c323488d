#include "recorder/space.h"

#include "core/annex.h"
#include "recorder/state.h"
#include "recorder/task.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct mm *mm_new(struct recorder *r, int tid) {
    struct mm *mm = calloc(1, sizeof *mm);
    rf_assert(mm);
    mm->refs = 1;
    mm->id = ++r->mm_ids;
    mm->mem_fd = tracee_open_mem(tid);
    if (mm->mem_fd < 0) recorder_fail(r, "cannot open /proc/%d/mem: %s", tid, strerror(errno));
    return mm;
}

void mdwe_inherit(struct mm *child, const struct mm *parent) {
    enum { NO_INHERIT = 2 };
    child->mdwe = parent->mdwe & NO_INHERIT ? 0 : parent->mdwe;
}

void mm_fork(struct mm *child, const struct mm *parent) {
    child->annex = parent->annex;
    child->dumpable = parent->dumpable;
    mdwe_inherit(child, parent);
    child->limit_lowered = parent->limit_lowered;
    child->saved = parent->saved;
    child->calls = parent->calls;
    slots_fork(child, parent);
    sites_fork(child, parent);
    breakpoints_fork(child, parent);
}

void mm_unref(struct mm *mm) {
    if (--mm->refs > 0) return;
    if (mm->mem_fd >= 0) close(mm->mem_fd);
    slots_release(mm);
    sites_release(mm);
    breakpoints_release(mm);
    free(mm);
}

uint64_t scratch_area(struct task *t, uint64_t size) {
    if (!t->mm->annex || size > ANNEX_SCRATCH_SLOT) return 0;
    if (t->scratch) return t->scratch;
    for (unsigned i = 0; i < ANNEX_SCRATCH_SIZE / ANNEX_SCRATCH_SLOT && i < 64; i++) {
        if (t->mm->scratch_slots >> i & 1) continue;
        t->mm->scratch_slots |= 1ull << i;
        t->scratch = ANNEX_SCRATCH + i * ANNEX_SCRATCH_SLOT;
        return t->scratch;
    }
    return 0;
}

void scratch_release(struct task *t) {
    if (t->scratch) t->mm->scratch_slots &= ~(1ull << (t->scratch - ANNEX_SCRATCH) / ANNEX_SCRATCH_SLOT);
    t->scratch = 0;
}
