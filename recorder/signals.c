#include "recorder/signals.h"

#include "core/annex.h"
#include "core/clock.h"
#include "recorder/hooks.h"
#include "recorder/inject.h"
#include "recorder/log.h"
#include "recorder/mask.h"
#include "recorder/own_code.h"
#include "recorder/plt_clock.h"
#include "recorder/run.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

// ---- dispositions

void note_dispositions(struct task *t, int64_t ret) {
    struct {
        uint64_t handler, flags, restorer, mask;
    } action; // struct kernel_sigaction, 32 bytes
    if (ret || !t->call.args[1] || t->call.args[0] < 1 || t->call.args[0] > 64) return;
    if (!tracee_read(t->tid, t->mm->mem_fd, t->call.args[1], &action, sizeof action)) return;
    struct sighand *h = t->process->sighand;
    uint64_t sig = t->call.args[0];
    h->handler[sig] = action.handler;
    h->flags[sig] = action.flags;
    h->restorer[sig] = action.restorer;
    h->mask[sig] = action.mask;
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

// ---- timers that are faster than the recorder

// A delivery and the return from it take some 50 us here, 2 us alone. With a timer of 20 us the next signal has come when the
// handler returns, each time, and the program would make no step of its own any more. So a process that a timer's signal has
// gone to runs for REST_NS of its CPU time before the next one does, as if the timer's interrupt came late; ticks that come
// meanwhile are one. A task that sleeps has done what it wanted to: it is woken at once.
enum { REST_NS = 100000 };

static bool is_timers(const siginfo_t *info) {
    int sig = info->si_signo;
    return info->si_code == SI_TIMER ||
           (info->si_code == SI_KERNEL && (sig == SIGALRM || sig == SIGVTALRM || sig == SIGPROF));
}

static uint64_t cpu_ns(const struct process *p) {
    enum { SCHED = 2 }; // CPUCLOCK_SCHED of the kernel: what clock_getcpuclockid(3) makes
    return clock_ns(~(clockid_t)p->pid * 8 + SCHED);
}

// ---- holding and delivering

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

// The frame, all of it and nothing behind it, which may be anything: struct rt_sigframe is a return address, a ucontext (304 bytes,
// the pointer to the extended registers in it at 224) and a siginfo. The extended registers lie above; bytes 464 to 511 of them
// (sw_reserved) begin with a magic number and their size with it, or they are the 512 bytes of fxsave.
static void frame_piece(struct recorder *r, struct batch *b, struct task *t, uint64_t rsp) {
    enum { FRAME = 8 + 304 + 128, FPSTATE = 8 + 224, SW_RESERVED = 464, MAGIC1 = 0x46505853 };
    uint64_t fpstate = 0, end = rsp + FRAME;
    uint32_t sw[2] = {0};
    if (tracee_read(t->tid, t->mm->mem_fd, rsp + FPSTATE, &fpstate, 8) && fpstate > rsp &&
        fpstate - rsp < XSTATE_MAX &&
        tracee_read(t->tid, t->mm->mem_fd, fpstate + SW_RESERVED, sw, sizeof sw))
        end = fpstate + (sw[0] == MAGIC1 && sw[1] <= XSTATE_MAX ? sw[1] : 512);
    if (!batch_mem(b, t, PIECE_MEM, rsp, end - rsp))
        recorder_fail(r, "cannot read the signal frame at 0x%lx of task %d", rsp, t->tid);
}

static void into_handler(struct recorder *r, struct task *t, const siginfo_t *info, enum signal_place at,
                         const struct user_regs_struct *before);

void signal_reached(struct recorder *r, struct task *t, int sig, enum signal_place at,
                    const struct user_regs_struct *regs) {
    struct batch b;
    batch_init(r, &b, EV_SIGNAL, t);
    b.e.nr = sig;
    b.e.aux = at;
    b.e.flags |= EVF_REGS;
    b.e.regs = *regs;
    set_landmark(t, regs);
    batch_log(r, t, &b);
}

// A fault that nobody handles: the end of the process, at a place that replay shall reach as well.
static void last_signal(struct recorder *r, struct task *t, int sig, enum signal_place at,
                        const struct user_regs_struct *regs) {
    t->inject_signal = sig;
    signal_reached(r, t, sig, at, regs);
}

// The kernel found no room for the frame of `sig` and sends SIGSEGV instead, which may have a handler on a stack of its own; if
// not, it ends the process, here. `at` and `before` as for into_handler.
static void no_frame(struct recorder *r, struct task *t, int sig, int status, enum signal_place at,
                     const struct user_regs_struct *before) {
    siginfo_t info;
    bool again = WIFSTOPPED(status) && !(status >> 16) && WSTOPSIG(status) == SIGSEGV &&
                 ptrace(PTRACE_GETSIGINFO, t->tid, 0, &info) == 0;
    if (again && sig != SIGSEGV && action_of(t, SIGSEGV) == ACT_HANDLER && !mask_blocks(t, SIGSEGV)) {
        t->in_signal_stop = true;
        if (at == SIGNAL_BY_INSTRUCTION) { // of another signal: replay meets that one there
            signal_reached(r, t, sig, at, before);
            at = SIGNAL_AT_LANDMARK;
            before = NULL;
        }
        into_handler(r, t, &info, at, before);
        return;
    }
    // What it has done until then is done in replay, too.
    if (at != SIGNAL_AT_LANDMARK) last_signal(r, t, sig, at, before);
    if (again)
        t->inject_signal = SIGSEGV;
    else
        leave_stop(t, status);
}

// Of a signal that comes before a popf, the kernel takes the TF of the step for the program's own, and saves it in the frame at `sp`
// (arch/x86/kernel/step.c, is_setting_trap_flag): behind the handler it would trap.
static void untrap_frame(struct task *t, uint64_t sp) {
    const uint64_t at =
        sp + 8 + offsetof(ucontext_t, uc_mcontext.gregs[REG_EFL]); // behind the return address
    uint64_t flags;
    if (!tracee_read(t->tid, t->mm->mem_fd, at, &flags, sizeof flags) || !(flags & EFLAGS_TF)) return;
    flags &= ~EFLAGS_TF;
    tracee_poke(t->tid, t->mm->mem_fd, at, &flags, sizeof flags);
}

// In a signal-delivery-stop: hands `info` over to its handler, stops at the handler's first instruction and
// logs it.
static void into_handler(struct recorder *r, struct task *t, const siginfo_t *info, enum signal_place at,
                         const struct user_regs_struct *before) {
    int sig = info->si_signo, status;
    hooks_disturbed(r, t);
    hooks_signal_came(r, sig, true);
    if (is_timers(info)) t->process->timer_ns = cpu_ns(t->process);
    if (sig == SIGALRM) t->process->timers &= ~(unsigned)TIMER_ONCE;
    ptrace(PTRACE_SETSIGINFO, t->tid, 0, info);
    struct user_regs_struct regs;
    const bool traces_itself = tracee_get_regs(t->tid, &regs) && regs.eflags & EFLAGS_TF;
    // With SINGLESTEP the kernel stops right behind building the frame (signal_setup_done), before the
    // handler runs.
    if (!run_undisturbed(r, t, PTRACE_SINGLESTEP, sig, &status)) return;
    if (!WIFSTOPPED(status) || status >> 16 || WSTOPSIG(status) != SIGTRAP) {
        no_frame(r, t, sig, status, at, before);
        return;
    }
    if (!tracee_get_regs(t->tid, &regs)) return;
    if (!traces_itself) untrap_frame(t, regs.rsp);
    canonical_regs(&regs);
    struct batch b;
    batch_init(r, &b, EV_SIGNAL, t);
    b.e.nr = sig;
    b.e.aux = at;
    if (before) {
        b.e.flags |= EVF_REGS;
        b.e.regs = *before;
    }
    memcpy(batch_piece(&b, PIECE_SIGINFO, sizeof *info), info, sizeof *info);
    batch_regs(&b, &regs);
    batch_xstate(r, &b, t);
    frame_piece(r, &b, t, regs.rsp);
    mask_changed(t);
    set_landmark(t, &regs);
    struct sighand *h = t->process->sighand;
    if (h->flags[sig] & SA_RESETHAND) h->handler[sig] = 0;
    batch_log(r, t, &b);
}

// A tracer among the recorded tasks takes longer than a handler: a child with a timer of 200 us made no step under it.
static bool goes_to_tracer(struct recorder *r, struct task *t, const siginfo_t *info, enum signal_place at,
                           const struct user_regs_struct *regs) {
    if (!hooks_signal_stops(r, t, info, at, regs)) return false;
    if (is_timers(info)) t->process->timer_ns = cpu_ns(t->process);
    return true;
}

// From an exit stop, where the kernel sends the signal that t is resumed with, to the delivery stop of `sig`. What was pending before
// may come first: it is held. Left to the loop it would be the landmark, and `sig` come behind it, as one of the kernel's own:
// without its sender and its value. Of a standard signal only one is ever pending, whosever it is.
static bool send_here(struct recorder *r, struct task *t, int sig) {
    enum { REAL_TIME = 32 }; // from there on they queue
    int status, send = sig;
    while (run_undisturbed(r, t, PTRACE_CONT, send, &status)) {
        siginfo_t info;
        const bool signal =
            WIFSTOPPED(status) && !(status >> 16) && ptrace(PTRACE_GETSIGINFO, t->tid, 0, &info) == 0;
        const bool interrupt = status >> 8 == (SIGTRAP | PTRACE_EVENT_STOP << 8);
        if (signal && info.si_signo == sig && (sig < REAL_TIME || info.si_code == SI_KERNEL)) return true;
        if (!interrupt && (!signal || signal_by_instruction(&info))) {
            leave_stop(t, status);
            return false;
        }
        if (signal) signal_hold(t);
        send = 0;
    }
    return false;
}

bool signal_deliver(struct recorder *r, struct task *t, enum signal_place at) {
    uint64_t mask = blocked_mask(t);
    struct held_signal **link = &t->signals;
    while (*link && mask >> ((*link)->info.si_signo - 1) & 1)
        link = &(*link)->next;
    struct held_signal *s = *link;
    if (!s) return false;
    siginfo_t info = s->info;
    *link = s->next;
    free(s);
    if (goes_to_tracer(r, t, &info, at, at == SIGNAL_AT_ENTRY ? &t->call.regs : &t->landmark)) return true;
    if (action_of(t, info.si_signo) != ACT_HANDLER) {
        // Nothing to see for the program: it comes at once, at this landmark, with the next resume or raised again. At an entry it
        // comes to the call, which is recorded as one that it interrupts.
        if (at == SIGNAL_AT_LANDMARK && t->in_signal_stop &&
            ptrace(PTRACE_SETSIGINFO, t->tid, 0, &info) == 0) {
            t->inject_signal = info.si_signo;
            return true;
        }
        syscall(SYS_tgkill, t->process->pid, t->tid, info.si_signo);
        return at == SIGNAL_AT_LANDMARK;
    }
    if (t->mm->limit_lowered && !r->options->chaos && !t->signals) clock_set_limit(t->mm, ~0ull);
    int status;
    if (at == SIGNAL_AT_ENTRY) {
        // Back to before the syscall instruction; the call is skipped and made again when the handler has
        // returned.
        struct user_regs_struct regs;
        if (!tracee_get_regs(t->tid, &regs)) return true;
        regs.rax = regs.orig_rax;
        regs.orig_rax = ~0ull;
        regs.rip -= 2;
        tracee_set_regs(t->tid, &regs);
        if (!run_undisturbed(r, t, PTRACE_SYSCALL, 0, &status)) return true;
        if (!WIFSTOPPED(status) || status >> 16) {
            leave_stop(t, status);
            return true;
        }
    }
    if (!t->in_signal_stop && !send_here(r, t, info.si_signo)) return true;
    into_handler(r, t, &info, at, at == SIGNAL_AT_ENTRY ? &t->call.regs : NULL);
    return true;
}

// ---- signals instead of a call

bool signal_skip_call(struct recorder *r, struct task *t) {
    struct user_regs_struct regs;
    int status;
    if (!tracee_get_regs(t->tid, &regs)) return false;
    regs.rax = regs.orig_rax;
    regs.orig_rax = ~0ull;
    tracee_set_regs(t->tid, &regs);
    if (!run_undisturbed(r, t, PTRACE_SYSCALL, 0, &status)) return false;
    if (WIFSTOPPED(status) && !(status >> 16)) return true;
    leave_stop(t, status);
    return false;
}

void signal_instead(struct recorder *r, struct task *t, const siginfo_t *info) {
    if (action_of(t, info->si_signo) != ACT_HANDLER || mask_blocks(t, info->si_signo)) {
        if (r->deferred) log_deferred_entry(r); // another task's
        r->deferred = t;
        log_deferred_entry(r);
        signal_ends(r, t, info->si_signo);
        return;
    }
    if (signal_skip_call(r, t) && send_here(r, t, info->si_signo))
        into_handler(r, t, info, SIGNAL_AT_ENTRY, &t->call.regs);
}

void signal_ends(struct recorder *r, struct task *t, int sig) {
    static const uint64_t by_default[4];
    if (!signal_skip_call(r, t)) return;
    if (sig != SIGKILL) {
        tracee_write(t->mm->mem_fd, ANNEX_ACTION, by_default, sizeof by_default);
        inject(r, t, SYS_rt_sigaction, (const uint64_t[6]){(uint64_t)sig, ANNEX_ACTION, 0, 8});
        t->process->sighand->handler[sig] = 0;
        t->mask &= ~(1ull << (sig - 1));
        mask_restore(t);
    }
    if (!send_here(r, t, sig)) return;
    t->in_signal_stop = t->at_landmark = true;
    t->inject_signal = sig;
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
    // A write into a broken pipe, or beyond the limit of a file, is the thread's own affair (send_sig in fs/pipe.c, mm/filemap.c).
    bool own = (sig == SIGPIPE || sig == SIGXFSZ) && info->si_pid == p->pid;
    if (!main || !common || own || blocks(main, sig) || syscall(SYS_tgkill, p->pid, main->tid, sig) < 0)
        return false;
    p->given = *info;
    return true;
}

void signal_again(struct task *t, const siginfo_t *info) {
    if (syscall(SYS_tgkill, t->process->pid, t->tid, info->si_signo) == 0) t->process->given = *info;
}

// False: it is to go its way.
static bool comes_too_soon(struct task *t, const siginfo_t *info) {
    struct process *p = t->process;
    enum { MOST = sizeof p->late / sizeof *p->late };
    if (!is_timers(info) || !p->timer_ns || t->call.inside || cpu_ns(p) - p->timer_ns >= REST_NS)
        return false;
    for (unsigned i = 0; i < p->late_count; i++)
        if (p->late[i].info.si_signo == info->si_signo && p->late[i].info.si_code == info->si_code &&
            (info->si_code != SI_TIMER || p->late[i].info.si_timerid == info->si_timerid))
            return true;
    if (p->late_count == MOST) return false;
    p->late[p->late_count].info = *info;
    p->late[p->late_count++].tid = t->tid;
    return true;
}

void signals_late(struct recorder *r, struct process *p, bool now) {
    // One at a time: what it was is restored when it comes.
    if (!p->late_count || p->given.si_signo || (!now && cpu_ns(p) - p->timer_ns < REST_NS)) return;
    struct task *t = task_find(r, p->late[0].tid);
    if (!t || t->process != p) t = task_find(r, p->pid);
    if (t) signal_again(t, &p->late[0].info);
    p->late_count--;
    memmove(p->late, p->late + 1, p->late_count * sizeof *p->late);
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
    if (hooks_signal_stops(r, t, info, SIGNAL_BY_INSTRUCTION, regs)) return;
    // A blocked or ignored fault ends the process (force_sig): let the kernel do it.
    if (action_of(t, sig) == ACT_HANDLER && !mask_blocks(t, sig))
        into_handler(r, t, info, SIGNAL_BY_INSTRUCTION, regs);
    else
        last_signal(r, t, sig, SIGNAL_BY_INSTRUCTION, regs);
}

enum signal_fate signal_fate(struct recorder *r, struct task *t, siginfo_t *info,
                             const struct user_regs_struct *regs) {
    enum action act = action_of(t, info->si_signo);
    hooks_signal_came(r, info->si_signo, false);
    if (act == ACT_HANDLER) signal_as_sent(t, info);
    // Back at the same registers after arrivals at a breakpoint, or after steps: it has run.
    if (same_regs(regs, &t->landmark) && !t->arrival_count && !t->stepped) t->at_landmark = true;
    t->at_landmark |= r->kept && !own_code(t->mm, regs->rip); // nobody will look for this place again
    bool dropped = act == ACT_IGNORE || (act == ACT_HANDLER && t->traced.by <= 0 && give_to_main(r, t, info));
    if (dropped && t->traced.by <= 0) return SIGNAL_DROPPED;
    if ((act == ACT_HANDLER || t->traced.by > 0) && comes_too_soon(t, info)) return SIGNAL_LATE;
    if (t->at_landmark) return SIGNAL_NOW;
    signal_hold(t);
    landmark_soon(t);
    return SIGNAL_HELD;
}

void signal_now(struct recorder *r, struct task *t, const siginfo_t *info) {
    if (goes_to_tracer(r, t, info, SIGNAL_AT_LANDMARK, &t->landmark)) return;
    if (action_of(t, info->si_signo) == ACT_HANDLER)
        into_handler(r, t, info, SIGNAL_AT_LANDMARK, NULL);
    else
        t->inject_signal = info->si_signo;
}
