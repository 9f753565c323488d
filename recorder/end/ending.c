#include "recorder/end/ending.h"

#include "core/calls/syscalls.h"
#include "recorder/end/keeper.h"
#include "recorder/end/served.h"
#include "recorder/hooks.h"
#include "recorder/log.h"
#include "recorder/outside.h"
#include "recorder/task.h"

#include <signal.h>
#include <string.h>

enum {
    GRACE_US = 5000000,  // from a request to end until everything is killed
    FORWARD_US = 100000, // a signal to the whole process group has reached the program by then
    TOGETHER_US =
        200000, // signals that close together are one: timeout(1) signals its child, and then its group
    PRESSES_US =
        2000000, // Ctrl-C that was handled, and pressed again later than that, is the program's own matter
    HINT_US = 1000000,
    LINGER_US = 8000000,
    LINGER_MOST_US = 20000000, // while something may yet come out
    // What the program leaves behind is looked at until nothing has happened for so long, and the whole look takes so long at
    // the most. A child that a fork left without its parent's threads gets the longer times: its waits need a second look.
    QUIET_US = 500000,
    QUIET_ALONE_US = 1500000,
    LEFT_US = 3000000,
};

static void end_now(struct recorder *r, const char *why) {
    if (why && r->tasks) fprintf(stderr, "refork: %s: ending all of it now\n", why);
    r->result->asked_to_end = r->stop_all = true;
}

static bool is_asked(const struct recorder *r) {
    return r->ending.asked_us != 0;
}

// Somebody wants the end, and will not wait for ever.
static void ask(struct recorder *r, uint64_t now) {
    r->result->asked_to_end = true;
    r->ending.asked_us = now;
    r->ending.deadline_us = now + GRACE_US;
}

// ---- Ctrl-C

// The program has it as well: same terminal, same process group. What it does about it is its own matter, until it is
// pressed again to no effect.
static void from_terminal(struct recorder *r, uint64_t now) {
    struct ending *e = &r->ending;
    unsigned count = outside_interrupts();
    bool handled = e->handled_us &&
                   e->handled_us + TOGETHER_US > e->pressed_us; // it may run before the press is seen here
    if (count == e->interrupts) {
        if (!e->presses || handled || e->hinted || !r->leader || now - e->pressed_us < HINT_US) return;
        e->hinted = true;
        fprintf(stderr, "refork: the program goes on; Ctrl-C again ends it\n");
        return;
    }
    e->interrupts = count;
    r->result->asked_to_end = true;
    if (e->presses && handled && now - e->pressed_us > PRESSES_US) e->presses = 0;
    e->pressed_us = now ? now : 1;
    if (++e->presses >= (handled ? 3u : 2u)) end_now(r, NULL);
}

// ---- signals to refork alone, or to its group

// The first one is passed on, unless the program has it anyhow; one more ends everything.
static void to_refork(struct recorder *r, int sig, uint64_t now) {
    struct ending *e = &r->ending;
    if (sig == SIGHUP || sig == SIGUSR1 || sig == SIGUSR2) {
        if (r->leader) kill(r->leader, sig);
        return;
    }
    if (is_asked(r)) {
        if (now - e->asked_us > TOGETHER_US) end_now(r, NULL);
        return;
    }
    ask(r, now ? now : 1);
    e->forward = e->signal = sig;
}

static void pass_on(struct recorder *r, uint64_t now) {
    struct ending *e = &r->ending;
    if (e->signal && !e->hinted && r->leader && now - e->asked_us > TOGETHER_US) {
        e->hinted = true;
        fprintf(stderr, "refork: SIG%s: the program has %d s to end; once more ends it now\n",
                sigabbrev_np(e->signal), GRACE_US / 1000000);
    }
    if (!e->forward || now - e->asked_us < FORWARD_US) return;
    bool reached = e->reached == e->forward && e->reached_us + TOGETHER_US > e->asked_us;
    if (r->leader && !reached) kill(r->leader, e->forward);
    e->forward = 0;
}

// ---- time

static bool time_is_over(const struct recorder *r, uint64_t now) {
    uint64_t ms = served_us(r, now) / 1000;
    if (!r->options->limit_ms || ms < r->options->limit_ms) return false;
    return ms >= r->options->patient_ms || !hooks_patient(r);
}

static void look_at_time(struct recorder *r, uint64_t now) {
    struct ending *e = &r->ending;
    served_look(r, now);
    if (time_is_over(r, now)) r->result->timed_out = r->stop_all = true;
    uint64_t timeout_us = r->options->timeout_ms * 1000;
    if (timeout_us && now >= timeout_us && !e->timed) {
        e->timed = true;
        fprintf(stderr, "refork: the time is over (%.1f s): SIGTERM to the program\n",
                (double)timeout_us / 1e6);
        if (!is_asked(r)) ask(r, now);
        if (r->leader) kill(r->leader, SIGTERM);
    }
    if (!e->deadline_us || now < e->deadline_us) return;
    r->result->timed_out |= e->timed;
    end_now(r, "the program has not ended");
}

// ---- what the program leaves behind

static const struct process *left_alone(const struct recorder *r) {
    const struct process *p = r->processes;
    while (p && !p->child_of_threaded)
        p = p->next;
    return p;
}

// What a Ctrl-C leaves behind may wait for ever. Now that nobody else moves that can be said: at once of a task that sleeps,
// of a loop after some iterations and a change of the clock's seconds.
static bool lingers(struct recorder *r, uint64_t now) {
    struct ending *e = &r->ending;
    const struct process *left = left_alone(r);
    if (!e->left_us) {
        e->left_us = now;
        if (left)
            fprintf(stderr,
                    "refork: process %d goes on: looking whether it waits for ever (Ctrl-C: end it now)\n",
                    left->pid);
        e->deadline_us = 0;
    }
    return left && now - e->left_us < (hooks_undecided(r) ? LINGER_MOST_US : LINGER_US);
}

// Nobody runs, and nobody is at work in a child that it waits for (a vfork's parent cannot be stopped).
static bool all_sleep(const struct recorder *r) {
    for (const struct task *t = r->tasks; t; t = t->next)
        if (t->state != TASK_IN_KERNEL && t->state != TASK_JOB_STOPPED) return false;
    return true;
}

static bool any_vfork(const struct recorder *r) {
    for (const struct task *t = r->tasks; t; t = t->next)
        if (t->state == TASK_IN_KERNEL && syscall_effect(t->call.nr) == EFFECT_BIRTH) return true;
    return false;
}

// The program has ended by itself, others live on.
static void look_at_the_left(struct recorder *r, uint64_t now) {
    struct ending *e = &r->ending;
    uint64_t events = trace_event_count(r->trace);
    bool alone = left_alone(r) != NULL, quiet = all_sleep(r) && events == e->quiet_events;
    if (!e->left_us) e->left_us = now;
    if (!e->quiet_us || !quiet) e->quiet_us = now;
    e->quiet_events = events;
    bool decided = now - e->quiet_us >= (alone ? QUIET_ALONE_US : QUIET_US) && !hooks_undecided(r);
    if ((decided || now - e->left_us >= (alone ? LINGER_US : LEFT_US)) && !any_vfork(r))
        r->let_go = r->stop_all = true;
}

static void name_left(const struct recorder *r, char *text, size_t size) {
    size_t at = 0;
    int more = 0;
    *text = 0;
    for (const struct process *p = r->processes; p; p = p->next) {
        const struct task *t = r->tasks;
        while (t && t->process != p)
            t = t->next;
        if (!t) continue;
        if (size - at < 40)
            more++;
        else
            at += (size_t)snprintf(text + at, size - at, "%s%d (%s)", at ? ", " : "", p->pid, t->name);
    }
    if (more) snprintf(text + at, size - at, " and %d more", more);
}

bool ending_let_go(struct recorder *r) {
    char names[400];
    unsigned count = 0;
    for (const struct process *p = r->processes; p; p = p->next)
        count++;
    name_left(r, names, sizeof names);
    if (r->deferred) log_deferred_entry(r);
    r->result->left = keeper_takes_over(r);
    if (r->result->left) {
        log_note(r, NULL,
                 "the program has ended; %u process%s that it left behind %s on without being recorded "
                 "(--wait records to the end): %s",
                 count, count == 1 ? "" : "es", count == 1 ? "goes" : "go", names);
        return true;
    }
    r->let_go = r->stop_all = false;
    r->ending.left_us = r->ending.quiet_us = 0;
    return false;
}

static void look_outside(struct recorder *r) {
    if (r->stop_all || !r->tasks) return;
    uint64_t now = recent_us(r);
    int sig = outside_asked();
    if (sig && !r->leader) end_now(r, NULL);
    if (sig && r->leader) to_refork(r, sig, now);
    from_terminal(r, now);
    pass_on(r, now);
    look_at_time(r, now);
    if (r->leader || r->stop_all) return;
    if (r->result->asked_to_end) {
        if (!lingers(r, now)) end_now(r, NULL);
    } else if (r->options->let_go) {
        look_at_the_left(r, now);
    }
}

static void signal_came(struct recorder *r, int signal, bool handled) {
    struct ending *e = &r->ending;
    if (signal != SIGINT && signal != SIGQUIT && signal != SIGTERM) return;
    e->reached = signal;
    e->reached_us = r->clock_us;
    if (handled && signal != SIGTERM) e->handled_us = r->clock_us;
}

static const struct recorder_hooks ending_hooks = {
    .look_outside = look_outside,
    .signal_came = signal_came,
};

void ending_begin(struct recorder *r) {
    hooks_add(r, &ending_hooks);
}
