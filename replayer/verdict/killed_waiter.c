#include "replayer/verdict/killed_waiter.h"

#include "replayer/verdict/dead_holder.h"

#include <signal.h>
#include <sys/syscall.h>

// Is `space` at `event` in the past of `of` at `until`?
static bool in_the_past(const struct history *h, size_t space, uint64_t event, size_t of, uint64_t until) {
    for (size_t at = of; at != NONE; at = h->spaces[at].parent) {
        if (at == space) return event <= until;
        if (h->spaces[at].begin < until) until = h->spaces[at].begin;
    }
    return false;
}

// Raised by the process's own instructions, or glibc's own (cancellation, setxid): no handler of these ends a wait.
static bool is_asynchronous(int signal) {
    static const int others[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, 32, 33};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (signal == others[i]) return false;
    return true;
}

// Has the process, or one that it is a copy of, set up what may be a handler? 1, 0 or -1. (Which of them ignore the signal
// is not known without reading memory.)
static int may_handle_signals(struct analysis *a, const struct waiter *w, struct rf_error *err) {
    const struct history *h = &a->history;
    size_t own = h->lives[w->life].space;
    struct event e;
    for (uint64_t n = 1; n <= w->stuck->event; n++) {
        if (timeline_event(a->timeline, n, &e, err) < 0) return -1;
        if (e.kind != EV_SYSCALL || e.nr != SYS_rt_sigaction || !(e.flags & EVF_REGS) || e.ret) continue;
        if (!e.regs.rsi || !is_asynchronous((int)e.regs.rdi)) continue;
        size_t life = history_life(h, e.tid, n);
        if (life != NONE && in_the_past(h, h->lives[life].space, n, own, w->stuck->event)) return 1;
    }
    return 0;
}

static int time_of(struct analysis *a, uint64_t event, uint64_t *us, struct rf_error *err) {
    struct event e;
    if (timeline_event(a->timeline, event, &e, err) < 0) return -1;
    *us = e.time_us;
    return 0;
}

static int fill(struct analysis *a, const struct waiter *w, struct finding *f, struct rf_error *err) {
    const struct life *l = &a->history.lives[w->life];
    struct finding_killed *k = &f->killed;
    uint64_t since = 0, until = 0;
    if (time_of(a, w->stuck->since, &since, err) < 0 || time_of(a, w->stuck->killed, &until, err) < 0)
        return -1;
    *k = (struct finding_killed){.signal = w->stuck->killing, .more = w->stuck->like_it};
    k->waited_us = until > since ? until - since : 0;
    k->end = dead_end(a, l->pid, l->tid, w->stuck->killed - 1, timeline_last(a->timeline));
    if (!k->end.by.tid) dead_sender(a, &k->end, l->pid, k->signal);
    k->by_parent = k->end.by.tid && k->end.by.pid == l->parent_pid;
    if (f->confidence != CONFIDENCE_PROVED) return 0;
    int handles = may_handle_signals(a, w, err);
    if (handles > 0) f->confidence = CONFIDENCE_LIKELY;
    return handles < 0 ? -1 : 0;
}

int killed_fill(struct analysis *a, struct rf_error *err) {
    for (size_t i = 0; i < a->waiter_count; i++) {
        const struct waiter *w = &a->waiters[i];
        for (size_t k = 0; w->stuck->killed && k < a->verdict->count; k++) {
            struct finding *f = &a->verdict->findings[k];
            if (f->waiter.tid == w->task.tid && f->waiting.event == w->waiting.event &&
                fill(a, w, f, err) < 0)
                return -1;
        }
    }
    return 0;
}
