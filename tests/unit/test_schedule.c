// The schedule file's parser and writer, and the random choices of PCT.
#include "core/random.h"
#include "recorder/plan/schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include <cmocka.h>

static struct schedule parsed(const char *text) {
    struct schedule s;
    struct rf_error err = {0};
    if (schedule_parse(text, strlen(text), "test", &s, &err) < 0) fail_msg("%s: %s", text, err.text);
    return s;
}

static void test_gate(void **state) {
    (void)state;
    struct schedule s = parsed("# a comment\n\n  refork schedule 1 # and another\r\n"
                               "fork at /usr/lib/libx+y.so!start+0x1c hit 3\n"
                               "stage\tat-clone\n"
                               "acquire instruction libc.so.6+0x3b2f1 hit 2 task 4\n"
                               "bound events 77\nbound ms 0x10"); // no newline at the end
    assert_true(s.gate.given);
    assert_true(s.gate.at_site);
    assert_string_equal(s.gate.fork_site.module, "/usr/lib/libx+y.so");
    assert_string_equal(s.gate.fork_site.symbol, "start");
    assert_int_equal(s.gate.fork_site.offset, 0x1c);
    assert_int_equal(s.gate.fork, 3);
    assert_int_equal(s.gate.stage, GATE_AT_CLONE);
    assert_false(s.gate.function);
    assert_string_equal(s.gate.acquire.module, "libc.so.6");
    assert_string_equal(s.gate.acquire.symbol, "");
    assert_int_equal(s.gate.acquire.offset, 0x3b2f1);
    assert_int_equal(s.gate.acquire_hit, 2);
    assert_int_equal(s.gate.acquire_task, 4);
    assert_int_equal(s.gate.bound_events, 77);
    assert_int_equal(s.gate.bound_ms, 16);
    assert_int_equal(s.strategy, STRATEGY_NONE);
    schedule_release(&s);

    s = parsed("refork schedule 1\nfork 1\nacquire instruction libc.so.6+0x3b2f1 word prog!queue+8 hit 2\n");
    assert_true(s.gate.has_word);
    assert_string_equal(s.gate.word.module, "prog");
    assert_string_equal(s.gate.word.symbol, "queue");
    assert_int_equal(s.gate.word.offset, 8);
    assert_int_equal(s.gate.acquire_hit, 2);
    schedule_release(&s);

    s = parsed("refork schedule 1\nfork 1\nacquire function f word 0x55555555a2c0 task 3\n");
    assert_true(s.gate.has_word);
    assert_string_equal(s.gate.word.module, "");
    assert_string_equal(s.gate.word.symbol, "");
    assert_int_equal(s.gate.word.offset, 0x55555555a2c0);
    assert_int_equal(s.gate.acquire_task, 3);
    schedule_release(&s);

    s = parsed("refork schedule 1\nacquire function pthread_mutex_lock\nfork 2\n");
    assert_false(s.gate.has_word);
    schedule_release(&s);

    s = parsed(
        "refork schedule 1\nfork 1\nstage after-acquire\nacquire function f\nfrom prog!+0x10\nfrom g+4\n");
    assert_int_equal(s.gate.stage, GATE_AFTER_ACQUIRE);
    assert_int_equal(s.gate.from_count, 2);
    assert_string_equal(s.gate.from[0].module, "prog");
    assert_int_equal(s.gate.from[0].offset, 0x10);
    assert_string_equal(s.gate.from[1].symbol, "g");
    schedule_release(&s);

    s = parsed("refork schedule 1\nfork 1\nstage after-call clock_nanosleep hit 3 task 2\npark write\n"
               "acquire function f\n");
    assert_int_equal(s.gate.stage, GATE_AFTER_CALL);
    assert_int_equal(s.gate.hold_call, SYS_clock_nanosleep);
    assert_int_equal(s.gate.hold_hit, 3);
    assert_int_equal(s.gate.hold_task, 2);
    assert_true(s.gate.parks_after_call);
    assert_int_equal(s.gate.park_call, SYS_write);
    schedule_release(&s);

    s = parsed("refork schedule 1\nacquire function pthread_mutex_lock\nfork 2\n");
    assert_false(s.gate.parks_after_call);
    assert_int_equal(s.gate.from_count, 0);
    assert_false(s.gate.at_site);
    assert_int_equal(s.gate.fork, 2);
    assert_int_equal(s.gate.stage, GATE_BEFORE_PREPARE);
    assert_true(s.gate.function);
    assert_int_equal(s.gate.acquire_hit, 1);
    assert_int_equal(s.gate.acquire_task, 0);
    assert_int_equal(s.gate.bound_events, GATE_BOUND_EVENTS);
    assert_int_equal(s.gate.bound_ms, GATE_BOUND_MS);
    schedule_release(&s);
}

static void test_strategies(void **state) {
    (void)state;
    struct schedule s =
        parsed("refork schedule 1\npct steps 1000 threads 4 seed 18446744073709551615 depth 3\n");
    assert_int_equal(s.strategy, STRATEGY_PCT);
    assert_int_equal(s.threads, 4);
    assert_int_equal(s.steps, 1000);
    assert_int_equal(s.depth, 3);
    assert_true(s.seed == UINT64_MAX);
    assert_false(s.gate.given);
    schedule_release(&s);
    s = parsed("refork schedule 1\nrandom seed 0\n");
    assert_int_equal(s.strategy, STRATEGY_RANDOM);
    schedule_release(&s);
    s = parsed("refork schedule 1\ndelay delays 0 steps 5 seed 9\n");
    assert_int_equal(s.strategy, STRATEGY_DELAY);
    assert_int_equal(s.seed, 9);
    schedule_release(&s);
    s = parsed(
        "refork schedule 1\nswitches\nswitch 3 2\nswitch 4 1\nswitch 900 7\nyield behind f+1 every 5\n");
    assert_int_equal(s.strategy, STRATEGY_SWITCHES);
    assert_int_equal(s.switch_count, 3);
    assert_int_equal(s.switches[2].step, 900);
    assert_int_equal(s.switches[2].task, 7);
    assert_int_equal(s.yield_count, 1);
    assert_true(s.yields[0].behind);
    assert_int_equal(s.yields[0].every, 5);
    assert_string_equal(s.yields[0].place.symbol, "f");
    schedule_release(&s);
    s = parsed("refork schedule 1\nstint 2 until 40\nsegment 1 until 0x80\nsegment 2 until 41 behind "
               "libc.so.6+0x10\n"
               "segment 1 until 130 at f\nsegment 3 until 1 behind libc.so.6+16\n");
    assert_int_equal(s.strategy, STRATEGY_SEGMENTS);
    assert_int_equal(s.segment_count, 5);
    assert_int_equal(s.segment_place_count, 2);
    assert_int_equal(s.segments[0].place, 0);
    assert_int_equal(s.segments[2].place, 1);
    assert_int_equal(s.segments[3].place, 2);
    assert_int_equal(s.segments[4].place, 1);
    assert_true(s.segment_places[0].behind);
    assert_int_equal(s.segment_places[0].place.offset, 16);
    assert_false(s.segment_places[1].behind);
    assert_string_equal(s.segment_places[1].place.symbol, "f");
    assert_int_equal(s.segments[0].task, 2);
    assert_int_equal(s.segments[0].step, 40);
    assert_int_equal(s.segments[1].step, 128);
    assert_int_equal(s.segments[2].task, 2);
    schedule_release(&s);
    s = parsed("refork schedule 1\nstints\n");
    assert_int_equal(s.strategy, STRATEGY_SEGMENTS);
    assert_int_equal(s.segment_count, 0);
    schedule_release(&s);
}

static void test_places(void **state) {
    (void)state;
    static const struct {
        const char *text, *module, *symbol;
        uint64_t offset;
        const char *again; // as it is written
    } good[] = {
        {"f", "", "f", 0, "f"},
        {"f+16", "", "f", 16, "f+0x10"},
        {"libstdc++.so.6!f", "libstdc++.so.6", "f", 0, "libstdc++.so.6!f"},
        {"libstdc++.so.6+0x10", "libstdc++.so.6", "", 16, "libstdc++.so.6+0x10"},
        {"libstdc++.so.6!operator+", "libstdc++.so.6", "operator+", 0, "libstdc++.so.6!operator+"},
        {"prog!f.part.0+3", "prog", "f.part.0", 3, "prog!f.part.0+0x3"},
        {"prog!+0x1139", "prog", "", 0x1139, "prog!+0x1139"},
        {"/bin/prog+0x1139", "/bin/prog", "", 0x1139, "/bin/prog+0x1139"},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct code_place p, q;
        char text[600];
        assert_true(code_place_parse(good[i].text, &p));
        assert_string_equal(p.module, good[i].module);
        assert_string_equal(p.symbol, good[i].symbol);
        assert_int_equal(p.offset, good[i].offset);
        code_place_format(&p, text, sizeof text);
        assert_string_equal(text, good[i].again);
        assert_true(code_place_parse(text, &q));
        assert_memory_equal(&p, &q, sizeof p);
    }
    static const char *const bad[] = {"", "+0x10", "!f", "lib.so!", "!", "!+1"};
    struct code_place p;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (code_place_parse(bad[i], &p)) fail_msg("'%s' is no place", bad[i]);
    char *longest = malloc(3000);
    memset(longest, 'x', 2999);
    longest[2999] = 0;
    assert_false(code_place_parse(longest, &p));
    free(longest);
}

static void test_errors(void **state) {
    (void)state;
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"", "it is empty"},
        {"\n# nothing\n", "it is empty"},
        {"fork 1\n", "line 1: a schedule begins with the line 'refork schedule 1'"},
        {"refork schedule\n", "line 1: a schedule begins"},
        {"refork schedule 2\n", "line 1: this is version 2; this refork reads version 1"},
        {"refork schedule 1 x\n", "line 1: unexpected 'x'"},
        {"refork schedule 1\n\nforks 1\n", "line 3: unknown word 'forks'"},
        {"refork schedule 1\nfork\n", "line 2: the number of forks is missing"},
        {"refork schedule 1\nfork 0\n", "'0' is no number of forks"},
        {"refork schedule 1\nfork -1\n", "'-1' is no number of forks"},
        {"refork schedule 1\nfork 1x\n", "'1x' is no number of forks"},
        {"refork schedule 1\nfork 99999999999999999999\n", "is no number of forks"},
        {"refork schedule 1\nfork at\n", "line 2: the place is missing"},
        {"refork schedule 1\nfork at !f\n", "'!f' is no place"},
        {"refork schedule 1\nfork 1 2\n", "unexpected '2'"},
        {"refork schedule 1\nfork 1\nfork 2\n", "line 3: a second 'fork'"},
        {"refork schedule 1\nfork 1\n", "'acquire' line; 'acquire' is missing"},
        {"refork schedule 1\nacquire function f\n", "'fork' is missing"},
        {"refork schedule 1\nstage at-clone\n", "'fork' is missing"},
        {"refork schedule 1\nstage later\n",
         "a stage is 'before-prepare', 'at-clone', 'after-acquire' or 'after-call'"},
        {"refork schedule 1\nstage after-call\n", "the name of a system call is missing"},
        {"refork schedule 1\nstage after-call snooze task 1\n", "'snooze' is no system call"},
        {"refork schedule 1\nstage after-call nanosleep hit 2\n", "'task M' is missing"},
        {"refork schedule 1\nstage after-call nanosleep task 0\n", "'0' is no number of a task"},
        {"refork schedule 1\npark 1\n", "'1' is no system call"},
        {"refork schedule 1\nfrom\n", "line 2: the place is missing"},
        {"refork schedule 1\nfrom f\n", "'fork' is missing"},
        {"refork schedule 1\nacquire f\n", "'instruction PLACE' or 'function PLACE'"},
        {"refork schedule 1\nacquire function f hit\n", "the number of hits is missing"},
        {"refork schedule 1\nacquire function f task 0\n", "'0' is no number of a task"},
        {"refork schedule 1\nbound minutes 3\n", "a bound is 'events N' or 'ms N'"},
        {"refork schedule 1\npct threads 4 steps 5 depth 2\n", "'seed N' is missing"},
        {"refork schedule 1\npct threads 4 threads 5 depth 2 seed 1\n", "'steps N' is missing"},
        {"refork schedule 1\npct threads 4 steps 5 depth 65 seed 1\n",
         "'65' is no number of depth from 1 to 64"},
        {"refork schedule 1\nrandom seed 1\nrandom seed 2\n", "line 3: a second strategy"},
        {"refork schedule 1\nrandom seed 1\nswitch 1 1\n", "line 3: a second strategy"},
        {"refork schedule 1\nswitch 5 1\nswitch 5 2\n",
         "line 3: step 5 comes after step 5: steps must ascend"},
        {"refork schedule 1\nsegment 1 40\n", "line 2: a segment is 'TASK until STEP'"},
        {"refork schedule 1\nsegment 1 until 4 at\n", "line 2: the place is missing"},
        {"refork schedule 1\nsegment 1 until 4 f\n", "unexpected 'f'"},
        {"refork schedule 1\nsegment 0 until 4\n", "'0' is no number of a task"},
        {"refork schedule 1\nsegment 1 until\n", "the number of a step is missing"},
        {"refork schedule 1\nswitches\nsegment 1 until 2\n", "line 3: a second strategy"},
        {"refork schedule 1\nyield f\n", "a yield is 'at PLACE' or 'behind PLACE'"},
        {"refork schedule 1\nyield at f every 0\n", "'0' is no number of arrivals"},
        {"refork schedule 1\nfork\x01 1\n", "line 2: a control character (byte 1)"},
        {"refork schedule 1\na b c d e f g h i j k l m\n", "line 2: more than 12 words"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct schedule s;
        struct rf_error err = {0};
        if (schedule_parse(rows[i].text, strlen(rows[i].text), "name", &s, &err) == 0)
            fail_msg("parsed: %s", rows[i].text);
        assert_int_equal(err.status, RF_CANNOT);
        if (!strstr(err.text, rows[i].says)) fail_msg("%s: says %s", rows[i].text, err.text);
        if (!strstr(err.text, "bad schedule 'name'")) fail_msg("does not name the file: %s", err.text);
        assert_null(s.switches);
    }
    struct schedule s;
    struct rf_error err = {0};
    assert_int_equal(schedule_read("/nonexistent/schedule", &s, &err), -1);
    assert_non_null(strstr(err.text, "'/nonexistent/schedule'"));
}

// No byte sequence crashes it; what it takes, it writes and reads back alike.
static void test_garbage(void **state) {
    (void)state;
    static const char *const words[] = {"refork schedule 1\n",
                                        "fork",
                                        "at",
                                        " ",
                                        "1",
                                        "7",
                                        "\n",
                                        "hit",
                                        "acquire",
                                        "word",
                                        "function",
                                        "f+0x10",
                                        "lib.so+1",
                                        "stage at-clone\n",
                                        "stage after-call read task 7\n",
                                        "park write\n",
                                        "from f\n",
                                        "switch 1 1\n",
                                        "segment 1 until 5\n",
                                        "segment 1 until 5 behind f\n",
                                        "bound ms",
                                        "pct threads 3 steps 9 depth 2 seed",
                                        "yield behind",
                                        "every",
                                        "#",
                                        "\xff",
                                        "\t"};
    uint64_t rng = 11;
    int taken = 0;
    for (int round = 0; round < 20000; round++) {
        char text[600] = "refork schedule 1\n";
        for (int n = (int)(random_next(&rng) % 9); n >= 0; n--) {
            strcat(text, words[random_next(&rng) % (sizeof words / sizeof *words)]);
            if (random_next(&rng) % 2) strcat(text, " ");
        }
        struct schedule s, again;
        struct rf_error err = {0};
        if (schedule_parse(text, strlen(text), "x", &s, &err) < 0) continue;
        taken++;
        char *out = NULL, *out2 = NULL;
        size_t len = 0, len2 = 0;
        FILE *f = open_memstream(&out, &len);
        schedule_write(f, &s);
        fclose(f);
        if (schedule_parse(out, len, "x", &again, &err) < 0)
            fail_msg("%s: wrote %s: %s", text, out, err.text);
        f = open_memstream(&out2, &len2);
        schedule_write(f, &again);
        fclose(f);
        assert_string_equal(out, out2);
        free(out);
        free(out2);
        schedule_release(&s);
        schedule_release(&again);
    }
    assert_true(taken > 100);
}

// ---- PCT

static void test_change_points(void **state) {
    (void)state;
    uint64_t points[PCT_DEPTH_MAX], again[PCT_DEPTH_MAX];
    assert_int_equal(pct_change_points(1, 1000, 1, points), 0);
    assert_int_equal(pct_change_points(1, 3, 10, points), 3); // no more than there are steps
    assert_int_equal(points[0], 1);
    assert_int_equal(points[2], 3);
    for (uint64_t seed = 0; seed < 500; seed++) {
        size_t n = pct_change_points(seed, 50, 6, points);
        assert_int_equal(n, 5);
        for (size_t i = 0; i < n; i++) {
            assert_in_range(points[i], 1, 50);
            if (i) assert_true(points[i] > points[i - 1]);
        }
        assert_int_equal(pct_change_points(seed, 50, 6, again), 5);
        assert_memory_equal(points, again, n * sizeof *points);
    }
}

// Each step is as likely as any other: of 20 steps each is chosen 1000 times in 20,000 draws, give or take 5 standard
// deviations (31).
static void test_points_are_uniform(void **state) {
    (void)state;
    uint64_t points[PCT_DEPTH_MAX];
    int count[21] = {0};
    for (uint64_t seed = 0; seed < 20000; seed++) {
        assert_int_equal(pct_change_points(seed, 20, 2, points), 1);
        count[points[0]]++;
    }
    for (int i = 1; i <= 20; i++)
        assert_in_range(count[i], 1000 - 155, 1000 + 155);
}

// All orders of three tasks, each as likely: 1000 of 6000, standard deviation 29.
static void test_priorities(void **state) {
    (void)state;
    int count[3][3] = {{0}}, orders[8] = {0};
    for (uint64_t seed = 0; seed < 6000; seed++) {
        uint64_t p[3];
        pct_priorities(seed, 3, 5, p);
        bool seen[3] = {false};
        for (int i = 0; i < 3; i++) {
            assert_in_range(p[i], 5, 7);
            assert_false(seen[p[i] - 5]);
            seen[p[i] - 5] = true;
            count[i][p[i] - 5]++;
        }
        orders[(p[0] > p[1]) | (p[1] > p[2]) << 1 | (p[0] > p[2]) << 2]++;
    }
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 3; k++)
            assert_in_range(count[i][k], 2000 - 185, 2000 + 185);
    int possible = 0;
    for (int i = 0; i < 8; i++) {
        if (!orders[i]) continue;
        possible++;
        assert_in_range(orders[i], 1000 - 145, 1000 + 145);
    }
    assert_int_equal(possible, 6);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gate),
        cmocka_unit_test(test_strategies),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_change_points),
        cmocka_unit_test(test_points_are_uniform),
        cmocka_unit_test(test_priorities),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
