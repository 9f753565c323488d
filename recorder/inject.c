#include "recorder/inject.h"
#include "core/annex.h"
#include "recorder/signals.h"
#include "recorder/run.h"

#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

// Runs one call in t, which is at a syscall-exit or signal-delivery-stop, and puts its registers back. Before
// the annex is there the instruction is written over the code at rip for a moment.
long inject(struct recorder *r, struct task *t, long nr, const uint64_t args[6]) {
    struct user_regs_struct saved, regs;
    if (!tracee_get_regs(t->tid, &saved)) return -ESRCH;
    regs = saved;
    uint64_t site = t->mm->annex ? ANNEX_CODE : saved.rip;
    uint8_t old[3];
    if (!t->mm->annex) {
        tracee_read(t->tid, t->mm->mem_fd, site, old, 3);
        tracee_write(t->mm->mem_fd, site, "\x0f\x05\xcc", 3);
    }
    regs.rip = site;
    regs.rax = (unsigned long)nr;
    regs.orig_rax = ~0ull;
    regs.rdi = args[0];
    regs.rsi = args[1];
    regs.rdx = args[2];
    regs.r10 = args[3];
    regs.r8 = args[4];
    regs.r9 = args[5];
    tracee_set_regs(t->tid, &regs);
    long result = -ESRCH;
    int status, sig = 0;
    enum task_state state = t->state;
    for (;;) {
        if (!run_undisturbed(r, t, PTRACE_CONT, sig, &status) || !WIFSTOPPED(status)) break;
        sig = 0;
        if (status >> 16 == PTRACE_EVENT_EXIT) {
            leave_stop(t, status);
            return -ESRCH;
        }
        if (status >> 16) continue; // the seccomp stop of the call itself
        struct user_regs_struct now;
        tracee_get_regs(t->tid, &now);
        if (WSTOPSIG(status) == SIGTRAP && now.rip == site + 3) {
            result = (long)now.rax;
            break;
        }
        signal_hold(t);
    }
    t->state = state;
    if (!t->mm->annex) tracee_write(t->mm->mem_fd, site, old, 3);
    tracee_set_regs(t->tid, &saved);
    return result;
}
