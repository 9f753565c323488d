#include "replayer/rr/place.h"

#include "replayer/rr/holder.h"
#include "replayer/rr/snapshot.h"

#include <stdlib.h>
#include <string.h>

enum { STOPS_MOST = 10000 };

void rr_place_close(struct rr_place *p) {
    if (p->party.snapshot) snapshot_free(p->party.snapshot);
    remote_close(p->remote);
    rr_server_stop(&p->server);
    *p = (struct rr_place){.server.output = -1};
}

int rr_place_failed(struct rr_place *p, struct rf_error *err) {
    if (p->server.pid) rr_server_failed(&p->server, err);
    rr_place_close(p);
    return -1;
}

int rr_place_connect(const struct rr_trace *t, const struct rr_task *first, uint64_t event,
                     struct rr_place *out, struct rf_error *err) {
    struct remote_stop stop;
    *out = (struct rr_place){.server.output = -1};
    if (rr_trace_serve(t, first, event, &out->server, err) == 0 &&
        remote_connect(out->server.port, &out->remote, &stop, err) == 0)
        return 0;
    return rr_place_failed(out, err);
}

static int rr_place_look(const struct rr_trace *t, struct diagnosis *d, const struct rr_task *first,
                         struct rr_place *out, struct rf_error *err) {
    if (rr_snapshot(t, first, out->remote, d->files, &out->party.snapshot, err) == 0) return 0;
    return rr_place_failed(out, err);
}

int rr_place_open(const struct rr_trace *t, struct diagnosis *d, const struct rr_task *first, uint64_t event,
                  struct rr_place *out, struct rf_error *err) {
    return rr_place_connect(t, first, event, out, err) ? -1 : rr_place_look(t, d, first, out, err);
}

// Lets the task run to the system call that it never came back from: the instruction in front of its last registers' pc.
static int run_to_call(struct remote *r, const struct rr_task *task, struct rf_error *err) {
    const struct remote_thread thread = {.pid = task->pid, .tid = task->tid};
    struct user_regs_struct regs;
    struct remote_stop stop;
    if (!task->rip || remote_break(r, task->rip - 2, true, err)) return task->rip ? -1 : 0;
    for (int stops = 0; stops < STOPS_MOST; stops++) {
        if (remote_registers(r, &thread, &regs, err)) return -1;
        if (regs.rip == task->rip - 2 && regs.rsp == task->rsp)
            return remote_break(r, task->rip - 2, false, err);
        if (remote_go(r, REMOTE_FORWARD, NULL, &stop, err)) return -1;
        if (stop.how != REMOTE_STOPPED) break;
    }
    return rf_fail(err, RF_CANNOT, "thread %d does not come to its last system call in the replay",
                   task->tid);
}

// At the process's end, with all of its threads. Else, where rr stops at none of those events, with the last one.
int rr_place_end(const struct rr_trace *t, struct diagnosis *d, const struct rr_task *first,
                 struct rr_place *out, struct rf_error *err) {
    const struct rr_end end = rr_trace_end(t, first);
    if (!end.event) return rr_place_open(t, d, first, 0, out, err);
    if (rr_place_connect(t, first, end.event, out, err)) return -1;
    if (end.task && run_to_call(out->remote, end.task, err)) return rr_place_failed(out, err);
    return rr_place_look(t, d, first, out, err);
}

int rr_place_stack(const struct rr_trace *t, struct diagnosis *d, uint64_t event, int tid, struct frame *out,
                   size_t max, struct rf_error *err) {
    struct rr_place p;
    const struct rr_task *task = rr_trace_task(t, tid, event);
    const struct rr_task *first = task ? rr_trace_task(t, task->pid, event) : NULL;
    if (!first) return rf_fail(err, RF_CANNOT, "no task %d at event %llu", tid, (unsigned long long)event);
    // Behind its process's last events rr stops nowhere but at the end.
    bool end = event >= rr_trace_last(t, first);
    if (end ? rr_place_end(t, d, first, &p, err) : rr_place_open(t, d, first, event, &p, err)) return -1;
    const struct snapshot *s = p.party.snapshot;
    int written = rf_fail(err, RF_CANNOT, "task %d is not there any more", tid);
    for (size_t i = 0; i < s->thread_count; i++) {
        if (s->threads[i].tid != tid) continue;
        struct stack stack = rr_stack(d, &p.party, &s->threads[i].regs);
        written = (int)(stack.count < max ? stack.count : max);
        memcpy(out, stack.frames, (size_t)written * sizeof *out);
        free(stack.frames);
        err->status = 0;
    }
    rr_place_close(&p);
    return written;
}
