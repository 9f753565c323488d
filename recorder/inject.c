#include "recorder/inject.h"

#include "core/annex.h"
#include "recorder/mask.h"
#include "recorder/run.h"

#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

// Up to the call's exit stop. (An int3 behind it would be a SIGTRAP by force, which changes a blocked one's mask and handler.)
// Before the annex is there the instruction is written over the code at rip for a moment.
long inject(struct recorder *r, struct task *t, long nr, const uint64_t args[6]) {
    struct user_regs_struct saved, regs;
    if (!tracee_get_regs(t->tid, &saved)) return -ESRCH;
    regs = saved;
    uint64_t site = t->mm->annex ? ANNEX_CODE : saved.rip;
    uint8_t old[2];
    if (!t->mm->annex) {
        tracee_read(t->tid, t->mm->mem_fd, site, old, 2);
        tracee_write(t->mm->mem_fd, site, "\x0f\x05", 2);
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
    int status;
    enum task_state state = t->state;
    for (int request = PTRACE_CONT;;) {
        if (!run_undisturbed(r, t, request, 0, &status)) break;
        if (!WIFSTOPPED(status) || status >> 16 == PTRACE_EVENT_EXIT) {
            leave_stop(t, status);
            return -ESRCH;
        }
        struct user_regs_struct now;
        if (status >> 16 == PTRACE_EVENT_SECCOMP) { // of the call itself
            request = PTRACE_SYSCALL;
        } else if (WSTOPSIG(status) == (SIGTRAP | 0x80) && tracee_get_regs(t->tid, &now)) {
            result = (long)now.rax;
            break;
        } else if (!(status >> 16)) {
            signal_hold(t);
        }
    }
    t->state = state;
    if (!t->mm->annex) tracee_write(t->mm->mem_fd, site, old, 2);
    tracee_set_regs(t->tid, &saved);
    return result;
}
