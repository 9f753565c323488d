#include "recorder/emulate/tracee.h"

#include "core/array.h"
#include "recorder/hooks.h"
#include "recorder/lifecycle.h"
#include "recorder/log.h"
#include "recorder/mask.h"
#include "recorder/own_code.h"
#include "recorder/plt_clock.h"
#include "recorder/run.h"
#include "recorder/signals.h"
#include "recorder/step.h"

#include <elf.h>
#include <errno.h>
#include <linux/audit.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum {
    ENTRY_LENGTH = 2, // of `syscall`
    CALL_STOP = 0x80, // of PTRACE_O_TRACESYSGOOD
    STEPPED = SIGTRAP << 8 | 0x7f,
    STUB_STEPS = 4096 // more than any stub has
};

bool tracee_is_wait(long nr) {
    return nr == SYS_wait4 || nr == SYS_waitid;
}

bool tracee_traced(const struct task *tracer, const struct task *t) {
    return t->traced.by > 0 && t->traced.by == tracer->process->pid;
}

// ---- stopping

// Ends the call that t sleeps in. (The exit stop takes the interrupt: ptrace_stop() clears JOBCTL_TRAP_STOP at any trap.)
static void interrupt(struct task *t) {
    if (t->state != TASK_IN_KERNEL || t->traced.interrupted) return;
    t->traced.interrupted = ptrace(PTRACE_INTERRUPT, t->tid, 0, 0) == 0;
}

// Who waits for t looks again.
static void wake_tracer(struct recorder *r, const struct task *t) {
    for (struct task *o = r->tasks; o; o = o->next)
        if (tracee_traced(o, t) && o->call.inside && tracee_is_wait(o->call.nr)) interrupt(o);
}

// A tracer gets SIGCHLD at each stop.
static void notify_tracer(struct recorder *r, const struct task *t) {
    struct task *o = task_find(r, t->traced.by);
    if (!o || o->process->sighand->handler[SIGCHLD] <= 1) return;
    siginfo_t info = {.si_signo = SIGCHLD, .si_code = CLD_TRAPPED, .si_pid = task_tid_for(o, t)};
    info.si_status = t->traced.status >> 8;
    signal_again(o, &info);
}

static void stop(struct recorder *r, struct task *t) {
    t->traced.wanted = false;
    t->traced.stopped = true;
    wake_tracer(r, t);
    notify_tracer(r, t);
}

void tracee_stop_with(struct recorder *r, struct task *t, int status) {
    t->traced.status = status;
    t->traced.reported = false;
    stop(r, t);
}

void tracee_want_stop(struct recorder *r, struct task *t, int status) {
    t->traced.status = status;
    t->traced.reported = false;
    t->traced.wanted = true;
    if (t->state == TASK_READY || t->state == TASK_JOB_STOPPED)
        stop(r, t);
    else
        interrupt(t);
}

static int call_status(const struct task *t) {
    return (SIGTRAP | (t->traced.options & PTRACE_O_TRACESYSGOOD ? CALL_STOP : 0)) << 8 | 0x7f;
}

static int event_status(int event) {
    return SIGTRAP << 8 | 0x7f | event << 16;
}

int tracee_interrupted(const struct task *t) {
    int sig = t->process->stopped_by;
    return (sig ? sig : SIGTRAP) << 8 | 0x7f | PTRACE_EVENT_STOP << 16;
}

static bool job_stops(struct recorder *r, struct task *t) {
    struct user_regs_struct regs;
    if (t->traced.by <= 0 || !tracee_get_regs(t->tid, &regs)) return false;
    canonical_regs(&regs);
    if (!same_regs(&regs, &t->landmark)) return false; // in the middle of a slice: no place to look at it
    t->at_landmark = true;
    t->traced.by_signal = false;
    t->traced.due = 0;
    tracee_stop_with(r, t, tracee_interrupted(t) & (t->traced.seized ? ~0 : 0xffff));
    return true;
}

static bool holds(const struct recorder *r, const struct task *t) {
    (void)r;
    bool at_entry = t->traced.by_signal && t->traced.at == SIGNAL_AT_ENTRY;
    return t->traced.stopped &&
           (t->state == TASK_READY || (t->state == TASK_RETURNED && (at_entry || t->traced.in_event)));
}

// ---- at calls

static bool emulates(const struct task *t) {
    return t->traced.mode == GOES_TO_EMULATED_CALL || t->traced.mode == GOES_STEPWISE_EMULATED;
}

// An event without a handler, which leads a replay to the call's instruction as well, and in front of it again.
static void log_entry(struct recorder *r, struct task *t) {
    struct user_regs_struct before = t->call.regs;
    struct batch b;
    before.rip -= ENTRY_LENGTH;
    if (!tracee_set_regs(t->tid, &before)) return;
    batch_init(r, &b, EV_SIGNAL, t);
    b.e.nr = SIGTRAP;
    b.e.aux = SIGNAL_AT_ENTRY;
    b.e.flags |= EVF_REGS;
    b.e.regs = t->call.regs;
    batch_regs(&b, &before);
    set_landmark_in_code(t, &before);
    batch_log(r, t, &b);
}

bool tracee_at_call(struct recorder *r, struct task *t) {
    if (t->traced.by <= 0 || t->call.legacy) return false;
    bool entered = t->traced.entered;
    t->traced.entered = false;
    if (entered) {
        t->traced.exit_due = t->traced.mode == GOES_TO_CALL;
        return false;
    }
    if (t->traced.mode != GOES_TO_CALL && !emulates(t)) return false;
    if (!signal_skip_call(r, t)) return true;
    log_entry(r, t);
    t->traced.at_entry = true;
    t->traced.emulated = emulates(t);
    t->traced.skipped = false;
    t->traced.result = -ENOSYS;
    t->traced.due = 0;
    tracee_stop_with(r, t, call_status(t));
    return true;
}

struct user_regs_struct tracee_standing(const struct task *t) {
    struct user_regs_struct regs = t->traced.by_signal ? t->traced.regs : t->landmark;
    if (t->traced.at_entry) {
        regs.orig_rax = t->traced.skipped ? ~0ull : regs.rax;
        regs.rax = (uint64_t)t->traced.result;
        regs.rip += ENTRY_LENGTH;
    } else if (t->traced.at_exit) {
        regs.orig_rax = (uint64_t)t->call.nr;
    }
    return regs;
}

bool tracee_set_at_entry(struct task *t, struct user_regs_struct *regs) {
    bool skipped = (int64_t)regs->orig_rax < 0;
    // A call that is made, and goes on elsewhere then.
    if (!skipped && !t->traced.emulated && regs->rip != t->landmark.rip + ENTRY_LENGTH) return false;
    t->traced.skipped = skipped;
    t->traced.result = (int64_t)regs->rax;
    regs->rip -= ENTRY_LENGTH;
    regs->rax = skipped ? t->landmark.rax : regs->orig_rax;
    regs->orig_rax = ~0ull;
    return true;
}

// The call is made when t runs; or is over, when it is emulated or its tracer has taken its number away.
static void leave_entry(struct recorder *r, struct task *t) {
    struct user_regs_struct regs = t->landmark;
    struct batch b;
    t->traced.at_entry = false;
    if (!t->traced.emulated && !t->traced.skipped) {
        t->traced.entered = true;
        return;
    }
    regs.rip += ENTRY_LENGTH;
    regs.rax = (uint64_t)t->traced.result;
    regs.orig_rax = ~0ull;
    if (!tracee_set_regs(t->tid, &regs)) return;
    set_landmark_in_code(t, &regs);
    t->traced.exit_due = true;
    batch_init(r, &b, EV_PATCH, t);
    batch_regs(&b, &regs);
    batch_log(r, t, &b);
}

void tracee_release(struct recorder *r, struct task *t, bool for_good) {
    if (t->traced.at_entry) leave_entry(r, t);
    if (t->traced.mode != GOES_TO_CALL) t->traced.exit_due = false;
    t->traced.stopped = t->traced.wanted = t->traced.by_signal = t->traced.in_event = t->traced.at_exit =
        false;
    if (!for_good) return;
    t->traced.by = t->traced.due = 0;
    t->traced.entered = t->traced.exit_due = false;
    t->traced.mode = GOES_FREELY;
}

siginfo_t tracee_siginfo(const struct task *t) {
    if (t->traced.by_signal) return t->traced.info;
    siginfo_t info = {.si_signo = WSTOPSIG(t->traced.status) & ~CALL_STOP};
    if (info.si_signo == SIGTRAP) info.si_code = t->traced.stepped ? TRAP_TRACE : t->traced.status >> 8;
    return info;
}

size_t tracee_call_info(const struct task *t, struct __ptrace_syscall_info *info) {
    struct user_regs_struct regs = tracee_standing(t);
    memset(info, 0, sizeof *info);
    info->arch = AUDIT_ARCH_X86_64;
    info->instruction_pointer = regs.rip;
    info->stack_pointer = regs.rsp;
    if (t->traced.at_entry) {
        const uint64_t args[6] = {regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9};
        info->op = PTRACE_SYSCALL_INFO_ENTRY;
        info->entry.nr = regs.orig_rax;
        memcpy(info->entry.args, args, sizeof args);
        return offsetof(struct __ptrace_syscall_info, entry) + sizeof info->entry;
    }
    if (!t->traced.at_exit) return offsetof(struct __ptrace_syscall_info, entry);
    int64_t result = (int64_t)regs.rax;
    info->op = PTRACE_SYSCALL_INFO_EXIT;
    info->exit.rval = result;
    info->exit.is_error = result < 0 && result >= -4095;
    return offsetof(struct __ptrace_syscall_info, exit) + offsetof(__typeof__(info->exit), is_error) + 1;
}

// (When SIGCONT has come already, the kernel ends PTRACE_LISTEN at once.)
void tracee_listens(struct recorder *r, struct task *t) {
    tracee_release(r, t, false);
    t->traced.mode = GOES_FREELY;
    t->traced.due = STOPPED_BY_EVENT;
    if (t->state != TASK_READY) return; // it was interrupted where it listens
    t->state = TASK_JOB_STOPPED;
    ptrace(PTRACE_LISTEN, t->tid, 0, 0);
}

// ---- what is due at the next landmark

void tracee_step_made(struct task *t) {
    t->traced.mode = GOES_FREELY;
    t->traced.due = STEPPED;
}

static void poll(struct recorder *r) {
    for (struct task *t = r->tasks; t && r->any_traced; t = t->next) {
        if (t->traced.by <= 0 || t->traced.stopped || t->state != TASK_READY || !t->at_landmark ||
            t->call.inside || t->held_at_entry)
            continue;
        int due = t->traced.due;
        if (due == STEPPED && own_code(t->mm, t->landmark.rip)) { // in a stub: on, to where the program is
            t->traced.mode = GOES_STEPWISE;
        } else if (due) {
            t->traced.due = 0;
            t->traced.stepped = !(due >> 16);
            tracee_stop_with(r, t, due);
        } else if (t->traced.exit_due) {
            t->traced.exit_due = false;
            t->traced.at_exit = true;
            tracee_stop_with(r, t, call_status(t));
        }
    }
}

// An instruction at a time. A call, a fault, a trapped instruction are stops of their own, and what comes of them is the step.
static bool walk(struct recorder *r, struct task *t) {
    struct user_regs_struct regs;
    enum tracee_mode mode = t->traced.mode;
    if (t->traced.by <= 0 || (mode != GOES_STEPWISE && mode != GOES_STEPWISE_EMULATED)) return false;
    if (!tracee_get_regs(t->tid, &regs)) return false;
    tracee_step_made(t);
    if (mode == GOES_STEPWISE_EMULATED) t->traced.mode = GOES_TO_EMULATED_CALL;
    t->stepping = true;
    // A stub leaves flags that depend on the limit, and a replay has none.
    if (t->mm->limit_lowered) clock_set_limit(t->mm, ~0ull);
    enum step_result stepped = step_raw(r, t, &regs);
    for (int n = 0; n < STUB_STEPS && stepped != STEP_GONE && own_code(t->mm, regs.rip); n++)
        stepped = step_raw(r, t, &regs);
    end_stepping(t);
    if (stepped == STEP_GONE) return true;
    struct batch b;
    canonical_regs(&regs);
    regs.orig_rax = ~0ull;
    batch_init(r, &b, EV_BREAK, t);
    b.e.flags |= EVF_REGS;
    b.e.regs = regs;
    b.e.nr = BREAK_BEFORE;
    b.e.ret = (int64_t)regs.rip;
    b.e.aux = 1;
    set_landmark_in_code(t, &regs);
    batch_log(r, t, &b);
    return true;
}

static void returned(struct recorder *r, struct task *t, int64_t ret) {
    t->traced.interrupted = false;
    if (t->traced.by > 0 && t->traced.options & PTRACE_O_TRACEVFORKDONE && ret > 0 &&
        task_birth_flags(t) & CLONE_VFORK) {
        t->traced.due = event_status(PTRACE_EVENT_VFORK_DONE);
        t->traced.message = (uint64_t)ret;
    }
    if (t->traced.wanted && t->state == TASK_READY) stop(r, t);
}

// ---- signals, children and new programs of a task that is attached to

static bool signal_stops(struct recorder *r, struct task *t, const siginfo_t *info, enum signal_place at,
                         const struct user_regs_struct *regs) {
    int sig = info->si_signo;
    if (t->traced.by <= 0 || sig == SIGKILL) return false;
    if (t->traced.passing == sig) {
        t->traced.passing = 0;
        return false;
    }
    t->traced.by_signal = true;
    t->traced.info = *info;
    t->traced.at = at;
    t->traced.regs = *regs;
    if (at == SIGNAL_BY_INSTRUCTION) signal_reached(r, t, sig, at, regs);
    if (at == SIGNAL_AT_ENTRY) { // as before the call, which begins anew
        t->traced.regs.rip -= ENTRY_LENGTH;
        leave_stop(t, (SIGTRAP | PTRACE_EVENT_SECCOMP << 8) << 8 | 0x7f);
    }
    tracee_stop_with(r, t, sig << 8 | 0x7f);
    return true;
}

// t is in the middle of the call that has made c, whose birth is logged next.
static void born(struct recorder *r, struct task *t, struct task *c) {
    uint64_t flags = task_birth_flags(t);
    bool vfork = flags & CLONE_VFORK, fork = (flags & CSIGNAL) == SIGCHLD;
    int event = vfork ? PTRACE_EVENT_VFORK : fork ? PTRACE_EVENT_FORK : PTRACE_EVENT_CLONE;
    if (t->traced.by <= 0 || flags & CLONE_UNTRACED || !(t->traced.options & 1u << event)) return;
    c->traced.by = t->traced.by;
    c->traced.seized = t->traced.seized;
    c->traced.options = t->traced.options;
    c->traced.exit_due = true; // if it is let go to that
    tracee_stop_with(r, c, t->traced.seized ? (int)STOPPED_BY_EVENT : (int)STOPPED_BY_SIGNAL);
    const struct task *tracer = task_find(r, t->traced.by);
    t->traced.message = (uint64_t)(tracer ? task_tid_for(tracer, c) : c->tid);
    t->traced.in_event = true;
    tracee_stop_with(r, t, event_status(event));
}

static void executed(struct recorder *r, struct task *t) {
    bool event = t->traced.options & PTRACE_O_TRACEEXEC;
    if (t->traced.by <= 0 || (t->traced.seized && !event)) return;
    t->traced.by_signal = true;
    t->traced.info = (siginfo_t){.si_signo = SIGTRAP};
    t->traced.at = SIGNAL_AT_LANDMARK;
    t->traced.regs = t->landmark;
    t->traced.message = (uint64_t)(t->former_tid ? t->former_tid : t->tid);
    tracee_stop_with(r, t, event ? event_status(PTRACE_EVENT_EXEC) : SIGTRAP << 8 | 0x7f);
}

// ---- the end of either

// At the exit stop. (The kernel makes none of a task that is killed.)
static bool ends(struct recorder *r, struct task *t, int status) {
    unsigned long code = 0;
    if (t->traced.by <= 0 || !(t->traced.options & PTRACE_O_TRACEEXIT) || t->traced.ending) return false;
    if (ptrace(PTRACE_GETEVENTMSG, t->tid, 0, &code) < 0 || (code & 0x7f) == SIGKILL) return false;
    t->traced.ending = t->traced.in_event = true;
    t->traced.message = code;
    leave_stop(t, status);
    tracee_stop_with(r, t, event_status(PTRACE_EVENT_EXIT));
    return true;
}

static void ended(struct recorder *r, struct task *t, int status) {
    bool last = t->process->refs == 1, child = t->process->parent_pid == t->traced.by;
    if (t->traced.by > 0 && (!child || t->tid != t->process->pid)) {
        array_push(r->ended_tracees, r->ended_tracee_count,
                   ((struct ended_tracee){t->traced.by, t->tid, status}));
        wake_tracer(r, t);
    }
    for (struct task *o = r->tasks; o && last; o = o->next) {
        if (o == t || !tracee_traced(t, o)) continue;
        if (o->traced.options & PTRACE_O_EXITKILL) kill(o->process->pid, SIGKILL);
        tracee_release(r, o, true);
    }
}

static const struct recorder_hooks tracee_hooks = {.lasting = true,
                                                   .holds = holds,
                                                   .poll = poll,
                                                   .job_stops = job_stops,
                                                   .walk = walk,
                                                   .returned = returned,
                                                   .signal_stops = signal_stops,
                                                   .born = born,
                                                   .exec = executed,
                                                   .ends = ends,
                                                   .ended = ended};

void tracees_begin(struct recorder *r) {
    hooks_add(r, &tracee_hooks);
}
