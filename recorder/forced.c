#include "recorder/forced.h"

#include "core/annex.h"
#include "recorder/inject.h"
#include "recorder/mask.h"

#include <sys/syscall.h>

void forced_undo(struct recorder *r, struct task *t, int sig) {
    const struct sighand *h = t->process->sighand;
    if (!mask_blocks(t, sig) && h->handler[sig] != 1) return;
    if (h->handler[sig] && t->mm->annex) {
        const uint64_t action[4] = {h->handler[sig], h->flags[sig], h->restorer[sig], h->mask[sig]};
        tracee_write(t->mm->mem_fd, ANNEX_ACTION, action, sizeof action);
        inject(r, t, SYS_rt_sigaction, (const uint64_t[6]){(uint64_t)sig, ANNEX_ACTION, 0, 8});
    }
    if (t->state == TASK_READY) mask_restore(t);
}
