#include "recorder/plt_clock.h"
#include "core/annex.h"
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

void landmark_soon(struct task *t) {
    clock_set_limit(t->mm, 0);
    if (!t->interrupt_wanted) t->interrupt_wanted = 1;
}
