#include "search/slept.h"

#include "core/error.h"
#include "core/syscalls.h"

#include <stdlib.h>
#include <sys/syscall.h>

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
    if (s->count == s->room) {
        s->room = s->room ? s->room * 2 : 16;
        s->v = reallocarray(s->v, s->room, sizeof *s->v);
        rf_assert(s->v);
    }
    s->v[s->count] = (struct sleeper){.tid = tid, .last.task = (uint32_t)s->count + 1};
    s->count++;
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
