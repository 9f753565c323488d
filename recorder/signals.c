#include "recorder/signals.h"
#include "core/annex.h"
#include "recorder/hooks.h"
#include "recorder/log.h"
#include "recorder/plt_clock.h"
#include "recorder/run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

// ---- dispositions

void note_dispositions(struct task *t, int64_t ret) {
    struct {
        uint64_t handler, flags, restorer, mask;
    } action; // struct kernel_sigaction, 32 bytes
    if (ret || !t->call.args[1] || t->call.args[0] < 1 || t->call.args[0] > 64) return;
    if (!tracee_read(t->tid, t->mm->mem_fd, t->call.args[1], &action, sizeof action)) return;
    t->process->sighand->handler[t->call.args[0]] = action.handler;
    t->process->sighand->flags[t->call.args[0]] = action.flags;
}

void note_timers(struct task *t) {
    uint64_t spec[4] = {0}; // interval and value, seconds and parts of them
    unsigned *timers = &t->process->timers;
    switch (t->call.nr) {
    case SYS_alarm:
        *timers = (*timers & TIMER_POSIX) | (t->call.args[0] ? TIMER_ONCE : 0);
        break;
    case SYS_setitimer:
        if (t->call.args[0] != ITIMER_REAL) break; // the others stand still while it sleeps
        if (t->call.args[1] && !tracee_read(t->tid, t->mm->mem_fd, t->call.args[1], spec, sizeof spec)) break;
        *timers &= TIMER_POSIX;
        if (spec[2] | spec[3]) *timers |= spec[0] | spec[1] ? TIMER_AGAIN : TIMER_ONCE;
        break;
    case SYS_timer_settime: // which of them are armed is not followed
        *timers |= TIMER_POSIX;
        break;
    default:
        break;
    }
}

void sighand_exec(struct task *t) {
    struct process *p = t->process;
    if (p->sighand->refs > 1) {
        struct sighand *own = malloc(sizeof *own);
        *own = *p->sighand;
        own->refs = 1;
        p->sighand->refs--;
        p->sighand = own;
    }
    for (int s = 1; s < 65; s++)
        if (p->sighand->handler[s] > 1) p->sighand->handler[s] = 0;
}

enum action { ACT_HANDLER, ACT_IGNORE, ACT_STOP, ACT_END };

static enum action action_of(struct task *t, int sig) {
    uint64_t handler = t->process->sighand->handler[sig];
    if (sig == SIGSTOP) return ACT_STOP;
    if (handler > 1) return ACT_HANDLER;
    if (handler == 1) return ACT_IGNORE;
    switch (sig) {
    case SIGCHLD:
    case SIGURG:
    case SIGWINCH:
    case SIGCONT:
        return ACT_IGNORE;
    case SIGTSTP:
    case SIGTTIN:
    case SIGTTOU:
        return ACT_STOP;
    default:
        return ACT_END;
    }
}

// ---- holding and delivering

void signal_hold(struct task *t) {
    struct held_signal *s = calloc(1, sizeof *s), **link = &t->signals;
    rf_assert(s);
    if (ptrace(PTRACE_GETSIGINFO, t->tid, 0, &s->info) < 0) {
        free(s);
        return;
    }
    for (; *link; link = &(*link)->next)
        if ((*link)->info.si_signo == s->info.si_signo && s->info.si_signo < 32) {
            free(s); // the kernel keeps one pending instance of a standard signal, too
            return;
        }
    *link = s;
}

static uint64_t blocked_mask(struct task *t) {
    uint64_t mask = 0;
    ptrace(PTRACE_GETSIGMASK, t->tid, sizeof mask, &mask);
    return mask;
}

bool signals_deliverable(struct task *t) {
    if (!t->signals) return false;
    uint64_t mask = blocked_mask(t);
    for (struct held_signal *s = t->signals; s; s = s->next)
        if (!(mask >> (s->info.si_signo - 1) & 1)) return true;
    return false;
}

bool same_regs(const struct user_regs_struct *a, const struct user_regs_struct *b) {
    struct user_regs_struct x = *a, y = *b;
    x.orig_rax = y.orig_rax = 0;
    x.eflags &= ~EFLAGS_IGNORED;
    y.eflags &= ~EFLAGS_IGNORED;
    return !memcmp(&x, &y, sizeof x);
}

// The frame: from the new stack pointer on, at most this much (siginfo, ucontext, XSAVE area, red zone).
static void frame_piece(struct batch *b, struct task *t, uint64_t rsp, size_t xstate) {
    size_t want = xstate + 2048;
    while (want && !batch_mem(b, t, PIECE_MEM, rsp, want)) {
        // Up to the end of the stack: page by page back from a size that reaches too far.
        uint64_t end = (rsp + want - 1) & ~4095ull;
        want = end > rsp ? (size_t)(end - rsp) : 0;
    }
}

// In a signal-delivery-stop: hands `info` over to its handler, stops at the handler's first instruction and
// logs it.
static void into_handler(struct recorder *r, struct task *t, const siginfo_t *info, enum signal_place at,
                         const struct user_regs_struct *before) {
    int sig = info->si_signo, status;
    hooks_disturbed(r, t);
    if (sig == SIGALRM) t->process->timers &= ~(unsigned)TIMER_ONCE;
    ptrace(PTRACE_SETSIGINFO, t->tid, 0, info);
    // With SINGLESTEP the kernel stops right behind building the frame (signal_setup_done), before the
    // handler runs.
    if (!run_undisturbed(r, t, PTRACE_SINGLESTEP, sig, &status)) return;
    if (!WIFSTOPPED(status) || status >> 16 || WSTOPSIG(status) != SIGTRAP) {
        leave_stop(t, status); // no stack for the frame: SIGSEGV or the end
        return;
    }
    struct user_regs_struct regs;
    if (!tracee_get_regs(t->tid, &regs)) return;
    canonical_regs(&regs);
    struct batch b;
    batch_init(&b, EV_SIGNAL, t);
    b.e.nr = sig;
    b.e.aux = at;
    if (before) {
        b.e.flags |= EVF_REGS;
        b.e.regs = *before;
    }
    memcpy(batch_piece(&b, PIECE_SIGINFO, sizeof *info), info, sizeof *info);
    batch_regs(&b, &regs);
    batch_xstate(&b, t);
    frame_piece(&b, t, regs.rsp, batch_last(&b)->len);
    set_landmark(t, &regs);
    struct sighand *h = t->process->sighand;
    if (h->flags[sig] & SA_RESETHAND) h->handler[sig] = 0;
    batch_log(r, t, &b);
}

void signal_deliver(struct recorder *r, struct task *t, enum signal_place at) {
    uint64_t mask = blocked_mask(t);
    struct held_signal **link = &t->signals;
    while (*link && mask >> ((*link)->info.si_signo - 1) & 1)
        link = &(*link)->next;
    struct held_signal *s = *link;
    if (!s) return;
    siginfo_t info = s->info;
    *link = s->next;
    free(s);
    if (action_of(t, info.si_signo) != ACT_HANDLER) {
        // Nothing to see for the program: it comes at once, at this landmark, with the next resume or raised again.
        if (at == SIGNAL_AT_LANDMARK && t->in_signal_stop &&
            ptrace(PTRACE_SETSIGINFO, t->tid, 0, &info) == 0) {
            t->inject_signal = info.si_signo;
            return;
        }
        syscall(SYS_tgkill, t->process->pid, t->tid, info.si_signo);
        return;
    }
    if (t->mm->limit_lowered && !r->options->chaos && !t->signals) clock_set_limit(t->mm, ~0ull);
    int status;
    if (at == SIGNAL_AT_ENTRY) {
        // Back to before the syscall instruction; the call is skipped and made again when the handler has
        // returned.
        struct user_regs_struct regs;
        if (!tracee_get_regs(t->tid, &regs)) return;
        regs.rax = regs.orig_rax;
        regs.orig_rax = ~0ull;
        regs.rip -= 2;
        tracee_set_regs(t->tid, &regs);
        if (!run_undisturbed(r, t, PTRACE_SYSCALL, 0, &status)) return;
        if (!WIFSTOPPED(status) || status >> 16) {
            leave_stop(t, status);
            return;
        }
    }
    if (!t->in_signal_stop) {
        // At a syscall-exit-stop the kernel sends the signal that we resume with; its delivery stop comes
        // next.
        if (!run_undisturbed(r, t, PTRACE_CONT, info.si_signo, &status)) return;
        if (!WIFSTOPPED(status) || status >> 16 || WSTOPSIG(status) != info.si_signo) {
            leave_stop(t, status);
            return;
        }
    }
    into_handler(r, t, &info, at, at == SIGNAL_AT_ENTRY ? &t->call.regs : NULL);
}

// A fault that nobody handles: the end of the process, at a place that replay shall reach as well.
static void fatal_fault(struct recorder *r, struct task *t, int sig, const struct user_regs_struct *regs) {
    struct batch b;
    batch_init(&b, EV_SIGNAL, t);
    b.e.nr = sig;
    b.e.aux = SIGNAL_BY_INSTRUCTION;
    b.e.flags |= EVF_REGS;
    b.e.regs = *regs;
    set_landmark(t, regs);
    t->inject_signal = sig;
    batch_log(r, t, &b);
}

// ---- signals for a process

static bool blocks(const struct task *t, int sig) {
    char path[64], line[256];
    unsigned long long mask = ~0ull;
    snprintf(path, sizeof path, "/proc/%d/status", t->tid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "SigBlk: %llx", &mask) == 1) break;
    if (f) fclose(f);
    return mask >> (sig - 1) & 1;
}

// The kernel gives a signal for the process to its main thread, if that does not block it (kernel/signal.c,
// complete_signal), but not while that is in a ptrace-stop, as it is most of the time here; and whoever is resumed looks into
// the common queue first. A Ctrl-C that a busy thread takes does not wake the main thread: Python would not notice it.
static bool give_to_main(struct recorder *r, struct task *t, const siginfo_t *info) {
    struct process *p = t->process;
    struct task *main = t->tid == p->pid ? NULL : task_find(r, p->pid);
    int sig = info->si_signo;
    bool common = info->si_code == SI_USER || info->si_code == SI_KERNEL;
    if (!main || !common || blocks(main, sig) || syscall(SYS_tgkill, p->pid, main->tid, sig) < 0)
        return false;
    p->given = *info;
    return true;
}

// What give_to_main has sent comes as it was.
static void restore_given(struct task *t, siginfo_t *info) {
    struct process *p = t->process;
    if (p->given.si_signo != info->si_signo || info->si_code != SI_TKILL || info->si_pid != getpid()) return;
    if (ptrace(PTRACE_SETSIGINFO, t->tid, 0, &p->given) == 0) *info = p->given;
    p->given.si_signo = 0;
}

// ---- what becomes of a signal

bool signal_by_instruction(const siginfo_t *info) {
    int sig = info->si_signo;
    bool fault = sig == SIGSEGV || sig == SIGBUS || sig == SIGFPE || sig == SIGILL || sig == SIGTRAP;
    return fault && info->si_code > 0;
}

void signal_fault(struct recorder *r, struct task *t, const siginfo_t *info,
                  const struct user_regs_struct *regs) {
    int sig = info->si_signo;
    // A blocked or ignored fault ends the process (force_sig): let the kernel do it.
    if (action_of(t, sig) == ACT_HANDLER && !(blocked_mask(t) >> (sig - 1) & 1))
        into_handler(r, t, info, SIGNAL_BY_INSTRUCTION, regs);
    else
        fatal_fault(r, t, sig, regs);
}

enum signal_fate signal_fate(struct recorder *r, struct task *t, siginfo_t *info,
                             const struct user_regs_struct *regs) {
    enum action act = action_of(t, info->si_signo);
    if (act == ACT_HANDLER) restore_given(t, info);
    // Back at the same registers after arrivals at a breakpoint, or after steps: it has run.
    if (same_regs(regs, &t->landmark) && !t->arrival_count && !t->stepped) t->at_landmark = true;
    if (act == ACT_IGNORE || (act == ACT_HANDLER && give_to_main(r, t, info))) return SIGNAL_DROPPED;
    if (t->at_landmark) return SIGNAL_NOW;
    signal_hold(t);
    landmark_soon(t);
    return SIGNAL_HELD;
}

void signal_now(struct recorder *r, struct task *t, const siginfo_t *info) {
    if (action_of(t, info->si_signo) == ACT_HANDLER)
        into_handler(r, t, info, SIGNAL_AT_LANDMARK, NULL);
    else
        t->inject_signal = info->si_signo;
}
