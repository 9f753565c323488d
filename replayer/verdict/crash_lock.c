// A child that crashed in data that a vanished thread was changing at the fork. What shows it: a lock that the thread
// held at the fork, that was made free again in the child (by a fork handler, or by the library), and that the child
// held when it crashed, or else was inside a function that the thread was inside at the fork. That is a strong
// suspicion and no proof: the finding is *likely*, always. Mutexes name their owner; of other locks (spin words, those of
// libc itself, GMutex) the lock history knows who held them.
#include "replayer/verdict/crash_lock.h"

#include "replayer/verdict/advice.h"
#include "replayer/verdict/crash_data.h"
#include "replayer/verdict/held_at_fork.h"
#include "replayer/verdict/text.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    CHUNK = 1 << 20,
    SCAN_MAX = 256 << 20, // bytes of memory that are looked through for mutexes
    SPANS_MAX = 256,
    BUDGET_US = 1500000, // for the lock history
    MUTEX_HEAD = 20,     // bytes of pthread_mutex_t up to and with __kind
    KIND_MAX = 0x1ff,
    NEAR_THE_TOP = 8, // frames of the crash that are compared
};

// pthread_mutex_t's beginning (glibc, x86-64).
struct mutex_head {
    uint32_t lock, count;
    int32_t owner;
    uint32_t users, kind;
};

// ---- locks that vanished threads held

static void add_lock(struct torn *t, const struct lock_ref *ref, size_t life) {
    for (size_t i = 0; i < t->lock_count; i++)
        if (t->locks[i].ref.base == ref->base) return;
    if (t->lock_count < TORN_LOCKS_MAX) t->locks[t->lock_count++] = (struct held_word){*ref, life};
}

static struct lock_ref mutex_at(uint64_t address) {
    return (struct lock_ref){
        .kind = KIND_MUTEX, .rule = RULE_WORD, .owner = true, .base = address, .word = address, .size = 40};
}

static void look_at_words(struct torn *t, const unsigned char *bytes, size_t len, uint64_t address) {
    for (size_t at = 0; at + MUTEX_HEAD <= len; at += 8) {
        struct mutex_head m;
        memcpy(&m, bytes + at, MUTEX_HEAD);
        if (m.owner <= 0 || m.users != 1 || m.kind > KIND_MAX) continue;
        bool robust = (m.lock & 0x3fffffff) == (uint32_t)m.owner;
        if (m.lock != 1 && m.lock != 2 && !robust) continue;
        for (size_t i = 0; i < t->vanished_count; i++) {
            if (t->a->history.lives[t->vanished[i]].inside != m.owner) continue;
            const struct lock_ref ref = mutex_at(address + at);
            add_lock(t, &ref, t->vanished[i]);
        }
    }
}

static void find_mutexes(struct torn *t, int tid) {
    struct view view;
    struct rf_error err;
    unsigned char *bytes = malloc(CHUNK + MUTEX_HEAD);
    size_t scanned = 0;
    rf_assert(bytes);
    if (replay_view(timeline_replay(t->a->timeline), tid, &view, &err) < 0) view.map_count = 0;
    for (size_t i = 0; i < view.map_count; i++) {
        const struct view_map *map = &view.maps[i];
        if ((map->prot & (PROT_READ | PROT_WRITE)) != (PROT_READ | PROT_WRITE)) continue;
        for (uint64_t at = map->start; at < map->end && scanned < SCAN_MAX; at += CHUNK) {
            size_t len = map->end - at < CHUNK + MUTEX_HEAD ? map->end - at : CHUNK + MUTEX_HEAD;
            scanned += len;
            if (view.read(view.context, at, bytes, len)) look_at_words(t, bytes, len, at);
        }
    }
    free(bytes);
}

static enum lock_rule rule_of(int family) {
    static const enum lock_rule rules[LOCK_FAMILIES] = {[LOCK_WORD] = RULE_WORD,
                                                        [LOCK_RWLOCK] = RULE_RWLOCK,
                                                        [LOCK_SPIN] = RULE_SPIN,
                                                        [LOCK_GUARD] = RULE_GUARD};
    return rules[family];
}

// From the lock history, if it is not too much work: a verdict is not kept waiting.
static void find_words(struct torn *t) {
    const struct history *h = &t->a->history;
    const struct lock_history *locks;
    struct lock_span spans[SPANS_MAX];
    struct rf_error ignored;
    timeline_set_budget(t->a->timeline, BUDGET_US);
    int failed = held_history(t->a, t->fork, t->fork, &locks, &ignored);
    timeline_set_budget(t->a->timeline, 0);
    if (failed) return;
    size_t n = lock_history_held(locks, t->fork, h->spaces[h->spaces[t->space].parent].pid, spans, SPANS_MAX);
    for (size_t i = 0; i < n && i < SPANS_MAX; i++) {
        const struct lock *l = &locks->words.locks[spans[i].lock];
        const struct lock_ref ref = {.kind = lock_family_kind(l->family),
                                     .rule = rule_of(l->family),
                                     .base = l->last_address,
                                     .word = l->last_address,
                                     .size = l->size};
        if (l->space == LOCK_SHARED || ref.rule == RULE_NONE || ref.word % 4) continue;
        for (size_t k = 0; k < t->vanished_count; k++)
            if (h->lives[t->vanished[k]].tid == spans[i].holder.tid) add_lock(t, &ref, t->vanished[k]);
    }
}

// ---- the crash

// Is a function near the crash's top one that the thread was inside at the fork, too?
static bool same_function(const struct stack *crash, const struct stack *thread) {
    for (size_t i = 0; i < crash->count && i < NEAR_THE_TOP; i++) {
        const struct frame *f = &crash->frames[i];
        if (!f->function || !f->module || !strcmp(f->function, "main")) continue;
        for (size_t k = 0; k + 1 < thread->count; k++) {
            const struct frame *g = &thread->frames[k];
            if (g->function && g->module && !strcmp(f->function, g->function) &&
                !strcmp(f->module, g->module))
                return true;
        }
    }
    return false;
}

// What became of the lock in the child: *mine: it was taken there again, by the thread that crashed. *renewed: it is no
// longer as the vanished thread left it.
static int look_at_lock(struct torn *t, const struct held_word *w, bool *mine, bool *renewed,
                        struct rf_error *err) {
    struct analysis *a = t->a;
    const struct history *h = &a->history;
    const struct life *l = &h->lives[t->crash->life];
    struct view view;
    struct rf_error ignored;
    struct mutex_head now = {0};
    *mine = *renewed = false;
    if (timeline_seek(a->timeline, t->crash->event, err) < 0) return -1;
    if (replay_view(timeline_replay(a->timeline), l->tid, &view, &ignored) < 0 ||
        !view.read(view.context, w->ref.word, &now, w->ref.owner ? MUTEX_HEAD : sizeof now.lock))
        return 0;
    if (w->ref.owner) {
        *renewed = now.owner != h->lives[w->life].inside;
        *mine = now.owner == l->inside && now.lock;
        return 0;
    }
    *renewed = !lock_is_held(w->ref.rule, now.lock);
    if (*renewed) return 0;
    struct holder who;
    const struct watched_lock lock = case_lock_in(a, t->space, &w->ref);
    if (holder_find(&lock, t->crash->event, &who, err) < 0) return -1;
    *mine = who.tid == l->tid && !who.fork;
    return 0;
}

static int add_finding(struct torn *t, const struct held_word *m, struct rf_error *err) {
    struct analysis *a = t->a;
    const struct history *h = &a->history;
    size_t parent = h->spaces[t->space].parent;
    const struct watched_lock lock = case_lock_in(a, parent, &m->ref);
    struct holder who;
    struct finding f = {
        .kind = FINDING_TORN_DATA, .confidence = CONFIDENCE_LIKELY, .signal = t->crash->signal};
    if (holder_find(&lock, t->fork, &who, err) < 0) return -1;
    if (who.tid != h->lives[m->life].tid) return 0; // the owner's word alone is not enough
    if (holder_stack(&lock, &who, &f.acquired.stack, NULL, err) < 0) return -1;
    f.acquired.event = who.event;
    f.acquired.tid = who.tid;
    f.acquired.pid = h->lives[m->life].pid;
    if (timeline_seek(a->timeline, t->fork, err) < 0) {
        free(f.acquired.stack.frames);
        return -1;
    }
    text_lock(a->timeline, h, h->spaces[t->space].forker, &m->ref, &f.lock);
    case_task(a, m->life, &f.acquired.stack, &f.holder);
    f.holder.vanished = true;
    case_point(a, h->spaces[t->space].forker, &f.fork);
    f.waiting = t->place;
    f.waiting.stack = stack_copy(&t->place.stack);
    case_task(a, t->crash->life, &t->place.stack, &f.waiter);
    text_reason_torn(&f);
    advice_give(&f, ADVICE_TORN, &m->ref, 0);
    case_append(a, &f);
    return 1;
}

// 1: a finding was added.
static int judge(struct torn *t, struct rf_error *err) {
    struct analysis *a = t->a;
    for (size_t i = 0; i < t->lock_count; i++) {
        const struct held_word *w = &t->locks[i];
        bool mine, renewed;
        if (look_at_lock(t, w, &mine, &renewed, err) < 0) return -1;
        if (!mine && renewed) {
            struct finding_point thread;
            if (timeline_seek(a->timeline, t->fork, err) < 0) return -1;
            case_point(a, a->history.lives[w->life].tid, &thread);
            mine = same_function(&t->place.stack, &thread.stack);
            free(thread.stack.frames);
        }
        int added = mine ? add_finding(t, w, err) : 0;
        if (added) return added; // one says enough about a crash
    }
    return 0;
}

static bool is_fault(int signal) {
    return signal == SIGSEGV || signal == SIGBUS || signal == SIGILL || signal == SIGFPE ||
           signal == SIGABRT || signal == SIGTRAP;
}

static int look_at_crash(struct torn *t, struct rf_error *err) {
    const struct history *h = &t->a->history;
    t->space = h->lives[t->crash->life].space;
    size_t parent = h->spaces[t->space].parent;
    if (parent == NONE || !is_fault(t->crash->signal)) return 0;
    t->fork = h->spaces[t->space].begin;
    for (size_t i = 0; i < h->life_count && t->vanished_count < TORN_VANISHED_MAX; i++)
        if (h->lives[i].space == parent && h->lives[i].tid != h->spaces[t->space].forker &&
            life_at(&h->lives[i], t->fork))
            t->vanished[t->vanished_count++] = i;
    if (!t->vanished_count) return 0;
    if (timeline_seek(t->a->timeline, t->fork, err) < 0) return -1;
    find_mutexes(t, h->spaces[t->space].forker);
    find_words(t);
    if (timeline_seek(t->a->timeline, t->crash->event, err) < 0) return -1;
    case_point(t->a, h->lives[t->crash->life].tid, &t->place);
    int added = judge(t, err);
    bool fault = t->crash->signal == SIGSEGV || t->crash->signal == SIGBUS;
    if (!added && fault) added = crash_data_look(t, err);
    return added < 0 ? -1 : 0;
}

int crash_look(struct analysis *a, struct rf_error *err) {
    int failed = 0;
    for (size_t i = 0; !failed && i < a->history.crash_count; i++) {
        struct torn *t = calloc(1, sizeof *t);
        rf_assert(t);
        t->a = a;
        t->crash = &a->history.crashes[i];
        failed = look_at_crash(t, err);
        free(t->place.stack.frames);
        free(t);
    }
    return failed;
}
