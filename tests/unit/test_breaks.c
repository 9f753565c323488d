// Breakpoints in replay: whatever a client puts in, every step executes and checks what it does without them.
#include "core/elf/lock_sites.h"
#include "core/loop_site.h"
#include "core/probe.h"
#include "core/tracee.h"
#include "replayer/engine/break_hits.h"
#include "replayer/engine/checkpoint.h"
#include "replayer/engine/engine.h"
#include "replayer/engine/probes.h"
#include "replayer/timeline.h"
#include "tests/unit/record_program.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *trace;

static int setup(void **state) {
    (void)state;
    scratch_make();
    trace = scratch_path("p.refork");
    return record_program(built("tests/unit/subjects/disturbing"), NULL, trace, 1);
}

// ---- a client that has a breakpoint on every lock site

struct client {
    struct modules {
        uint64_t blob;
        struct elf_module *elf;
        struct lock_site *sites;
        size_t count;
    } modules[32];
    size_t module_count;
    bool execute;                 // leaves the instruction to the engine
    bool probes;                  // wants notes
    uint64_t strays, notes, seen; // seen: of all accesses that did not fault, in their order
    uint64_t hits, faults, refused, sum;
    uint64_t states, in_stub;
    uint64_t adds, total; // of and in the program's `total`: `lock addq $1`
};

static struct modules *module_of(struct client *c, struct replay *r, uint64_t blob) {
    for (size_t i = 0; i < c->module_count; i++)
        if (c->modules[i].blob == blob) return &c->modules[i];
    assert_true(c->module_count < 32);
    struct modules *m = &c->modules[c->module_count++];
    size_t size;
    const void *image = blobs_get(r, blob, &size);
    *m = (struct modules){.blob = blob};
    if (image && (m->elf = elf_module_parse(image, size)))
        m->sites = elf_module_lock_sites(m->elf, &m->count);
    return m;
}

static void mapped(void *context, struct replay *r, const struct break_mapping *p) {
    struct client *c = context;
    uint64_t bias;
    assert_int_equal(p->map.prot & (PROT_EXEC | PROT_WRITE), PROT_EXEC);
    struct modules *m = p->map.blob ? module_of(c, r, p->map.blob) : NULL;
    if (!m || !m->elf || !elf_module_bias(m->elf, p->map.offset, p->map.start, &bias)) return;
    for (size_t i = 0; i < m->count; i++) {
        uint64_t at = m->sites[i].vaddr + bias;
        if (at < p->map.start || at >= p->map.end) continue;
        const struct break_probe wish = {
            .kind = PROBE_OPERAND, .size = m->sites[i].size <= 8 ? m->sites[i].size : 0, .registers = i % 2};
        if (!replay_probe_add(r, p->space, at, m->sites[i].length, i, c->probes ? &wish : NULL)) c->refused++;
    }
}

static void mix(struct client *c, uint64_t value) {
    c->seen = (c->seen ^ value) * 0x100000001b3ull;
}

// What an instruction did, whoever told of it.
struct access {
    uint64_t address, before, after;
};

static void saw(struct client *c, uint64_t where, const struct access *a) {
    mix(c, where);
    mix(c, a->address);
    mix(c, a->before);
    mix(c, a->after);
}

static enum break_action noted(void *context, struct replay *r, const struct break_notes *n) {
    struct client *c = context;
    for (size_t at = 0, size; at < n->len; at += size) {
        const struct probe_entry *e = (const struct probe_entry *)(n->bytes + at);
        uint64_t address, tag;
        assert_true(replay_probe_of(r, e, n->len - at, &address, &tag, &size));
        c->notes++;
        saw(c, address ^ n->next_event ^ (uint64_t)n->tid, &(struct access){e->address, e->before, e->after});
        if (size > sizeof *e) assert_int_equal(((const uint64_t *)(e + 1))[7] >> 40, n->regs->rsp >> 40);
    }
    return BREAK_EXECUTE;
}

static enum break_action hit(void *context, struct replay *r, struct break_hit *h) {
    struct client *c = context;
    struct atomic_instruction what;
    c->hits++;
    c->in_stub += h->regs->rip != h->address;
    c->sum = (c->sum ^ h->address ^ h->next_event ^ (uint64_t)h->tid) * 0x100000001b3ull;
    assert_true(atomic_decode(h->code, h->code_len, &what));
    if (c->hits % 64 == 0) {
        struct view view;
        struct rf_error err;
        uint8_t there;
        assert_int_equal(replay_view(r, h->tid, &view, &err), 0);
        assert_true(view.read(view.context, h->regs->rip, &there, 1));
        assert_int_equal(there, h->code[0]); // never an int3
    }
    if (c->execute) return BREAK_EXECUTE;
    struct atomic_result result;
    int failed = replay_break_atomic(r, h, &result);
    if (failed) c->faults++;
    if (!failed && what.size <= 8)
        saw(c, h->address ^ h->next_event ^ (uint64_t)h->tid,
            &(struct access){result.address, result.before.low, result.after.low});
    if (!failed && what.size == 8 && what.operation == ATOMIC_ADD && result.operand.low == 1) {
        c->adds++;
        c->total = result.after.low;
    }
    return failed ? BREAK_EXECUTE : BREAK_DONE;
}

static void forget(struct client *c) {
    for (size_t i = 0; i < c->module_count; i++) {
        free(c->modules[i].sites);
        if (c->modules[i].elf) elf_module_free(c->modules[i].elf);
    }
}

// From event 0 to the end, with the digests of `record --paranoid`.
static void whole_replay(struct client *c) {
    struct replay *r;
    struct rf_error err = {0};
    const struct replay_options options = {.paranoid = true};
    const struct break_client client = {
        .mapped = mapped, .hit = hit, .noted = c->probes ? noted : NULL, .context = c};
    if (replay_open(trace, &options, &r, &err) < 0) fail_msg("%s", err.text);
    if (replay_breaks(r, &client, &err) < 0) fail_msg("%s", err.text);
    assert_int_equal(replay_breaks(r, &client, &err), -1); // one client at a time
    int got;
    while ((got = replay_step(r, &err)) > 0)
        c->states += replay_event(r)->kind == EV_STATE;
    if (got < 0) fail_msg("%s", err.text);
    struct break_counts counts;
    replay_break_counts(r, &counts);
    assert_int_equal(counts.hits, c->hits);
    assert_int_equal(counts.steps, c->execute ? c->hits : c->faults);
    c->strays = counts.strays;
    replay_close(r);
    forget(c);
}

static void test_same_outcome(void **state) {
    (void)state;
    struct client carried = {0}, executed = {.execute = true}, probed = {.probes = true};
    whole_replay(&carried);
    // Where the timer finds a thread, and so which instruction of its loop gets the stub, is luck: now and then it is none
    // with a breakpoint.
    for (int tries = 0; tries < 20 && !(carried.states > 0 && carried.in_stub > 0); tries++) {
        assert_int_equal(record_program(built("tests/unit/subjects/disturbing"), NULL, trace, 1), 0);
        carried = (struct client){0};
        whole_replay(&carried);
    }
    whole_replay(&executed);
    whole_replay(&probed);
    assert_true(carried.hits > 5000); // the loops of both threads at the least
    // None of them was missed, although the loop's site is in the middle of all: searches ran comparing stubs, then
    // a counting stub held the instruction.
    assert_int_equal(carried.adds, carried.total);
    assert_true(carried.states > 0 && carried.in_stub > 0);
    assert_int_equal(carried.hits, executed.hits);
    assert_int_equal(carried.sum, executed.sum);
    assert_int_equal(carried.faults, 2);
    assert_int_equal(carried.refused, 0);
    // Nearly all is noted in the process, in the same order, with the same values.
    assert_int_equal(probed.notes + probed.hits + carried.faults - probed.faults, carried.hits);
    assert_int_equal(probed.seen, carried.seen);
    assert_int_equal(probed.refused, 0);
    assert_true(probed.strays >
                64); // `under`: stopped, and from some number on made such that they need not be
    if (probed.hits * 50 > probed.notes) fail_msg("%lu notes, %lu stops", probed.notes, probed.hits);
}

// Switched on and off at any place, over restored checkpoints of either kind.
static void checkpoints(bool probes) {
    struct timeline *t;
    struct rf_error err = {0};
    struct client c = {.probes = probes};
    const struct break_client client = {
        .mapped = mapped, .hit = hit, .noted = probes ? noted : NULL, .context = &c};
    if (timeline_open(trace, &t, &err) < 0) fail_msg("%s", err.text);
    uint64_t last = timeline_last(t), want[17] = {0};
    struct replay_checkpoint *saved[17] = {0};
    assert_int_equal(replay_breaks(timeline_replay(t), &client, &err), 0);
    for (int i = 1; i <= 16; i++) {
        if (timeline_seek(t, last * (uint64_t)i / 16, &err) < 0) fail_msg("%s", err.text);
        want[i] = c.hits + c.notes;
        if (i % 3 == 0) assert_int_equal(replay_breaks(timeline_replay(t), NULL, &err), 0);
        if (replay_save(timeline_replay(t), &saved[i], &err) < 0) fail_msg("%s", err.text);
        if (i % 3 == 0) assert_int_equal(replay_breaks(timeline_replay(t), &client, &err), 0);
    }
    srand(5);
    bool on = true;
    for (int k = 0; k < 40; k++) {
        int i = 1 + rand() % 15;
        if (rand() % 2) {
            assert_int_equal(replay_breaks(timeline_replay(t), on ? NULL : &client, &err), 0);
            on = !on;
        }
        if (replay_restore(timeline_replay(t), saved[i], &err) < 0) fail_msg("%s", err.text);
        uint64_t before = c.hits + c.notes;
        if (timeline_seek(t, last * (uint64_t)(i + 1) / 16, &err) < 0) fail_msg("%s", err.text);
        assert_int_equal(c.hits + c.notes - before, on ? want[i + 1] - want[i] : 0);
    }
    for (int i = 1; i <= 16; i++)
        replay_checkpoint_free(saved[i]);
    timeline_close(t);
    forget(&c);
}

static void test_checkpoints(void **state) {
    (void)state;
    checkpoints(false);
    checkpoints(true);
}

// ---- breakpoints in the bytes that complete the jump of a loop's site

struct short_loop {
    uint64_t at[2], hits[2]; // the instruction under the patch, and the one behind it
    bool probes;
};

static bool find_short_patch(struct short_loop *l) {
    struct replay *r;
    struct rf_error err = {0};
    struct loop_site site = {.patch_len = PROBE_JUMP};
    if (replay_open(trace, &(struct replay_options){0}, &r, &err) < 0) fail_msg("%s", err.text);
    while (site.patch_len >= PROBE_JUMP && replay_step(r, &err) > 0) {
        const struct event *e = replay_event(r);
        const struct piece *p = e->kind == EV_STATE ? event_piece(e, PIECE_SITE, NULL) : NULL;
        if (p) memcpy(&site, p->data, sizeof site);
    }
    replay_close(r);
    l->at[0] = site.address;
    l->at[1] = site.address + site.patch_len;
    return site.patch_len < PROBE_JUMP;
}

static void short_mapped(void *context, struct replay *r, const struct break_mapping *p) {
    struct short_loop *l = context;
    const struct break_probe wish = {.kind = PROBE_CALL, .size = 8};
    for (uint64_t i = 0; i < 2; i++)
        if (l->at[i] >= p->map.start && l->at[i] < p->map.end)
            assert_true(replay_probe_add(r, p->space, l->at[i], 1, i, l->probes && i ? &wish : NULL));
}

static enum break_action short_hit(void *context, struct replay *r, struct break_hit *h) {
    struct short_loop *l = context;
    (void)r;
    l->hits[h->tag]++;
    return BREAK_EXECUTE;
}

static enum break_action short_noted(void *context, struct replay *r, const struct break_notes *n) {
    struct short_loop *l = context;
    for (size_t at = 0, size; at < n->len; at += size) {
        uint64_t address, tag;
        assert_true(replay_probe_of(r, (const struct probe_entry *)(n->bytes + at), n->len - at, &address,
                                    &tag, &size));
        l->hits[tag]++;
    }
    return BREAK_EXECUTE;
}

// `every`: breakpoints come and go at each so many events; 0: they stay.
static void short_replay(struct short_loop *l, unsigned every) {
    struct replay *r;
    struct rf_error err = {0};
    const struct break_client client = {
        .mapped = short_mapped, .hit = short_hit, .noted = l->probes ? short_noted : NULL, .context = l};
    memset(l->hits, 0, sizeof l->hits);
    if (replay_open(trace, &(struct replay_options){.paranoid = true}, &r, &err) < 0)
        fail_msg("%s", err.text);
    int got = replay_breaks(r, &client, &err);
    for (unsigned i = 1; got >= 0 && (got = replay_step(r, &err)) > 0; i++)
        if (every && i % every == 0) got = replay_breaks(r, i / every % 2 ? NULL : &client, &err);
    if (got < 0) fail_msg("%s", err.text);
    replay_close(r);
}

static void test_short_patch(void **state) {
    (void)state;
    struct short_loop l = {0};
    // Which instruction of the loop has the site is luck.
    for (int tries = 0; tries < 20 && !l.hits[0]; tries++) {
        assert_int_equal(record_program(built("tests/unit/subjects/short_loop"), NULL, trace, 0), 0);
        if (find_short_patch(&l)) short_replay(&l, 0);
    }
    const uint64_t turns = 2 * 1500;
    assert_int_equal(l.hits[0], turns);
    assert_int_equal(l.hits[1], turns);
    short_replay(&l, 1);
    short_replay(&l, 7);
    assert_in_range(l.hits[1], 1, turns);
    l.probes = true;
    short_replay(&l, 0);
    assert_int_equal(l.hits[0], turns);
    assert_int_equal(l.hits[1], turns);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_outcome),
        cmocka_unit_test(test_checkpoints),
        cmocka_unit_test(test_short_patch),
    };
    return cmocka_run_group_tests(tests, setup, scratch_tear_down);
}
