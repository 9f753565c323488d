#include "recorder/waits/second_look.h"

#include "core/clock.h"
#include "core/futex.h"
#include "recorder/log.h"
#include "recorder/waits/state.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// A look is started when a wait is 250 ms old, the trace's last chunk having been handed over 30 ms before (its writer is a
// thread). A wait of which nothing could be said is looked at again after a second, and then each time after twice as
// long; looking takes half of the other CPU's time at most.
enum { TURN_US = 20000, LONG_US = 250000, WRITE_US = 30000, AGAIN_US = 1000000, TASKS = 64, KNOWN = 128 };
// So long nobody else judges what a look may know better: so much CPU time of the look, so many looks that were asked of others.
enum { LOOK_CPU_US = 1000000, LOOKS_MOST = 3 };
enum { ERESTARTSYS = 512 }; // include/linux/errno.h

// A place at which somebody waits: the pool's threads come to theirs again and again.
struct known_wait {
    uint32_t mm;
    uint64_t word, pc;
    uint64_t pause_us, next_us;
    bool asked;
};

struct second_look {
    enum { LOOK_NONE, LOOK_WRITING, LOOK_RUNS } state;
    uint64_t turn_us, since_us, pause_until_us;
    uint64_t due_us;            // when it was asked last whether there is something to do
    uint64_t next_us;           // with nothing under way: when somebody will have slept for long
    uint64_t started, answered; // looks
    pid_t pid;
    int fd;
    struct asked {
        int tid;
        uint64_t sleep;
    } asked[TASKS];
    size_t count;
    struct known_wait known[KNOWN];
    size_t known_count, oldest;
    char text[TASKS * 32];
    size_t length;
};

static bool sleeps_without_end(const struct task *t) {
    return t->state == TASK_IN_KERNEL && t->call.inside && t->call.nr == SYS_futex &&
           futex_waits_endlessly(t->call.args) && task_state_letter(t->tid) == 'S';
}

enum judged second_look_says(const struct task *t) {
    const struct loop *l = t->loop;
    bool same = l && l->judged && l->judged_sleep == l->sleep;
    // What is only likely where a handler runs now and then: it may be what ends this wait.
    if (!same || (l->handled && l->judged != JUDGED_PROVED)) return JUDGED_NOT;
    return sleeps_without_end(t) ? l->judged : JUDGED_NOT;
}

void second_look_judge(struct task *t, enum judged judged) {
    struct loop *l = loop_of(t);
    l->judged = judged;
    l->judged_sleep = l->sleep;
}

void second_look_cut(struct task *t, int64_t ret) {
    struct loop *l = t->loop;
    if (!l || ret != -ERESTARTSYS || t->call.nr != SYS_futex || !futex_waits_endlessly(t->call.args)) return;
    l->cut.pending = l->handled = true;
    l->cut.pc = t->call.regs.rip;
    l->cut.sp = t->call.regs.rsp;
    l->cut.word = t->call.args[0];
}

void second_look_call(struct task *t) {
    struct loop *l = t->loop;
    if (!l) return;
    bool sleeps = t->call.nr == SYS_futex && futex_waits_endlessly(t->call.args);
    if (l->cut.pending && !sleeps) return; // of the handler
    bool again = l->cut.pending && l->cut.pc == t->call.regs.rip && l->cut.sp == t->call.regs.rsp &&
                 l->cut.word == t->call.args[0];
    l->cut.pending = false;
    if (again) return;
    l->handled = false;
    l->sleep++;
}

// (own_steps counts from 1 when a task waits.)
static bool is_alone(const struct task *t) {
    return t->loop && t->loop->alone_steps && t->loop->alone_steps == t->own_steps;
}

void second_look_alone(struct task *t) {
    loop_of(t)->alone_steps = t->own_steps;
}

static struct known_wait *known(struct second_look *l, const struct task *t) {
    for (size_t i = 0; i < l->known_count; i++) {
        struct known_wait *k = &l->known[i];
        if (k->mm == t->mm->id && k->word == t->call.args[0] && k->pc == t->call.regs.rip) return k;
    }
    struct known_wait *k = &l->known[l->known_count < KNOWN ? l->known_count++ : l->oldest++ % KNOWN];
    *k = (struct known_wait){t->mm->id, t->call.args[0], t->call.regs.rip, AGAIN_US, 0, false};
    return k;
}

// The thread whose end the task waits for (pthread_join): the kernel clears the word then, and wakes.
static const struct task *joined(const struct recorder *r, const struct task *t) {
    for (const struct task *o = r->tasks; o; o = o->next)
        if (o != t && o->mm == t->mm && o->clear_tid && o->clear_tid == t->call.args[0] &&
            o->state != TASK_DEAD)
            return o;
    return NULL;
}

// Waits for the end of one that goes on. No lock is in it: what would have to be looked at is that one's own wait, when it has
// one. Each look replays all that was recorded (0.25 s of the 0.7 s of CPU of tests/bench/compute.c, and again after a second).
static bool joins_who_goes_on(const struct recorder *r, const struct task *t) {
    for (int n = 0; n < TASKS && t; n++) {
        if (!sleeps_without_end(t)) return true;
        t = joined(r, t);
    }
    return false; // one of them waits for something else; or they wait in a circle
}

static bool worth_a_look(struct recorder *r, struct second_look *l, struct task *t) {
    if (!sleeps_without_end(t)) return false;
    struct loop *s = loop_of(t);
    if (s->stuck_logged || second_look_says(t)) return false;
    if (s->sleeps_seen != s->sleep || !s->sleeps_since_us) {
        s->sleeps_seen = s->sleep;
        s->sleeps_since_us = r->clock_us;
        s->asked_by = l->started + 1;
    }
    if (joins_who_goes_on(r, t)) {
        if (r->clock_us + LONG_US < l->next_us) l->next_us = r->clock_us + LONG_US;
        return false;
    }
    uint64_t due = known(l, t)->next_us, old = s->sleeps_since_us + LONG_US;
    if (due < old) due = old;
    if (due < l->next_us) l->next_us = due;
    return r->clock_us >= due;
}

static void write_out(struct recorder *r, struct second_look *l) {
    struct rf_error err;
    if (r->deferred) log_deferred_entry(r);
    if (trace_flush(r->trace, &err) < 0) {
        trace_failed(r, &err);
        return;
    }
    l->state = LOOK_WRITING;
    l->since_us = r->clock_us;
}

static bool any_alone(struct recorder *r) {
    for (struct task *t = r->tasks; t; t = t->next)
        if (is_alone(t)) return true;
    return false;
}

// The one that began to wait last comes first: it is what has changed.
static void choose(struct recorder *r, struct second_look *l, bool alone) {
    uint64_t youngest = 0;
    l->count = l->length = 0;
    for (struct task *t = r->tasks; t; t = t->next) {
        if (alone ? !is_alone(t) : !sleeps_without_end(t)) continue;
        const struct loop *s = loop_of(t);
        if (s->stuck_logged || l->count == TASKS) continue;
        l->asked[l->count] = (struct asked){t->tid, s->sleep};
        if (l->count && s->sleeps_since_us > youngest) {
            l->asked[l->count] = l->asked[0];
            l->asked[0] = (struct asked){t->tid, s->sleep};
        }
        if (s->sleeps_since_us > youngest) youngest = s->sleeps_since_us;
        l->count++;
        if (!sleeps_without_end(t)) continue;
        struct known_wait *k = known(l, t);
        k->next_us = r->clock_us + k->pause_us;
        k->pause_us *= 2;
        k->asked = true;
    }
}

static void start(struct recorder *r, struct second_look *l) {
    int tids[TASKS];
    bool alone = any_alone(r);
    choose(r, l, alone);
    l->state = LOOK_NONE;
    for (size_t i = 0; i < l->count; i++)
        tids[i] = l->asked[i].tid;
    if (r->tsc_traps) clock_trap_tsc(false); // the other process inherits it
    l->fd =
        l->count ? r->options->second_look(r->options->output, tids, l->count, alone, r->cpu, &l->pid) : -1;
    if (r->tsc_traps) clock_trap_tsc(true);
    if (l->fd < 0) return;
    l->state = LOOK_RUNS;
    l->started++;
    l->since_us = r->clock_us;
    if (r->options->log)
        fprintf(r->options->log, "         a second look at %zu waits: %d, ...\n", l->count, tids[0]);
}

static bool heed(struct recorder *r, struct second_look *l) {
    bool any = false;
    for (size_t i = 0; i < l->count; i++) {
        struct task *t = task_find(r, l->asked[i].tid);
        if (t) loop_of(t)->answered_sleep = l->asked[i].sleep;
    }
    l->text[l->length] = 0;
    char *rest = l->text;
    for (char *line; (line = strsep(&rest, "\n"));) {
        int tid;
        char how[16];
        if (sscanf(line, "%d %15s", &tid, how) != 2) continue;
        struct task *t = task_find(r, tid);
        for (size_t i = 0; t && i < l->count; i++) {
            if (l->asked[i].tid != tid || l->asked[i].sleep != loop_of(t)->sleep) continue;
            second_look_judge(t, strcmp(how, "proved") ? JUDGED_LIKELY : JUDGED_PROVED);
            any |= second_look_says(t);
        }
    }
    return any;
}

void second_look_end(struct recorder *r) {
    struct second_look *l = r->waits->second_look;
    if (!l) return;
    if (l->state == LOOK_RUNS) {
        kill(l->pid, SIGKILL);
        while (waitpid(l->pid, NULL, 0) < 0 && errno == EINTR) {
        }
        close(l->fd);
    }
    free(l);
    r->waits->second_look = NULL;
}

static uint64_t us_of(const struct timeval *t) {
    return (uint64_t)t->tv_sec * 1000000 + (uint64_t)t->tv_usec;
}

// True when the other process has said all that it will.
static bool answered(struct second_look *l) {
    struct pollfd p = {.fd = l->fd, .events = POLLIN};
    while (poll(&p, 1, 0) > 0) {
        ssize_t n = read(l->fd, l->text + l->length, sizeof l->text - 1 - l->length);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return true;
        l->length += (size_t)n;
    }
    return false;
}

bool second_look_runs(const struct recorder *r) {
    const struct second_look *l = r->waits->second_look;
    return l && l->state != LOOK_NONE;
}

// The look itself may be the one that waits for a CPU, or have minutes of a recording to replay.
static bool had_its_time(const struct second_look *l) {
    clockid_t clock;
    return l->state == LOOK_RUNS && !clock_getcpuclockid(l->pid, &clock) && clock_us(clock) >= LOOK_CPU_US;
}

bool second_look_silent(const struct recorder *r, const struct task *t) {
    const struct second_look *l = r->waits->second_look;
    if (!r->options->second_look || r->trace_lost || r->stop_all) return true;
    const struct loop *s = t->loop;
    if (!l || !s || s->sleeps_seen != s->sleep) return false;
    // A look is asked of some of those that wait: bounded.
    if (s->answered_sleep == s->sleep || l->answered >= s->asked_by + LOOKS_MOST) return true;
    if (l->started >= s->asked_by && had_its_time(l)) return true;
    // Of this place nothing could be said before: the next look comes much later.
    for (size_t i = 0; i < l->known_count; i++)
        if (l->known[i].mm == t->mm->id && l->known[i].word == t->call.args[0] &&
            l->known[i].pc == t->call.regs.rip)
            return l->known[i].asked;
    return false;
}

bool second_look_due(const struct recorder *r) {
    struct second_look *l = r->waits->second_look;
    if (!l || l->due_us == r->clock_us) return false;
    l->due_us = r->clock_us; // asked at each stop
    struct pollfd p = {.fd = l->fd, .events = POLLIN};
    switch (l->state) {
    case LOOK_NONE:
        return r->clock_us >= l->next_us && r->clock_us >= l->pause_until_us;
    case LOOK_WRITING:
        return r->clock_us - l->since_us >= WRITE_US;
    case LOOK_RUNS:
        return poll(&p, 1, 0) > 0;
    }
    return false;
}

// A thread that computes alone is not stopped for a turn that has nothing to do: the landmark that it lacks takes thousands of single steps
// (34 s of one start of python3, on a machine that had other work).
static bool anybody_sleeps(const struct recorder *r) {
    for (const struct task *t = r->tasks; t; t = t->next)
        if (t->state == TASK_IN_KERNEL && t->call.inside && t->call.nr == SYS_futex) return true;
    return false;
}

bool second_look_turn(struct recorder *r) {
    if (!r->options->second_look || r->trace_lost || r->stop_all) return false;
    struct second_look *l = r->waits->second_look;
    if (!l) {
        l = r->waits->second_look = calloc(1, sizeof *l);
        rf_assert(l);
    }
    if (r->clock_us - l->turn_us < TURN_US) {
        l->next_us = anybody_sleeps(r) ? l->turn_us + TURN_US : UINT64_MAX;
        return false;
    }
    l->turn_us = r->clock_us;
    l->next_us = UINT64_MAX;
    if (l->state == LOOK_WRITING && r->clock_us - l->since_us >= WRITE_US) start(r, l);
    if (l->state == LOOK_RUNS && answered(l)) {
        struct rusage used = {0};
        while (wait4(l->pid, NULL, 0, &used) < 0 && errno == EINTR) {
        }
        close(l->fd);
        l->state = LOOK_NONE;
        l->answered++;
        l->pause_until_us = r->clock_us + us_of(&used.ru_utime) + us_of(&used.ru_stime);
        return heed(r, l);
    }
    bool want = false;
    for (struct task *t = r->tasks; t; t = t->next)
        want |= worth_a_look(r, l, t);
    if (want && l->state == LOOK_NONE && r->clock_us >= l->pause_until_us) write_out(r, l);
    return false;
}
