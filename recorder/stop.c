#include "recorder/stop.h"

#include "core/annex.h"
#include "core/calls/call_page.h"
#include "recorder/breakpoints.h"
#include "recorder/log.h"
#include "recorder/mask.h"
#include "recorder/own_code.h"
#include "recorder/signals.h"
#include "recorder/space.h"

#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

static bool in_stub(const struct task *t, uint64_t pc) {
    return (pc >= ANNEX_STUBS && pc < ANNEX_STUBS + ANNEX_STUBS_SIZE) || in_site_stub(t->mm, pc);
}

static enum todo of_signal(struct recorder *r, struct task *t, struct stop *s) {
    int sig = WSTOPSIG(s->status);
    t->in_signal_stop = true;
    if (ptrace(PTRACE_GETSIGINFO, t->tid, 0, &s->info) < 0 || !tracee_get_regs(t->tid, &s->regs))
        return DO_NOTHING; // killed: resumed, it comes to its exit stop
    canonical_regs(&s->regs);
    if (r->options->log)
        fprintf(r->options->log, "         signal %d code %d of %d at %llx rsp %llx address %p\n", sig,
                s->info.si_code, t->tid, s->regs.rip, s->regs.rsp, s->info.si_addr);
    // Of a blocked signal only what the kernel sends by force comes, here. If one from elsewhere is pending already, that
    // one's siginfo comes with it (kernel/signal.c, legacy_queue).
    bool merged = s->info.si_code <= 0 && (sig == SIGSEGV || sig == SIGTRAP) && mask_blocks(t, sig);
    if (!merged && !signal_by_instruction(&s->info)) return DO_SIGNAL;
    if ((sig == SIGSEGV || sig == SIGBUS) && t->mm->calls.on && s->regs.rip == CALL_COPY) return DO_SKIP_COPY;
    // The program traces itself. Instructions of refork are none of its own.
    if (sig == SIGTRAP && s->info.si_code == TRAP_TRACE) {
        t->traces_itself = true;
        if (annex_contains(s->regs.rip)) return DO_NOTHING;
    }
    bool int3 = sig == SIGTRAP && (merged || s->info.si_code == SI_KERNEL);
    if (int3 && in_stub(t, s->regs.rip - 1)) return DO_TICK;
    if (int3 && t->mm->breaks.count && breakpoint_at(t->mm, s->regs.rip - 1)) return DO_ARRIVAL;
    bool trapped = int3 || (sig == SIGSEGV && (merged || s->info.si_code == SI_KERNEL));
    if (trapped && trapped_find(r, t, &s->regs, int3, &s->trapped)) return DO_INSTRUCTION;
    return DO_FAULT;
}

// A call that was interrupted: the kernel's restart codes (include/linux/errno.h).
static bool interrupted(const struct user_regs_struct *regs) {
    int64_t result = (int64_t)regs->rax;
    return regs->rip == CALL_SYSCALL + 2 && (int64_t)regs->orig_rax >= 0 &&
           (result == -EINTR || (result <= -512 && result >= -516));
}

// SIGTRAP: the end of a job stop, or a PTRACE_INTERRUPT. In the middle of a call that t makes by itself there is no landmark:
// the next one is made at a stop.
static enum todo of_group_stop(const struct task *t, int sig, struct stop *s) {
    if (sig != SIGTRAP) return DO_JOB_STOP;
    t->process->stopped_by = 0; // (While it is stopped, the signal is told, and no SIGTRAP: do_jobctl_trap.)
    if (t->call.inside) return DO_GO_ON_IN_CALL;
    if (!t->mm->calls.on || !tracee_get_regs(t->tid, &s->regs)) return DO_LANDMARK;
    if (interrupted(&s->regs)) return DO_TAKE_BACK_CALL;
    return s->regs.rip - ANNEX_CALLS < CALL_CODE_SIZE ? DO_NOTHING : DO_LANDMARK;
}

void stop_classify(struct recorder *r, struct task *t, int status, struct stop *s) {
    s->task = t;
    s->status = status;
    t->in_signal_stop = false;
    t->state = TASK_READY;
    if (WIFEXITED(status) || WIFSIGNALED(status)) {
        s->todo = DO_LOG_DEATH;
        return;
    }
    int sig = WSTOPSIG(status);
    switch (status >> 16) {
    case 0:
        s->todo = sig == (SIGTRAP | 0x80) ? DO_LEAVE_CALL : of_signal(r, t, s);
        return;
    case PTRACE_EVENT_SECCOMP:
        s->todo = DO_ENTER_CALL;
        return;
    case PTRACE_EVENT_EXIT:
        s->todo = DO_BURY;
        return;
    case PTRACE_EVENT_STOP:
        s->todo = of_group_stop(t, sig, s);
        return;
    case PTRACE_EVENT_VFORK_DONE:
        s->todo = DO_NOTHING;
        return;
    default:
        s->todo = DO_FAIL;
        return;
    }
}
