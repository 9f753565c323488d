// The TUI's source over a trace: the index, causes and effects, the texts. Nothing here re-executes, so there
// is no timeline.
#include "core/trace/trace.h"
#include "core/trace/trace_write.h"
#include "tui/recording/timeline_source.h"

#include <linux/futex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

enum { MAIN = 100, THREAD = 101, CHILD = 102 };

static const struct event rows[] = {
    {0}, // events count from 1
    {.kind = EV_EXEC, .tid = MAIN},
    {.kind = EV_ENTER, .tid = MAIN, .nr = SYS_clone3},
    {.kind = EV_BIRTH, .tid = MAIN, .ret = THREAD, .aux = MAIN, .flags = EVF_VM | EVF_THREAD},
    {.kind = EV_SYSCALL, .tid = THREAD, .nr = SYS_set_robust_list},
    {.kind = EV_EXIT, .tid = MAIN, .nr = SYS_clone3, .ret = THREAD},
    {.kind = EV_ENTER,
     .tid = THREAD,
     .nr = SYS_futex,
     .flags = EVF_REGS,
     .regs = {.rdi = 0x1000, .rsi = FUTEX_WAIT | FUTEX_PRIVATE_FLAG}},
    {.kind = EV_SYSCALL,
     .tid = MAIN,
     .nr = SYS_futex,
     .flags = EVF_REGS,
     .ret = 1,
     .regs = {.rdi = 0x2000, .rsi = FUTEX_WAKE | FUTEX_PRIVATE_FLAG}}, // another word
    {.kind = EV_SYSCALL,
     .tid = MAIN,
     .nr = SYS_futex,
     .flags = EVF_REGS,
     .ret = 1,
     .regs = {.rdi = 0x1000, .rsi = FUTEX_WAKE | FUTEX_PRIVATE_FLAG}},
    {.kind = EV_SYSCALL,
     .tid = MAIN,
     .nr = SYS_futex,
     .flags = EVF_REGS,
     .ret = 0,
     .regs = {.rdi = 0x1000, .rsi = FUTEX_WAKE | FUTEX_PRIVATE_FLAG}}, // woke nobody
    {.kind = EV_EXIT, .tid = THREAD, .nr = SYS_futex, .ret = 0},
    {.kind = EV_ENTER, .tid = MAIN, .nr = SYS_clone},
    {.kind = EV_BIRTH, .tid = MAIN, .ret = CHILD, .aux = CHILD},
    {.kind = EV_EXIT, .tid = MAIN, .nr = SYS_clone, .ret = CHILD},
    {.kind = EV_ENTER, .tid = MAIN, .nr = SYS_wait4},
    {.kind = EV_SYSCALL, .tid = CHILD, .nr = SYS_getpid, .ret = -2},
    {.kind = EV_DEATH, .tid = CHILD, .ret = 3, .flags = EVF_LAST},
    {.kind = EV_EXIT, .tid = MAIN, .nr = SYS_wait4, .ret = CHILD},
    {.kind = EV_END, .tid = MAIN, .nr = END_BY_ITSELF},
};
enum { LAST = sizeof rows / sizeof *rows - 1 };

static char path[] = "/tmp/refork-test-XXXXXX";
static struct timeline_source *made;
static const struct tui_source *s;

static int set_up(void **state) {
    (void)state;
    struct trace_writer *w;
    struct trace_header header = {.format = TRACE_FORMAT, .cpu.level = CPU_NATIVE};
    struct rf_error err = {0};
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    if (trace_create(path, &header, -1, &w, &err)) fail_msg("%s", err.text);
    for (int i = 1; i <= LAST; i++) {
        struct event e = rows[i];
        struct piece name = {.kind = PIECE_TEXT, .text = {TEXT_PATH}, .data = "/usr/bin/prog", .len = 13};
        e.time_us = (uint64_t)i * 10;
        e.pieces = e.kind == EV_EXEC ? &name : NULL;
        e.piece_count = e.kind == EV_EXEC;
        if (trace_append(w, &e, &err)) fail_msg("%s", err.text);
    }
    if (trace_finish(w, &err)) fail_msg("%s", err.text);
    if (timeline_source_new(NULL, path, &made, &err)) fail_msg("%s", err.text);
    s = timeline_source_get(made);
    while (s->load(s->context))
        continue;
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    timeline_source_free(made);
    return unlink(path);
}

static void test_tasks(void **state) {
    (void)state;
    static const struct tui_task expected[] = {
        {.tid = MAIN, .pid = MAIN, .name = "prog"},
        {.tid = THREAD, .pid = MAIN, .parent_tid = MAIN, .birth = 3, .name = "prog"},
        {.tid = CHILD, .pid = CHILD, .parent_tid = MAIN, .birth = 12, .death = 16, .name = "prog"},
    };
    assert_int_equal(s->last(s->context), LAST);
    assert_int_equal(s->loaded(s->context), LAST);
    assert_int_equal(s->task_count(s->context), 3);
    for (size_t i = 0; i < 3; i++) {
        struct tui_task task;
        assert_true(s->task(s->context, i, &task));
        assert_memory_equal(&task, &expected[i], sizeof task);
    }
}

static void test_rank_and_select(void **state) {
    (void)state;
    static const int tids[] = {MAIN, THREAD, CHILD};
    for (size_t i = 0; i < 3; i++) {
        uint64_t rank = 0;
        for (uint64_t n = 1; n <= LAST; n++) {
            uint8_t kind = 0;
            rank += rows[n].tid == tids[i];
            assert_int_equal(s->task_rank(s->context, i, n), rank);
            if (rows[n].tid != tids[i]) continue;
            assert_int_equal(s->task_select(s->context, i, rank, &kind), n);
            assert_int_equal(kind, rows[n].kind);
        }
        uint8_t kind;
        assert_int_equal(s->task_select(s->context, i, rank + 1, &kind), 0);
        assert_int_equal(s->task_select(s->context, i, 0, &kind), 0);
    }
}

static void test_landmarks(void **state) {
    (void)state;
    assert_int_equal(s->landmark(s->context, TUI_FORK, 0, 1), 12); // the thread's birth is no fork
    assert_int_equal(s->landmark(s->context, TUI_FORK, 12, 1), 0);
    assert_int_equal(s->landmark(s->context, TUI_FORK, LAST, -1), 12);
    assert_int_equal(s->landmark(s->context, TUI_FORK, 12, -1), 0);
    assert_int_equal(s->landmark(s->context, TUI_BLOCK, 2, 1), 6);
    assert_int_equal(s->landmark(s->context, TUI_BLOCK, 6, -1), 2);
}

static void test_links(void **state) {
    (void)state;
    static const struct {
        uint64_t event, cause, effect;
    } expected[] = {
        {2, 0, 3},   // a call's next event
        {3, 0, 4},   // birth -> the thread's first event
        {4, 3, 0},   // and back
        {5, 2, 0},   // exit -> its enter, past the birth
        {10, 8, 0},  // woken by the call that woke somebody on the same word
        {12, 0, 15}, // fork -> the child's first event
        {17, 16, 0}, // wait4 <- the child's death
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        struct tui_links links;
        s->links(s->context, expected[i].event, &links);
        assert_int_equal(links.cause, expected[i].cause);
        assert_int_equal(links.effect, expected[i].effect);
    }
}

static void test_texts(void **state) {
    (void)state;
    static const struct {
        uint64_t event;
        const char *text;
    } expected[] = {{1, "executes /usr/bin/prog"}, {3, "starts thread 101"},
                    {12, "forks process 102"},     {15, "getpid = -1 ENOENT (No such file or directory)"},
                    {16, "ends with status 3"},    {17, "wait4 = 102"}};
    struct tui_event e;
    for (size_t i = sizeof expected / sizeof *expected; i-- > 0;) { // backwards: each one seeks
        assert_true(s->event(s->context, expected[i].event, &e));
        assert_string_equal(e.text, expected[i].text);
        assert_int_equal(e.time_us, expected[i].event * 10);
    }
    assert_true(s->event(s->context, 12, &e) && e.fork);
    assert_true(s->event(s->context, 3, &e) && !e.fork);
    assert_false(s->event(s->context, 0, &e));
    assert_false(s->event(s->context, LAST + 1, &e));
}

static void test_a_stack_of_nobody(void **state) {
    (void)state;
    struct rf_error err = {0};
    assert_int_equal(s->alive(s->context, 5, CHILD, &err), -1);
    assert_non_null(strstr(err.text, "does not exist yet"));
    assert_int_equal(s->alive(s->context, 17, CHILD, &err), -1);
    assert_non_null(strstr(err.text, "ended at event 16"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tasks),     cmocka_unit_test(test_rank_and_select),
        cmocka_unit_test(test_landmarks), cmocka_unit_test(test_links),
        cmocka_unit_test(test_texts),     cmocka_unit_test(test_a_stack_of_nobody),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
