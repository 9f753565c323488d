// Smaller parts of the TUI: reports of the mouse, times, the order of lanes.
#include "tui/keys.h"
#include "tui/lane_rows.h"
#include "tui/layout.h"
#include "tui/marks.h"
#include "tui/model.h"
#include "tui/moment.h"
#include "tui/terminal/mouse.h"
#include "tui/pointer.h"
#include "tui/view.h"
#include "tui/work.h"
#include "tests/tui/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void work(struct tui_model *m) {
    while (tui_model_work(m))
        continue;
}

static void press(struct tui_model *m, const char *script) {
    int key;
    struct rf_error err = {0};
    while (tui_key_script(&script, &key, &err) == 1)
        tui_model_key(m, key);
    assert_int_equal(err.status, 0);
    work(m);
}

static void test_mouse(void **state) {
    (void)state;
    static const struct {
        const char *report;
        int key, y, x;
    } cases[] = {
        {"0;1;1M", TUI_KEY_CLICK, 0, 0},
        {"0;301;50M", TUI_KEY_CLICK, 49, 300}, // further right than one byte can say
        {"4;3;2M", TUI_KEY_CLICK, 1, 2},       // with shift, where the terminal lets it through
        {"64;3;2M", TUI_KEY_WHEEL_UP, 1, 2},
        {"65;3;2M", TUI_KEY_WHEEL_DOWN, 1, 2},
        {"0;3;2m", TUI_KEY_NONE, 0, 0},  // released
        {"2;3;2M", TUI_KEY_NONE, 0, 0},  // the right button
        {"32;3;2M", TUI_KEY_NONE, 0, 0}, // moved
        {"0;0;2M", TUI_KEY_NONE, 0, 0},
        {"-1;3;2M", TUI_KEY_NONE, 0, 0},
        {"0;3M", TUI_KEY_NONE, 0, 0},
        {"0;3;2Mx", TUI_KEY_NONE, 0, 0},
        {"0;99999999999;2M", TUI_KEY_NONE, 0, 0},
        {"", TUI_KEY_NONE, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int y = 0, x = 0, key = tui_mouse_key(cases[i].report, &y, &x);
        assert_int_equal(key, cases[i].key);
        if (key == TUI_KEY_NONE) continue;
        assert_int_equal(y, cases[i].y);
        assert_int_equal(x, cases[i].x);
    }
}

static void test_moments(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool good;
        uint64_t us;
    } cases[] = {
        {"4.5ms", true, 4500},  {"2s", true, 2000000},
        {"300us", true, 300},   {"+1ms", true, 8000},
        {"-1ms", true, 6000},   {"-1s", true, 0},
        {".5ms", true, 500},    {"1 ms", true, 1000},
        {"1m", true, 60000000}, {"12", false, 0},
        {"ms", false, 0},       {"infs", false, 0},
        {"nanms", false, 0},    {"0x1ms", false, 0},
        {"1msx", false, 0},     {"--1ms", false, 0},
        {"1e300s", false, 0},   {"", false, 0},
        {"1days", false, 0},    {"99999999999999999999s", true, (uint64_t)1e18},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t us = 0;
        assert_int_equal(tui_moment_parse(cases[i].text, 7000, &us), cases[i].good);
        if (cases[i].good) assert_int_equal(us, cases[i].us);
    }
    char text[32];
    tui_moment_text(18125, text, sizeof text);
    assert_string_equal(text, "18.125 ms");
    tui_moment_text(12345678, text, sizeof text);
    assert_string_equal(text, "12.345 s");

    struct fixture *f = fixture_new(FIXTURE_DEADLOCK, 0);
    struct tui_model m;
    tui_model_init(&m, &f->source, 80, 24, 0);
    work(&m);
    for (uint64_t event = 1; event <= f->last; event++) // 425 us each
        assert_int_equal(tui_moment_event(&m, event * 425 + 424), event);
    assert_int_equal(tui_moment_event(&m, 0), 1);
    assert_int_equal(tui_moment_event(&m, UINT64_MAX), f->last);
    tui_model_release(&m);
    fixture_free(f);
}

// The lanes in front: forker, holder, waiter, and the ghost directly below the process that it is in.
static void expect_front(const struct tui_model *m) {
    static const int tids[] = {FIXTURE_MAIN, FIXTURE_WORKER, FIXTURE_CHILD, FIXTURE_WORKER};
    assert_int_equal(m->lanes_front, 4);
    for (size_t i = 0; i < 4; i++) {
        const struct tui_lane *lane = &m->lanes[tui_lane_at(m, i)];
        assert_int_equal(lane->tid, tids[i]);
        assert_int_equal(lane->ghost, i == 3);
        assert_int_equal(lane->pid, i < 2 ? FIXTURE_MAIN : FIXTURE_CHILD);
    }
}

static void test_front_lanes(void **state) {
    (void)state;
    struct fixture *f = fixture_new(FIXTURE_SERVER, 0);
    struct tui_model m;
    tui_model_init(&m, &f->source, 80, 24, 0);
    work(&m);
    expect_front(&m);
    assert_int_equal(tui_lane_rows(&m), 4);
    assert_int_equal(tui_lanes_hidden(&m), FIXTURE_POOL);
    press(&m, "z");
    expect_front(&m);
    assert_int_equal(tui_lanes_hidden(&m), 0);
    press(&m, "zSSS"); // sorted otherwise: still in front, and folded
    assert_int_equal(m.lanes_front, 4);
    assert_int_equal(tui_lanes_hidden(&m), FIXTURE_POOL);
    press(&m, "S:60<Enter>"); // the focus in a task that is folded away: shown as well
    assert_int_equal(tui_lane_rows(&m), 5);
    assert_int_equal(m.lanes[tui_lane_at(&m, 4)].tid, m.focus.tid);
    press(&m, "T!2007<Enter>");
    for (size_t i = 0; i < m.match_count; i++)
        assert_int_not_equal(fixture_tid(f, m.matches[i]), 2007);
    assert_true(m.match_count > 100);
    press(&m, "Tno such task<Enter>"); // nothing changes
    assert_string_equal(m.lane_filter, "!2007");
    assert_true(m.message_bad);
    press(&m, "<Esc>");
    assert_string_equal(m.lane_filter, "");
    assert_null(m.matches);
    expect_front(&m);
    tui_model_release(&m);
    fixture_free(f);
}

static void test_pointer(void **state) {
    (void)state;
    struct fixture *f = fixture_new(FIXTURE_DEADLOCK, 0);
    struct tui_model m;
    struct tui_screen screen = {0};
    tui_model_init(&m, &f->source, 80, 24, 0);
    tui_screen_resize(&screen, 80, 24);
    work(&m);
    tui_view_draw(&m, &screen);
    // The heading of the stack names the locks at its right end
    const struct tui_slot *stack = NULL;
    for (int i = 0; i < m.layout.count; i++)
        if (m.layout.slots[i].shown == TUI_STACK) stack = &m.layout.slots[i];
    assert_non_null(stack);
    char others[120];
    tui_slot_others(&m, stack, others, sizeof others);
    int y = stack->y, x = stack->x + TUI_OTHERS_AT(stack, others) + (int)(strstr(others, "Locks") - others);
    tui_pointer_click(&m, y, x);
    assert_int_equal(m.pane, TUI_LOCKS);
    tui_view_draw(&m, &screen);
    for (int i = 0; i < m.layout.count; i++) // ... and the locks name the stack
        if (m.layout.slots[i].shown == TUI_LOCKS) stack = &m.layout.slots[i];
    tui_slot_others(&m, stack, others, sizeof others);
    x = stack->x + TUI_OTHERS_AT(stack, others) + (int)(strstr(others, "5") - others);
    tui_pointer_click(&m, y, x);
    assert_int_equal(m.pane, TUI_STACK);
    tui_pointer_click(&m, y + 1, x); // a frame
    assert_int_equal(m.pane, TUI_STACK);
    uint64_t event = m.focus.event;
    const struct tui_slot *events = NULL;
    for (int i = 0; i < m.layout.count; i++)
        if (m.layout.slots[i].shown == TUI_EVENTS) events = &m.layout.slots[i];
    assert_non_null(events);
    tui_pointer_wheel(&m, TUI_KEY_WHEEL_UP, events->y + 2, events->x + 2);
    assert_int_equal(m.pane, TUI_EVENTS);
    assert_int_equal(m.focus.event, event - 3);
    tui_model_release(&m);
    tui_screen_release(&screen);
    fixture_free(f);
}

static void open_marks(struct tui_model *m, struct fixture *f, const char *path) {
    tui_model_init(m, &f->source, 80, 24, 0);
    tui_marks_open(m, path);
    work(m);
}

static void write_file(const char *path, const char *text) {
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    assert_int_equal(fclose(out), 0);
}

static void test_marks_are_kept(void **state) {
    (void)state;
    char folder[] = "/tmp/refork-test-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/x.marks", folder);
    struct fixture *f = fixture_new(FIXTURE_DEADLOCK, 0);
    struct tui_model m;
    open_marks(&m, f, path); // there is none
    assert_string_equal(m.message, "");
    press(&m, "fma\"athe child is born<Enter>:12<Enter>mz");
    tui_model_release(&m);

    open_marks(&m, f, path);
    assert_int_equal(m.marks[0].place.event, f->fork);
    assert_int_equal(m.marks[0].place.tid, FIXTURE_MAIN);
    assert_string_equal(m.marks[0].note, "the child is born");
    assert_int_equal(m.marks[25].place.event, 12);
    assert_string_equal(m.marks[25].note, "");
    press(&m, "'a");
    assert_int_equal(m.focus.event, f->fork);
    assert_string_equal(m.message, "a: the child is born");
    press(&m, ":1<Enter>:is born<Enter>"); // by the palette
    assert_int_equal(m.focus.event, f->fork);
    press(&m, "\"a<^U><Enter>");
    assert_string_equal(m.marks[0].note, "");
    tui_model_release(&m);

    // What does not belong into such a file: nothing of it is obeyed, nothing of it reaches the terminal
    write_file(path, "# a comment\na 5 1234 a \033[31mred\007 note \xff\nb 99999999 1234 too far\nc 0 1 x\nA "
                     "5 1 x\nd -5 1 x\n"
                     "e 18446744073709551617 1 x\nf 5 -1 x\ng 5 1234x\n\n");
    FILE *more = fopen(path, "a");
    assert_non_null(more);
    for (int i = 0; i < 5000; i++) // a line that is no line
        fputs("h 5 1234 ", more);
    fputs("\nk 7 1234 fine\n", more);
    assert_int_equal(fclose(more), 0);
    open_marks(&m, f, path);
    assert_string_equal(m.marks[0].note, "a ?[31mred? note ?");
    for (int i = 1; i < 26; i++)
        assert_int_equal(m.marks[i].place.event, i == 'k' - 'a' ? 7 : 0);
    press(&m, "p");
    tui_model_release(&m);
    tui_model_init(&m, &f->source, 80, 24, 0);
    tui_marks_open(&m, path);
    assert_non_null(strstr(m.message, "line 3 of"));
    assert_true(m.message_bad);
    tui_model_release(&m);

    // Neither waited for nor written over: what is no file
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    tui_model_init(&m, &f->source, 80, 24, 0);
    tui_marks_open(&m, path);
    assert_true(m.message_bad);
    press(&m, "ma");
    struct stat now;
    assert_int_equal(stat(path, &now), 0);
    assert_true(S_ISFIFO(now.st_mode));
    tui_model_release(&m);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);

    open_marks(&m, f, path); // the folder is gone: a mark lasts until the end
    press(&m, "ma");
    assert_non_null(strstr(m.message, "cannot write"));
    assert_int_equal(m.marks[0].place.event, m.focus.event);
    tui_model_release(&m);
    fixture_free(f);
}

static void test_palette(void **state) {
    (void)state;
    struct fixture *f = fixture_new(FIXTURE_DEADLOCK, 0);
    struct tui_model m;
    open_marks(&m, f, NULL);
    press(&m, ":pane-locks<Enter>");
    assert_int_equal(m.pane, TUI_LOCKS);
    press(&m, "<^P>maximise<Enter>");
    assert_true(m.maximised);
    press(&m, ":back<Enter>:12<Enter>"); // numbers, times and dump are what they were
    assert_false(m.maximised);
    assert_int_equal(m.focus.event, 12);
    press(&m, ":fork<Enter>");
    assert_int_equal(m.focus.event, f->fork);
    press(&m, ":no such command<Enter>");
    assert_true(m.message_bad);
    press(&m, ":quit<Esc>");
    assert_int_equal(m.request, TUI_REQUEST_NONE);
    press(&m, ":quit<Enter>");
    assert_int_equal(m.request, TUI_REQUEST_QUIT);
    tui_model_release(&m);
    fixture_free(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mouse),          cmocka_unit_test(test_moments),
        cmocka_unit_test(test_front_lanes),    cmocka_unit_test(test_pointer),
        cmocka_unit_test(test_marks_are_kept), cmocka_unit_test(test_palette),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
