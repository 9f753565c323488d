#include "search/owner_look.h"

#include "replayer/locks/kinds.h"
#include "replayer/locks/name.h"
#include "replayer/names/frames.h"
#include "replayer/verdict/handlers.h"
#include "replayer/verdict/releaser.h"
#include "search/live_view.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { FRAMES = 64, SIGNALS = 65 };

// TIDs in memory are those of the process's own namespace.
static bool same_numbers(int pid) {
    char path[64], theirs[64] = "", ours[64] = "";
    snprintf(path, sizeof path, "/proc/%d/ns/pid", pid);
    return readlink(path, theirs, sizeof theirs - 1) > 0 &&
           readlink("/proc/self/ns/pid", ours, sizeof ours - 1) > 0 && !strcmp(ours, theirs);
}

// Is it the lock that the word's owner was read from?
static bool is_that_lock(struct symbols *s, const struct view *v, const struct owned_wait *w,
                         struct lock_ref *ref) {
    struct frame frames[FRAMES];
    size_t n = frames_at(s, v, &w->task.regs, frames, FRAMES);
    lock_recognise(frames, n, w->args, v, w->task.regs.rsp, ref);
    bool rwlock = ref->rule == RULE_RWLOCK;
    return ref->wants == WANTS_LOCK && ref->base == w->lock && (ref->owner || rwlock);
}

static bool given_back(struct symbols *s, const struct view *v, const struct owner_question *q,
                       uint64_t lock) {
    struct frame frames[FRAMES];
    for (size_t i = 0; i < q->other_count; i++) {
        size_t n = frames_at(s, v, &q->others[i].regs, frames, FRAMES);
        if (releaser_in(s, v, frames, n, lock)) return true;
    }
    return false;
}

static enum released by_handlers(struct symbols *s, const struct view *v, const struct owner_question *q,
                                 const struct lock_ref *lock) {
    static const enum released released[] = {[HANDLER_CANNOT] = RELEASED_BY_NOBODY,
                                             [HANDLER_UNKNOWN] = RELEASED_PERHAPS,
                                             [HANDLER_RELEASES] = RELEASED_BY_OTHERS};
    struct code code;
    enum released most = RELEASED_BY_NOBODY;
    code_begin(&code, s, v);
    for (int signal = 1; signal < SIGNALS; signal++) {
        if (q->handlers[signal] <= (uint64_t)(uintptr_t)SIG_IGN || !handlers_come_from_outside(signal))
            continue;
        enum released r = released[handlers_walk(&code, lock, signal, false, q->handlers[signal])];
        if (r > most) most = r;
    }
    return most;
}

static void say(struct owned_wait *w, const struct finding_lock *lock) {
    const char *name = lock->symbol[0] ? lock->symbol : lock->kind;
    if (w->gone)
        snprintf(w->what, sizeof w->what, "%.160s, whose owner, task %d, is no task of its process", name,
                 w->owner);
    else if (w->owner == w->task.tid)
        snprintf(w->what, sizeof w->what, "%.160s, which it holds itself", name);
    else
        snprintf(w->what, sizeof w->what, "%.160s, whose owner, task %d, waits for ever itself", name,
                 w->owner);
}

enum released owner_look(const struct owner_question *q) {
    enum released most = RELEASED_BY_NOBODY;
    struct symbols *s = symbols_new();
    if (!s) return RELEASED_BY_OTHERS;
    for (size_t i = 0; i < q->wait_count && most != RELEASED_BY_OTHERS; i++) {
        struct owned_wait *w = &q->waits[i];
        struct lock_ref ref;
        struct finding_lock name;
        struct live_view *live = live_view_open(w->task.tid);
        const struct view *v = live_view_of(live);
        enum released r = RELEASED_BY_NOBODY;
        if (!same_numbers(w->task.tid) || !is_that_lock(s, v, w, &ref) ||
            (!w->owner_alone && given_back(s, v, q, w->lock)))
            r = RELEASED_BY_OTHERS;
        else if (!w->owner_alone || !w->gone)
            r = by_handlers(s, v, q, &ref);
        if (r > most) most = r;
        if (r != RELEASED_BY_OTHERS) {
            lock_name(s, v, lock_kind_name(ref.kind), ref.base, false, &name);
            say(w, &name);
        }
        live_view_close(live);
    }
    symbols_free(s);
    return most;
}
