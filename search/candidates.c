#include "search/candidates.h"

#include "core/array.h"
#include "core/path.h"
#include "replayer/verdict/history.h"
#include "replayer/locks/history.h"
#include "replayer/names/stack.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FRAMES_MAX = 128,
    TAKES_MAX = 4096,
    USES_MAX = 64,
};

// Locks that a child takes, in their order.
struct child_take {
    uint64_t address, event;
    uint32_t pc, lock;
    bool descendant;
};

struct child {
    uint32_t space, parent; // of the lock history
    struct child_take *takes;
    size_t count;
};

// An acquire in a space that forks.
struct take {
    uint32_t lock, pc;
    int tid;
    uint64_t event;
};

struct search {
    struct timeline *timeline;
    struct candidates *out;
    struct lock_history *locks;
    struct history history;
    uint64_t *times;        // of each event
    struct child *children; // of each fork
    struct take *takes;
    size_t take_count;
    struct slept slept;
    const struct lock_touch **touches; // by space, address, and what came first
};

// What a candidate is about.
struct word {
    uint64_t address;
    int family; // enum lock_family; LOCK_NONE: perhaps no lock at all
    int32_t name;
};

const char *candidate_kind_name(enum candidate_kind kind) {
    static const char *const names[] = {"child-and-thread", "thread-only", "child-only", "atomic-word"};
    return names[kind];
}

// ---- forks

static void add_fork(struct search *s, const struct event *e) {
    struct candidates *c = s->out;
    struct candidate_fork *f = array_add(c->forks, c->fork_count);
    *f = (struct candidate_fork){.number = c->fork_count,
                                 .event = e->number,
                                 .time_us = e->time_us,
                                 .forker = e->tid,
                                 .child = (int)e->ret,
                                 .hold = slept_last(&s->slept, e->tid)};
    size_t life = history_life(&s->history, e->tid, e->number);
    for (size_t i = 0; life != NONE && i < s->history.life_count; i++) {
        const struct life *l = &s->history.lives[i];
        f->others += i != life && l->space == s->history.lives[life].space && life_at(l, e->number);
    }
}

static int find_forks(struct search *s, struct rf_error *err) {
    uint64_t last = timeline_last(s->timeline);
    s->times = calloc(last + 1, sizeof *s->times);
    if (!s->times) return rf_fail(err, RF_CANNOT, "out of memory: the recording has too many events");
    struct event e;
    for (uint64_t n = 1; n <= last; n++) {
        if (timeline_event(s->timeline, n, &e, err) < 0) return -1;
        s->times[n] = e.time_us;
        slept_event(&s->slept, &e);
        if (e.kind == EV_BIRTH && !(e.flags & EVF_VM)) add_fork(s, &e);
    }
    return 0;
}

// Where the program forks: its own innermost frame.
static int name_fork(struct search *s, struct candidate_fork *f, struct rf_error *err) {
    struct frame frames[FRAMES_MAX];
    if (timeline_seek(s->timeline, f->event, err) < 0) return -1;
    struct stack stack = {frames, timeline_stack(s->timeline, f->forker, frames, FRAMES_MAX)};
    size_t first, last;
    stack_own_part(&stack, &first, &last);
    if (first >= stack.count) first = 0;
    if (!stack.count) {
        snprintf(f->place, sizeof f->place, "task %d", f->forker);
        return 0;
    }
    const struct frame *x = &frames[first];
    int n = snprintf(f->place, sizeof f->place, "%.200s (%.100s+0x%llx", x->function ? x->function : "?",
                     x->module ? x->module : "?", (unsigned long long)x->module_offset);
    if (x->file)
        n += snprintf(f->place + n, sizeof f->place - (size_t)n, ", %.100s:%d", base_name(x->file), x->line);
    snprintf(f->place + n, sizeof f->place - (size_t)n, ")");
    return 0;
}

static int name_forks(struct search *s, struct rf_error *err) {
    struct candidates *c = s->out;
    for (size_t i = 0; i < c->fork_count; i++) {
        if (name_fork(s, &c->forks[i], err) < 0) return -1;
        size_t k = 0;
        while (strcmp(c->forks[k].place, c->forks[i].place) != 0)
            k++;
        c->forks[i].site = k < i ? c->forks[k].site : (uint32_t)c->fork_sites++;
    }
    return 0;
}

// ---- takes

static struct child *child_of_space(struct search *s, uint32_t space) {
    for (size_t i = 0; i < s->out->fork_count; i++)
        if (s->children[i].space == space) return &s->children[i];
    return NULL;
}

static bool space_forks(const struct search *s, uint32_t space) {
    for (size_t i = 0; i < s->out->fork_count; i++)
        if (s->children[i].parent == space) return true;
    return false;
}

static void child_takes(struct child *c, const struct lock_op *o, const struct lock *l, bool descendant) {
    for (size_t i = 0; i < c->count; i++)
        if (c->takes[i].address == l->address) return;
    if (c->count == TAKES_MAX) return;
    *array_add(c->takes, c->count) = (struct child_take){
        .address = l->address, .event = o->event, .pc = o->pc, .lock = o->lock, .descendant = descendant};
}

static void read_takes(struct search *s) {
    const struct lock_history *h = s->locks;
    for (size_t i = 0; i < h->words.op_count; i++) {
        const struct lock_op *o = &h->words.ops[i];
        const struct lock *l = &h->words.locks[o->lock];
        bool acquires = o->kind == LOCK_OP_ACQUIRE;
        // A word in memory that processes share is not left behind by a fork.
        if ((!acquires && o->kind != LOCK_OP_WAIT) || l->space == LOCK_SHARED) continue;
        bool descendant = false;
        for (uint32_t space = l->space; space != LOCK_SHARED; space = h->spaces[space].parent) {
            struct child *c = child_of_space(s, space);
            if (!c) break;
            child_takes(c, o, l, descendant);
            descendant = true;
        }
        if (!acquires || o->pc == LOCK_NO_PLACE || !space_forks(s, l->space)) continue;
        *array_add(s->takes, s->take_count) = (struct take){o->lock, o->pc, o->tid, o->event};
    }
}

static int by_lock_and_place(const void *a, const void *b) {
    const struct take *x = a, *y = b;
    if (x->lock != y->lock) return x->lock < y->lock ? -1 : 1;
    if (x->pc != y->pc) return x->pc < y->pc ? -1 : 1;
    return x->event < y->event ? -1 : x->event > y->event;
}

static void find_spaces(struct search *s) {
    const struct lock_history *h = s->locks;
    s->children = calloc(s->out->fork_count + 1, sizeof *s->children);
    rf_assert(s->children);
    for (size_t i = 0; i < s->out->fork_count; i++) {
        struct child *c = &s->children[i];
        c->space = c->parent = LOCK_SHARED - 1; // none: nothing was taken in it
        for (uint32_t k = 0; k < h->space_count; k++)
            if (h->spaces[k].begin == s->out->forks[i].event && h->spaces[k].parent != LOCK_SHARED) {
                c->space = k;
                c->parent = h->spaces[k].parent;
            }
    }
}

// ---- the lock word, as a place that survives another run

static bool module_bias_of(struct search *s, const struct view *v, uint64_t blob, uint64_t *bias,
                           const char **name) {
    for (size_t i = 0; i < v->map_count; i++) {
        if (v->maps[i].blob != blob) continue;
        struct frame f;
        symbols_pc(timeline_symbols(s->timeline), v, v->maps[i].start, &f);
        if (!f.module) continue;
        *bias = v->maps[i].start - f.module_offset;
        *name = f.module;
        return true;
    }
    return false;
}

// In a module's data, or in the anonymous pages right behind it.
static void place_word(struct search *s, const struct candidate_fork *f, struct candidate *c) {
    struct view v;
    struct rf_error err;
    c->word_offset = c->address;
    if (timeline_seek(s->timeline, f->event, &err) < 0 ||
        replay_view(timeline_replay(s->timeline), f->forker, &v, &err) < 0)
        return;
    const struct view_map *m = view_find(&v, c->address);
    while (m && m > v.maps && !m->blob && m[-1].end == m->start)
        m--;
    uint64_t bias;
    const char *name;
    if (!m || !m->blob || !module_bias_of(s, &v, m->blob, &bias, &name) ||
        strlen(name) >= sizeof c->word_module)
        return;
    snprintf(c->word_module, sizeof c->word_module, "%s", name);
    c->word_offset = c->address - bias;
}

// ---- candidates

static bool held_by_forker(const struct search *s, const struct candidate_fork *f, uint32_t parent,
                           uint64_t address) {
    const struct lock_words *w = &s->locks->words;
    for (size_t i = 0; i < w->span_count; i++) {
        const struct lock_span *x = &w->spans[i];
        const struct lock *l = &w->locks[x->lock];
        if (l->space == parent && l->address == address && x->holder.tid == f->forker &&
            x->holder.event <= f->event && (!x->to || x->to > f->event))
            return true;
    }
    return false;
}

// A rwlock is taken in several steps; in the middle of them it keeps nobody out, or nobody could say who has it. The
// function's name, as it is exported: "pthread_rwlock_wrlock" of "__pthread_rwlock_wrlock@@GLIBC_2.34".
static void find_call(struct candidate *c, int family) {
    static const char begins[] = "pthread_rwlock_";
    const char *name = c->function + strspn(c->function, "_");
    if (family == LOCK_RWLOCK && !strncmp(name, begins, sizeof begins - 1))
        snprintf(c->call, sizeof c->call, "%.*s", (int)strcspn(name, "@"), name);
}

static bool same_acquire(const struct candidate *a, const struct candidate *b) {
    return a->fork_site == b->fork_site && a->address == b->address && !strcmp(a->module, b->module) &&
           (a->vaddr == b->vaddr || (a->call[0] && !strcmp(a->call, b->call)));
}

// What a thread that had taken the lock there called before it gave it back.
static int32_t held_over(struct search *s, uint64_t address, uint32_t pc, int forker) {
    const struct lock_words *w = &s->locks->words;
    for (size_t i = 0; i < w->span_count; i++) {
        const struct lock_span *x = &w->spans[i];
        if (w->locks[x->lock].address != address || x->holder.pc != pc || x->holder.inherited ||
            x->holder.tid == forker)
            continue;
        int32_t call = slept_with_lock(s->timeline, x);
        if (call >= 0) return call;
    }
    return -1;
}

static struct word word_of(const struct lock *l) {
    return (struct word){l->address, l->family, l->name};
}

static struct candidate *candidate_at(struct search *s, size_t fork, struct word w, uint32_t pc,
                                      enum candidate_kind kind) {
    struct candidates *c = s->out;
    const struct lock_place *place = &s->locks->places[pc];
    const struct candidate_fork *f = &c->forks[fork];
    struct candidate new = {
        .kind = kind,
        .fork_site = f->site,
        .vaddr = place->vaddr,
        .family = w.family == LOCK_NONE ? "atomic word" : lock_family_name(w.family),
        .address = w.address,
        .forker_holds = held_by_forker(s, f, s->children[fork].parent, w.address),
    };
    snprintf(new.module, sizeof new.module, "%s", lock_history_string(s->locks, place->module));
    snprintf(new.function, sizeof new.function, "%s", lock_history_string(s->locks, place->function));
    snprintf(new.lock, sizeof new.lock, "%s", lock_history_string(s->locks, w.name));
    find_call(&new, w.family);
    new.held_over = held_over(s, w.address, pc, f->forker);
    if (!new.module[0]) return NULL;
    for (size_t i = 0; i < c->count; i++)
        if (same_acquire(&c->v[i], &new)) {
            if (kind < c->v[i].kind) c->v[i].kind = kind;
            return &c->v[i];
        }
    if (c->count == CANDIDATES_MAX) {
        c->dropped = true;
        return NULL;
    }
    place_word(s, f, &new);
    struct candidate *added = array_add(c->v, c->count);
    *added = new;
    return added;
}

static const struct child_take *child_take_of(const struct child *c, uint64_t address, unsigned *order) {
    for (size_t i = 0; i < c->count; i++)
        if (c->takes[i].address == address) {
            *order = (unsigned)i;
            return &c->takes[i];
        }
    return NULL;
}

static double score_of(const struct candidate *c, uint64_t after_us) {
    static const double base[] = {1000, 400, 200, 100};
    double score = base[c->kind];
    score -= c->order < 20 ? c->order * 15.0 : 300;
    for (uint64_t n = c->hits; n; n >>= 1)
        score += 8;
    if (after_us != UINT64_MAX) score += after_us < 1000000 ? 200 - (double)after_us / 10000 : 100;
    if (c->held_over >= 0) score += 150; // long enough for a fork to come between
    if (c->forker_holds) score -= 600;
    if (c->descendant) score -= 150;
    return score;
}

// What one fork shows of a candidate.
struct seen {
    size_t fork;                    // index
    const struct child_take *taken; // by its child; NULL: not
    unsigned order;                 // ... behind so many others
    uint64_t hits;                  // acquires by others than the forking task
    uint64_t after_us;              // so long after the fork; UINT64_MAX: not after it
};

static void add_use(struct search *s, struct candidate *c, const struct seen *x) {
    const struct candidate_fork *f = &s->out->forks[x->fork];
    if (c->use_count && c->uses[c->use_count - 1].fork == x->fork) return;
    c->hits += x->hits;
    if (x->taken && (!c->takers || x->order < c->order)) {
        c->order = x->order;
        c->descendant = x->taken->descendant;
    }
    c->takers += x->taken != NULL;
    double score = score_of(c, x->after_us);
    if (!c->use_count || score > c->score) c->score = score;
    if (c->use_count == USES_MAX) { // one whose child takes it is worth more than one whose does not
        size_t k = 0;
        while (k < USES_MAX && c->uses[k].taken)
            k++;
        if (!x->taken || k == USES_MAX) return;
        c->uses[k] = c->uses[--c->use_count];
    }
    *array_add(c->uses, c->use_count) =
        (struct candidate_fork_use){.fork = x->fork,
                                    .taken = x->taken != NULL,
                                    .after_us = x->after_us,
                                    .child_us = x->taken ? s->times[x->taken->event] - f->time_us : 0};
}

// Acquires of one lock at one place: by others than the forking task, and how soon after the fork.
static void look_at_group(struct search *s, size_t fork, const struct take *takes, size_t count) {
    const struct candidate_fork *f = &s->out->forks[fork];
    const struct lock *l = &s->locks->words.locks[takes->lock];
    struct seen seen = {.fork = fork, .after_us = UINT64_MAX};
    for (size_t i = 0; i < count; i++) {
        if (takes[i].tid == f->forker) continue;
        seen.hits++;
        if (takes[i].event > f->event && seen.after_us == UINT64_MAX)
            seen.after_us = s->times[takes[i].event] - f->time_us;
    }
    seen.taken = child_take_of(&s->children[fork], l->address, &seen.order);
    if (!seen.hits) return;
    struct candidate *c =
        candidate_at(s, fork, word_of(l), takes->pc, seen.taken ? CANDIDATE_SHARED : CANDIDATE_OTHERS);
    if (c) add_use(s, c, &seen);
}

static bool others_take(const struct search *s, const struct candidate_fork *f, uint32_t space,
                        uint64_t address, uint32_t *forkers_place) {
    for (size_t i = 0; i < s->take_count; i++) {
        const struct lock *l = &s->locks->words.locks[s->takes[i].lock];
        if (l->space != space || l->address != address) continue;
        if (s->takes[i].tid != f->forker) return true;
        *forkers_place = s->takes[i].pc;
    }
    return false;
}

// Nobody else was seen to take it: another thread may come the way that the forking one, or the child, came.
static void look_at_childs_own(struct search *s, size_t fork) {
    const struct child *c = &s->children[fork];
    for (size_t i = 0; i < c->count; i++) {
        uint32_t pc = c->takes[i].pc;
        if (others_take(s, &s->out->forks[fork], c->parent, c->takes[i].address, &pc) || pc == LOCK_NO_PLACE)
            continue;
        struct candidate *x =
            candidate_at(s, fork, word_of(&s->locks->words.locks[c->takes[i].lock]), pc, CANDIDATE_CHILD);
        const struct seen seen = {
            .fork = fork, .taken = &c->takes[i], .order = (unsigned)i, .after_us = UINT64_MAX};
        if (x) add_use(s, x, &seen);
    }
}

// ---- words that are not known to be locks

static int by_place(const void *a, const void *b) {
    const struct lock_touch *x = *(const struct lock_touch *const *)a,
                            *y = *(const struct lock_touch *const *)b;
    if (x->space != y->space) return x->space < y->space ? -1 : 1;
    if (x->address != y->address) return x->address < y->address ? -1 : 1;
    return x < y ? -1 : x > y;
}

static void sort_touches(struct search *s) {
    const struct lock_touches *all = &s->locks->touches;
    s->touches = calloc(all->count + 1, sizeof *s->touches);
    rf_assert(s->touches);
    for (size_t i = 0; i < all->count; i++)
        s->touches[i] = &all->v[i];
    qsort(s->touches, all->count, sizeof *s->touches, by_place);
}

// The first touch in that space at or behind that address: an index.
static size_t touches_from(const struct search *s, uint32_t space, uint64_t address) {
    size_t low = 0, high = s->locks->touches.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct lock_touch *t = s->touches[middle];
        if (t->space < space || (t->space == space && t->address < address))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// A word that the child changes but was never seen to take is perhaps free when it is not 0: sem_t without a symbol.
static bool is_known(const struct search *s, const struct child *c, uint64_t address) {
    const uint32_t spaces[] = {c->space, c->parent};
    unsigned order;
    for (size_t i = 0; i < 2; i++) {
        const struct lock *l =
            lock_words_find(&s->locks->words, (struct word_place){.space = spaces[i], .address = address});
        if (l && l->confirmed && (l->family != LOCK_WORD || child_take_of(c, address, &order))) return true;
    }
    return false;
}

// A word that the child touches, `order` others before it: where do other threads of the parent change it?
static void look_at_word(struct search *s, size_t fork, const struct lock_touch *childs, unsigned order) {
    const struct candidate_fork *f = &s->out->forks[fork];
    uint32_t parent = s->children[fork].parent;
    const struct child_take taken = {.address = childs->address, .event = childs->first, .pc = childs->pc};
    for (size_t i = touches_from(s, parent, childs->address); i < s->locks->touches.count; i++) {
        const struct lock_touch *t = s->touches[i];
        if (t->space != parent || t->address != childs->address) return;
        if (t->tid == f->forker || !t->changes) continue;
        uint64_t after = t->first > f->event ? t->first : t->last > f->event ? t->last : 0;
        const struct word word = {t->address, LOCK_NONE, t->name};
        struct candidate *c = candidate_at(s, fork, word, t->pc, CANDIDATE_WORD);
        // Where the child comes to the word first it would take it, if it is a lock: rather there than where it is freed.
        const struct seen seen = {.fork = fork,
                                  .taken = &taken,
                                  .order = order * 2 + (t->pc != childs->pc),
                                  .hits = t->changes,
                                  .after_us = after ? s->times[after] - f->time_us : UINT64_MAX};
        if (c) add_use(s, c, &seen);
    }
}

static int by_age(const void *a, const void *b) {
    const struct lock_touch *x = *(const struct lock_touch *const *)a,
                            *y = *(const struct lock_touch *const *)b;
    return x < y ? -1 : x > y;
}

static void look_at_words(struct search *s, size_t fork) {
    const struct child *c = &s->children[fork];
    size_t from = touches_from(s, c->space, 0), to = touches_from(s, c->space + 1, 0), count = 0;
    const struct lock_touch **words = calloc(to - from + 1, sizeof *words);
    rf_assert(words);
    for (size_t i = from; i < to; i++) {
        const struct lock_touch *t = s->touches[i];
        bool again = i > from && s->touches[i - 1]->address == t->address;
        if (!again && !is_known(s, c, t->address)) words[count++] = t;
    }
    qsort(words, count, sizeof *words, by_age);
    for (size_t i = 0; i < count; i++)
        look_at_word(s, fork, words[i], (unsigned)i);
    free(words);
}

static void look_at_fork(struct search *s, size_t fork) {
    const struct child *c = &s->children[fork];
    for (size_t i = 0, n; i < s->take_count; i += n) {
        const struct take *first = &s->takes[i];
        for (n = 1; i + n < s->take_count && first[n].lock == first->lock && first[n].pc == first->pc; n++)
            ;
        if (s->locks->words.locks[first->lock].space == c->parent) look_at_group(s, fork, first, n);
    }
    look_at_childs_own(s, fork);
    look_at_words(s, fork);
}

static int by_score(const void *a, const void *b) {
    const struct candidate *x = a, *y = b;
    bool first = x->kind == CANDIDATE_WORD,
         second = y->kind == CANDIDATE_WORD; // when all locks have been tried
    if (first != second) return first - second;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    if (x->address != y->address) return x->address < y->address ? -1 : 1;
    return x->vaddr < y->vaddr ? -1 : x->vaddr > y->vaddr;
}

// A fork whose child took it, and after which another thread took it soonest; of equals the first.
static int by_nearness(const void *a, const void *b) {
    const struct candidate_fork_use *x = a, *y = b;
    if (x->taken != y->taken) return x->taken ? -1 : 1;
    if (x->after_us != y->after_us) return x->after_us < y->after_us ? -1 : 1;
    return x->fork < y->fork ? -1 : x->fork > y->fork;
}

static void rank(struct search *s) {
    struct candidates *c = s->out;
    qsort(c->v, c->count, sizeof *c->v, by_score);
    for (size_t i = 0; i < c->count; i++) {
        qsort(c->v[i].uses, c->v[i].use_count, sizeof *c->v[i].uses, by_nearness);
        bool known = false;
        for (size_t k = 0; k < i && !known; k++)
            known = c->v[k].address == c->v[i].address && c->v[k].vaddr == c->v[i].vaddr &&
                    !strcmp(c->v[k].module, c->v[i].module);
        c->sites += !known;
    }
}

static int find(struct search *s, struct rf_error *err) {
    if (history_read(s->timeline, &s->history, err) < 0 || find_forks(s, err) < 0) return -1;
    s->out->tasks = s->history.life_count;
    if (!s->out->fork_count) return 0;
    const struct lock_history_options options = {.touches = true};
    if (lock_history_make(s->timeline, &options, &s->locks, err) < 0 || name_forks(s, err) < 0) return -1;
    find_spaces(s);
    read_takes(s);
    sort_touches(s);
    qsort(s->takes, s->take_count, sizeof *s->takes, by_lock_and_place);
    for (size_t i = 0; i < s->out->fork_count; i++)
        if (s->out->forks[i].others) look_at_fork(s, i);
    rank(s);
    return 0;
}

int candidates_find(struct timeline *t, struct candidates *out, struct rf_error *err) {
    struct search s = {.timeline = t, .out = out};
    *out = (struct candidates){0};
    int failed = find(&s, err);
    for (size_t i = 0; s.children && i < out->fork_count; i++)
        free(s.children[i].takes);
    free(s.children);
    free(s.takes);
    free(s.touches);
    slept_release(&s.slept);
    free(s.times);
    lock_history_free(s.locks);
    history_release(&s.history);
    return failed;
}

void candidates_release(struct candidates *c) {
    for (size_t i = 0; i < c->count; i++)
        free(c->v[i].uses);
    free(c->v);
    free(c->forks);
    *c = (struct candidates){0};
}
