// A hardware watchpoint on one word, kept over task switches (the debug registers belong to the kernel task,
// so to the space); by protected pages where debug registers stop nobody (page_watch.h). The CPU does not report kernel writes and no-change writes look like any other: both are
// sorted out here. A word of memory that processes share is watched in each space that maps it, wherever it does.
#include "replayer/engine/watchpoint.h"

#include "core/cpu/debug_registers.h"
#include "core/tracee.h"
#include "replayer/engine/engine.h"
#include "replayer/engine/page_watch.h"
#include "replayer/engine/probes.h"
#include "replayer/engine/space.h"
#include "replayer/engine/vtask.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <unistd.h>

enum { IN_VAIN_MAX = 256, BESIDE_MAX = 1000 };

_Static_assert(sizeof((struct watch){0}.words) / sizeof(struct watch_word) == WATCH_PLACES,
               "a word for each debug register");

static uint64_t read_value(struct replay *r, struct space *s, const struct watch_word *w) {
    uint64_t value = 0;
    if (r->watch.shared)
        space_shared_read(r, r->watch.identity, w->address, &value, (size_t)w->len);
    else
        tracee_read(s->pid, s->mem_fd, w->address, &value, (size_t)w->len);
    return value;
}

bool watch_accesses(const struct replay *r) {
    for (size_t i = 0; i < r->watch.count; i++)
        if (r->watch.words[i].access) return true;
    return false;
}

// The word that debug register `i` watches: one has all of them in shared memory.
static const struct watch_word *word_at(const struct replay *r, int i) {
    return &r->watch.words[r->watch.shared ? 0 : i];
}

// Where the words are in this space.
static int places_of(const struct replay *r, const struct space *s, uint64_t at[WATCH_PLACES]) {
    int count = 0;
    if (!r->watch.on) return 0;
    if (!r->watch.shared) {
        if (s->id != r->watch.space) return 0;
        for (size_t i = 0; i < r->watch.count; i++)
            at[count++] = r->watch.words[i].address;
        return count;
    }
    const struct watch_word *w = &r->watch.words[0];
    for (size_t i = 0; i < s->map_count && count < WATCH_PLACES; i++) {
        const struct space_map *m = &s->maps[i];
        uint64_t from = m->v.offset, length = m->v.end - m->v.start;
        if (!m->identity || m->identity != r->watch.identity || w->address < from ||
            w->address - from > length - (uint64_t)w->len)
            continue;
        at[count++] = m->v.start + (w->address - from);
    }
    return count;
}

static bool poke(const struct space *s, size_t reg, uint64_t value) {
    return ptrace(PTRACE_POKEUSER, s->pid, offsetof(struct user, u_debugreg) + 8 * reg, value) == 0;
}

static void arm_places(const struct replay *r, struct space *s, const uint64_t at[WATCH_PLACES], int count) {
    // DR7: enable bits 0, 2, 4; RW0 (16-17) 1 = write, 3 = read or write, LEN0 (18-19) 0 1 3 2 for 1 2 4 8 bytes; 4 bits further for each of the
    // others (Intel SDM vol. 3, 17.2.4).
    static const uint64_t length_code[9] = {[1] = 0, [2] = 1, [4] = 3, [8] = 2};
    uint64_t dr7 = 0;
    page_watch_lift(s);
    s->watch_pages = !debug_registers_work();
    s->watch_reads = s->watch_fired = 0;
    if (count) probes_demote_all(s);
    for (int i = 0; i < count; i++) {
        const struct watch_word *w = word_at(r, i);
        s->watch_len[i] = (uint8_t)w->len;
        s->watch_reads |= (uint8_t)(w->access << i);
        if (!s->watch_pages) poke(s, (size_t)i, at[i]);
        dr7 |= 1ull << 2 * i | ((w->access ? 3u : 1u) | length_code[w->len] << 2) << (16 + 4 * i);
    }
    if (!s->watch_pages && !poke(s, 7, dr7)) return;
    s->watched = count > 0;
    s->watch_count = count;
    memcpy(s->watch_at, at, sizeof s->watch_at);
}

void watch_arm(struct replay *r, struct space *s) {
    uint64_t at[WATCH_PLACES] = {0};
    int count = places_of(r, s, at), armed = r->watch.client.compared ? 0 : count;
    if (armed || s->watched) arm_places(r, s, at, armed);
    for (size_t i = 0; count && !r->watch.shared && i < r->watch.count; i++)
        r->watch.words[i].value = read_value(r, s, &r->watch.words[i]);
}

// A task that tries a lock in vain may do so a million times in a slice, and a hit costs 20 us. Nobody else runs in that
// slice, so the lock does not become free in it: the rest of it is not watched, and its outcome is looked at before
// the next one.
static void mute(struct replay *r, struct space *s) {
    if (r->watch.all || watch_accesses(r) || ++r->watch.in_vain < IN_VAIN_MAX) return;
    r->watch.muted = true;
    arm_places(r, s, (const uint64_t[WATCH_PLACES]){0}, 0);
}

// Each costs 50 us and more.
void watch_beside(struct replay *r, struct space *s) {
    struct watch *w = &r->watch;
    if (!w->seldom || watch_accesses(r)) return;
    if (w->slice != r->position) {
        w->slice = r->position;
        w->slice_beside = 0;
    }
    w->gave_up = w->most && ++w->beside > w->most;
    if (!w->gave_up && (w->most || ++w->slice_beside < BESIDE_MAX)) return;
    w->muted = !w->gave_up;
    w->on = !w->gave_up;
    arm_places(r, s, (const uint64_t[WATCH_PLACES]){0}, 0);
}

static void tell(struct replay *r, const struct replay_task *who, size_t i, struct watch_hit hit) {
    struct watch_word *w = &r->watch.words[i];
    hit.tid = who->tid;
    hit.pid = who->pid;
    hit.word = i;
    hit.old_value = w->value;
    hit.regs = &who->regs;
    w->value = hit.new_value;
    if (r->watch.client.hit) r->watch.client.hit(r->watch.client.context, r, &hit);
}

// fired: bits of the debug registers that the CPU names.
static void report(struct replay *r, struct vtask *v, bool kernel, uint64_t fired) {
    bool any = false;
    for (size_t i = 0; i < r->watch.count;
         i++) { // the client may set others meanwhile: then the rest is theirs
        struct watch_word *w = &r->watch.words[i];
        uint64_t now = read_value(r, v->space, w);
        bool accessed = w->access && now == w->value && fired >> i & 1;
        if (now == w->value && !accessed && !r->watch.all)
            continue; // a failed cmpxchg, or the same value again
        any = true;
        tell(r, &v->pub, i,
             (struct watch_hit){.next_event = r->position + 1,
                                .new_value = now,
                                .from_kernel = kernel,
                                .accessed = accessed});
    }
    if (any)
        r->watch.in_vain = 0;
    else if (!kernel)
        mute(r, v->space);
}

// What has changed since the words were read last was changed in the slice that ran last.
static void report_late(struct replay *r) {
    struct space *s = space_by_id(r, r->watch.space); // NULL of shared memory, where it is not needed
    const struct vtask *v = vtask_find(r, r->watch.ran);
    const struct replay_task ended = {.tid = r->watch.ran}; // it ran all the same
    if ((!s && !r->watch.shared) || !r->watch.ran) return;
    for (size_t i = 0; i < r->watch.count; i++) {
        uint64_t now = read_value(r, s, &r->watch.words[i]);
        if (now == r->watch.words[i].value) continue;
        tell(r, v ? &v->pub : &ended, i,
             (struct watch_hit){.next_event = r->watch.ran_at + 1, .new_value = now});
    }
}

void replay_watch_look(struct replay *r) {
    if (r->watch.client.compared || r->watch.muted) report_late(r);
}

void watch_before_run(struct replay *r, struct vtask *v) {
    uint64_t at[WATCH_PLACES] = {0};
    struct space *s = v->space;
    struct watch *w = &r->watch;
    if (!w->on) return;
    bool late = w->ran_at != r->position && (w->client.compared || w->muted);
    if (late && w->client.compared) report_late(r);
    if (late && w->muted) {
        struct watch_word before[WATCH_PLACES];
        memcpy(before, r->watch.words, sizeof before);
        r->watch.muted = false;
        r->watch.in_vain = 0;
        for (size_t i = 0; i < r->space_count; i++)
            watch_arm(r, r->spaces[i]);
        memcpy(r->watch.words, before, sizeof before);
        report_late(r);
    }
    w->ran = v->pub.tid;
    w->ran_at = r->position;
    if (!w->shared || w->client.compared || w->muted) return;
    // What no instruction wrote: a write to the file, a robust mutex whose owner has ended.
    if (read_value(r, s, &r->watch.words[0]) != r->watch.words[0].value) report(r, v, true, 0);
    int count = places_of(r, s, at);
    bool same = count == (s->watched ? s->watch_count : 0) && !memcmp(at, s->watch_at, sizeof at);
    if (!same && (count || s->watched)) arm_places(r, s, at, count);
}

void watch_hit_now(struct replay *r, struct vtask *v) {
    struct space *s = v->space;
    uint64_t fired = s->watch_fired;
    s->watch_fired = 0;
    if (!s->watch_pages) {
        fired = (uint64_t)ptrace(PTRACE_PEEKUSER, s->pid, offsetof(struct user, u_debugreg) + 8 * 6, 0) & 0xf;
        poke(s, 6, 0); // DR6 is sticky
    }
    report(r, v, false, fired);
}

void watch_before_kernel_write(struct replay *r) {
    if (r->watch.client.compared) report_late(r);
}

void watch_kernel_write(struct replay *r, struct vtask *v, struct space *s, uint64_t address, size_t len) {
    uint64_t at[WATCH_PLACES];
    int count = places_of(r, s, at);
    for (int i = 0; i < count; i++) {
        if (address >= at[i] + (uint64_t)word_at(r, i)->len || address + len <= at[i]) continue;
        report(r, v, true, 0);
        return;
    }
}

void watch_forked(struct replay *r, struct space *from, struct space *to) {
    (void)r, (void)from;
    // fork does not inherit debug registers, although PEEKUSER shows stale ones.
    to->watched = false;
    to->watch_count = 0;
}

static bool bad_length(uint64_t address, int len) {
    return len < 1 || len > 8 || len & (len - 1) || address % (uint64_t)len;
}

static void arm_all(struct replay *r) {
    for (size_t i = 0; i < r->space_count; i++)
        watch_arm(r, r->spaces[i]);
}

int replay_watch_words(struct replay *r, int tid, const struct watch_word *words, size_t count,
                       struct watch_client client, struct rf_error *err) {
    struct vtask *v = vtask_find(r, tid);
    if (!v || !v->space) return rf_fail(err, RF_CANNOT, "task %d does not exist at this event", tid);
    if (!count || count > WATCH_PLACES)
        return rf_fail(err, RF_CANNOT, "cannot watch %zu words at once: the CPU watches %d", count,
                       WATCH_PLACES);
    for (size_t i = 0; i < count; i++)
        if (bad_length(words[i].address, words[i].len))
            return rf_fail(err, RF_CANNOT, "cannot watch %d bytes at 0x%llx", words[i].len,
                           (unsigned long long)words[i].address);
    r->watch = (struct watch){.on = true, .count = count, .space = v->space->id, .client = client};
    memcpy(r->watch.words, words, count * sizeof *words);
    arm_all(r);
    if (!client.compared && !v->space->watched)
        return rf_fail_errno(err, RF_CANNOT, "the kernel refused a hardware watchpoint");
    return 0;
}

int replay_watch(struct replay *r, int tid, uint64_t address, int len, struct watch_client client,
                 struct rf_error *err) {
    return replay_watch_words(r, tid, &(struct watch_word){.address = address, .len = len}, 1, client, err);
}

int replay_watch_shared(struct replay *r, uint64_t identity, uint64_t offset, int len,
                        struct watch_client client, struct rf_error *err) {
    if (bad_length(offset, len))
        return rf_fail(err, RF_CANNOT, "cannot watch %d bytes at offset 0x%llx of shared memory", len,
                       (unsigned long long)offset);
    r->watch = (struct watch){.on = true, .shared = true, .count = 1, .identity = identity, .client = client};
    struct watch_word *w = &r->watch.words[0];
    *w = (struct watch_word){.address = offset, .len = len};
    space_shared_read(r, identity, offset, &w->value, (size_t)len); // 0 before it is mapped
    arm_all(r);
    return 0;
}

void replay_unwatch(struct replay *r) {
    r->watch = (struct watch){0};
    arm_all(r);
}

void replay_watch_seldom(struct replay *r, uint64_t most) {
    r->watch.seldom = true;
    r->watch.most = most;
}

bool replay_watch_gave_up(const struct replay *r) {
    return r->watch.gave_up;
}

void replay_watch_all_writes(struct replay *r) {
    r->watch.all = true;
}
