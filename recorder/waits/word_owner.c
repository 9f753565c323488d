#include "recorder/waits/word_owner.h"

#include "core/clock.h"
#include "core/futex.h"
#include "recorder/waits/second_look.h"
#include "recorder/waits/shared_memory.h"
#include "recorder/waits/state.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

// A look when a wait is 100 ms old. A handler that nothing can be said of is left to the second look, which knows more, until that
// has said what it can (second_look_silent). Where others could release the lock the next one comes after twice as long, and looking
// takes a 20th of the recording's time at most: it stops the program.
enum { TURN_US = 20000, OLD_US = 100000, PAUSE_US = 200000, SHARE = 20, CHAIN = 16, OTHERS = 256, OPEN = 64 };

// A wait of which nothing could be said.
struct open_question {
    uint32_t mm;
    uint64_t lock;
    uint64_t pause_us, next_us;
};

struct word_owners {
    struct open_question open[OPEN];
    size_t open_count, oldest;
    uint64_t turn_us, next_us; // the last turn; when somebody will have slept for long
    uint64_t pause_until_us;
    struct owned_wait told[CHAIN]; // what was said last
    size_t told_count;
};

// What the word of a lock says.
struct owned {
    uint64_t lock;
    int owner;
    bool owner_alone; // glibc lets nobody else release it
    bool shared;      // with other processes of the recording
};

// pthread_rwlock_common.c, struct __pthread_rwlock_arch_t.
struct rwlock {
    uint32_t readers, writers, phase_futex, writers_futex, unused[2];
    int32_t writer;
};

static bool rwlock_of(const struct task *t, struct rwlock *lock, uint64_t *base) {
    enum { WRITE_PHASE = 1, WRITE_LOCKED = 2, READER = 8 };
    bool phase = t->call.args[0] % 8 == 0;
    uint32_t value = (uint32_t)t->call.args[2];
    if (value != 2 && value != 3) return false;
    *base = t->call.args[0] - (phase ? 8 : 12);
    if (!tracee_read(t->tid, t->mm->mem_fd, *base, lock, sizeof *lock) || lock->unused[0] || lock->unused[1])
        return false;
    if (!phase) return value == 3 && lock->writers_futex == value && lock->readers & WRITE_LOCKED;
    uint32_t wanted = value == 2 ? WRITE_LOCKED : WRITE_PHASE;
    return lock->phase_futex == value && lock->readers >= READER && lock->readers & wanted &&
           !(value == 2 && lock->readers & WRITE_PHASE);
}

// It waits on words beside the lock's state: 8 bytes behind it for the end of a phase (2: a writer, until the readers are
// gone; 3: a reader, until the writer is), 12 bytes behind it for the writer's (3). As a condition of glibc 2.41 may wait for
// such values, too, the state must say the same.
bool word_of_rwlock(const struct task *t) {
    struct rwlock lock;
    uint64_t base;
    return rwlock_of(t, &lock, &base);
}

static bool owned_rwlock(const struct task *t, struct owned *out) {
    enum { WRITER_HAS_IT = 3 };
    struct rwlock lock;
    if (!rwlock_of(t, &lock, &out->lock) || (lock.readers & WRITER_HAS_IT) != WRITER_HAS_IT ||
        lock.writer <= 0)
        return false;
    out->owner = lock.writer;
    return true;
}

// struct __pthread_mutex_s. An ordinary one is 2 while somebody sleeps; robust ones and those with priority inheritance
// have the owner in the word itself. The owner is written behind the word when it is taken, and before it when it is given back: an
// owner that stands there has it.
static bool owned_mutex(const struct task *t, struct owned *out) {
    enum { TYPE = 3, RECURSIVE = 1, ERRORCHECK = 2, ROBUST = 0x10, PI = 0x20, KNOWN = 0x3ff, SLEEPERS = 2 };
    struct {
        uint32_t word, count;
        int32_t owner;
        uint32_t users, kind;
    } lock;
    out->lock = t->call.args[0];
    if (!tracee_read(t->tid, t->mm->mem_fd, out->lock, &lock, sizeof lock)) return false;
    if (lock.kind & ~(uint32_t)KNOWN || lock.owner <= 0 || lock.owner & ~FUTEX_TID_MASK || !lock.users)
        return false;
    bool in_word = lock.kind & (ROBUST | PI);
    if (in_word ? (int)(lock.word & FUTEX_TID_MASK) != lock.owner : lock.word != SLEEPERS) return false;
    if (!futex_takes_lock(t->call.args) && lock.word != (uint32_t)t->call.args[2]) return false;
    out->owner = lock.owner;
    out->owner_alone = in_word || (lock.kind & TYPE) == RECURSIVE || (lock.kind & TYPE) == ERRORCHECK;
    return true;
}

static bool sleeps(const struct task *t) {
    return t->state == TASK_IN_KERNEL && t->call.inside && t->call.nr == SYS_futex &&
           futex_waits_endlessly(t->call.args);
}

static bool owned_by_word(struct recorder *r, const struct task *t, struct owned *out) {
    *out = (struct owned){0};
    bool bitset = futex_operation(t->call.args) == FUTEX_WAIT_BITSET;
    if (!sleeps(t) || !(bitset ? owned_rwlock(t, out) : owned_mutex(t, out)) ||
        task_state_letter(t->tid) != 'S')
        return false;
    if (t->call.args[1] & FUTEX_PRIVATE_FLAG) return true;
    // (Robust mutexes wait so, shared or not.)
    enum reach reach = shared_memory_reach(r, t->tid, t->call.args[0]);
    out->shared = reach == REACH_FAMILY;
    return reach == REACH_OWN || reach == REACH_FAMILY;
}

// The lock's owner: the task, or the child of a fork that it made (its memory has the TID of then). NULL: there is none.
static struct task *task_of(struct recorder *r, const struct task *t, const struct owned *o) {
    for (struct task *u = r->tasks; u; u = u->next) {
        if (u->mm != t->mm && !o->shared) continue;
        if (u->tid == o->owner) return u;
        for (size_t i = 0; i < u->was_count; i++)
            if (u->was[i] == o->owner) return u;
    }
    return NULL;
}

struct chain {
    struct task *tasks[CHAIN];
    struct owned_wait waits[CHAIN];
    size_t count;
};

// From owner to owner: to one that is not there, or in a circle. False: to one that goes on.
static bool leads_nowhere(struct recorder *r, struct task *t, struct chain *c) {
    for (c->count = 0; c->count < CHAIN;) {
        struct owned o;
        if (!owned_by_word(r, t, &o)) return false;
        struct task *owner = task_of(r, t, &o);
        // Somebody outside of the recording may have it, or a namespace gives other numbers.
        if (!owner && o.shared && (kill(o.owner, 0) == 0 || errno != ESRCH)) return false;
        struct owned_wait *w = &c->waits[c->count];
        *w = (struct owned_wait){.task = {t->tid, t->call.regs},
                                 .lock = o.lock,
                                 .owner = o.owner,
                                 .owner_alone = o.owner_alone,
                                 .gone = !owner};
        memcpy(w->args, t->call.args, sizeof w->args);
        c->tasks[c->count++] = t;
        if (!owner) return true;
        for (size_t i = 0; i < c->count; i++)
            if (c->tasks[i] == owner) return true;
        t = owner;
    }
    return false;
}

static bool is_in(const struct chain *c, const struct task *t) {
    for (size_t i = 0; i < c->count; i++)
        if (c->tasks[i] == t) return true;
    return false;
}

// Who goes on and could reach one of the locks. False: that cannot be said now.
static bool gather(struct recorder *r, const struct chain *c, struct live_task *others, size_t *count) {
    *count = 0;
    for (struct task *u = r->tasks; u; u = u->next) {
        bool near = false;
        for (size_t i = 0; i < c->count; i++)
            near |= c->tasks[i]->mm == u->mm;
        if (!near || is_in(c, u) || second_look_says(u)) continue;
        if (*count == OTHERS) return false;
        struct live_task *l = &others[*count];
        l->tid = u->tid;
        l->regs = u->call.regs;
        if (u->state != TASK_IN_KERNEL && !tracee_get_regs(u->tid, &l->regs)) return false;
        ++*count;
    }
    return true;
}

static struct open_question *question(struct word_owners *o, const struct task *t, uint64_t lock) {
    for (size_t i = 0; i < o->open_count; i++)
        if (o->open[i].mm == t->mm->id && o->open[i].lock == lock) return &o->open[i];
    struct open_question *q = &o->open[o->open_count < OPEN ? o->open_count++ : o->oldest++ % OPEN];
    *q = (struct open_question){t->mm->id, lock, PAUSE_US, 0};
    return q;
}

static bool ask(struct recorder *r, struct word_owners *o, struct chain *c) {
    static const enum judged judges[] = {[RELEASED_BY_NOBODY] = JUDGED_PROVED,
                                         [RELEASED_PERHAPS] = JUDGED_LIKELY,
                                         [RELEASED_BY_OTHERS] = JUDGED_NOT};
    struct task *t = c->tasks[0];
    struct live_task *others = calloc(OTHERS, sizeof *others);
    rf_assert(others);
    struct owner_question q = {.waits = c->waits,
                               .wait_count = c->count,
                               .others = others,
                               .handlers = t->process->sighand->handler};
    enum released released = RELEASED_BY_OTHERS;
    // Of CPU time: on a machine with other work a look of some milliseconds took seconds, and the next one came after 20 times that.
    uint64_t begin = clock_us(CLOCK_THREAD_CPUTIME_ID);
    if (gather(r, c, others, &q.other_count)) {
        if (r->tsc_traps) clock_trap_tsc(false);
        released = r->options->released(&q);
        if (r->tsc_traps) clock_trap_tsc(true);
    }
    uint64_t end = now_us(r);
    free(others);
    o->pause_until_us = end + SHARE * (clock_us(CLOCK_THREAD_CPUTIME_ID) - begin);
    bool early = judges[released] == JUDGED_LIKELY && !second_look_silent(r, t);
    if (early || judges[released] == JUDGED_NOT) {
        struct open_question *open = question(o, t, c->waits[0].lock);
        open->next_us = early ? end + OLD_US : end + open->pause_us;
        if (!early) open->pause_us *= 2;
        return false;
    }
    memcpy(o->told, c->waits, sizeof o->told);
    o->told_count = c->count;
    for (size_t i = 0; i < c->count; i++)
        second_look_judge(c->tasks[i], judges[released]);
    return true;
}

static bool look(struct recorder *r, struct word_owners *o, struct task *t) {
    struct chain c;
    if (!sleeps(t) || second_look_says(t) || (t->loop && t->loop->stuck_logged)) return false;
    uint64_t due = t->call.since_us + OLD_US;
    for (size_t i = 0; i < o->open_count; i++)
        if (o->open[i].mm == t->mm->id && o->open[i].next_us > due &&
            (t->call.args[0] - o->open[i].lock) <= sizeof(struct rwlock))
            due = o->open[i].next_us;
    if (r->clock_us < due) {
        if (due < o->next_us) o->next_us = due;
        return false;
    }
    return leads_nowhere(r, t, &c) && ask(r, o, &c);
}

const char *word_owner_tells(const struct recorder *r, const struct task *t) {
    const struct word_owners *o = r->waits->word_owners;
    for (size_t i = 0; o && i < o->told_count; i++)
        if (o->told[i].task.tid == t->tid && second_look_says(t)) return o->told[i].what;
    return "";
}

bool word_owner_due(const struct recorder *r) {
    const struct word_owners *o = r->waits->word_owners;
    return o && r->clock_us >= o->next_us && r->clock_us >= o->pause_until_us;
}

static bool anybody_sleeps(const struct recorder *r) {
    for (const struct task *t = r->tasks; t; t = t->next)
        if (sleeps(t)) return true;
    return false;
}

bool word_owner_turn(struct recorder *r) {
    if (!r->options->released || r->stop_all) return false;
    struct word_owners *o = r->waits->word_owners;
    if (!o) {
        o = r->waits->word_owners = calloc(1, sizeof *o);
        rf_assert(o);
    }
    if (r->clock_us < o->pause_until_us) return false;
    if (r->clock_us - o->turn_us < TURN_US) {
        o->next_us = anybody_sleeps(r) ? o->turn_us + TURN_US : UINT64_MAX;
        return false;
    }
    o->turn_us = r->clock_us;
    o->next_us = UINT64_MAX;
    for (struct task *t = r->tasks; t; t = t->next)
        if (look(r, o, t)) return true;
    return false;
}

void word_owner_end(struct recorder *r) {
    free(r->waits->word_owners);
    r->waits->word_owners = NULL;
}
