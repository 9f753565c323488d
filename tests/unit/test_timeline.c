// The timeline over a real recording: the state after event N is the same whichever way it is reached.
#include "core/tracee.h"
#include "replayer/engine/engine.h"
#include "replayer/timeline.h"
#include "tests/unit/record_program.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *trace;

static int setup(void **state) {
    (void)state;
    scratch_make();
    trace = scratch_path("p.refork");
    return record_program(built("tests/unit/subjects/shared_memory"), NULL, trace, 0);
}

// Everything that a step can change: registers of all tasks and a digest of every address space, shared
// memory included.
static uint64_t state_of(struct timeline *t) {
    struct replay *r = timeline_replay(t);
    uint64_t sum = timeline_position(t);
    for (size_t i = 0; i < replay_task_count(r); i++) {
        struct user_regs_struct regs;
        struct rf_error err;
        const struct replay_task *task = replay_task_at(r, i);
        struct view view;
        if (replay_task_regs(r, task->tid, &regs, &err) < 0 || replay_view(r, task->tid, &view, &err) < 0)
            continue;
        regs.orig_rax = 0;
        for (size_t k = 0; k < sizeof regs / 8; k++)
            sum = sum * 0x100000001b3ull + ((uint64_t *)&regs)[k];
        for (size_t k = 0; k < view.map_count; k++) {
            if (view.maps[k].blob || view.maps[k].end - view.maps[k].start > 1 << 20 ||
                !(view.maps[k].prot & 2))
                continue;
            if (!strcmp(view.maps[k].name, "[annex]")) continue;
            size_t len = view.maps[k].end - view.maps[k].start;
            uint64_t *bytes = malloc(len);
            if (view.read(view.context, view.maps[k].start, bytes, len))
                for (size_t w = 0; w < len / 8; w++)
                    sum = sum * 0x100000001b3ull + bytes[w];
            free(bytes);
        }
    }
    return sum;
}

static void test_back_and_forth(void **state) {
    (void)state;
    struct timeline *t = NULL;
    struct rf_error err = {0};
    if (timeline_open(trace, &t, &err) < 0) fail_msg("%s", err.text);
    uint64_t last = timeline_last(t);
    assert_true(last > 5000);
    enum { POINTS = 40 };
    uint64_t at[POINTS], sum[POINTS];
    for (int i = 0; i < POINTS; i++) {
        at[i] = last * (uint64_t)(i + 1) / POINTS;
        if (timeline_seek(t, at[i], &err) < 0) fail_msg("%s", err.text);
        assert_int_equal(timeline_position(t), at[i]);
        sum[i] = state_of(t);
    }
    srand(7);
    for (int i = 0; i < 120; i++) {
        int k = rand() % POINTS;
        if (timeline_seek(t, at[k], &err) < 0) fail_msg("to %lu: %s", at[k], err.text);
        assert_int_equal(timeline_position(t), at[k]);
        if (state_of(t) != sum[k]) fail_msg("event %lu: another state after seeking back", at[k]);
        if (i % 3 == 0 && at[k] > 20) {
            // one event at a time, back and forth again
            if (timeline_step(t, -15, &err) < 0 || timeline_step(t, 15, &err) < 0) fail_msg("%s", err.text);
            assert_int_equal(state_of(t), sum[k]);
        }
    }
    assert_int_equal(timeline_seek(t, 0, &err), 0);
    assert_int_equal(timeline_position(t), 0);
    assert_int_equal(timeline_step(t, -5, &err), 0);
    assert_int_equal(timeline_seek(t, last + 1000, &err), 0);
    assert_int_equal(timeline_position(t), last);
    timeline_close(t);
}

static void test_events_without_execution(void **state) {
    (void)state;
    struct timeline *t = NULL;
    struct rf_error err = {0};
    struct event e;
    if (timeline_open(trace, &t, &err) < 0) fail_msg("%s", err.text);
    assert_int_equal(timeline_event(t, 1, &e, &err), 0);
    assert_int_equal(e.kind, EV_EXEC);
    assert_int_equal(timeline_event(t, timeline_last(t), &e, &err), 0);
    assert_int_equal(e.kind, EV_END);
    assert_int_equal(timeline_event(t, timeline_last(t) + 1, &e, &err), -1);
    assert_int_equal(timeline_position(t), 0);
    timeline_close(t);
}

static bool stop_at_once(void *context, uint64_t done, uint64_t total) {
    (void)done, (void)total;
    ++*(int *)context;
    return false;
}

static void test_interrupted(void **state) {
    (void)state;
    struct timeline *t = NULL;
    struct rf_error err = {0};
    int calls = 0;
    if (timeline_open(trace, &t, &err) < 0) fail_msg("%s", err.text);
    timeline_set_progress(t, stop_at_once, &calls);
    assert_int_equal(timeline_seek(t, timeline_last(t), &err), -1);
    assert_true(calls == 1);
    assert_string_equal(err.text, "interrupted");
    timeline_set_progress(t, NULL, NULL);
    assert_int_equal(timeline_seek(t, timeline_last(t), &err), 0);
    assert_int_equal(timeline_position(t), timeline_last(t));
    timeline_close(t);
}

// ---- two recordings at once

enum { STATES = 20 };

struct side {
    struct timeline *timeline;
    struct view view; // of the present event, taken before the other side's
    uint64_t at[STATES], sum[STATES];
};

static void open_side(struct side *s, const char *path) {
    struct rf_error err = {0};
    if (timeline_open(path, &s->timeline, &err) < 0) fail_msg("%s: %s", path, err.text);
    for (int i = 0; i < STATES; i++)
        s->at[i] = timeline_last(s->timeline) * (uint64_t)(i + 1) / (STATES + 1);
}

static void go(struct side *s, int i) {
    struct rf_error err = {0};
    if (timeline_seek(s->timeline, s->at[i], &err) < 0) fail_msg("to event %lu: %s", s->at[i], err.text);
}

static bool take_view(struct side *s) {
    struct replay *r = timeline_replay(s->timeline);
    struct rf_error err;
    return replay_view(r, replay_event(r)->tid, &s->view, &err) == 0;
}

// The program's own code, in memory and in the file that the view's owner has of it. Returns how many pages.
static int compare_code(const struct side *s) {
    int pages = 0;
    for (size_t i = 0; i < s->view.map_count; i++) {
        const struct view_map *m = &s->view.maps[i];
        size_t size = 0;
        uint8_t now[4096];
        if (!strstr(m->name, "/subjects/") || !m->blob || !(m->prot & 4)) continue;
        const uint8_t *file = s->view.blob(s->view.context, m->blob, &size);
        assert_non_null(file);
        if (size < m->offset + sizeof now) continue; // the last page is not full
        assert_true(s->view.read(s->view.context, m->start, now, sizeof now));
        assert_memory_equal(now, file + m->offset, sizeof now);
        pages++;
    }
    return pages;
}

// Work is counted, not timed: it ends at the same event however long that takes.
static void test_budget(void **state) {
    (void)state;
    enum { ENOUGH_US = 60000000, SHORT_US = 20000 };
    struct timeline *t = NULL;
    struct rf_error err = {0};
    uint64_t ends[2];
    if (timeline_open(trace, &t, &err) < 0) fail_msg("%s", err.text);
    uint64_t last = timeline_last(t);
    for (int i = 0; i < 2; i++) {
        if (timeline_reset(t, &err) < 0) fail_msg("%s", err.text);
        timeline_set_budget(t, SHORT_US);
        if (i) usleep(SHORT_US); // time that passes is no work
        assert_int_equal(timeline_seek(t, last, &err), -1);
        assert_non_null(strstr(err.text, "too much work"));
        ends[i] = timeline_position(t);
        assert_true(ends[i] > 0 && ends[i] < last);
        assert_true(timeline_set_budget(t, 0));
    }
    assert_int_equal(ends[0], ends[1]);
    timeline_set_budget(t, ENOUGH_US);
    assert_int_equal(timeline_seek(t, last, &err), 0);
    assert_false(timeline_set_budget(t, 0));
    timeline_set_budget(t, SHORT_US);
    timeline_worked(t, SHORT_US, 0);
    assert_int_equal(timeline_report(t, 0, 1, &err), -1);
    assert_true(timeline_set_budget(t, 0));
    timeline_close(t);
}

static void test_two_at_once(void **state) {
    (void)state;
    const char *other = scratch_path("other.refork");
    record_program(built("tests/unit/subjects/private_memory"), NULL, other, 0);
    struct side alone[2] = {0}, both[2] = {0};
    for (int k = 0; k < 2; k++) {
        open_side(&alone[k], k ? other : trace);
        for (int i = 0; i < STATES; i++) {
            go(&alone[k], i);
            alone[k].sum[i] = state_of(alone[k].timeline);
        }
        timeline_close(alone[k].timeline);
        alone[k].timeline = NULL;
    }
    int pages = 0;
    open_side(&both[0], trace);
    open_side(&both[1], other);
    for (int i = 0; i < STATES; i++) {
        for (int k = 0; k < 2; k++)
            go(&both[k], i);
        if (take_view(&both[0]) && take_view(&both[1]))
            pages += compare_code(&both[0]) + compare_code(&both[1]);
        for (int k = 0; k < 2; k++)
            if (state_of(both[k].timeline) != alone[k].sum[i])
                fail_msg("recording %d: another state at event %lu beside the other one", k, both[k].at[i]);
    }
    assert_true(pages > STATES);
    // Back again, and one of them is closed.
    go(&both[1], 0);
    assert_int_equal(state_of(both[1].timeline), alone[1].sum[0]);
    timeline_close(both[1].timeline);
    go(&both[0], 1);
    assert_int_equal(state_of(both[0].timeline), alone[0].sum[1]);
    timeline_close(both[0].timeline);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_back_and_forth), cmocka_unit_test(test_events_without_execution),
        cmocka_unit_test(test_interrupted),    cmocka_unit_test(test_budget),
        cmocka_unit_test(test_two_at_once),
    };
    return cmocka_run_group_tests(tests, setup, scratch_tear_down);
}
