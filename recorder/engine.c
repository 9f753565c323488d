#include "recorder/engine.h"

#include "core/calls/call_page.h"
#include "core/clock.h"
#include "recorder/arrivals.h"
#include "recorder/breakpoints.h"
#include "recorder/forced.h"
#include "recorder/hooks.h"
#include "recorder/lifecycle.h"
#include "recorder/log.h"
#include "recorder/mask.h"
#include "recorder/outside.h"
#include "recorder/plt_clock.h"
#include "recorder/preempt.h"
#include "recorder/signals.h"
#include "recorder/slices.h"
#include "recorder/space.h"
#include "recorder/run.h"
#include "recorder/seen_writes.h"
#include "recorder/stop.h"
#include "recorder/syscall.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FLUSH_US = 1000000, IDLE_FLUSH_US = 250000 };

// ---- what stops next

// Lets t run on from its landmark (or from the middle of a slice, when a signal was held back or ignored). True: to a
// stop, whose status is *status; false: otherwise (it is at a landmark again, has left a stop, or is gone).
static bool run(struct recorder *r, struct task *t, int *status) {
    if (t->held_at_entry) {
        task_clone(r, t);
        return false;
    }
    hooks_resume(r, t);
    if (t->mm->breaks.count && !breakpoints_leave(r, t)) return false;
    int sig = t->inject_signal;
    t->at_landmark = false;
    chaos_limit(r, t);
    if (!sig && hooks_walk(r, t)) return false;
    t->inject_signal = 0;
    struct mm *mm = t->mm->breaks.count ? t->mm : NULL;
    enum waited end = WAITED_GONE;
    if (mm) breakpoints_plant(mm, true);
    t->dying_count = 0; // it was not killed
    if (t->trap_open)   // its mask is not its own
        calls_forbid(t->mm);
    else
        calls_allow(t, seen_writes_files(r), calls_until_choice(r, t));
    if (resume(r, t, PTRACE_CONT, sig))
        while ((end = wait_stop(t, status)) == WAITED_TICK) {
            preempt_tick(r, t);
            hooks_look_outside(r);
            if (r->stop_all) ptrace(PTRACE_INTERRUPT, t->tid, 0, 0);
        }
    if (mm) breakpoints_plant(mm, false);
    if (end == WAITED_GONE && !r->failed) {
        hooks_stopped(r, t, false);
        task_ended(r, t, 0);
    }
    return end == WAITED_STOP;
}

// Not in the middle of a slice: what that task has done belongs to its next event, behind the entry's.
static bool must_settle(struct recorder *r) {
    bool between = !r->current || r->current->state != TASK_READY || r->current->at_landmark;
    return between && r->deferred && r->deferred->state == TASK_IN_KERNEL && !r->deferred->call.settled &&
           others_ready(r, r->deferred);
}

// Whose stop comes next, or who runs to it; NULL: nobody can.
static struct task *next_in_line(struct recorder *r) {
    if (!r->next && must_settle(r)) syscall_settle(r, r->deferred);
    struct task *t = r->next;
    r->next = NULL;
    return t ? t : next_task(r);
}

static void look_at_stop(struct recorder *r, struct task *t, int status, struct stop *s) {
    hooks_stopped(r, t, status >> 16 == PTRACE_EVENT_SECCOMP);
    stop_classify(r, t, status, s);
}

static void next_stop(struct recorder *r, struct stop *s) {
    struct task *t = next_in_line(r);
    rf_work = (struct rf_work){t ? t->tid : 0, trace_event_count(r->trace)};
    s->task = t;
    if (!t)
        s->todo = DO_WAIT;
    else if (t->state == TASK_RETURNED)
        look_at_stop(r, t, t->stop, s);
    else if (run(r, t, &s->status))
        look_at_stop(r, t, s->status, s);
    else
        s->todo = DO_NOTHING;
}

// ---- what is done about it

static void idle(struct recorder *r) {
    if (r->stop_all) return;
    struct rf_error err;
    if (r->clock_us - r->last_flush_us > IDLE_FLUSH_US) {
        r->last_flush_us = r->clock_us;
        if (!r->trace_lost && trace_flush(r->trace, &err) < 0) trace_failed(r, &err);
    }
    if (hooks_idle(r)) return;
    int status;
    if (r->kept) outside_timer(false); // nobody's slice can end
    pid_t pid = waitpid(-1, &status, __WALL);
    if (r->kept) outside_timer(true);
    if (pid > 0) {
        struct task *t = task_find(r, pid);
        if (t) leave_stop(t, status);
    } else if (errno == ECHILD) {
        while (r->tasks)
            task_ended(r, r->tasks, 0);
    }
}

void kill_everything(struct recorder *r) {
    for (struct process *p = r->processes; p; p = p->next)
        kill(p->pid, SIGKILL);
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, __WALL);
        if (pid < 0 && errno == EINTR) continue;
        if (pid < 0) break;
        if (WIFSTOPPED(status)) ptrace(PTRACE_CONT, pid, 0, 0);
    }
    while (r->tasks)
        task_ended(r, r->tasks, 0);
    tasks_reap(r);
}

static void housekeeping(struct recorder *r) {
    uint64_t now = r->clock_us;
    if (!r->trace_lost) log_trace_size(r);
    if (now - r->last_flush_us < FLUSH_US) return;
    r->last_flush_us = now;
    struct rf_error err;
    if (!r->trace_lost && trace_flush(r->trace, &err) < 0) trace_failed(r, &err);
}

static void enter_call(struct recorder *r, struct task *t) {
    if (!syscall_begins(r, t)) return;
    bool instead = t->signals && signals_deliverable(t) && signal_deliver(r, t, SIGNAL_AT_ENTRY);
    if (!instead) syscall_entry(r, t);
}

static void handle_signal(struct recorder *r, struct stop *s) {
    enum signal_fate fate = signal_fate(r, s->task, &s->info, &s->regs);
    if (fate == SIGNAL_NOW) signal_now(r, s->task, &s->info);
    // The timer's ticks that ask for a landmark do not come while signals keep stopping the task: they count here.
    if (fate == SIGNAL_HELD || fate == SIGNAL_LATE) preempt_tick(r, s->task);
    // No instruction was executed since the last event, and none would be: the next signal has come already, where a stop takes longer
    // than the timer (20 us, on PVM). Until the next stop or tick no signal comes.
    if (fate == SIGNAL_LATE && s->task->at_landmark) mask_hold_off(s->task);
}

// A trap of refork's own, which the kernel has sent by force. False: t was killed on the way.
static bool own_trap(struct recorder *r, struct stop *s) {
    struct task *t = s->task;
    forced_undo(r, t, WSTOPSIG(s->status));
    if (t->state == TASK_READY && s->info.si_code <= 0) signal_again(t, &s->info); // it came with a trap
    return t->state == TASK_READY;
}

static void carry_out(struct recorder *r, struct stop *s) {
    if (own_trap(r, s))
        trapped_carry_out(r, s->task, &s->regs, &s->trapped);
    else
        free(s->trapped.area);
}

static void take_back_call(struct stop *s) {
    s->regs.rax = (uint64_t)CALL_INTERRUPTED;
    s->regs.orig_rax = ~0ull; // or the kernel would make it again
    tracee_set_regs(s->task->tid, &s->regs);
}

static void skip_copy(struct recorder *r, struct stop *s) {
    struct task *t = s->task;
    forced_undo(r, t, WSTOPSIG(s->status));
    s->regs.rip += CALL_COPY_LENGTH;
    if (t->state == TASK_READY) tracee_set_regs(t->tid, &s->regs);
}

static void act(struct recorder *r, struct stop *s) {
    struct task *t = s->task;
    if (t) mask_close_trap(t);
    switch (s->todo) {
    case DO_NOTHING:
        return;
    case DO_WAIT:
        idle(r);
        return;
    case DO_LOG_DEATH:
        task_ended_unseen(r, t, s->status);
        return;
    case DO_BURY:
        if (!hooks_end_waits(r, t, s->status)) task_exit_stop(r, t);
        return;
    case DO_ENTER_CALL:
        enter_call(r, t);
        return;
    case DO_LEAVE_CALL:
        syscall_returned(r, t);
        return;
    case DO_GO_ON_IN_CALL:
        t->state = TASK_IN_KERNEL;
        ptrace(PTRACE_SYSCALL, t->tid, 0, 0);
        return;
    case DO_TAKE_BACK_CALL:
        take_back_call(s);
        return;
    case DO_SKIP_COPY:
        skip_copy(r, s);
        return;
    case DO_JOB_STOP:
        t->process->stopped_by = WSTOPSIG(s->status);
        if (hooks_job_stops(r, t)) return;
        t->state = TASK_JOB_STOPPED;
        ptrace(PTRACE_LISTEN, t->tid, 0, 0);
        return;
    case DO_LANDMARK:
        preempt_busy(r, t);
        return;
    case DO_TICK:
        if (own_trap(r, s)) preempt_clock(r, t, &s->regs);
        return;
    case DO_ARRIVAL:
        if (own_trap(r, s)) breakpoint_trap(r, t, &s->regs);
        return;
    case DO_INSTRUCTION:
        carry_out(r, s);
        return;
    case DO_FAULT:
        signal_fault(r, t, &s->info, &s->regs);
        if (t->inject_signal && t->process->first_of_namespace) task_fault_ends(r, t);
        return;
    case DO_SIGNAL:
        handle_signal(r, s);
        return;
    case DO_FAIL:
        recorder_fail(r, "unexpected ptrace event %d of task %d", s->status >> 16, t->tid);
        return;
    }
}

// ---- what follows

// Signals that were held back are delivered at a landmark that is no call's.
static void at_landmark(struct recorder *r, const struct stop *s) {
    struct task *t = s->task;
    if (!t || t->state != TASK_READY || !t->at_landmark) return;
    if (t->in_code && !t->inject_signal && signals_deliverable(t)) signal_deliver(r, t, SIGNAL_AT_LANDMARK);
    bool sliced = s->todo == DO_TICK || s->todo == DO_LANDMARK;
    if (sliced && t->state == TASK_READY && t->at_landmark) hooks_landmark(r, t);
}

static void afterwards(struct recorder *r, const struct stop *s) {
    at_landmark(r, s);
    if (s->task && s->task->state != TASK_DEAD) signals_late(r, s->task->process, false);
    tasks_reap(r);
    if ((++r->rounds & 63) == 0) housekeeping(r);
    hooks_look_outside(r);
}

// A call that has been made is logged, come what may.
static bool goes_on(const struct recorder *r) {
    return r->tasks && !r->failed && (!r->stop_all || r->next);
}

int engine_run(struct recorder *r, struct rf_error *err) {
    outside_listen(true);
    tracee_quiet_stops();
    // The tracees trap rdtsc. A thread that does not costs a switch of CR4.TSD, an exit to the hypervisor in
    // a VM, at each context switch to or from one that does: measured, it tripled the price of a ptrace stop.
    // So this thread traps it, too.
    if (r->tsc_traps) clock_trap_tsc(true);
    for (struct stop s; goes_on(r); afterwards(r, &s)) {
        next_stop(r, &s);
        act(r, &s);
    }
    hooks_end(r);
    bool killed = r->stop_all && r->leader && r->result->asked_to_end && !r->result->stuck;
    if ((r->stop_all && !r->let_go) || r->failed) kill_everything(r);
    if (killed) {
        r->result->signaled = true;
        r->result->status = SIGKILL;
    }
    outside_listen(false);
    if (r->tsc_traps) clock_trap_tsc(false);
    rf_work = (struct rf_work){0};
    if (!r->failed) return 0;
    *err = r->failure;
    return -1;
}
