// Locks in memory that processes share, and semaphores of System V, outlive who holds them: a process that is killed
// takes its locks with it. Whose they are is found as for other locks, in all address spaces at once (holder.c); of
// semaphores each process' permits are counted. And who would have posted, signalled or come to the barrier may have ended.
#include "replayer/verdict/dead_holder.h"

#include "replayer/verdict/advice.h"
#include "replayer/verdict/text.h"

#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sem.h>
#include <sys/syscall.h>

enum {
    PROCESSES_MAX = 256,
    ENDINGS_MAX = 64,  // that are looked at
    CALLS_MAX = 20000, // semop calls
    OPERATIONS_MAX = 64,
};

// ---- who has how many permits

struct account {
    int pid, net;
    bool touched; // it changed the word, or the semaphore
    bool posted;  // without having a permit
    struct word_change last;
};

struct accounts {
    const struct history *history;
    struct account all[PROCESSES_MAX];
    size_t count, changes;
    bool permits; // each change by one takes or gives a permit
    bool fresh;   // nothing has happened to it yet
    bool signals; // somebody posts who did not take
    bool cut;     // there were too many changes
};

static struct account *account_of(struct accounts *a, int tid, uint64_t event) {
    size_t life = history_life(a->history, tid, event ? event - 1 : 0);
    int pid = life == NONE ? tid : a->history->lives[life].pid;
    for (size_t i = 0; i < a->count; i++)
        if (a->all[i].pid == pid) return &a->all[i];
    if (a->count == PROCESSES_MAX) return NULL;
    a->all[a->count] = (struct account){.pid = pid};
    return &a->all[a->count++];
}

static void count_permit(struct accounts *a, struct account *p, int change) {
    if (change < 0 || p->net > 0) {
        p->net -= change;
        return;
    }
    p->posted = a->signals = true;
}

static bool on_change(void *context, const struct word_change *c) {
    struct accounts *a = context;
    if (++a->changes > WORD_CHANGES_MAX) {
        a->cut = true;
        return false;
    }
    struct account *p = account_of(a, c->tid, c->event);
    bool by_one = c->to == c->from + 1 || c->from == c->to + 1;
    // sem_init stores the number; a mapping of the file that sem_open has filled does, too.
    bool made = c->by_kernel || !by_one || (a->fresh && c->sort == WRITE_PLAIN);
    if (a->permits && made)
        for (size_t i = 0; i < a->count; i++)
            a->all[i].net = 0;
    a->fresh = false;
    if (!p || (a->permits && made)) return true;
    p->touched = true;
    if (c->to < c->from || !a->permits) p->last = *c;
    if (a->permits) count_permit(a, p, c->to > c->from ? 1 : -1);
    if (a->permits && p->posted) p->last = *c;
    return true;
}

static int read_accounts(struct analysis *a, const struct waiter *w, const struct lock_ref *ref, bool permits,
                         struct accounts *out, struct rf_error *err) {
    *out = (struct accounts){.history = &a->history, .permits = permits, .fresh = true};
    const struct watched_lock lock = case_lock_in(a, a->history.lives[w->life].space, ref);
    return holder_changes(&lock, (struct event_span){1, w->stuck->event}, on_change, out, err);
}

static const struct ending *ending_of(const struct history *h, int pid, uint64_t from, uint64_t until) {
    for (size_t i = 0; i < h->ending_count; i++) {
        const struct ending *e = &h->endings[i];
        if (e->pid == pid && e->event > from && e->event <= until) return e;
    }
    return NULL;
}

static void take_holder(const struct history *h, const struct account *p, struct holder *out) {
    const struct word_change *c = &p->last;
    *out = holder_of_change(c, NONE);
    out->child_space = NONE;
    out->held = true;
    out->life = history_life(h, c->tid, c->event ? c->event - 1 : 0);
    if (out->life != NONE) out->space = h->lives[out->life].space;
}

int dead_find_permit(struct analysis *a, struct waiter *w, struct holder *out, struct rf_error *err) {
    struct accounts *all = malloc(sizeof *all);
    rf_assert(all);
    int failed = read_accounts(a, w, &w->ref, true, all, err);
    const struct account *best = NULL;
    for (size_t i = 0; !failed && i < all->count; i++) {
        const struct account *p = &all->all[i];
        if (p->net <= 0 || all->signals || all->cut) continue;
        bool dead = ending_of(&a->history, p->pid, p->last.event, w->stuck->event);
        bool best_dead = best && ending_of(&a->history, best->pid, best->last.event, w->stuck->event);
        if (!best || (dead && !best_dead) || (dead == best_dead && p->last.event > best->last.event))
            best = p;
    }
    w->posts = all->signals && !all->cut;
    *out = (struct holder){.life = NONE, .space = NONE, .child_space = NONE};
    if (best) take_holder(&a->history, best, out);
    for (size_t i = 0; best && i < all->count && out->other_count < HOLDER_OTHERS; i++) {
        const struct account *p = &all->all[i];
        if (p == best || p->net <= 0) continue;
        const struct word_change *c = &p->last;
        out->others[out->other_count++] =
            (struct holder_other){c->tid, c->event, c->ordinal, c->skipped, c->skip};
    }
    bool cut = all->cut;
    free(all);
    if (failed || !cut) return failed;
    // Too much has happened to count it all: the last one who took the last permit.
    const struct watched_lock lock = case_lock(a, w);
    return holder_find(&lock, w->stuck->event, out, err);
}

// ---- semaphores of System V: each call is an event

static bool read_operations(struct analysis *a, int tid, uint64_t at, size_t count, struct sembuf *out) {
    struct view view;
    struct rf_error err;
    return count <= OPERATIONS_MAX && replay_view(timeline_replay(a->timeline), tid, &view, &err) == 0 &&
           view.read(view.context, at, out, count * sizeof *out);
}

struct semaphore_calls {
    struct accounts accounts;
    int set;
    unsigned short number; // of the semaphore in it
    struct pending_call {
        int tid;
        int32_t nr;
        uint64_t args[4];
    } pending[PROCESSES_MAX];
    size_t pending_count;
    size_t calls;
};

static void carry_out(struct analysis *a, struct semaphore_calls *s, int tid, uint64_t event,
                      const struct pending_call *c) {
    struct sembuf operations[OPERATIONS_MAX];
    struct account *p = account_of(&s->accounts, tid, event);
    if (c->nr == SYS_semctl) { // SETVAL, SETALL, IPC_RMID
        int command = (int)c->args[2];
        bool anew = command == SETALL || command == IPC_RMID ||
                    (command == SETVAL && (unsigned short)c->args[1] == s->number);
        for (size_t i = 0; anew && i < s->accounts.count; i++)
            s->accounts.all[i].net = 0;
        return;
    }
    if (!p || !read_operations(a, tid, c->args[1], c->args[2], operations)) return;
    for (size_t i = 0; i < c->args[2]; i++) {
        const struct sembuf *o = &operations[i];
        if (o->sem_num != s->number || !o->sem_op || o->sem_flg & SEM_UNDO) continue;
        p->touched = true;
        for (int k = o->sem_op; k; k += k < 0 ? 1 : -1)
            count_permit(&s->accounts, p, k < 0 ? -1 : 1);
        if (o->sem_op < 0 || p->posted) p->last = (struct word_change){.tid = tid, .event = event};
    }
}

static bool is_semaphore_call(const struct event *e, int set) {
    bool call = e->nr == SYS_semop || e->nr == SYS_semtimedop || e->nr == SYS_semctl;
    return call && e->flags & EVF_REGS && (int)e->regs.rdi == set;
}

static int read_semaphore_calls(struct analysis *a, const struct waiter *w, struct semaphore_calls *s,
                                struct rf_error *err) {
    struct event e;
    for (uint64_t n = 1; n <= w->stuck->event && s->calls < CALLS_MAX; n++) {
        if (timeline_event(a->timeline, n, &e, err) < 0) return -1;
        bool mine = (e.kind == EV_SYSCALL || e.kind == EV_ENTER) && is_semaphore_call(&e, s->set);
        size_t at = 0;
        while (at < s->pending_count && s->pending[at].tid != e.tid)
            at++;
        if (mine) {
            if (at == PROCESSES_MAX) return 0;
            if (at == s->pending_count) s->pending_count++;
            s->pending[at] =
                (struct pending_call){e.tid, e.nr, {e.regs.rdi, e.regs.rsi, e.regs.rdx, e.regs.r10}};
        }
        bool done = (e.kind == EV_SYSCALL && mine) || (e.kind == EV_EXIT && at < s->pending_count);
        if (!done || at >= s->pending_count) continue;
        struct pending_call call = s->pending[at];
        s->pending[at] = s->pending[--s->pending_count];
        if (e.ret < 0) continue;
        s->calls++;
        uint64_t number = n;
        int tid = e.tid;
        if (timeline_seek(a->timeline, number, err) < 0) return -1;
        carry_out(a, s, tid, number, &call);
    }
    return 0;
}

// Which semaphore of the set it waits for: the first whose permits are wanted.
static bool wanted_semaphore(struct analysis *a, const struct waiter *w, unsigned short *number) {
    const struct life *l = &a->history.lives[w->life];
    struct sembuf operations[OPERATIONS_MAX];
    if (l->nr != SYS_semop && l->nr != SYS_semtimedop) return false;
    if (!read_operations(a, l->tid, l->args[1], l->args[2], operations)) return false;
    for (size_t i = 0; i < l->args[2]; i++) {
        if (operations[i].sem_op >= 0) continue;
        *number = operations[i].sem_num;
        return true;
    }
    return false;
}

int dead_look_at_sysv(struct analysis *a, struct waiter *w, struct rf_error *err) {
    unsigned short number;
    if (timeline_seek(a->timeline, w->stuck->event, err) < 0) return -1;
    if (!wanted_semaphore(a, w, &number)) return 0;
    struct semaphore_calls *s = calloc(1, sizeof *s);
    rf_assert(s);
    s->set = (int)a->history.lives[w->life].args[0];
    s->number = number;
    s->accounts.history = &a->history;
    snprintf(w->lock.kind, sizeof w->lock.kind, "System V semaphore");
    snprintf(w->lock.symbol, sizeof w->lock.symbol, "semaphore %u of the set %d", number, s->set);
    w->lock.unnamed = w->lock.of_this_run = true;
    w->ref.kind = KIND_SYSV_SEM;
    w->ref.wants = WANTS_POST;
    int failed = read_semaphore_calls(a, w, s, err);
    const struct account *best = NULL;
    for (size_t i = 0; !failed && i < s->accounts.count; i++) {
        const struct account *p = &s->accounts.all[i];
        if (p->net <= 0 || s->accounts.signals) continue;
        if (!best || ending_of(&a->history, p->pid, p->last.event, w->stuck->event)) best = p;
    }
    w->posts = s->accounts.signals;
    if (best) take_holder(&a->history, best, &w->who);
    free(s);
    if (failed || !w->who.tid || w->who.life == NONE) {
        w->who.tid = 0;
        return failed;
    }
    if (timeline_seek(a->timeline, w->who.event, err) < 0) return -1;
    case_point(a, w->who.tid, &w->acquired);
    return 0;
}

// ---- who would have ended it, and has ended itself

// Was it asleep in a wait for this very object when it ended?
static bool waited_for_it(struct analysis *a, const struct waiter *w, int tid) {
    struct replay *r = timeline_replay(a->timeline);
    const struct replay_task *task = replay_task_find(r, tid);
    uint64_t identity, offset;
    if (!task || !task->in_syscall || task->nr != SYS_futex ||
        !replay_space_shared(r, replay_space_of(r, tid), task->args[0], &identity, &offset))
        return false;
    uint64_t base = w->ref.offset - (w->ref.word - w->ref.base);
    return identity == w->ref.identity && offset >= base && offset < base + (w->ref.size ? w->ref.size : 4);
}

static int task_before(const struct history *h, const struct ending *e) {
    for (size_t i = h->life_count; i-- > 0;)
        if (h->lives[i].pid == e->pid && h->lives[i].death == e->event) return h->lives[i].tid;
    return 0;
}

static const char *what_it_did(const struct waiter *w, bool touched) {
    if (!touched) return "had the same memory";
    switch (w->ref.wants) {
    case WANTS_POST:
        return "posted it before";
    case WANTS_COND:
        return "took the condition's mutex before";
    case WANTS_BARRIER:
        return "came to the barrier before";
    default:
        return "changed it before";
    }
}

// The word whose changes tell who had to do with it.
static bool telling_word(struct analysis *a, const struct waiter *w, struct lock_ref *out) {
    struct replay *r = timeline_replay(a->timeline);
    *out = w->ref;
    if (w->ref.wants == WANTS_COND && w->ref.mutex) out->word = w->ref.mutex;
    out->rule = RULE_NONE;
    out->shared = replay_space_shared(r, replay_space_of(r, a->history.lives[w->life].tid), out->word,
                                      &out->identity, &out->offset);
    return out->shared && out->offset % 4 == 0;
}

static int look_at_ended(struct analysis *a, struct waiter *w, const struct ending *e,
                         const struct account *p, bool live_poster, struct rf_error *err) {
    const struct history *h = &a->history;
    struct replay *r = timeline_replay(a->timeline);
    struct finding_party party = {.point.event = 0};
    uint64_t address;
    int tid = task_before(h, e);
    size_t life = tid ? history_life(h, tid, e->event - 1) : NONE;
    if (life == NONE) return 0;
    if (timeline_seek(a->timeline, e->event - 1, err) < 0) return -1;
    bool mapped = replay_shared_mapped(r, replay_space_of(r, tid), w->ref.identity, w->ref.offset, &address);
    bool waited = mapped && waited_for_it(a, w, tid), leaves = w->ref.wants == WANTS_COND_LEAVE;
    bool touched = p && p->touched && (!w->posts || p->posted);
    // Who ends by itself without having had to do with it is missed by nobody.
    if (!mapped || waited != leaves || (!touched && e->how != ENDED_KILLED && !leaves)) return 0;
    if (e->how == ENDED_EXIT && live_poster) return 0;
    case_point(a, tid, &party.point);
    case_task(a, life, &party.point.stack, &party.task);
    char what[sizeof party.what];
    snprintf(what, sizeof what, "%s",
             leaves ? "was waiting on it, and never leaves it" : what_it_did(w, touched));
    // The one that had to do with it is named first.
    case_party(&w->wakers, &w->waker_count, &party.task, &party.point, what);
    if (touched && w->waker_count > 1) {
        struct finding_party swap = w->wakers[0];
        w->wakers[0] = w->wakers[w->waker_count - 1];
        w->wakers[w->waker_count - 1] = swap;
    }
    return 0;
}

int dead_wakers_find(struct analysis *a, struct waiter *w, struct rf_error *err) {
    const struct history *h = &a->history;
    bool any = false, live = false;
    for (size_t i = 0; i < h->ending_count; i++)
        any |= h->endings[i].event <= w->stuck->event;
    if (!any || !w->ref.shared || w->ref.wants == WANTS_LOCK || w->ref.wants == WANTS_JOIN) return 0;
    struct lock_ref word;
    if (timeline_seek(a->timeline, w->stuck->event, err) < 0) return -1;
    if (!telling_word(a, w, &word)) return 0;
    struct accounts *all = malloc(sizeof *all);
    rf_assert(all);
    int failed = read_accounts(a, w, &word, w->ref.wants == WANTS_POST, all, err);
    int own = h->lives[w->life].pid;
    for (size_t i = 0; i < all->count; i++)
        live |= all->all[i].pid != own && (w->ref.wants != WANTS_POST || all->all[i].posted) &&
                !ending_of(h, all->all[i].pid, all->all[i].last.event, w->stuck->event);
    size_t looked = 0;
    for (size_t i = h->ending_count; !failed && i-- > 0 && looked < ENDINGS_MAX;) {
        const struct ending *e = &h->endings[i];
        if (e->event > w->stuck->event || e->event < 2 || e->pid == own) continue;
        const struct account *p = NULL;
        for (size_t k = 0; k < all->count; k++)
            if (all->all[k].pid == e->pid && all->all[k].last.event < e->event) p = &all->all[k];
        looked++;
        failed = look_at_ended(a, w, e, p, live, err);
    }
    free(all);
    return failed;
}

struct last_change {
    int but;
    size_t changes;
    struct word_change last; // tid 0: none
};

static bool on_last_change(void *context, const struct word_change *c) {
    struct last_change *l = context;
    if (++l->changes > WORD_CHANGES_MAX) return false;
    if (c->tid != l->but && !c->by_kernel) l->last = *c;
    return true;
}

static int find_last_change(struct analysis *a, const struct waiter *w, const struct lock_ref *word,
                            struct last_change *out, struct rf_error *err) {
    const struct history *h = &a->history;
    const struct life *l = &h->lives[w->life];
    *out = (struct last_change){.but = l->tid};
    const struct watched_lock lock = case_lock_in(a, l->space, word);
    return holder_changes(&lock, (struct event_span){h->spaces[l->space].begin, w->stuck->event},
                          on_last_change, out, err);
}

// Of the words that a loop looks at, the one that others change.
static int choose_word(struct analysis *a, struct waiter *w, struct last_change *found,
                       struct rf_error *err) {
    const struct stuck *s = w->stuck;
    const struct lock_ref before = w->ref;
    int tid = a->history.lives[w->life].tid;
    for (size_t i = 0; i < s->word_count && !found->last.tid; i++) {
        const struct polled_word *p = &s->words[i];
        if (p->address == before.base) continue;
        lock_recognise_polled(w->waiting.stack.frames, w->waiting.stack.count, p->address, p->value, p->size,
                              &w->ref);
        w->ref.in_fork = before.in_fork;
        if (find_last_change(a, w, &w->ref, found, err) < 0) return -1;
    }
    if (!found->last.tid) {
        w->ref = before;
        return 0;
    }
    if (timeline_seek(a->timeline, s->event, err) < 0) return -1;
    text_lock(a->timeline, &a->history, tid, &w->ref, &w->lock);
    return 0;
}

int dead_threads_find(struct analysis *a, struct waiter *w, struct rf_error *err) {
    const struct history *h = &a->history;
    const struct life *l = &h->lives[w->life];
    struct last_change found;
    bool value = w->ref.wants == WANTS_VALUE || w->ref.wants == WANTS_POST;
    if (w->shared || !value || !w->ref.word || w->ref.word % 4) return 0;
    if (find_last_change(a, w, &w->ref, &found, err) < 0) return -1;
    if (!found.last.tid && w->ref.polled && choose_word(a, w, &found, err) < 0) return -1;
    if (!found.last.tid || found.changes > WORD_CHANGES_MAX) return 0;
    size_t life = history_life(h, found.last.tid, found.last.event - 1);
    if (life == NONE || h->lives[life].space != l->space || life_at(&h->lives[life], w->stuck->event))
        return 0;
    struct finding_party party = {.point = {found.last.event, l->pid, found.last.tid, {0}}};
    const struct holder who = holder_of_change(&found.last, l->space);
    const struct watched_lock lock = case_lock(a, w);
    if (holder_stack(&lock, &who, &party.point.stack, NULL, err) < 0) return -1;
    case_task(a, life, &party.point.stack, &party.task);
    case_party(&w->wakers, &w->waker_count, &party.task, &party.point, "changed it last");
    w->ended_wakers = true;
    return 0;
}

// ---- findings

void dead_sender(struct analysis *a, struct finding_end *end, int pid, int signal) {
    const struct history *h = &a->history;
    struct rf_error ignored;
    for (int group = 0; group < 2; group++)
        for (size_t i = h->sent_count; i-- > 0;) {
            const struct sent_signal *s = &h->sent[i];
            bool fits = group ? s->target <= 0 : s->target == pid;
            if (s->event > end->event || s->signal != signal || !fits) continue;
            size_t life = history_life(h, s->tid, s->event - 1);
            if (life == NONE || timeline_seek(a->timeline, s->event, &ignored) < 0) return;
            case_task(a, life, NULL, &end->by);
            end->by_event = s->event;
            return;
        }
}

struct finding_end dead_end(struct analysis *a, int pid, int tid, uint64_t from, uint64_t until) {
    const struct history *h = &a->history;
    static const int how[] = {
        [ENDED_EXIT] = END_EXITED, [ENDED_KILLED] = END_KILLED, [ENDED_EXEC] = END_EXEC};
    const struct ending *e = ending_of(h, pid, from, until);
    struct finding_end end = {0};
    if (e) {
        end.event = e->event;
        end.how = how[e->how];
        end.value = e->value;
        if (e->how == ENDED_KILLED) dead_sender(a, &end, pid, e->value);
        return end;
    }
    for (size_t i = 0; i < h->life_count; i++)
        if (h->lives[i].tid == tid && h->lives[i].death > from && h->lives[i].death <= until)
            end = (struct finding_end){.event = h->lives[i].death, .how = END_THREAD};
    return end;
}

bool dead_make(struct analysis *a, struct waiter *w) {
    bool sysv = w->stuck->wait == WAIT_SYSV;
    if (!w->shared && !sysv) return false;
    bool holder = w->who.tid && !w->posts && !w->holder_lives;
    if (!holder && !(w->waker_count && (!w->who.tid || w->posts))) return false;
    struct finding *f = case_add(a, w, FINDING_DEAD_HOLDER, RANK_CAUSE);
    if (holder) {
        case_add_holder(f, w);
        case_add_fork(f, w);
        f->end = dead_end(a, w->holder.pid, w->holder.tid, w->who.event, w->stuck->event);
        text_reason_dead(f, &w->ref);
    } else {
        case_parties(&f->wakers, &f->waker_count, w->wakers, w->waker_count);
        const struct finding_party *first = &w->wakers[0];
        f->end = dead_end(a, first->task.pid, first->task.tid, first->point.event, w->stuck->event);
        f->confidence = CONFIDENCE_LIKELY;
        text_reason_dead_waker(f, &w->ref);
    }
    advice_give(f, ADVICE_DEAD, &w->ref, case_explain(a, w));
    return true;
}
