// Waits that another process could end: for a child, a pipe, a socket, an eventfd, a lock of a file or in shared memory.
// All of them are stuck, so the root is somewhere else, or they wait for each other.
#include "replayer/verdict/other_process.h"

#include "core/calls/syscalls.h"

#include "replayer/verdict/advice.h"
#include "replayer/verdict/dead_holder.h"
#include "replayer/verdict/text.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

enum { OPENS_LOOKED_AT = 20000 };

static bool waits(const struct analysis *a, int pid) {
    for (size_t i = 0; i < a->waiter_count; i++)
        if (a->waiters[i].task.pid == pid) return true;
    return false;
}

static bool is_ancestor_pid(const struct history *h, int pid, int of) {
    for (size_t hops = 0; of && hops < h->life_count; hops++) {
        if (of == pid) return true;
        int next = 0;
        for (size_t i = 0; i < h->life_count && !next; i++)
            if (h->lives[i].pid == of) next = h->lives[i].parent_pid;
        of = next;
    }
    return false;
}

// The space that was forked away from that of `life`, towards the one of w; NONE: it is no copy of it.
static size_t space_forked_from(const struct history *h, size_t from, const struct waiter *w) {
    for (size_t space = h->lives[w->life].space; space != NONE; space = h->spaces[space].parent)
        if (h->spaces[space].parent == from) return space;
    return NONE;
}

// w->who is known: the holder's name, the fork between it and the waiter, if it took the lock before that.
static int look_at_taker(struct analysis *a, struct waiter *w, struct rf_error *err) {
    const struct history *h = &a->history;
    const struct life *l = &h->lives[w->who.life];
    w->searched = true;
    w->holder_lives = life_at(l, w->stuck->event);
    uint64_t at = w->who.event ? w->who.event : l->death ? l->death - 1 : w->stuck->event;
    if (timeline_seek(a->timeline, at, err) < 0) return -1;
    case_task(a, w->who.life, w->acquired.stack.count ? &w->acquired.stack : NULL, &w->holder);
    size_t space = space_forked_from(h, l->space, w);
    if (space == NONE || !w->who.event || w->who.event >= h->spaces[space].begin) return 0;
    uint64_t fork = h->spaces[space].begin;
    w->fork_space = space;
    w->holder_forks = h->spaces[space].forker == w->who.tid;
    w->holder.vanished = !w->holder_lives && !w->holder_forks && life_at(l, fork);
    if (timeline_seek(a->timeline, fork, err) < 0) return -1;
    free(w->fork.stack.frames);
    case_point(a, h->spaces[space].forker, &w->fork);
    return 0;
}

// ---- locks of files

// fcntl takes and frees with the same call: which one it was is in the caller's memory.
static bool was_lock(struct analysis *a, const struct fd_fact *f) {
    struct view view;
    struct rf_error err;
    struct flock request;
    if (!f->request) return true;
    return timeline_seek(a->timeline, f->event, &err) == 0 &&
           replay_view(timeline_replay(a->timeline), f->tid, &view, &err) == 0 &&
           view.read(view.context, f->request, &request, sizeof request) && request.l_type != F_UNLCK;
}

// The call that took the lock: through one of the fds that have it, in that process or, before a fork, in an ancestor.
static const struct fd_fact *find_lock_call(struct analysis *a, const struct waiter *w) {
    const struct history *h = &a->history;
    for (size_t i = h->fd_count; i-- > 0;) {
        const struct fd_fact *f = &h->fds[i];
        if (f->fact != FD_LOCKED || f->event > w->stuck->event) continue;
        for (size_t k = 0; k < w->stuck->end_count; k++) {
            const struct fd_end *end = &w->stuck->ends[k];
            if (f->fd == end->fd && is_ancestor_pid(h, f->pid, end->pid) && was_lock(a, f)) return f;
        }
    }
    return NULL;
}

// The path that the fd was opened with, from the caller's memory.
static bool find_path(struct analysis *a, int pid, int fd, uint64_t before, char *out, size_t size) {
    struct event e;
    struct rf_error err;
    uint64_t path = 0;
    int opener = 0;
    for (uint64_t n = before, looked = 0; n > 1 && looked < OPENS_LOOKED_AT; n--, looked++) {
        if (timeline_event(a->timeline, n - 1, &e, &err) < 0) return false;
        bool call = e.kind == EV_SYSCALL && (e.flags & EVF_REGS) && (e.nr == SYS_openat || e.nr == SYS_open);
        if (!call || e.ret != fd) continue;
        size_t life = history_life(&a->history, e.tid, e.number);
        if (life == NONE || !is_ancestor_pid(&a->history, a->history.lives[life].pid, pid)) continue;
        opener = e.tid;
        path = e.nr == SYS_openat ? e.regs.rsi : e.regs.rdi;
        before = e.number;
        break;
    }
    struct view view;
    if (!opener || timeline_seek(a->timeline, before, &err) < 0 ||
        replay_view(timeline_replay(a->timeline), opener, &view, &err) < 0)
        return false;
    size_t n = 0;
    while (n + 1 < size && view.read(view.context, path + n, out + n, 1) && out[n])
        n++;
    out[n] = 0;
    return n > 0;
}

static int look_at_file_lock(struct analysis *a, struct waiter *w, struct rf_error *err) {
    const struct history *h = &a->history;
    char path[200];
    snprintf(w->lock.kind, sizeof w->lock.kind, "file lock");
    if (find_path(a, w->task.pid, (int)w->stuck->object, w->stuck->event, path, sizeof path))
        snprintf(w->lock.symbol, sizeof w->lock.symbol, "the lock of '%s'", path);
    else
        snprintf(w->lock.symbol, sizeof w->lock.symbol, "the lock of the file on fd %d",
                 (int)w->stuck->object);
    const struct fd_fact *call = find_lock_call(a, w);
    size_t life = call ? history_life(h, call->tid, call->event) : NONE;
    if (life == NONE) return 0;
    if (timeline_seek(a->timeline, call->event, err) < 0) return -1;
    case_point(a, call->tid, &w->acquired);
    w->who = (struct holder){.tid = call->tid,
                             .life = life,
                             .event = call->event,
                             .space = h->lives[life].space,
                             .child_space = NONE,
                             .held = true};
    return look_at_taker(a, w, err);
}

// ---- who could end it

// The stuck child that a wait4 or waitid, or a loop that asks for it, waits for; 0 if it is none.
static int awaited_child(const struct analysis *a, const struct waiter *w) {
    const struct life *l = &a->history.lives[w->life];
    bool asks = w->stuck->wait == WAIT_CHILD && syscall_wait(l->nr) != WAITS_CHILD;
    int want = asks ? (int)w->stuck->object : syscall_awaited_child(l->nr, l->args);
    if (!asks && syscall_wait(l->nr) != WAITS_CHILD) return 0;
    for (size_t i = 0; i < a->waiter_count; i++) {
        const struct life *child = &a->history.lives[a->waiters[i].life];
        if (child->parent_pid == l->pid && child->pid != l->pid &&
            (!want || child->pid == want || (child->tid == child->pid && child->inside == want)))
            return child->pid;
    }
    return 0;
}

// The stuck process that has the other end of a pipe or the like, or the lock; 0 if there is none.
static int awaited_end(const struct analysis *a, const struct waiter *w) {
    for (size_t i = 0; i < w->stuck->end_count; i++) {
        int pid = w->stuck->ends[i].pid;
        if (pid != w->task.pid && waits(a, pid)) return pid;
    }
    return 0;
}

// Of what any of them could end: the only other process, else the parent.
static int any_other(const struct analysis *a, const struct waiter *w) {
    int only = 0, parent = a->history.lives[w->life].parent_pid;
    bool several = false;
    for (size_t i = 0; i < a->waiter_count; i++) {
        int pid = a->waiters[i].task.pid;
        if (pid == w->task.pid) continue;
        several |= only && pid != only;
        only = pid;
    }
    return several ? waits(a, parent) ? parent : 0 : only;
}

static int other_of(const struct analysis *a, const struct waiter *w) {
    if (w->futex && !w->shared) return 0;
    const struct waiter *first = w->first;
    if (first->who.tid && !first->posts && (w->shared || w->stuck->wait == WAIT_FILE_LOCK)) {
        int pid = a->history.lives[first->who.life].pid;
        return first->holder_lives && pid != w->task.pid && waits(a, pid) ? pid : awaited_end(a, w);
    }
    if (w->futex || w->stuck->wait == WAIT_SYSV) return any_other(a, w);
    return stuck_on_file(w->stuck) ? awaited_end(a, w) : awaited_child(a, w);
}

static void name_file(struct waiter *w) {
    static const char *const kinds[WAIT_KINDS] = {
        [WAIT_PIPE_READ] = "pipe",
        [WAIT_PIPE_WRITE] = "pipe",
        [WAIT_SOCKET] = "socket",
        [WAIT_EVENTFD] = "eventfd",
    };
    const char *kind = kinds[w->stuck->wait];
    if (!kind) return;
    snprintf(w->lock.kind, sizeof w->lock.kind, "%s", kind);
    snprintf(w->lock.symbol, sizeof w->lock.symbol, "the %s on fd %d", kind, (int)w->stuck->object);
}

int other_process_look(struct analysis *a, struct rf_error *err) {
    for (size_t i = 0; i < a->waiter_count; i++) {
        struct waiter *w = &a->waiters[i];
        name_file(w);
        if (w->stuck->wait == WAIT_SYSV && dead_look_at_sysv(a, w, err) < 0) return -1;
        bool shared = w->futex && w->shared && w->first == w;
        if ((shared || w->stuck->wait == WAIT_SYSV) && w->who.tid && look_at_taker(a, w, err) < 0) return -1;
        if (w->stuck->wait == WAIT_FILE_LOCK && look_at_file_lock(a, w, err) < 0) return -1;
        w->other = other_of(a, w);
    }
    return 0;
}

// ---- ends that somebody has without a use for them

// Did the process get the end by a fork, and never use it nor move it to another number? Then it is there by mistake.
static bool inherited_unused(const struct analysis *a, const struct fd_end *end) {
    const struct history *h = &a->history;
    const struct fd_fact *made = NULL;
    for (size_t i = 0; i < h->fd_count; i++) {
        const struct fd_fact *f = &h->fds[i];
        if (f->fd != end->fd || !is_ancestor_pid(h, f->pid, end->pid)) continue;
        if (f->fact == FD_MADE) made = f;
        if (f->fact == FD_USED && f->pid == end->pid) return false;
    }
    for (size_t i = 0; i < a->waiter_count; i++) {
        const struct stuck *s = a->waiters[i].stuck;
        if (a->waiters[i].task.pid == end->pid && stuck_on_file(s) && (int)s->object == end->fd) return false;
    }
    return made && made->pid != end->pid;
}

static size_t life_of_process(const struct history *h, int pid, uint64_t event) {
    size_t life = history_life(h, pid, event);
    for (size_t i = 0; life == NONE && i < h->life_count; i++)
        if (h->lives[i].pid == pid && life_at(&h->lives[i], event)) life = i;
    return life;
}

static int add_end_holder(struct analysis *a, struct finding *f, const struct waiter *w,
                          const struct fd_end *end, struct rf_error *err) {
    const struct history *h = &a->history;
    struct finding_party party = {.point.event = 0};
    uint64_t event = w->stuck->event;
    size_t life = life_of_process(h, end->pid, event);
    char what[sizeof party.what];
    if (life == NONE) return 0;
    if (timeline_seek(a->timeline, event, err) < 0) return -1;
    case_point(a, h->lives[life].tid, &party.point);
    case_task(a, life, NULL, &party.task);
    snprintf(what, sizeof what, "has a copy of the %s end, fd %d, since the fork that made it",
             w->stuck->wait == WAIT_SOCKET ? "other" : "write", end->fd);
    case_party(&f->wakers, &f->waker_count, &party.task, &party.point, what);
    const struct space_life *space = &h->spaces[h->lives[life].space];
    if (f->fork.event || space->parent == NONE) return 0;
    if (timeline_seek(a->timeline, space->begin, err) < 0) return -1;
    case_point(a, space->forker, &f->fork);
    return 0;
}

// Only copies keep it open: when whoever made it has it open as well, closing the copies would not end the wait.
static int make_inherited(struct analysis *a, struct waiter *w, struct rf_error *err) {
    const struct stuck *s = w->stuck;
    if ((s->wait != WAIT_PIPE_READ && s->wait != WAIT_SOCKET) || !s->end_count) return 0;
    // (Of a process that hangs for another reason it waits only as its parent does: until that one ends.)
    for (size_t i = 0; i < s->end_count; i++)
        if (!inherited_unused(a, &s->ends[i]) || case_is_explained(a, s->ends[i].pid, NULL)) return 0;
    struct finding *f = case_add(a, w, FINDING_INHERITED_PIPE, RANK_CAUSE);
    for (size_t i = 0; i < s->end_count; i++)
        if (add_end_holder(a, f, w, &s->ends[i], err) < 0) return -1;
    text_reason_pipe(f, (int)s->object, s->wait == WAIT_SOCKET);
    advice_give(f, ADVICE_PIPE, NULL, case_explain(a, w));
    return 0;
}

// ---- locks whose taker is gone

static bool has_taker(const struct waiter *w) {
    w = w->first;
    return w->who.tid && !w->posts && (w->shared || w->stuck->wait == WAIT_FILE_LOCK);
}

// Whoever took it ended. A lock of flock lives on in the fds that a fork copied; one in shared memory in the memory.
static void make_left(struct analysis *a, struct waiter *w) {
    bool file = w->stuck->wait == WAIT_FILE_LOCK;
    if (!has_taker(w) || w->first->holder_lives) return;
    w = w->first;
    struct finding *f =
        case_add(a, w, w->holder_forks ? FINDING_SELF_HELD : FINDING_ORPHANED_LOCK, RANK_CAUSE);
    case_add_holder(f, w);
    case_add_fork(f, w);
    text_reason_left(f, file);
    advice_give(f, file ? ADVICE_FILE_LOCK : ADVICE_ENDED, &w->ref, case_explain(a, w));
}

static void make_own(struct analysis *a, struct waiter *w) {
    if (!has_taker(w) || w->first->who.life != w->life) return;
    struct finding *f = case_add(a, w, FINDING_LOCK_CYCLE, RANK_CAUSE);
    case_add_holder(f, w);
    advice_give(f, w->stuck->wait == WAIT_FILE_LOCK ? ADVICE_FILE_LOCK : ADVICE_SELF, &w->ref,
                case_explain(a, w));
}

// ---- processes that wait for each other

static int next_process(const struct analysis *a, int pid) {
    for (size_t i = 0; i < a->waiter_count; i++)
        if (a->waiters[i].task.pid == pid && a->waiters[i].other) return a->waiters[i].other;
    return 0;
}

// Does the process that w waits for wait for the one of w, and for nothing that a finding explains?
static bool mutual(const struct analysis *a, const struct waiter *w) {
    int pid = w->other;
    for (size_t hops = 0; pid && hops < a->waiter_count; hops++) {
        if (pid == w->task.pid) return true;
        if (case_is_explained(a, pid, NULL)) return false;
        pid = next_process(a, pid);
    }
    return false;
}

// Of a process that waits for several things, one that it could not do otherwise says enough: a thread that reads from
// a pipe meanwhile may well idle.
static bool may_idle(const struct waiter *w) {
    return stuck_on_file(w->stuck) && w->stuck->wait != WAIT_FILE_LOCK;
}

// Told from the side that does not wait for a child to end.
static void make_mutual(struct analysis *a, struct waiter *w) {
    if (!w->other || w->stuck->wait == WAIT_CHILD || !mutual(a, w)) return;
    if (may_idle(w) && case_is_explained(a, w->task.pid, w)) return;
    bool forker = has_taker(w) && w->first->holder_forks;
    struct finding *f = case_add(a, w, forker ? FINDING_SELF_HELD : FINDING_CROSS_PROCESS_WAIT, RANK_CAUSE);
    if (has_taker(w)) case_add_holder(f, w->first);
    if (forker) case_add_fork(f, w->first);
    text_reason_mutual(f, w->other);
    bool lock = has_taker(w) && w->stuck->wait == WAIT_FILE_LOCK;
    advice_give(f, lock ? ADVICE_FILE_LOCK : ADVICE_MUTUAL, &w->ref, case_explain(a, w));
}

static void make_consequence(struct analysis *a, struct waiter *w) {
    if (!w->other || (may_idle(w) && case_is_explained(a, w->task.pid, w))) return;
    struct finding *f = case_add(a, w, FINDING_CROSS_PROCESS_WAIT, RANK_CONSEQUENCE);
    a->order[a->verdict->count - 1].child = w->other;
    if (has_taker(w)) case_add_holder(f, w->first);
    w->explained = true;
    advice_give(f, ADVICE_CROSS, NULL, 0);
}

// Nobody has said yet why it waits for ever, and that it does is known.
static bool is_meant(const struct waiter *w) {
    return !w->explained && !w->stuck->guessed && !w->stuck->killed;
}

static void each(struct analysis *a, void (*make)(struct analysis *, struct waiter *)) {
    for (int idle = 0; idle < 2; idle++)
        for (size_t i = 0; i < a->waiter_count; i++)
            if (is_meant(&a->waiters[i]) && may_idle(&a->waiters[i]) == idle) make(a, &a->waiters[i]);
}

static void make_dead(struct analysis *a, struct waiter *w) {
    dead_make(a, w->first);
}

int other_process_findings(struct analysis *a, struct rf_error *err) {
    each(a, make_dead);
    for (size_t i = 0; i < a->waiter_count; i++)
        if (is_meant(&a->waiters[i]) && make_inherited(a, &a->waiters[i], err) < 0) return -1;
    each(a, make_left);
    each(a, make_own);
    each(a, make_mutual);
    each(a, make_consequence);
    return 0;
}
