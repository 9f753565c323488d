// The verdict as text and as JSON, from verdicts made by hand.
#include "replayer/report/json.h"
#include "tests/unit/verdict_samples.h"

static char *text_of(const struct verdict *v, source_line line) {
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    assert_non_null(f);
    report_text(f, v, line, NULL);
    assert_int_equal(fclose(f), 0);
    return text;
}

static json_t *json_of(const struct verdict *v) {
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    assert_non_null(f);
    assert_int_equal(report_json(f, v), 0);
    assert_int_equal(fclose(f), 0);
    json_error_t error;
    json_t *root = json_loads(text, 0, &error);
    if (!root) fail_msg("%s in %s", error.text, text);
    assert_int_equal(text[size - 1], '\n');
    free(text);
    return root;
}

static void test_orphaned(void **state) {
    (void)state;
    struct verdict *v = orphaned();
    char *text = text_of(v, quoted);
    expect_narrow(text);
    ORDER(text, "deadlock: server:", "process 1235", "log_mutex", "thread 1234 'logger'",
          "Finding 1 of 2: cross-process-wait", "(proved)", "consequence", "finding 2: orphaned-lock",
          "Finding 2 of 2: orphaned-lock (proved)", "What is stuck, and where (event 812)",
          "pthread_mutex_lock", "(+2 inside)", "child_work", "server.c:41",
          "41 | pthread_mutex_lock(&log_mutex); /* child */", "Which lock",
          "log_mutex, a pthread_mutex, at 0x404080", "server.c:5", "Who held it", "thread 1234 'logger'",
          "started in", "worker", "vanished at the fork", "Where it was taken (event 600)", "write_log",
          "12 | pthread_mutex_lock(&log_mutex);", "Where the fork was (event 700)", "fork", "main",
          "77 | pid_t pid = fork();", "What to do", "posix_spawn");
    assert_null(strstr(text, "_start"));
    assert_null(strstr(text, "futex_wait"));
    free(text);
    text = text_of(v, NULL); // no source: no quotes
    assert_null(strstr(text, " | "));
    free(text);
    verdict_free(v);
}

static void test_forker_held_it(void **state) {
    (void)state;
    struct verdict *v = orphaned();
    v->findings[1].holder = (struct finding_task){.pid = 1233, .tid = 1233, .name = "server"};
    v->findings[1].holder_is_forker = true;
    v->findings[1].kind = FINDING_SELF_HELD;
    char *text = text_of(v, quoted);
    expect_narrow(text);
    ORDER(text, "deadlock:", "the forking thread itself held", "Who held it",
          "the main thread 'server' of process 1233", "It is the thread that forked");
    assert_null(strstr(text, "vanished"));
    free(text);
    verdict_free(v);
}

static void test_cycle(void **state) {
    (void)state;
    struct verdict *v = cycle();
    char *text = text_of(v, quoted);
    expect_narrow(text);
    ORDER(text, "deadlock:", "atfork-deadlock (likely)", "The cycle",
          "process 9 waits for b_mutex, held by thread 10",
          "thread 10 'other' of process 9 waits for a_mutex, held by the main thread", "The other side",
          "take_a_too", "a_mutex", "take_a");
    free(text);
    json_t *root = json_of(v);
    json_t *edges = json_object_get(json_array_get(json_object_get(root, "findings"), 0), "cycle");
    assert_int_equal(json_array_size(edges), 2);
    json_t *lock = json_object_get(json_array_get(edges, 1), "lock");
    assert_string_equal(json_string_value(json_object_get(lock, "symbol")), "a_mutex");
    json_decref(root);
    verdict_free(v);
}

static void test_healthy(void **state) {
    (void)state;
    struct verdict *v = verdict_of(0);
    char *text = text_of(v, quoted);
    assert_string_equal(text, "no deadlock: server: 4321 events, exited with status 0\n");
    free(text);
    json_t *root = json_of(v);
    assert_true(json_is_false(json_object_get(root, "deadlock")));
    assert_true(json_is_array(json_object_get(root, "findings")));
    assert_int_equal(json_array_size(json_object_get(root, "findings")), 0);
    json_decref(root);
    verdict_free(v);
}

static void test_json(void **state) {
    (void)state;
    struct verdict *v = orphaned();
    json_t *root = json_of(v);
    assert_true(json_is_true(json_object_get(root, "deadlock")));
    json_t *f = json_array_get(json_object_get(root, "findings"), 1);
    const char *kind, *confidence, *address, *lock_kind, *symbol, *name, *start_routine;
    const char *function, *file, *module, *fork_function, *waiting_function;
    int tid, vanished, acquired_event, line, fork_event, waiting_pid, waiting_tid, waiting_event;
    json_error_t error;
    int result = json_unpack_ex(
        f, &error, 0,
        "{s:s, s:s, s:{s:s, s:s, s:s}, s:{s:i, s:s, s:s, s:b}, s:{s:i, s:[{}, {s:s, s:s, s:i, s:s}]},"
        " s:{s:i, s:[{}, {s:s}]}, s:{s:i, s:i, s:i, s:[{s:s}]}}",
        "kind", &kind, "confidence", &confidence, "lock", "address", &address, "kind", &lock_kind, "symbol",
        &symbol, "holder", "tid", &tid, "name", &name, "start_routine", &start_routine, "vanished", &vanished,
        "acquired", "event", &acquired_event, "frames", "function", &function, "file", &file, "line", &line,
        "module", &module, "fork", "event", &fork_event, "frames", "function", &fork_function, "waiting",
        "pid", &waiting_pid, "tid", &waiting_tid, "event", &waiting_event, "frames", "function",
        &waiting_function);
    if (result) fail_msg("%s", error.text);
    assert_string_equal(kind, "orphaned-lock");
    assert_string_equal(confidence, "proved");
    assert_string_equal(address, "0x404080");
    assert_string_equal(lock_kind, "pthread_mutex");
    assert_string_equal(symbol, "log_mutex");
    assert_int_equal(tid, 1234);
    assert_string_equal(name, "logger");
    assert_string_equal(start_routine, "worker");
    assert_true(vanished);
    assert_int_equal(acquired_event, 600);
    assert_string_equal(function, "write_log");
    assert_string_equal(file, "/src/app/server.c");
    assert_int_equal(line, 12);
    assert_string_equal(module, "server");
    assert_int_equal(fork_event, 700);
    assert_string_equal(fork_function, "fork");
    assert_int_equal(waiting_pid, 1235);
    assert_int_equal(waiting_tid, 1235);
    assert_int_equal(waiting_event, 812);
    assert_string_equal(waiting_function, "futex_wait"); // all of libc's frames are there
    assert_int_equal(json_array_size(json_object_get(json_object_get(f, "waiting"), "frames")), 7);
    assert_true(json_is_null(json_object_get(f, "caused_by")));
    json_t *consequence = json_array_get(json_object_get(root, "findings"), 0);
    assert_int_equal(json_integer_value(json_object_get(consequence, "caused_by")), 1);
    assert_true(json_is_null(json_object_get(consequence, "lock")));
    assert_true(json_is_null(json_object_get(consequence, "holder")));
    assert_true(json_is_null(json_object_get(consequence, "acquired")));
    assert_true(json_is_null(json_object_get(consequence, "fork")));
    json_decref(root);
    verdict_free(v);
}

// Names of the recorded program are no text to trust: control characters, no UTF-8, endless.
static void test_hostile_names(void **state) {
    (void)state;
    struct verdict *v = orphaned();
    static char endless[4000], path[3000];
    memset(endless, 'x', sizeof endless - 1);
    memset(path, '/', sizeof path - 1);
    struct finding *f = &v->findings[1];
    strcpy(f->holder.name, "\33[2J\377\1");
    strcpy(f->lock.symbol, "a\33]0;b\a");
    f->waiting.stack.frames[3].function = endless;
    f->waiting.stack.frames[4].file = path;
    f->waiting.stack.frames[4].function = NULL;
    f->waiting.stack.frames[4].module = NULL;
    char *text = text_of(v, quoted);
    expect_narrow(text);
    for (const char *c = text; *c; c++)
        assert_true(*c == '\n' || (unsigned char)*c >= ' ');
    free(text);
    json_t *root = json_of(v);
    json_decref(root);
    verdict_free(v);
    verdict_free(NULL);
}

static void test_nothing_known(void **state) {
    (void)state;
    struct verdict *v = verdict_of(1);
    v->findings[0].kind = FINDING_UNKNOWN_WAIT;
    char *text = text_of(v, quoted);
    expect_narrow(text);
    ORDER(text, "deadlock: server:", "unexplained-wait (likely)", "(no stack)");
    assert_null(strstr(text, "0x0"));
    free(text);
    json_t *root = json_of(v);
    assert_true(
        json_is_null(json_object_get(json_array_get(json_object_get(root, "findings"), 0), "waiting")));
    json_decref(root);
    verdict_free(v);
    FILE *full = fopen("/dev/full", "we");
    assert_non_null(full);
    v = orphaned();
    assert_int_equal(report_json(full, v), -1);
    fclose(full);
    verdict_free(v);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_orphaned),      cmocka_unit_test(test_forker_held_it),
        cmocka_unit_test(test_cycle),         cmocka_unit_test(test_healthy),
        cmocka_unit_test(test_json),          cmocka_unit_test(test_hostile_names),
        cmocka_unit_test(test_nothing_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
