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

static const char program[] =
    "#include <pthread.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n"
    "#include <sys/mman.h>\n#include <sys/wait.h>\n#include <unistd.h>\n"
    "static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER; static long total; static long *shared;\n"
    "static void *work(void *x) { for (int i = 0; i < 200; i++) { char *p = malloc(5000 + i);\n"
    " memset(p, i, 5000); pthread_mutex_lock(&m); total += p[i]; ++*shared; if (i % 20 == 0) usleep(100);\n"
    " pthread_mutex_unlock(&m); free(p); } return x; }\n"
    "int main(void) { shared = mmap(0, 4096, 3, MAP_SHARED | MAP_ANONYMOUS, -1, 0); pthread_t t[4];\n"
    " for (int i = 0; i < 4; i++) pthread_create(&t[i], 0, work, 0);\n"
    " for (int i = 0; i < 3; i++) { fflush(stdout); pid_t c = fork();\n"
    "  if (!c) { for (int k = 0; k < 300; k++) { *shared += k; getppid(); } _exit(i); }\n"
    "  int s; waitpid(c, &s, 0); }\n"
    " for (int i = 0; i < 4; i++) pthread_join(t[i], 0);\n"
    " for (int i = 0; i < 4000; i++) getppid();\n"
    " printf(\"%ld %ld\\n\", total, *shared); return 0; }\n";

static int setup(void **state) {
    (void)state;
    scratch_make();
    compile_program("-O1", program);
    trace = scratch_path("p.refork");
    return record_program(NULL, trace, 0);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_back_and_forth),
        cmocka_unit_test(test_events_without_execution),
        cmocka_unit_test(test_interrupted),
    };
    return cmocka_run_group_tests(tests, setup, scratch_tear_down);
}
