// A replay under a debugger: 100 random walks of steps, steps back, runs to breakpoints and back. Where a walk ends, registers and memory
// are those of the straight way from the begin to that place.
#include "replayer/gdb/stops.h"
#include "tests/unit/record_program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { WALKS = 100, MOVES_MOST = 6, CHUNK = 4096 };

enum phase { PHASE_MOVES, PHASE_AWAY, PHASE_BACK };

struct walker {
    struct stops *stops;
    struct timeline *timeline;
    enum phase phase;
    int walks, moves, tid;
    uint64_t random, last, digest, broken; // broken: address of the breakpoint, 0: none
    struct place place;
    unsigned by_reason[16]; // how often each kind of stop came
};

static uint64_t next_random(struct walker *w, uint64_t below) {
    w->random = w->random * 6364136223846793005u + 1442695040888963407u; // Knuth's MMIX
    return (w->random >> 33) % below;
}

static void mix(uint64_t *digest, const void *data, size_t len) {
    const unsigned char *p = data;
    for (size_t i = 0; i < len; i++)
        *digest = (*digest ^ p[i]) * 1099511628211u; // FNV-1a
}

// Registers of the task, and all memory of its process that can be written.
static uint64_t digest_of(struct walker *w, int tid) {
    uint64_t digest = 14695981039346656037u;
    struct user_regs_struct regs = {0};
    struct view view;
    struct rf_error err;
    char bytes[CHUNK];
    assert_true(stops_regs(w->stops, tid, &regs));
    mix(&digest, &regs, sizeof regs);
    assert_int_equal(replay_view(timeline_replay(w->timeline), tid, &view, &err), 0);
    size_t read = 0;
    for (size_t i = 0; i < view.map_count; i++) {
        const struct view_map *m = &view.maps[i];
        if (!(m->prot & PROT_WRITE) || !strcmp(m->name, "[annex]")) continue;
        for (uint64_t at = m->start; at < m->end; at += CHUNK) {
            if (!stops_read(w->stops, tid, at, bytes, sizeof bytes)) continue; // beyond a file's end
            uint64_t any = 0;
            for (size_t k = 0; k < sizeof bytes; k += 8)
                any |= *(uint64_t *)(bytes + k);
            if (!any) continue; // most of a stack
            mix(&digest, &at, sizeof at);
            mix(&digest, bytes, sizeof bytes);
            read++;
        }
    }
    assert_true(read > 0);
    return digest;
}

static struct command move(struct walker *w, int tid) {
    struct user_regs_struct regs;
    uint64_t which = next_random(w, 8);
    if (which < 3) return (struct command){.go = GO_STEP, .tid = tid};
    if (which < 5) return (struct command){.go = GO_STEP_BACK, .tid = tid};
    // A breakpoint where it stands now: forward to the next time that somebody comes here, or back to the time before.
    if (!w->broken && stops_regs(w->stops, tid, &regs) && stops_break(w->stops, tid, regs.rip, true))
        w->broken = regs.rip;
    return (struct command){.go = which < 7 ? GO_ON : GO_BACK, .tid = tid};
}

static struct command somewhere(struct walker *w) {
    return (struct command){.go = GO_EVENT, .event = 1 + next_random(w, w->last - 1)};
}

static struct command stopped(void *context, const struct stop *stop) {
    struct walker *w = context;
    int tid = stop->tid ? stop->tid : stops_some_task(w->stops);
    assert_true(stop->reason < sizeof w->by_reason / sizeof *w->by_reason);
    w->by_reason[stop->reason]++;
    switch (w->phase) {
    case PHASE_MOVES:
        if (tid && w->moves-- > 0) return move(w, tid);
        w->phase = PHASE_AWAY;
        w->place = *stops_place(w->stops);
        w->tid = tid;
        if (tid) w->digest = digest_of(w, tid);
        if (w->broken && tid) stops_break(w->stops, tid, w->broken, false);
        w->broken = 0;
        return somewhere(w);
    case PHASE_AWAY:
        w->phase = PHASE_BACK;
        return (struct command){.go = GO_PLACE, .place = w->place};
    default:
        assert_int_equal(stops_event(w->stops), w->place.event);
        if (w->tid && digest_of(w, w->tid) != w->digest)
            fail_msg("walk %d: another state behind event %llu", w->walks,
                     (unsigned long long)w->place.event);
        if (++w->walks == WALKS) return (struct command){.go = GO_QUIT};
        w->phase = PHASE_MOVES;
        w->moves = 1 + (int)next_random(w, MOVES_MOST);
        return somewhere(w);
    }
}

static bool never(void *context) {
    (void)context;
    return false;
}

static void test_random_walks(void **state) {
    (void)state;
    struct rf_error err = {0};
    struct walker w = {.random =
                           getenv("SEED") ? strtoull(getenv("SEED"), NULL, 10) : 1}; // SEED: another walk
    const char *trace = scratch_path("p.refork");
    assert_int_equal(record_program(built("tests/programs/debugged"), NULL, trace, 0), 0);
    assert_int_equal(timeline_open(trace, &w.timeline, &err), 0);
    w.last = timeline_last(w.timeline);
    struct stops_client client = {stopped, never, &w};
    w.stops = stops_new(w.timeline, &client);
    struct event first;
    assert_int_equal(timeline_event(w.timeline, 1, &first, &err), 0);
    stops_follow(w.stops, first.tid, true);
    if (stops_run(w.stops, 1, &err)) fail_msg("walk %d: %s", w.walks, err.text);
    assert_int_equal(w.walks, WALKS);
    // Each kind of walking was tried.
    assert_true(w.by_reason[STOP_STEP] > 0 && w.by_reason[STOP_BREAKPOINT] > 0);
    stops_free(w.stops);
    timeline_close(w.timeline);
}

// Checkpoints of a program that writes its memory again and again; with a bound there are fewer, and each event can still be gone to.
static void test_bounded_checkpoints(void **state) {
    (void)state;
    struct rf_error err = {0};
    struct timeline *t;
    uint64_t free_bytes, bytes;
    const char *trace = scratch_path("d.refork");
    assert_int_equal(record_program(built("tests/unit/subjects/dirty"), NULL, trace, 0), 0);
    assert_int_equal(timeline_open(trace, &t, &err), 0);
    assert_int_equal(timeline_seek(t, timeline_last(t) - 1, &err), 0);
    size_t free_count = timeline_checkpoints(t, &free_bytes);
    assert_true(free_count > 2 &&
                free_bytes > 8 << 20); // some 60 ms of work lie between two events, 40 ms between checkpoints
    timeline_close(t);
    assert_int_equal(timeline_open(trace, &t, &err), 0);
    timeline_bound_checkpoints(t, free_bytes / 4);
    assert_int_equal(timeline_seek(t, timeline_last(t) - 1, &err), 0);
    size_t count = timeline_checkpoints(t, &bytes);
    assert_true(count >= 1 && count < free_count && bytes < free_bytes);
    for (uint64_t n = timeline_last(t); n > 0; n -= n > 10 ? n / 2 : n) {
        assert_int_equal(timeline_seek(t, n, &err), 0);
        assert_int_equal(timeline_position(t), n);
    }
    timeline_close(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_walks),
                                       cmocka_unit_test(test_bounded_checkpoints)};
    return cmocka_run_group_tests(tests, scratch_set_up, scratch_tear_down);
}
