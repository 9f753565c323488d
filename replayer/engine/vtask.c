#include "replayer/engine/vtask.h"

#include "core/array.h"
#include "core/tracee.h"
#include "replayer/engine/engine.h"
#include "replayer/engine/space.h"

#include <stdlib.h>
#include <string.h>

struct vtask *vtask_find(const struct replay *r, int tid) {
    struct vtask *dead = NULL;
    for (size_t i = r->task_count; i-- > 0;) {
        if (r->tasks[i]->pub.tid != tid) continue;
        if (r->tasks[i]->space) return r->tasks[i];
        if (!dead) dead = r->tasks[i];
    }
    return dead;
}

struct vtask *vtask_new(struct replay *r, int tid, int pid, uint64_t birth) {
    struct vtask *v = calloc(1, sizeof *v);
    rf_assert(v);
    v->replay = r;
    v->pub.tid = tid;
    v->pub.pid = pid;
    v->pub.birth = birth;
    array_push(r->tasks, r->task_count, v);
    return v;
}

void vtask_free(struct vtask *v) {
    fdtable_unref(v->fds);
    free(v->xstate);
    free(v);
}

void vtask_leave_space(struct replay *r, struct vtask *v) {
    if (!v->space) return;
    if (v->space->loaded == v) v->space->loaded = NULL;
    space_unref(r, v->space);
    v->space = NULL;
}

void vtask_unload(struct space *s) {
    struct vtask *v = s->loaded;
    if (!v) return;
    if (!v->xstate) v->xstate = malloc(XSTATE_MAX);
    v->xstate_size = tracee_get_xstate(s->pid, v->xstate, XSTATE_MAX);
    s->loaded = NULL;
}

void vtask_load(struct vtask *v) {
    struct space *s = v->space;
    if (s->loaded == v) return;
    vtask_unload(s);
    if (v->xstate_size) tracee_set_xstate(s->pid, v->xstate, v->xstate_size);
    s->loaded = v;
}

uint64_t vtask_unpack_xstate(struct vtask *v, const void *packed, size_t len) {
    uint8_t state[XSTATE_MAX];
    // The kernel takes no other size than the one that it gives.
    size_t size = tracee_get_xstate(v->space->pid, state, sizeof state);
    uint64_t lacking = xstate_unpack(&v->replay->xstate, packed, len, state, size);
    vtask_set_xstate(v, state, size);
    return lacking;
}

void vtask_set_xstate(struct vtask *v, const void *data, size_t len) {
    if (len > XSTATE_MAX) return;
    if (!v->xstate) v->xstate = malloc(XSTATE_MAX);
    memcpy(v->xstate, data, len);
    v->xstate_size = len;
    if (v->space->loaded == v) tracee_set_xstate(v->space->pid, v->xstate, len);
}
