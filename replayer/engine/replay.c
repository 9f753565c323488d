#include "replayer/engine/replay.h"

#include "core/cpu/machine.h"
#include "core/memory_digest.h"
#include "core/tracee.h"
#include "replayer/engine/call_feed.h"
#include "replayer/engine/check.h"
#include "replayer/engine/engine.h"
#include "replayer/engine/islands.h"
#include "replayer/engine/kernel_task.h"
#include "replayer/engine/memory.h"
#include "replayer/engine/step.h"
#include "replayer/engine/space_maps.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

// What the program was shown and this CPU lacks shows itself where it is used (check_cause). Some instructions are no error
// elsewhere, but others.
static int check_machine(struct replay *r, struct rf_error *err) {
    const struct trace_header *h = trace_get_header(r->trace);
    struct cpu_features here, lacking, silent;
    char name[40], names[100];
    cpu_describe(name, sizeof name);
    cpu_features_here(&here);
    xstate_layout_here(&r->xstate);
    r->cpuid_faults = h->flags & TRACE_CPUID_FAULTS && cpu_cpuid_faults();
    r->tsc_traps = cpu_tsc_traps();
    r->foreign = cpu_features_lacking(&h->cpu.shown, &here, &lacking) || strcmp(name, h->machine_id);
    if (!cpu_features_silent(&lacking, &silent)) return 0;
    cpu_features_text(&silent, names, sizeof names);
    return rf_fail(
        err, RF_CANNOT,
        "this CPU lacks %s, which the program was shown: its code would give other results here; replay "
        "it on a newer CPU, or record with --cpu x86-64-v2",
        names);
}

// A copy that `refork strip --verdict-only` made has none.
static int check_events(const char *path, struct trace_reader *r, struct rf_error *err) {
    if (trace_last_event(r) || trace_truncated(r, NULL) || !trace_blob_by_name(r, "verdict:json")) return 0;
    return rf_fail(
        err, RF_CANNOT,
        "'%s' holds only a verdict (refork strip --verdict-only): 'refork explain' shows it, nothing "
        "can be executed",
        path);
}

int replay_open(const char *path, const struct replay_options *options, struct replay **out,
                struct rf_error *err) {
    struct replay *r = calloc(1, sizeof *r);
    rf_assert(r);
    if (options) r->options = *options;
    if (trace_open(path, &r->trace, err) < 0 || check_events(path, r->trace, err) < 0 ||
        check_machine(r, err) < 0) {
        replay_close(r);
        return -1;
    }
    cpu_pin();
    if (kernel_task_template(&r->template_pid, err) < 0 || trace_seek(r->trace, 1, err) < 0) {
        replay_close(r);
        return -1;
    }
    *out = r;
    return 0;
}

void replay_without_probes(struct replay *r) {
    r->options.no_probes = true;
}

void replay_close(struct replay *r) {
    if (!r) return;
    for (size_t i = 0; i < r->task_count; i++) {
        if (r->tasks[i]->space) space_unref(r, r->tasks[i]->space);
        vtask_free(r->tasks[i]);
    }
    while (r->space_count) {
        r->spaces[0]->refs = 1;
        space_unref(r, r->spaces[0]);
    }
    kernel_task_kill(r->template_pid);
    for (size_t i = 0; i < r->object_count; i++)
        close(r->objects[i].fd);
    for (size_t i = 0; i < r->name_count; i++)
        free(r->names[i]);
    blobs_free(r);
    free(r->names);
    free(r->objects);
    free(r->tasks);
    free(r->spaces);
    free(r->view_maps);
    free(r->breaks.fresh);
    ring_free(r->ring);
    free(r->feed);
    if (r->trace) trace_close(r->trace);
    free(r);
}

static int check_digest(struct replay *r, struct rf_error *err) {
    const struct piece *p = NULL;
    size_t i = 0;
    while ((p = event_piece(&r->event, PIECE_DIGEST, &i))) {
        struct vtask *v = vtask_find(r, r->event.tid);
        if (!v || !v->space) continue;
        uint64_t have = memory_digest(v->space->pid, v->space->mem_fd, NULL);
        if (have == p->digest.value) continue;
        return diverged(err, &r->event, v,
                        "memory differs after this event: digest recorded 0x%llx, replayed 0x%llx",
                        (unsigned long long)p->digest.value, (unsigned long long)have);
    }
    return 0;
}

// Executes r->event.
static int execute(struct replay *r, struct rf_error *err) {
    r->have_event = true;
    if (r->options.log)
        fprintf(r->options.log, "%8llu %d %s nr=%d ret=%lld rip=%llx\n", (unsigned long long)r->event.number,
                r->event.tid, event_kind_name(r->event.kind), r->event.nr, (long long)r->event.ret,
                r->event.flags & EVF_REGS ? r->event.regs.rip : 0);
    if (step_event(r, &r->event, err) < 0) {
        check_cause(r, err);
        return -1;
    }
    if (r->options.paranoid && check_digest(r, err) < 0) return -1;
    r->position = r->event.number;
    if (r->event.kind != EV_PATCH)
        r->time_us = r->event.time_us; // it is what the recorder does on the way to a STATE
    breaks_stepped(r);
    return 1;
}

static int next_event(struct replay *r, struct rf_error *err) {
    if (!r->have_ahead) return trace_next(r->trace, &r->event, err);
    r->event = r->ahead;
    r->have_ahead = false;
    return 1;
}

int replay_step(struct replay *r, struct rf_error *err) {
    int got = next_event(r, err);
    return got <= 0 ? got : execute(r, err);
}

int replay_run(struct replay *r, uint64_t last, struct rf_error *err) {
    int got = next_event(r, err);
    if (got <= 0) return got;
    int fed = r->options.log || r->options.paranoid ? 0 : call_feed_run(r, last, err);
    return fed ? fed : execute(r, err);
}

const struct event *replay_event(const struct replay *r) {
    return r->have_event ? &r->event : NULL;
}

void replay_watch_calls(struct replay *r, void (*at_entry)(void *context, const struct event *e),
                        void *context) {
    r->at_entry = at_entry;
    r->at_entry_context = context;
}

uint64_t replay_position(const struct replay *r) {
    return r->position;
}

struct trace_reader *replay_trace(struct replay *r) {
    return r->trace;
}

size_t replay_task_count(const struct replay *r) {
    return r->task_count;
}

const struct replay_task *replay_task_at(const struct replay *r, size_t i) {
    return i < r->task_count ? &r->tasks[i]->pub : NULL;
}

const struct replay_task *replay_task_find(const struct replay *r, int tid) {
    struct vtask *v = vtask_find(r, tid);
    return v ? &v->pub : NULL;
}

int replay_task_regs(struct replay *r, int tid, struct user_regs_struct *out, struct rf_error *err) {
    struct vtask *v = vtask_find(r, tid);
    if (!v || !v->space)
        return rf_fail(err, RF_CANNOT, "task %d does not live at event %llu", tid,
                       (unsigned long long)r->position);
    *out = v->pub.regs;
    return 0;
}

size_t replay_task_xstate(struct replay *r, int tid, void *out, size_t room) {
    struct vtask *v = vtask_find(r, tid);
    if (!v || !v->space) return 0;
    if (v->space->loaded == v) return tracee_get_xstate(v->space->pid, out, room);
    if (v->xstate_size > room) return 0;
    if (v->xstate_size) memcpy(out, v->xstate, v->xstate_size);
    return v->xstate_size;
}

// ---- spaces

bool replay_space_read(struct replay *r, uint32_t space, uint64_t address, void *buffer, size_t len) {
    const struct space *s = space_by_id(r, space);
    return s && space_read(s, address, buffer, len);
}

bool replay_shared_read(struct replay *r, uint64_t identity, uint64_t offset, void *buffer, size_t len) {
    return space_shared_read(r, identity, offset, buffer, len);
}

bool replay_shared_mapped(struct replay *r, uint32_t space, uint64_t identity, uint64_t offset,
                          uint64_t *address) {
    const struct space *s = space_by_id(r, space);
    for (size_t i = 0; s && i < s->map_count; i++) {
        const struct space_map *m = &s->maps[i];
        if (m->identity != identity || offset < m->v.offset || offset - m->v.offset >= m->v.end - m->v.start)
            continue;
        *address = m->v.start + (offset - m->v.offset);
        return true;
    }
    return false;
}

bool replay_space_shared(struct replay *r, uint32_t space, uint64_t address, uint64_t *identity,
                         uint64_t *offset) {
    const struct space *s = space_by_id(r, space);
    const struct space_map *m = s ? space_map_at(s, address) : NULL;
    if (!m || !m->identity) return false;
    *identity = m->identity;
    *offset = m->v.offset + (address - m->v.start);
    return true;
}

uint32_t replay_space_of(const struct replay *r, int tid) {
    const struct vtask *v = vtask_find(r, tid);
    return v && v->space ? v->space->id : 0;
}

// ---- views

static bool view_read(void *context, uint64_t address, void *buffer, size_t len) {
    struct vtask *v = context;
    return v->space && space_read(v->space, address, buffer, len);
}

static const void *view_blob(void *context, uint64_t id, size_t *size) {
    const struct vtask *v = context;
    return blobs_get(v->replay, id, size);
}

int replay_view(struct replay *r, int tid, struct view *out, struct rf_error *err) {
    struct vtask *v = vtask_find(r, tid);
    if (!v || !v->space)
        return rf_fail(err, RF_CANNOT, "task %d does not live at event %llu", tid,
                       (unsigned long long)r->position);
    free(r->view_maps);
    r->view_maps = malloc((v->space->map_count + 1) * sizeof *r->view_maps);
    rf_assert(r->view_maps);
    for (size_t i = 0; i < v->space->map_count; i++)
        r->view_maps[i] = v->space->maps[i].v;
    *out = (struct view){r->view_maps, v->space->map_count, view_read, view_blob, v};
    return 0;
}
