#include "recorder/engine.h"
#include "core/clock.h"
#include "recorder/arrivals.h"
#include "recorder/breakpoints.h"
#include "recorder/lifecycle.h"
#include "recorder/log.h"
#include "recorder/outside.h"
#include "recorder/plan/gate.h"
#include "recorder/plan/strategy.h"
#include "recorder/plt_clock.h"
#include "recorder/preempt.h"
#include "recorder/signals.h"
#include "recorder/slices.h"
#include "recorder/space.h"
#include "recorder/stop.h"
#include "recorder/syscall.h"
#include "recorder/waits/spin_loop.h"
#include "recorder/waits/stuck.h"
#include "recorder/waits/wait_loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FIRST_SPIN_LOOK = 12, TICK_US = 4000, FLUSH_US = 1000000, IDLE_FLUSH_US = 250000 };

static void group_stop(struct recorder *r, struct task *t, int sig) {
    if (sig == SIGTRAP && t->stepping) return;
    if (sig == SIGTRAP && t->state == TASK_READY && !t->call.inside) {
        preempt_busy(r, t);
        return;
    }
    if (sig == SIGTRAP) { // the end of a job stop, or a PTRACE_INTERRUPT that came too late to matter
        t->state = t->call.inside ? TASK_IN_KERNEL : TASK_READY;
        if (t->call.inside) ptrace(PTRACE_SYSCALL, t->tid, 0, 0);
        return;
    }
    t->state = TASK_JOB_STOPPED;
    ptrace(PTRACE_LISTEN, t->tid, 0, 0);
}

void dispatch(struct recorder *r, struct task *t, int status) {
    t->stop_pending = false;
    t->in_signal_stop = false;
    t->state = TASK_READY;
    if (WIFEXITED(status) || WIFSIGNALED(status)) {
        // Died without an exit stop that we could see (SIGKILL while it was in one).
        struct event e = {.kind = EV_DEATH,
                          .tid = t->tid,
                          .ret = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status)};
        if (WIFSIGNALED(status)) e.flags |= EVF_KILLED;
        if (t->process->refs == 1) e.flags |= EVF_LAST;
        if (r->deferred == t) r->deferred = NULL;
        log_event(r, t, &e);
        task_ended(r, t, status);
        return;
    }
    int event = status >> 16, sig = WSTOPSIG(status);
    switch (event) {
    case 0:
        break;
    case PTRACE_EVENT_SECCOMP:
        syscall_entry(r, t);
        return;
    case PTRACE_EVENT_EXIT:
        task_exit_stop(r, t);
        return;
    case PTRACE_EVENT_STOP:
        group_stop(r, t, sig);
        return;
    case PTRACE_EVENT_VFORK_DONE:
        return;
    default:
        recorder_fail(r, "unexpected ptrace event %d of task %d", event, t->tid);
        return;
    }
    if (sig == (SIGTRAP | 0x80)) {
        syscall_returned(r, t);
        return;
    }
    signal_stop(r, t, status);
}

static void run(struct recorder *r, struct task *t) {
    if (t->held_at_entry) {
        t->held_at_entry = false;
        task_clone(r, t);
        return;
    }
    if (r->strategist) strategist_resume(r, t);
    struct mm *mm = t->mm->breaks.count ? t->mm : NULL;
    if (mm && !breakpoints_leave(r, t)) return;
    int status, sig = t->inject_signal;
    t->inject_signal = 0;
    t->state = TASK_RUNNING;
    t->at_landmark = false;
    r->idle_looks = 0;
    if (r->options->chaos && t->mm->annex && !t->mm->limit_lowered) {
        // Library calls are schedule points: the next one to stop at is 1..64 calls away.
        if ((chaos_random(r) & 3) == 0)
            clock_set_limit(t->mm, clock_count(t->mm) + 1 + (chaos_random(r) & 63));
    }
    if (!t->loop || t->loop->kind == WAIT_OUTSIDE) {
        t->mm->epoch++;
        r->epoch++;
    }
    if (!sig && (spin_look(r, t) || loop_run(r, t))) return;
    if (mm) breakpoints_plant(mm, true);
    bool stopped = run_until_stop(r, t, PTRACE_CONT, sig, &status);
    if (mm) breakpoints_plant(mm, false);
    if (!stopped) {
        if (!r->failed) task_ended(r, t, 0);
        return;
    }
    dispatch(r, t, status);
}

static void idle(struct recorder *r) {
    struct rf_error err;
    if (r->clock_us - r->last_flush_us > IDLE_FLUSH_US) {
        r->last_flush_us = r->clock_us;
        if (!r->trace_lost && trace_flush(r->trace, &err) < 0) trace_failed(r, &err);
    }
    r->idle_looks++;
    stuck_check(r, NULL);
    if (r->stop_all || r->failed || (r->gate && gate_idle(r))) return;
    int status;
    pid_t pid = waitpid(-1, &status, __WALL);
    if (pid > 0) {
        struct task *t = task_find(r, pid);
        if (t) take_stop(t, status);
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
}

static void housekeeping(struct recorder *r) {
    uint64_t now = r->clock_us;
    if (now - r->last_flush_us < FLUSH_US) return;
    r->last_flush_us = now;
    struct rf_error err;
    if (!r->trace_lost && trace_flush(r->trace, &err) < 0) trace_failed(r, &err);
}

static bool time_is_over(struct recorder *r) {
    if (!r->options->limit_ms) return false;
    uint64_t ms = recent_us(r) / 1000;
    if (ms < r->options->limit_ms) return false;
    return ms >= r->options->patient_ms || !r->gate || !gate_child_loops(r);
}

static void look_at_limits(struct recorder *r) {
    if (r->stop_all) return;
    if (r->options->gate_only && r->result->gate.verdict) r->result->gate_done = r->stop_all = true;
    if (time_is_over(r)) r->result->timed_out = r->stop_all = true;
}

static const struct process *left_alone(const struct recorder *r) {
    const struct process *p = r->processes;
    while (p && !p->child_of_threaded)
        p = p->next;
    return p;
}

// What a Ctrl-C leaves behind may wait for ever. Now that nobody else moves that can be said: at once of a task that sleeps,
// of a loop after some iterations and a change of the clock's seconds.
static bool lingers(struct recorder *r) {
    enum { LINGER_US = 8000000 };
    const struct process *left = left_alone(r);
    if (!r->left_us) {
        r->left_us = recent_us(r);
        r->left_interrupts = outside_interrupts();
        if (left)
            fprintf(stderr,
                    "refork: process %d goes on: looking whether it waits for ever (Ctrl-C: end it now)\n",
                    left->pid);
    }
    return left && outside_interrupts() == r->left_interrupts && recent_us(r) - r->left_us < LINGER_US;
}

// Ctrl-C goes to the program as well, which may handle it. It ends the recording when the program's first
// process is gone, or when it is pressed for the third time.
static void outside_signals(struct recorder *r) {
    unsigned interrupts = outside_interrupts();
    if (interrupts >= 3 || (interrupts && !r->leader && !lingers(r))) r->stop_all = true;
    int sig = outside_terminate();
    if (sig && r->leader)
        kill(r->leader, sig);
    else if (sig)
        r->stop_all = true;
}

int engine_run(struct recorder *r) {
    outside_listen(true);
    tracee_quiet_stops();
    // The tracees trap rdtsc. A thread that does not costs a switch of CR4.TSD, an exit to the hypervisor in
    // a VM, at each context switch to or from one that does: measured, it tripled the price of a ptrace stop.
    // So this thread traps it, too.
    if (r->tsc_traps) clock_trap_tsc(true);
    unsigned n = 0;
    while (r->tasks && !r->failed && !r->stop_all) {
        // Not in the middle of a slice: what that task has done belongs to its next event, behind the entry's.
        bool between = !r->current || r->current->state != TASK_READY || r->current->at_landmark;
        if (between && r->deferred && r->deferred->state == TASK_IN_KERNEL && others_ready(r, r->deferred))
            syscall_settle(r, r->deferred);
        struct task *t = next_task(r);
        if (!t)
            idle(r);
        else if (t->state == TASK_RETURNED)
            dispatch(r, t, t->stop);
        else
            run(r, t);
        if ((++n & 63) == 0) housekeeping(r);
        outside_signals(r);
        look_at_limits(r);
    }
    if (r->gate) gate_end(r);
    if (r->strategist) strategist_end(r);
    if (r->stop_all || r->failed) kill_everything(r);
    outside_listen(false);
    if (r->tsc_traps) clock_trap_tsc(false);
    return r->failed ? -1 : 0;
}
