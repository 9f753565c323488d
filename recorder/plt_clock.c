#include "recorder/plt_clock.h"

#include "core/annex.h"
#include "core/calls/call_page.h"
#include "core/tracee.h"

#include <unistd.h>

void clock_set_limit(struct mm *mm, uint64_t limit) {
    if (!mm->annex) return;
    tracee_write(mm->mem_fd, ANNEX_LIMIT, &limit, 8);
    mm->limit_lowered = limit != ~0ull;
}

uint64_t clock_count(struct mm *mm) {
    uint64_t count = 0;
    if (pread(mm->mem_fd, &count, 8, (off_t)ANNEX_COUNT) != 8) return 0;
    return count;
}

static void write_left(struct mm *mm, uint64_t left) {
    tracee_write(mm->mem_fd, CALL_CONTROL + offsetof(struct call_control, left), &left, sizeof left);
    mm->calls.allowed = left;
    mm->calls.endless = left == ~0ull;
}

void calls_allow(struct task *t, const struct call_seen *seen, uint64_t count) {
    struct mm_calls *c = &t->mm->calls;
    if (!c->on) return;
    bool allowed = count && !t->seccomp.mode && !t->dispatch.on && !t->traces_itself && t->traced.by <= 0 &&
                   !t->interrupt_wanted && !t->signals && !t->mm->slots.pending;
    // (What is left of ~0 need not be written again.)
    bool same = allowed == c->allowed && (!allowed || (count == ~0ull && c->endless));
    if (!same) write_left(t->mm, allowed ? count : 0);
    if (seen->count != c->seen) { // files are only added
        tracee_write(t->mm->mem_fd, CALL_CONTROL + offsetof(struct call_control, seen), seen, sizeof *seen);
        c->seen = seen->count;
    }
    c->ran = c->sited; // without a jump the ring is as it was
}

void calls_forbid(struct mm *mm) {
    if (mm->calls.allowed) write_left(mm, 0);
}

void landmark_soon(struct task *t) {
    calls_forbid(t->mm);
    clock_set_limit(t->mm, 0);
    if (!t->interrupt_wanted) t->interrupt_wanted = 1;
}
