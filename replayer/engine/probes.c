#include "replayer/engine/probes.h"

#include "core/annex.h"
#include "core/stub_code.h"
#include "core/tracee.h"
#include "replayer/engine/engine.h"
#include "replayer/engine/memory.h"
#include "replayer/engine/space_maps.h"

#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

enum {
    STRAYS_MAX = 64, // jumps into the middle of a patch, 5 us each; then it is made in another way
    ANY_FORM = 1 << PROBE_LONG | 1 << PROBE_FOLLOWED | 1 << PROBE_PUNNED,
};

// ---- where there are probes

static void promote(struct space *s, size_t index, unsigned forms) {
    struct planted *p = &s->breaks[index];
    if (!s->ring || !p->wish.size || p->stub || s->watched || p->flags & (PLANTED_COVERED | PLANTED_LIFTED))
        return;
    const struct space_map *map = space_map_at(s, p->address);
    if (!map) return;
    struct probe_request q = {.address = p->address,
                              .len = sizeof q.code,
                              .kind = p->wish.kind,
                              .size = p->wish.size,
                              .registers = p->wish.registers};
    if (map->v.end - p->address < q.len) q.len = map->v.end - p->address;
    if (!space_read(s, p->address, q.code, q.len)) return;
    // No other breakpoint may be in what is displaced, nor under the jump.
    uint64_t room = index + 1 < s->break_count ? s->breaks[index + 1].address - p->address : ~0ull;
    if (room < PROBE_JUMP || q.len < PROBE_JUMP) return;
    struct stub *stub = stub_new(s, &q, forms, room < sizeof q.code ? room : sizeof q.code);
    if (!stub) return;
    stub->program = p->program;
    stub->tag = p->tag;
    p = &s->breaks[index];
    memcpy(p->original, q.code, PROBE_JUMP);
    p->stub = stub;
    planted_put(s, p);
}

void probes_promote(struct space *s, size_t index) {
    promote(s, index, ANY_FORM);
}

void probes_make_way(struct space *s, uint64_t address) {
    if (!s->break_count) return;
    // One whose displaced instructions reach so far has a copy of what is there.
    uint64_t reach = sizeof((struct probe *)0)->original;
    for (size_t i = planted_first(s, address > reach ? address - reach : 0);
         i < s->break_count && s->breaks[i].address <= address; i++) {
        const struct stub *stub = s->breaks[i].stub;
        if (!stub) continue;
        uint64_t displaced = stub->probe.displaced > PROBE_JUMP ? stub->probe.displaced : PROBE_JUMP;
        if (address - s->breaks[i].address < displaced) planted_demote(s, &s->breaks[i]);
    }
}

void probes_demote_all(struct space *s) {
    for (size_t i = 0; i < s->break_count; i++)
        planted_demote(s, &s->breaks[i]);
}

void probes_evict(struct space *s, uint64_t start, uint64_t end) {
    if (!islands_in_the_way(s, start, end)) return;
    probes_demote_all(s);
    islands_leave(s);
    s->stubs_wanted = true;
}

void probes_again(struct space *s) {
    s->stubs_wanted = false;
    for (size_t i = 0; i < s->break_count; i++)
        probes_promote(s, i);
}

// ---- stops

bool replay_probe_of(const struct replay *r, const struct probe_entry *entry, size_t left, uint64_t *address,
                     uint64_t *tag, size_t *size) {
    const struct probe_ring *ring = r->ring;
    const struct stub *stub =
        left >= sizeof *entry && entry->id < ring->stub_count ? ring->stubs[entry->id] : NULL;
    if (!stub) return false;
    *address = stub->program;
    *tag = stub->tag;
    *size = stub->probe.registers ? PROBE_ENTRY_MAX : sizeof *entry;
    return *size <= left;
}

// Before the pause there is room for as many notes as may come, or for the one that finds the ring full.
static void make_room(struct probe_ring *ring, uint64_t event, size_t least) {
    uint64_t room = REPLAY_RING_SIZE;
    if (ring->pause_event == event && ring->pause_left < room / sizeof(struct probe_entry))
        room = ring->pause_left * sizeof(struct probe_entry);
    if (room < least) room = least;
    ring->control->head = ring->start = REPLAY_RING + REPLAY_RING_SIZE - room;
}

void replay_note_pause(struct replay *r, uint64_t index) {
    if (!r->ring) return;
    r->ring->pause_event = r->position + 1;
    r->ring->pause_left = index;
    make_room(r->ring, r->position + 1, 0);
}

static void count_notes(struct replay *r, const struct break_notes *n) {
    uint64_t address, tag, count = 0;
    for (size_t at = 0, size; at < n->len; at += size, count++)
        if (!replay_probe_of(r, (const struct probe_entry *)(n->bytes + at), n->len - at, &address, &tag,
                             &size))
            break;
    r->ring->pause_left -= count < r->ring->pause_left ? count : r->ring->pause_left;
}

// What the ring holds is the program's memory: it may have written anything there.
static int drain(struct replay *r, struct vtask *v, struct rf_error *err) {
    struct probe_ring *ring = r->ring;
    uint64_t start = ring->start, len = ring->control->head - start;
    ring->control->head = ring->start = REPLAY_RING;
    if (len > REPLAY_RING + REPLAY_RING_SIZE - start)
        return rf_fail(err, RF_DIVERGED,
                       "replay diverged: task %d wrote into memory of refork's own, which no recording has",
                       v->pub.tid);
    const struct break_notes notes = {.tid = v->pub.tid,
                                      .pid = v->pub.pid,
                                      .space = v->space->id,
                                      .next_event = r->position + 1,
                                      .regs = &v->pub.regs,
                                      .bytes = ring->bytes + (start - REPLAY_RING),
                                      .len = len};
    if (ring->pause_event == notes.next_event) count_notes(r, &notes);
    if (!r->breaks.on || !r->breaks.client.noted) return 0;
    if (r->breaks.client.noted(r->breaks.client.context, r, &notes) == BREAK_STOP)
        return rf_fail(err, RF_CANNOT, "interrupted");
    return 0;
}

// A jump led into the middle of a patch: on at the copy of that instruction.
static bool is_stray(struct replay *r, struct vtask *v, uint64_t at) {
    struct space *s = v->space;
    struct planted *p = s->break_count ? planted_over(s, at) : NULL;
    uint64_t copy =
        p && p->stub && p->address != at && planted_in_memory(p) ? probe_copy(&p->stub->probe, at) : 0;
    if (!copy) return false;
    r->breaks.counts.strays++;
    v->pub.regs.rip = copy;
    if (++p->stub->strays < STRAYS_MAX) return true;
    v->pub.regs.rip = at;
    planted_demote(s, p);
    promote(s, (size_t)(p - s->breaks), 1 << PROBE_PUNNED);
    return true;
}

static void pause_here(struct replay *r, struct vtask *v, const struct stub *stub) {
    r->ring->pause_event = 0;
    make_room(r->ring, 0, 0);
    const struct break_hit hit = {.tid = v->pub.tid,
                                  .pid = v->pub.pid,
                                  .space = v->space->id,
                                  .next_event = r->position + 1,
                                  .address = stub->program,
                                  .tag = stub->tag,
                                  .regs = &v->pub.regs};
    if (r->breaks.client.paused) r->breaks.client.paused(r->breaks.client.context, r, &hit);
}

static int in_stub(struct replay *r, struct vtask *v, const struct stub *stub) {
    struct user_regs_struct *u = &v->pub.regs;
    struct probe_control *control = r->ring->control;
    uint64_t program;
    switch (probe_stopped(&stub->probe, u->rip, &program)) {
    case PROBE_FULL:
        if (r->ring->pause_event == r->position + 1 && !r->ring->pause_left) {
            u->rax = control->rax;
            u->rcx = control->rcx;
            u->rip = program;
            pause_here(r, v, stub);
            return 1;
        }
        make_room(r->ring, r->position + 1,
                  stub->probe.registers ? PROBE_ENTRY_MAX : sizeof(struct probe_entry));
        u->rcx = control->head; // it has just been emptied
        return 1;
    case PROBE_READ:
        if (stub->probe.kind == PROBE_CALL) { // not the program's access: there is no return address
            u->rax = 0;
            u->rip += 4;
            return 1;
        }
        u->rax = control->rax;
        u->rcx = control->rcx;
        u->rip = program;
        return 0;
    case PROBE_PROGRAM:
        u->rip = program;
        return 0;
    default:
        return 0;
    }
}

int probes_stopped(struct replay *r, struct vtask *v, int status, struct rf_error *err) {
    struct space *s = v->space;
    if (r->ring->control->head != r->ring->start && drain(r, v, err) < 0) return -1;
    bool pause = r->ring->pause_event && r->ring->pause_event != r->position + 1;
    if (pause) r->ring->pause_event = 0; // there were not so many
    if (r->ring->pause_event && r->ring->control->head == REPLAY_RING) make_room(r->ring, r->position + 1, 0);
    int sig = WSTOPSIG(status);
    if (status >> 16 || !s->island_count || sig == (SIGTRAP | 0x80)) return 0;
    if (sig == SIGTRAP && is_stray(r, v, v->pub.regs.rip - 1)) return 1;
    if (sig == SIGILL && is_stray(r, v, v->pub.regs.rip)) return 1;
    const struct stub *stub = stub_at(s, v->pub.regs.rip);
    siginfo_t info;
    // sent from outside: the task goes on where it is
    if (!stub || sig == SIGTRAP || ptrace(PTRACE_GETSIGINFO, s->pid, 0, &info) < 0 || info.si_code <= 0)
        return 0;
    return in_stub(r, v, stub);
}
