#include "search/slept.h"

#include "core/array.h"
#include "core/calls/syscalls.h"

#include <stdlib.h>
#include <sys/syscall.h>

enum { HELD_EVENTS = 256 }; // of the time that a lock is held: so many are looked at

bool call_may_sleep(int32_t nr) {
    enum syscall_wait wait = syscall_wait(nr);
    return nr >= 0 && nr < SLEPT_CALLS && wait != WAITS_NOT && wait != WAITS_FUTEX && wait != WAITS_VFORK;
}

// The latest one of that TID.
static struct sleeper *find(const struct slept *s, int tid) {
    for (size_t i = s->count; i-- > 0;)
        if (s->v[i].tid == tid) return &s->v[i];
    return NULL;
}

static void add(struct slept *s, int tid) {
    struct sleeper *x = array_add(s->v, s->count);
    x->tid = tid;
    x->last.task = (uint32_t)s->count;
}

void slept_event(struct slept *s, const struct event *e) {
    if (e->number == 1) add(s, e->tid);
    struct sleeper *x = find(s, e->tid);
    if (x && (e->kind == EV_SYSCALL || e->kind == EV_EXIT) && call_may_sleep(e->nr)) {
        x->last.call = e->nr;
        x->last.hit = ++x->calls[e->nr];
    }
    if (e->kind == EV_BIRTH) add(s, (int)e->ret);
}

struct slept_call slept_last(const struct slept *s, int tid) {
    const struct sleeper *x = find(s, tid);
    return x ? x->last : (struct slept_call){.hit = 0};
}

void slept_release(struct slept *s) {
    free(s->v);
    *s = (struct slept){0};
}

int32_t slept_with_lock(struct timeline *t, const struct lock_span *held) {
    struct rf_error ignored;
    struct event e;
    uint64_t from = held->holder.event, to = held->to ? held->to : timeline_last(t);
    for (uint64_t n = from; n < to && n - from < HELD_EVENTS; n++)
        if (timeline_event(t, n, &e, &ignored) == 0 && e.tid == held->holder.tid &&
            (e.kind == EV_SYSCALL || e.kind == EV_ENTER) && call_may_sleep(e.nr))
            return e.nr;
    return -1;
}
