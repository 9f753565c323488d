// The verdict. The recorder proved who waits for ever (STUCK); here the waits get their reasons: each lock's
// holder by re-execution, then orphans (the holder is on the other side of a fork), cycles, waits for stuck
// children, the rest.
#include "replayer/verdict/examine.h"

#include "core/abi.h"
#include "core/array.h"
#include "core/futex.h"

#include "replayer/verdict/crash_lock.h"
#include "replayer/verdict/dead_holder.h"
#include "replayer/verdict/findings.h"
#include "replayer/verdict/handlers.h"
#include "replayer/verdict/held_at_fork.h"
#include "replayer/verdict/origin.h"
#include "replayer/verdict/other_process.h"
#include "replayer/verdict/releaser.h"
#include "replayer/verdict/text.h"
#include "replayer/verdict/tried_lock.h"
#include "replayer/verdict/vanished.h"
#include "replayer/verdict/wait_pool.h"
#include "replayer/verdict/waker.h"

#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

enum { FRAMES_MAX = 256, REFUSED_LOOK = 1000, FUTEX_MARK = 2 };

// ---- waits

static const struct frame *fork_frame(const struct stack *s, size_t *at) {
    for (size_t i = 0; i < s->count; i++) {
        const char *name = s->frames[i].function ? stack_plain_name(s->frames[i].function) : "";
        if (!stack_is_fork(name)) continue;
        *at = i;
        return &s->frames[i];
    }
    return NULL;
}

static bool in_prepare_handler(const struct stack *s) {
    for (size_t i = 0; i < s->count; i++)
        if (s->frames[i].function && !strcmp(stack_plain_name(s->frames[i].function), "run_prefork_handlers"))
            return true;
    return false;
}

// Is a wait inside fork() in the very call that made the process? Then the frames outside are those that it was born
// with. (Where in fork() it is says nothing: the code for the child may lie in front of the call of clone.)
static void look_for_child_handler(struct analysis *a, struct waiter *w) {
    const struct life *l = &a->history.lives[w->life];
    const struct space_life *space = &a->history.spaces[l->space];
    struct rf_error err;
    struct finding_point birth;
    size_t at_birth, now;
    if (space->parent == NONE || l->birth != space->begin) return;
    if (timeline_seek(a->timeline, space->begin, &err) < 0) return;
    case_point(a, l->tid, &birth);
    const struct stack *s = &w->waiting.stack;
    const struct frame *before = fork_frame(&birth.stack, &at_birth), *after = fork_frame(s, &now);
    bool same = before && after && birth.stack.count - at_birth == s->count - now && !in_prepare_handler(s);
    for (size_t i = 1; same && now + i < s->count; i++)
        same = s->frames[now + i].pc == birth.stack.frames[at_birth + i].pc;
    w->child_handler = same;
    free(birth.stack.frames);
}

// The first one that is not on the task's own stack: its ticket is, what is served is not.
static const struct polled_word *telling_word(const struct stuck *s, const struct view *v, uint64_t sp) {
    const struct view_map *stack = view_find(v, sp);
    for (size_t i = 0; i < s->word_count; i++) {
        uint64_t address = s->words[i].address;
        if (!stack || address < stack->start || address >= stack->end) return &s->words[i];
    }
    return &s->words[0];
}

// When the kernel refuses FUTEX_LOCK_PI (ESRCH: the owner is no task of this process), glibc waits for ever on a word
// of its own stack (__pthread_mutex_lock_full): the mutex is the one of the call before.
static uint64_t refused_mutex(struct analysis *a, const struct stuck *s, int tid) {
    struct event e;
    struct rf_error err;
    for (uint64_t n = s->event, looked = 0; n > 1 && looked < REFUSED_LOOK; n--, looked++) {
        if (timeline_event(a->timeline, n - 1, &e, &err) < 0) return 0;
        bool call = e.kind == EV_SYSCALL || e.kind == EV_ENTER;
        if (e.tid != tid || !call || e.nr != SYS_futex || !(e.flags & EVF_REGS)) continue;
        uint64_t args[6];
        abi_arguments(&e.regs, args);
        if (futex_takes_lock(args)) return args[0];
    }
    return 0;
}

static bool waits_on_its_stack(const struct view *v, uint64_t word, uint64_t sp) {
    const struct view_map *stack = view_find(v, sp);
    return stack && word >= sp && word < stack->end;
}

static int look_at_waiter(struct analysis *a, const struct stuck *s, struct waiter *w, struct rf_error *err) {
    if (timeline_seek(a->timeline, s->event, err) < 0) return -1;
    const struct life *l = &a->history.lives[s->life];
    const struct replay_task *task = replay_task_find(timeline_replay(a->timeline), l->tid);
    struct view view;
    *w = (struct waiter){.stuck = s, .life = s->life, .first = w, .proved = s->proved, .fork_space = NONE};
    if (replay_view(timeline_replay(a->timeline), l->tid, &view, err) < 0) return -1;
    case_point(a, l->tid, &w->waiting);
    case_task(a, s->life, &w->waiting.stack, &w->task);
    bool timed = s->wait == WAIT_TIMED,
         futex = timed || (task && task->nr == SYS_futex && s->wait <= WAIT_FUTEX);
    bool polled = (s->wait == WAIT_YIELD || s->wait == WAIT_SPIN) && s->word_count;
    if (!task || (!futex && !polled)) return 0;
    w->futex = true;
    // The stack needed the view's maps of its own: this one is taken anew.
    if (replay_view(timeline_replay(a->timeline), l->tid, &view, err) < 0) return -1;
    const struct stack *stack = &w->waiting.stack;
    if (polled) {
        const struct polled_word *word = telling_word(s, &view, task->regs.rsp);
        lock_recognise_polled(stack->frames, stack->count, word->address, word->value, word->size, &w->ref);
        if (tried_lock_resolve(a, w, err) < 0) return -1;
    } else {
        uint64_t args[6];
        memcpy(args, task->args, sizeof args);
        if (timed && (task->nr != SYS_futex || args[0] != s->object)) { // it is between two of its calls
            args[0] = s->object;
            args[1] = FUTEX_WAIT | FUTEX_PRIVATE_FLAG;
            args[2] = s->word_count ? s->words[0].value : 0;
        }
        lock_recognise(stack->frames, stack->count, args, &view, task->regs.rsp, &w->ref);
        if (w->ref.owner && waits_on_its_stack(&view, args[0], task->regs.rsp) &&
            (args[0] = refused_mutex(a, s, l->tid)))
            lock_recognise(stack->frames, stack->count, args, &view, task->regs.rsp, &w->ref);
        if (!timed && wait_pool_resolve(a, w, err) < 0) return -1;
    }
    if (!polled && w->ref.wants == WANTS_JOIN)
        w->joins = (int)task->args[2]; // the kernel clears the thread's TID
    text_lock(a->timeline, &a->history, l->tid, &w->ref, &w->lock);
    w->shared = history_shared(&a->history, l->space, w->ref.base, s->event);
    struct replay *r = timeline_replay(a->timeline);
    w->ref.shared = w->shared && replay_space_shared(r, replay_space_of(r, l->tid), w->ref.word,
                                                     &w->ref.identity, &w->ref.offset);
    if (w->shared && !w->ref.shared) w->ref.rule = RULE_NONE;
    if (w->ref.in_fork) look_for_child_handler(a, w);
    return 0;
}

static bool same_lock(const struct analysis *a, const struct waiter *x, const struct waiter *y) {
    if (x->ref.shared != y->ref.shared) return false;
    if (x->ref.shared) return x->ref.identity == y->ref.identity && x->ref.offset == y->ref.offset;
    return x->ref.base == y->ref.base && a->history.lives[x->life].space == a->history.lives[y->life].space;
}

static int look_at_waiters(struct analysis *a, struct rf_error *err) {
    a->waiters = calloc(a->history.stuck_count + 1, sizeof *a->waiters);
    rf_assert(a->waiters);
    for (size_t i = 0; i < a->history.stuck_count; i++) {
        struct waiter *w = &a->waiters[i];
        a->waiter_count++;
        if (look_at_waiter(a, &a->history.stuck[i], w, err) < 0) return -1;
        for (size_t k = 0; k < i && w->futex; k++) {
            struct waiter *o = &a->waiters[k];
            if (!o->futex || !same_lock(a, o, w)) continue;
            w->first = o->first;
            break;
        }
    }
    return 0;
}

// The kernel's word is only a second opinion: never a holder by itself, and a contradiction is not hidden.
static bool owner_contradicts(struct analysis *a, const struct waiter *w) {
    uint32_t owner = 0;
    size_t space = w->who.fork ? w->who.child_space : a->history.lives[w->life].space;
    if (!w->ref.owner || !holder_word(a->timeline, &a->history, space, w->ref.base + 8, &owner)) return false;
    // 0: between the word's change and the owner's, on the way in or out.
    size_t holder = history_life(&a->history, w->who.tid, w->who.event);
    int inside = holder == NONE ? w->who.tid : a->history.lives[holder].inside;
    return owner && (int)owner != inside;
}

// What the waiter itself wrote into a bare word looks like an acquire: pthread_rwlock_wrlock sets FUTEX_USED, 2, in a
// word that is 0, and waits for it; lio_listio stores how many requests it waits for. Who takes a lock does so by an
// atomic instruction, and writes 1 first, or 2 after a wait.
static bool is_own_mark(struct analysis *a, const struct waiter *w) {
    const struct holder *who = &w->who;
    struct event e;
    struct rf_error err;
    if (!w->ref.bare || who->life != w->life || who->fork) return false;
    if (w->facts.sort == WRITE_PLAIN) return true;
    if (w->facts.value != FUTEX_MARK) return false;
    for (uint64_t n = who->event; n <= w->stuck->event; n++) {
        if (timeline_event(a->timeline, n, &e, &err) < 0) return false;
        if (e.tid == who->tid) return e.kind == EV_ENTER && e.nr == SYS_futex;
    }
    return false;
}

// A pointer that a loop reads on its way: what it is not 0 for is no lock. (The tail of a queued lock is exchanged.)
static bool is_read_pointer(const struct stuck *s, uint64_t address) {
    for (size_t i = 0; i < s->word_count; i++)
        if (s->words[i].address == address)
            return s->words[i].size == 8 && s->words[i].value >> 32 && !s->words[i].atomic;
    return false;
}

static int look_at_holder(struct analysis *a, struct waiter *w, struct rf_error *err) {
    const struct history *h = &a->history;
    struct holder *who = &w->who;
    const struct watched_lock lock = case_lock(a, w);
    int failed = w->ref.shared && w->ref.wants == WANTS_POST ? dead_find_permit(a, w, who, err)
                                                             : holder_find(&lock, w->stuck->event, who, err);
    if (failed) return -1;
    w->searched = true;
    if (!who->tid || who->life == NONE) {
        who->tid = 0;
        return 0;
    }
    if (holder_stack(&lock, who, &w->acquired.stack, &w->facts, err) < 0) return -1;
    // A counter, or no lock's word.
    if (w->ref.bare && (w->facts.sort == WRITE_COUNT || is_own_mark(a, w))) {
        free(w->acquired.stack.frames);
        w->acquired.stack = (struct stack){0};
        who->tid = 0;
        return 0;
    }
    w->acquired.event = who->event;
    w->acquired.tid = who->tid;
    w->acquired.pid = h->lives[who->life].pid;
    if (timeline_seek(a->timeline, who->fork ? who->fork : w->stuck->event, err) < 0) return -1;
    w->doubtful = owner_contradicts(a, w);
    case_task(a, who->life, &w->acquired.stack, &w->holder);
    w->holder_lives = life_at(&h->lives[who->life], who->fork ? who->fork : w->stuck->event);
    if (!who->fork) return 0;
    w->holder_forks = h->spaces[who->child_space].forker == who->tid;
    w->holder.vanished = w->holder_lives && !w->holder_forks;
    return 0;
}

// Other readers, with the places where they took it.
static int look_at_others(struct analysis *a, struct waiter *w, struct rf_error *err) {
    const struct history *h = &a->history;
    const struct watched_lock lock = case_lock(a, w);
    for (size_t i = 0; i < w->who.other_count; i++) {
        const struct holder_other *o = &w->who.others[i];
        struct holder who = w->who;
        struct finding_point point = {.event = o->event, .tid = o->tid};
        struct finding_task task;
        who.event = o->event;
        who.ordinal = o->ordinal;
        who.skipped = o->skipped;
        who.skip = o->skip;
        size_t life = history_life(h, o->tid, o->event ? o->event - 1 : 0);
        if (life == NONE) continue;
        if (holder_stack(&lock, &who, &point.stack, NULL, err) < 0) return -1;
        uint64_t when = who.fork ? who.fork : w->stuck->event;
        if (timeline_seek(a->timeline, when, err) < 0) {
            free(point.stack.frames);
            return -1;
        }
        point.pid = h->lives[life].pid;
        case_task(a, life, &point.stack, &task);
        bool forks = who.fork && h->spaces[who.child_space].forker == o->tid;
        task.vanished = who.fork && !forks && life_at(&h->lives[life], when);
        case_party(&w->holders, &w->holder_count, &task, &point,
                   forks ? "holds it too, and forked" : "holds it too");
    }
    return 0;
}

static int look_at_fork(struct analysis *a, struct waiter *w, struct rf_error *err) {
    if (!w->who.fork) return 0;
    if (timeline_seek(a->timeline, w->who.fork, err) < 0) return -1;
    case_point(a, a->history.spaces[w->who.child_space].forker, &w->fork);
    w->fork_space = w->who.child_space;
    return 0;
}

// A loop may read other things as well. Of its words the one that a vanished thread took by an atomic instruction is the
// lock.
static int look_at_other_words(struct analysis *a, struct waiter *w, struct rf_error *err) {
    const struct stuck *s = w->stuck;
    const struct waiter before = *w;
    bool bare = w->ref.polled && (w->ref.bare || w->ref.rule == RULE_NONE);
    for (size_t i = 0; bare && s->word_count > 1 && i < s->word_count && !w->who.tid; i++) {
        const struct polled_word *word = &s->words[i];
        int tid = a->history.lives[w->life].tid;
        if (word->address == before.ref.base || is_read_pointer(s, word->address)) continue;
        lock_recognise_polled(w->waiting.stack.frames, w->waiting.stack.count, word->address, word->value,
                              word->size, &w->ref);
        w->ref.in_fork = before.ref.in_fork;
        w->shared = history_shared(&a->history, a->history.lives[w->life].space, w->ref.base, s->event);
        if (w->ref.rule == RULE_NONE || w->shared) continue;
        if (look_at_holder(a, w, err) < 0) return -1;
        // (A reader counts himself in by plain stores.)
        if (!w->who.tid || !w->who.fork || (w->facts.sort != WRITE_EXCHANGE && w->ref.kind != KIND_RCU)) {
            free(w->acquired.stack.frames);
            w->acquired.stack = (struct stack){0};
            w->who.tid = 0;
            continue;
        }
        if (timeline_seek(a->timeline, s->event, err) < 0) return -1;
        text_lock(a->timeline, &a->history, tid, &w->ref, &w->lock);
        return 0;
    }
    if (w->ref.base != before.ref.base) *w = before;
    return 0;
}

static int look_at_holders(struct analysis *a, struct rf_error *err) {
    for (size_t i = 0; i < a->waiter_count; i++) {
        struct waiter *w = &a->waiters[i];
        if (timeline_report(a->timeline, i, a->waiter_count, err) < 0) return -1;
        if (!w->futex || w->first != w) continue;
        bool pointer = w->ref.bare && w->ref.polled && is_read_pointer(w->stuck, w->ref.base);
        if (w->ref.rule != RULE_NONE && !pointer && look_at_holder(a, w, err) < 0) return -1;
        if (look_at_other_words(a, w, err) < 0) return -1;
        if (w->ref.rule != RULE_NONE && (look_at_others(a, w, err) < 0 || look_at_fork(a, w, err) < 0))
            return -1;
        if (origin_initialised(a, w, err) < 0) return -1;
        // Who waits for a semaphore that it took itself waits for somebody else's post: no cycle.
        bool own = w->ref.wants == WANTS_POST && w->who.life == w->life && !w->who.fork;
        if (own)
            w->posts = true;
        else if (w->ref.wants == WANTS_POST && w->who.tid && !w->shared && wakers_posts(a, w, err) < 0)
            return -1;
        if (w->who.tid && !w->posts) continue;
        if (wakers_find(a, w, err) < 0) return -1;
        if (w->stuck->killed) continue;
        if (dead_wakers_find(a, w, err) < 0) return -1;
        if (!w->waker_count && dead_threads_find(a, w, err) < 0) return -1;
    }
    return 0;
}

static bool is_in_finding(const struct verdict *v, int tid) {
    for (size_t i = 0; i < v->count; i++) {
        const struct finding *f = &v->findings[i];
        if (f->waiter.tid == tid) return true;
        for (size_t k = 0; k < f->edge_count; k++)
            if (f->edges[k].waiter.tid == tid) return true;
    }
    return false;
}

// Who had not come back from a call when the recording ended.
static void list_waiting(struct analysis *a) {
    struct verdict *v = a->verdict;
    for (size_t i = 0; i < a->history.life_count; i++) {
        const struct life *l = &a->history.lives[i];
        if (l->death || !l->in_call || is_in_finding(v, l->tid)) continue;
        array_push(v->waiting, v->waiting_count,
                   (struct waiting_task){.pid = l->pid, .tid = l->tid, .nr = l->nr, .since = l->entered});
    }
}

// glibc lets nobody but the owner release these (EPERM).
static bool owner_alone_releases(struct analysis *a, const struct waiter *w) {
    enum { KIND = 16, TYPE = 3, RECURSIVE = 1, ERRORCHECK = 2, ROBUST_OR_PI = 0x30 };
    uint32_t kind = 0;
    if (!w->ref.owner ||
        !holder_word(a->timeline, &a->history, a->history.lives[w->life].space, w->ref.base + KIND, &kind))
        return false;
    return kind & ROBUST_OR_PI || (kind & TYPE) == RECURSIVE || (kind & TYPE) == ERRORCHECK;
}

static bool is_waiter(const struct analysis *a, size_t life) {
    for (size_t i = 0; i < a->waiter_count; i++)
        if (a->waiters[i].life == life) return true;
    return false;
}

// A lock may be handed over, to a task of the process that goes on. (Polled words say too little for that.)
static int look_at_releasers(struct analysis *a, struct rf_error *err) {
    const struct history *h = &a->history;
    for (size_t i = 0; i < a->waiter_count; i++) {
        struct waiter *w = &a->waiters[i];
        if (w->first != w || !w->who.tid || w->ref.polled || (w->proved && !w->stuck->asked)) continue;
        if (timeline_seek(a->timeline, w->stuck->event, err) < 0) return -1;
        if (owner_alone_releases(a, w)) continue;
        for (size_t k = 0; k < h->life_count && !w->handed; k++) {
            const struct life *l = &h->lives[k];
            if (!life_at(l, w->stuck->event) || l->space != h->lives[w->life].space || is_waiter(a, k))
                continue;
            w->handed = releaser_ahead(a, l->tid, w->ref.base);
        }
        w->releasable = w->handed && (w->stuck->assumed || w->stuck->beside);
    }
    return 0;
}

// Is it the holder that proves the wait: one that has vanished or ended, or that waits itself for such a one, or in a circle? Who
// waits with a time-out comes back to the program, which may give up: only the recorder, which watches its loop, can prove that.
static bool proved_by_holder(const struct analysis *a, const struct waiter *w) {
    for (size_t hops = 0; hops <= a->waiter_count; hops++) {
        const struct waiter *first = w->first, *next = NULL;
        if (w->handlers != HANDLER_CANNOT || w->stuck->wait == WAIT_TIMED || !first->who.tid ||
            first->posts || first->doubtful || first->handed)
            return false;
        if (first->who.fork || !first->holder_lives) return true;
        for (size_t i = 0; i < a->waiter_count; i++)
            if (a->waiters[i].life == first->who.life) next = &a->waiters[i];
        if (!next) return false;
        w = next;
    }
    return true;
}

// The recorder says *likely* where the process has a handler for a signal: here its code is read.
static int look_at_handlers(struct analysis *a, struct rf_error *err) {
    bool any = false;
    for (size_t i = 0; i < a->waiter_count; i++) {
        struct waiter *w = &a->waiters[i];
        if (!w->futex || w->ref.polled || w->stuck->guessed || (w->proved && !w->stuck->asked)) continue;
        if (handlers_reach(a, w, &w->handlers, err) < 0) return -1;
        any |= w->handlers != HANDLER_CANNOT;
        w->first->releasable |= (w->stuck->assumed || w->stuck->beside) && w->handlers == HANDLER_RELEASES;
        w->proved = w->handlers == HANDLER_CANNOT && w->stuck->proved;
    }
    // What a handler sets free may go on to end another wait, but no holder's that does not exist.
    for (size_t i = 0; i < a->waiter_count; i++) {
        struct waiter *w = &a->waiters[i];
        bool by_holder = w->futex && !w->ref.polled && !w->stuck->guessed &&
                         (!w->stuck->killed || w->stuck->beside) && proved_by_holder(a, w);
        if (by_holder) w->proved = true;
        if (any && !by_holder) w->proved = false;
    }
    return 0;
}

// The program alone, whose call is answered, may not come to this wait at all. (A call is told of once, whoever makes it: of
// another process it is not known whether it was refused one as well.)
static void doubt_refused(struct analysis *a) {
    struct verdict *v = a->verdict;
    for (size_t i = 0; i < v->count && a->history.first_refused; i++) {
        struct finding *f = &v->findings[i];
        if (f->waiting.event < a->history.first_refused || f->confidence != CONFIDENCE_PROVED) continue;
        f->confidence = CONFIDENCE_LIKELY;
        size_t used = strlen(f->reason);
        if (v->refused_count && f->kind != FINDING_CROSS_PROCESS_WAIT)
            snprintf(f->reason + used, sizeof f->reason - used,
                     "%sBefore that refork refused a call (%.*s): the program alone may go another way.",
                     used ? " " : "", (int)strcspn(v->refused[0], "("), v->refused[0]);
    }
}

static int make(struct timeline *t, const int *tids, size_t count, bool alone, struct verdict **out,
                struct rf_error *err) {
    struct analysis a = {.timeline = t, .verdict = calloc(1, sizeof *a.verdict)};
    rf_assert(a.verdict);
    uint64_t before = timeline_position(t);
    int failed = history_read(t, &a.history, err);
    if (!failed && tids) history_assume(&a.history, tids, count, alone);
    struct verdict *v = a.verdict;
    v->events = timeline_last(t);
    memcpy(v->program, a.history.program, sizeof v->program);
    memcpy(v->end_reason, a.history.end_reason, sizeof v->end_reason);
    v->refused = a.history.refused; // the verdict's from now on
    v->refused_count = a.history.refused_count;
    a.history.refused = NULL;
    a.history.refused_count = 0;
    v->cut = !a.history.ended;
    if (!failed && a.history.stuck_count)
        failed = look_at_waiters(&a, err) < 0 || look_at_holders(&a, err) < 0 ||
                 ((!tids || alone) && other_process_look(&a, err) < 0);
    if (!failed) failed = look_at_releasers(&a, err) < 0 || look_at_handlers(&a, err) < 0;
    if (!failed && tids) failed = findings_make(&a, err) < 0;
    if (!failed && !tids && (a.history.stuck_count || a.history.crash_count))
        failed = crash_look(&a, err) < 0 || findings_make(&a, err) < 0 || vanished_fill(&a, err) < 0 ||
                 origin_allocations(&a, err) < 0 || held_fill(&a, err) < 0 ||
                 timeline_seek(t, before, err) < 0;
    if (!failed) doubt_refused(&a);
    if (!failed) list_waiting(&a);
    case_release(&a);
    if (failed) {
        verdict_free(v);
        return -1;
    }
    *out = v;
    return 0;
}

int examine(struct timeline *t, struct verdict **out, struct rf_error *err) {
    return make(t, NULL, 0, false, out, err);
}

int examine_waiting(struct timeline *t, const int *tids, size_t count, bool alone, struct verdict **out,
                    struct rf_error *err) {
    return make(t, tids, count, alone, out, err);
}
