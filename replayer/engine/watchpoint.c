// A hardware watchpoint on one word, kept over task switches (the debug registers belong to the kernel task,
// so to the space). The CPU does not report kernel writes and no-change writes look like any other: both are
// sorted out here. A word of memory that processes share is watched in each space that maps it, wherever it does.
#include "replayer/engine/watchpoint.h"

#include "core/tracee.h"
#include "replayer/engine/engine.h"
#include "replayer/engine/probes.h"
#include "replayer/engine/space.h"
#include "replayer/engine/vtask.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <unistd.h>

enum { IN_VAIN_MAX = 256 };

static uint64_t read_value(struct replay *r, struct space *s) {
    uint64_t value = 0;
    if (r->watch.shared)
        space_shared_read(r, r->watch.identity, r->watch.address, &value, (size_t)r->watch.len);
    else
        tracee_read(s->pid, s->mem_fd, r->watch.address, &value, (size_t)r->watch.len);
    return value;
}

// Where the word is in this space.
static int places_of(const struct replay *r, const struct space *s, uint64_t at[WATCH_PLACES]) {
    int count = 0;
    if (!r->watch.on) return 0;
    if (!r->watch.shared) {
        at[0] = r->watch.address;
        return s->id == r->watch.space;
    }
    for (size_t i = 0; i < s->map_count && count < WATCH_PLACES; i++) {
        const struct space_map *m = &s->maps[i];
        uint64_t from = m->v.offset, length = m->v.end - m->v.start;
        if (!m->identity || m->identity != r->watch.identity || r->watch.address < from ||
            r->watch.address - from > length - (uint64_t)r->watch.len)
            continue;
        at[count++] = m->v.start + (r->watch.address - from);
    }
    return count;
}

static bool poke(const struct space *s, size_t reg, uint64_t value) {
    return ptrace(PTRACE_POKEUSER, s->pid, offsetof(struct user, u_debugreg) + 8 * reg, value) == 0;
}

static void arm_places(const struct replay *r, struct space *s, const uint64_t at[WATCH_PLACES], int count) {
    // DR7: enable bits 0, 2, 4; RW0 (16-17) 1 = write, LEN0 (18-19) 0 1 3 2 for 1 2 4 8 bytes; 4 bits further for each of the
    // others (Intel SDM vol. 3, 17.2.4).
    static const uint64_t length_code[9] = {[1] = 0, [2] = 1, [4] = 3, [8] = 2};
    uint64_t dr7 = 0;
    if (count) probes_demote_all(s);
    for (int i = 0; i < count; i++) {
        poke(s, (size_t)i, at[i]);
        dr7 |= 1ull << 2 * i | (1 | length_code[r->watch.len] << 2) << (16 + 4 * i);
    }
    if (!poke(s, 7, dr7)) return;
    s->watched = count > 0;
    s->watch_count = count;
    memcpy(s->watch_at, at, sizeof s->watch_at);
}

void watch_arm(struct replay *r, struct space *s) {
    uint64_t at[WATCH_PLACES] = {0};
    int count = places_of(r, s, at);
    if (count || s->watched) arm_places(r, s, at, count);
    if (count && !r->watch.shared) r->watch.value = read_value(r, s);
}

// A task that tries a lock in vain may do so a million times in a slice, and a hit costs 20 us. Nobody else runs in that
// slice, so the lock does not become free in it: the rest of it is not watched, and its outcome is looked at before
// the next one.
static void mute(struct replay *r, struct space *s) {
    if (r->watch.all || ++r->watch.in_vain < IN_VAIN_MAX) return;
    r->watch.muted = true;
    r->watch.muted_at = r->position;
    arm_places(r, s, (const uint64_t[WATCH_PLACES]){0}, 0);
}

static void report(struct replay *r, struct vtask *v, bool kernel) {
    uint64_t now = read_value(r, v->space);
    if (now == r->watch.value && !r->watch.all) { // a failed cmpxchg, or the same value again
        if (!kernel) mute(r, v->space);
        return;
    }
    r->watch.in_vain = 0;
    struct watch_hit hit = {.tid = v->pub.tid,
                            .pid = v->pub.pid,
                            .next_event = r->position + 1,
                            .old_value = r->watch.value,
                            .new_value = now,
                            .from_kernel = kernel,
                            .regs = &v->pub.regs};
    r->watch.value = now;
    if (r->watch.client.hit) r->watch.client.hit(r->watch.client.context, r, &hit);
}

// Of a slice that was not watched to its end: the event that it ended with is the last one.
static void report_late(struct replay *r) {
    struct space *s = space_by_id(r, r->watch.space); // NULL of shared memory, where it is not needed
    struct vtask *wrote = r->have_event ? vtask_find(r, r->event.tid) : NULL;
    if (!wrote || (!s && !r->watch.shared)) return;
    uint64_t now = read_value(r, s);
    if (now == r->watch.value) return;
    struct watch_hit hit = {.tid = wrote->pub.tid,
                            .pid = wrote->pub.pid,
                            .next_event = r->position,
                            .old_value = r->watch.value,
                            .new_value = now,
                            .regs = &wrote->pub.regs};
    r->watch.value = now;
    if (r->watch.client.hit) r->watch.client.hit(r->watch.client.context, r, &hit);
}

void watch_before_run(struct replay *r, struct vtask *v) {
    uint64_t at[WATCH_PLACES] = {0};
    struct space *s = v->space;
    if (r->watch.muted && r->watch.muted_at == r->position) return;
    if (r->watch.muted) {
        uint64_t before = r->watch.value;
        r->watch.muted = false;
        r->watch.in_vain = 0;
        for (size_t i = 0; i < r->space_count; i++)
            watch_arm(r, r->spaces[i]);
        r->watch.value = before;
        report_late(r);
    }
    if (!r->watch.shared) return;
    // What no instruction wrote: a write to the file, a robust mutex whose owner has ended.
    if (read_value(r, s) != r->watch.value) report(r, v, true);
    int count = places_of(r, s, at);
    bool same = count == (s->watched ? s->watch_count : 0) && !memcmp(at, s->watch_at, sizeof at);
    if (!same && (count || s->watched)) arm_places(r, s, at, count);
}

void watch_hit_now(struct replay *r, struct vtask *v) {
    poke(v->space, 6, 0); // DR6 is sticky
    report(r, v, false);
}

void watch_kernel_write(struct replay *r, struct vtask *v, struct space *s, uint64_t address, size_t len) {
    uint64_t at[WATCH_PLACES];
    int count = places_of(r, s, at);
    for (int i = 0; i < count; i++) {
        if (address >= at[i] + (uint64_t)r->watch.len || address + len <= at[i]) continue;
        report(r, v, true);
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

int replay_watch(struct replay *r, int tid, uint64_t address, int len, struct watch_client client,
                 struct rf_error *err) {
    struct vtask *v = vtask_find(r, tid);
    if (!v || !v->space) return rf_fail(err, RF_CANNOT, "task %d does not exist at this event", tid);
    if (bad_length(address, len))
        return rf_fail(err, RF_CANNOT, "cannot watch %d bytes at 0x%llx", len, (unsigned long long)address);
    r->watch =
        (struct watch){.on = true, .address = address, .len = len, .space = v->space->id, .client = client};
    arm_all(r);
    if (!v->space->watched) return rf_fail_errno(err, RF_CANNOT, "the kernel refused a hardware watchpoint");
    return 0;
}

int replay_watch_shared(struct replay *r, uint64_t identity, uint64_t offset, int len,
                        struct watch_client client, struct rf_error *err) {
    if (bad_length(offset, len))
        return rf_fail(err, RF_CANNOT, "cannot watch %d bytes at offset 0x%llx of shared memory", len,
                       (unsigned long long)offset);
    r->watch = (struct watch){
        .on = true, .shared = true, .identity = identity, .address = offset, .len = len, .client = client};
    space_shared_read(r, identity, offset, &r->watch.value, (size_t)len); // 0 before it is mapped
    arm_all(r);
    return 0;
}

void replay_unwatch(struct replay *r) {
    r->watch = (struct watch){0};
    arm_all(r);
}

void replay_watch_all_writes(struct replay *r) {
    r->watch.all = true;
}
