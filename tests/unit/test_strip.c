// What a stripped recording holds: the bytes of its events and files are looked through.
#include "replayer/strip/strip.h"
#include "replayer/timeline.h"
#include "tests/unit/record_program.h"

#include <stdlib.h>
#include <string.h>

static const char secret[] = "hunter2-is-nobodys-business", used[] = "this-one-is-printed";

static int setup(void **state) {
    (void)state;
    scratch_make();
    return setenv("SECRET", secret, 1) || setenv("USED", used, 1);
}

static int teardown(void **state) {
    (void)state;
    scratch_remove();
    return 0;
}

static bool holds(const char *path, const char *text) {
    struct trace_reader *r;
    struct event e;
    struct rf_error err = {0};
    bool found = false;
    assert_int_equal(trace_open(path, &r, &err), 0);
    assert_int_equal(trace_seek(r, 1, &err), 0);
    while (trace_next(r, &e, &err) == 1)
        for (size_t i = 0; i < e.piece_count; i++)
            found |= e.pieces[i].len && memmem(e.pieces[i].data, e.pieces[i].len, text, strlen(text));
    trace_close(r);
    return found;
}

static const struct variable *variable(const struct stripped *s, const char *name) {
    for (size_t i = 0; i < s->environment.count; i++)
        if (!strcmp(s->environment.variables[i].name, name)) return &s->environment.variables[i];
    return NULL;
}

// The value that nobody looks at goes, the one that the program prints stays; the copy replays with as many events.
static void test_environment(void **state) {
    (void)state;
    const char *from = scratch_path("from.refork"), *to = scratch_path("to.refork");
    assert_int_equal(record_program(built("tests/programs/reads_environment"), NULL, from, 0), strlen(used));
    assert_true(holds(from, secret));
    struct stripped s;
    struct rf_error err = {0};
    if (strip_copy(from, to, true, &s, &err) < 0) fail_msg("%s", err.text);
    assert_true(variable(&s, "SECRET")->out);
    assert_false(variable(&s, "USED")->out);
    assert_true(s.complete);
    assert_false(holds(to, secret));
    assert_true(holds(to, used));
    stripped_release(&s);

    struct timeline *one, *other;
    assert_int_equal(timeline_open(from, &one, &err), 0);
    assert_int_equal(timeline_open(to, &other, &err), 0);
    assert_int_equal(timeline_last(one), timeline_last(other));
    if (timeline_seek(other, timeline_last(other), &err) < 0) fail_msg("%s", err.text);
    timeline_close(one);
    timeline_close(other);
}

// Digests of memory are over the values as well: they stay.
static void test_digests(void **state) {
    (void)state;
    const char *from = scratch_path("from.refork"), *to = scratch_path("to.refork");
    record_program(built("tests/programs/reads_environment"), NULL, from, 1);
    struct stripped s;
    struct rf_error err = {0};
    assert_int_equal(strip_copy(from, to, true, &s, &err), 0);
    assert_false(variable(&s, "SECRET")->out);
    assert_true(holds(to, secret));
    stripped_release(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_digests),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
