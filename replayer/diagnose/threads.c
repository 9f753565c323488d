// glibc's own list of threads, as it lies in memory. fork() leaves the stacks of all other threads mapped in the child,
// with a struct pthread at the top of each whose TID it has set to 0 (reclaim_stacks, nptl/reclaim_stacks.c).
#include "replayer/diagnose/threads.h"

#include "core/array.h"
#include "replayer/diagnose/live.h"
#include "replayer/diagnose/proc.h"
#include "replayer/diagnose/wait.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    TOP = 64 << 10, // of a stack mapping: its struct pthread is there
    ALIGN = 64,     // of struct pthread
    TCB_SELF = 16,  // header.self of struct pthread; header.tcb is at 0
    EXITING = 0x10, // EXITING_BITMASK of cancelhandling
    ANCESTORS = 16,
};

// libc.so.6 describes struct pthread for debuggers: {bits, elements, offset} of each member, in every build.
static int offset_of(struct diagnosis *d, const struct view *v, const char *member) {
    char name[64];
    uint32_t field[3];
    snprintf(name, sizeof name, "_thread_db_pthread_%s", member);
    uint64_t address = symbols_address(d->symbols, v, "libc.so", name);
    if (!address || !v->read(v->context, address, field, sizeof field) || field[2] > 4096) return -1;
    return (int)field[2];
}

static void look_at_top(struct party *p, const struct view_map *map, int cancel_offset) {
    const struct view *v = &p->snapshot->view;
    uint64_t size = map->end - map->start, from = size > TOP ? map->end - TOP : map->start;
    uint8_t *bytes = malloc(map->end - from);
    rf_assert(bytes);
    if (!v->read(v->context, from, bytes, map->end - from)) {
        free(bytes);
        return;
    }
    for (uint64_t at = (from + ALIGN - 1) & -(uint64_t)ALIGN; at + 24 <= map->end; at += ALIGN) {
        uint64_t tcb, self;
        memcpy(&tcb, bytes + (at - from), sizeof tcb);
        memcpy(&self, bytes + (at - from) + TCB_SELF, sizeof self);
        if (tcb != at || self != at) continue;
        struct tcb t = {.address = at};
        uint32_t cancel;
        if (v->read(v->context, at + (uint64_t)p->tid_offset, &t.tid, sizeof t.tid) &&
            v->read(v->context, at + (uint64_t)cancel_offset, &cancel, sizeof cancel) &&
            v->read(v->context, at + (uint64_t)p->start_offset, &t.start, sizeof t.start)) {
            t.exiting = cancel & EXITING;
            array_push(p->tcbs, p->tcb_count, t);
        }
    }
    free(bytes);
}

// pthread_create's mapping: a guard without access, which gdb's cores call readable, and behind it the stack.
static bool is_stack(const struct view *v, size_t i) {
    const struct view_map *m = &v->maps[i];
    return i && !m->blob && (m->prot & PROT_WRITE) && !(m->prot & PROT_EXEC) && !(m->name && m->name[0]) &&
           m[-1].end == m->start && !(m[-1].prot & (PROT_WRITE | PROT_EXEC)) && !m[-1].blob;
}

// A struct pthread lies at the same address in the process that forked, where its TID is still there.
static int tid_in(int pid, const struct party *p, uint64_t tcb) {
    int tid;
    return p->tid_offset >= 0 && snapshot_peek(pid, tcb + (uint64_t)p->tid_offset, &tid, sizeof tid) ? tid
                                                                                                     : 0;
}

static void find_forker(struct party *p, int parent) {
    const struct snapshot *s = p->snapshot;
    for (size_t i = 0; i < s->thread_count && !p->forker; i++)
        if (s->threads[i].tid == s->pid && s->threads[i].stopped)
            p->forker = tid_in(parent, p, s->threads[i].regs.fs_base);
}

void threads_find(struct diagnosis *d, struct party *p) {
    const struct view *v = &p->snapshot->view;
    p->tid_offset = offset_of(d, v, "tid");
    p->start_offset = offset_of(d, v, "start_routine");
    int cancel_offset = offset_of(d, v, "cancelhandling");
    if (p->tid_offset < 0 || p->start_offset < 0 || cancel_offset < 0) return;
    for (size_t i = 0; i < v->map_count; i++)
        if (is_stack(v, i) && !p->snapshot->shared[i]) look_at_top(p, &v->maps[i], cancel_offset);
    for (size_t i = 0; i < p->tcb_count; i++) {
        const struct tcb *t = &p->tcbs[i];
        struct frame start;
        symbols_pc(d->symbols, v, t->start, &start);
        // One that is just being made has no TID yet either; it belongs to a thread that runs.
        p->vanished += !t->tid && !t->exiting && t->start && start.module;
    }
    if (!p->snapshot->core) find_forker(p, p->snapshot->parent);
}

static void start_routine(struct diagnosis *d, const struct party *p, int pid, int tid,
                          struct finding_task *out) {
    for (size_t i = 0; i < p->tcb_count; i++) {
        uint64_t start = p->tcbs[i].start;
        struct frame frame;
        if (p->tcbs[i].tid != tid) {
            if (!pid || tid_in(pid, p, p->tcbs[i].address) != tid ||
                !snapshot_peek(pid, p->tcbs[i].address + (uint64_t)p->start_offset, &start, sizeof start))
                continue;
        }
        symbols_pc(d->symbols, &p->snapshot->view, start, &frame);
        if (frame.function) snprintf(out->start_routine, sizeof out->start_routine, "%s", frame.function);
        return;
    }
}

static bool was_left_behind(const struct tcb *t) {
    return !t->tid && !t->exiting && t->start;
}

static void name_start(struct diagnosis *d, const struct party *p, const struct tcb *t,
                       struct finding_task *out) {
    struct frame frame;
    symbols_pc(d->symbols, &p->snapshot->view, t->start, &frame);
    if (frame.function) snprintf(out->start_routine, sizeof out->start_routine, "%s", frame.function);
}

void threads_tell_vanished(struct diagnosis *d, const struct party *p, struct finding *f) {
    const struct snapshot *s = p->snapshot;
    f->vanished = calloc(p->tcb_count + 1, sizeof *f->vanished);
    rf_assert(f->vanished);
    for (size_t i = 0; i < p->tcb_count; i++) {
        const struct tcb *t = &p->tcbs[i];
        if (!was_left_behind(t)) continue;
        struct vanished_thread *v = &f->vanished[f->vanished_count++];
        *v = (struct vanished_thread){.destructors = -1, .keys = -1, .cache_blocks = -1, .cache_bytes = -1};
        // The parent's copy of the thread descriptor still has the TID, as long as the thread lives there.
        struct finding_task there;
        int tid = s->core ? 0 : tid_in(s->parent, p, t->address);
        if (tid && threads_ancestor(d, p, tid, &there)) v->task = there;
        v->task.vanished = true;
        name_start(d, p, t, &v->task);
        const struct view_map *map = view_find(&s->view, t->address);
        if (map) v->stack_bytes = map->end - map->start;
    }
}

static bool thread_of(int pid, int tid, const struct proc_task *child, struct proc_task *out) {
    size_t count;
    int *tids = proc_threads(pid, &count);
    bool found = false;
    for (size_t i = 0; i < count && !found; i++)
        found = proc_task(tids[i], out) && out->inside == tid && out->start <= child->start &&
                out->state != 'Z' && proc_same_namespace(out, child);
    free(tids);
    return found;
}

bool threads_ancestor(struct diagnosis *d, const struct party *p, int tid, struct finding_task *out) {
    struct proc_task child, ancestor, thread;
    *out = (struct finding_task){.tid = tid};
    start_routine(d, p, 0, tid, out);
    if (p->vanished == 1 && tid != p->forker && tid != p->snapshot->parent && !out->start_routine[0])
        for (size_t i = 0; i < p->tcb_count; i++) // a fork left one thread behind only: that one it was
            if (was_left_behind(&p->tcbs[i])) name_start(d, p, &p->tcbs[i], out);
    if (p->snapshot->core || !proc_task(p->snapshot->pid, &child)) return false;
    int pid = p->snapshot->parent;
    for (int i = 0; i < ANCESTORS && pid > 0 && proc_task(pid, &ancestor); i++, pid = ancestor.parent) {
        if (!thread_of(pid, tid, &child, &thread)) continue;
        out->pid = pid;
        out->tid = thread.tid;
        snprintf(out->name, sizeof out->name, "%s", thread.name);
        start_routine(d, p, pid, tid, out);
        return true;
    }
    return false;
}

size_t threads_index(const struct party *p, int inside) {
    const struct snapshot *s = p->snapshot;
    for (size_t i = 0; i < s->thread_count; i++)
        if (s->threads[i].inside == inside || s->threads[i].alias == inside) return i;
    return NO_THREAD;
}
