#include "replayer/watch/looks.h"

#include "core/array.h"
#include "core/guard.h"
#include "replayer/diagnose/proc.h"

#include <stdio.h>
#include <sys/syscall.h>

enum { PAUSE_MOST = 32 };

static uint64_t mix(uint64_t a, uint64_t b) {
    return hash_mix(a ^ hash_mix(b + 1));
}

static struct thread_look look_at(const struct proc_task *t) {
    struct thread_look now = {.tid = t->tid, .state = t->state, .user = t->user};
    now.system = t->system;
    now.switches = t->switches;
    struct proc_call call;
    proc_call(t->tid, &call);
    now.denied = call.denied;
    now.waits = call.where == PROC_IN_CALL && call.nr == SYS_futex && !call.args[3] && t->state == 'S';
    now.sp = call.sp;
    for (int i = 0; i < 6; i++)
        now.args = mix(now.args, call.args[i]);
    return now;
}

static bool still_waits(const struct thread_look *before, const struct thread_look *now) {
    return now->waits && before->waits && before->switches == now->switches && before->args == now->args &&
           before->sp == now->sp;
}

// A loop without calls: the kernel has had no part in it but the timer's.
static bool only_runs(const struct thread_look *before, const struct thread_look *now) {
    return now->state == 'R' && before->state == 'R' && now->user > before->user &&
           now->system == before->system;
}

static const struct thread_look *find(const struct watched *w, int tid) {
    for (size_t i = 0; i < w->thread_count; i++)
        if (w->threads[i].tid == tid) return &w->threads[i];
    return NULL;
}

static void look_at_threads(struct watched *w) {
    size_t count, kept = 0;
    scoped_free int *tids = proc_threads(w->pid, &count);
    struct thread_look *threads = NULL;
    uint64_t still = 0;
    w->denied = false;
    for (size_t i = 0; i < count; i++) {
        struct proc_task t;
        if (!proc_task(tids[i], &t) || t.state == 'Z' || t.state == 'X') continue;
        struct thread_look now = look_at(&t);
        const struct thread_look *before = find(w, now.tid);
        w->denied |= now.denied;
        bool waits = before && still_waits(before, &now);
        now.still = waits || (before && only_runs(before, &now));
        if (now.still) still ^= mix((uint64_t)now.tid, waits ? now.switches : 0);
        array_push(threads, kept, now);
    }
    free(w->threads);
    w->threads = threads;
    w->thread_count = kept;
    const struct thread_look *stuck = find(w, w->stuck);
    if (!stuck || !stuck->still) w->stuck = 0;
    if (w->still != still) w->pause = 0;
    w->still = still;
}

static struct watched *known(struct looks *l, const struct proc_task *t) {
    for (size_t i = 0; i < l->count; i++)
        if (l->all[i].pid == t->tid && l->all[i].start == t->start) return &l->all[i];
    struct watched *w = array_add(l->all, l->count);
    w->pid = t->tid;
    w->start = t->start;
    return w;
}

void looks_take(struct looks *l, const struct watch_target *target) {
    size_t count;
    scoped_free int *pids = watch_target_list(target, &count);
    for (size_t i = 0; i < l->count; i++)
        l->all[i].seen = false;
    for (size_t i = 0; i < count; i++) {
        struct proc_task t;
        if (!proc_task(pids[i], &t) || t.kernel || t.state == 'Z') continue;
        struct watched *w = known(l, &t);
        snprintf(w->name, sizeof w->name, "%s", t.name);
        w->seen = true;
        w->forked = t.forked;
        look_at_threads(w);
    }
    for (size_t i = l->count; i-- > 0;) {
        if (l->all[i].seen) continue;
        free(l->all[i].threads);
        array_remove(l->all, l->count, i);
    }
    l->looks++;
}

bool looks_due(struct watched *w) {
    if (w->refused || w->stuck || !(w->still || w->denied)) return false;
    if (w->due) {
        w->due--;
        return false;
    }
    w->pause = w->pause ? w->pause * 2 < PAUSE_MOST ? w->pause * 2 : PAUSE_MOST : 1;
    return true;
}

void looks_diagnosed(struct watched *w, int tid, unsigned looks) {
    look_at_threads(w);
    w->stuck = tid;
    w->due = looks > w->pause ? looks : w->pause;
}

void looks_release(struct looks *l) {
    for (size_t i = 0; i < l->count; i++)
        free(l->all[i].threads);
    free(l->all);
    *l = (struct looks){0};
}
