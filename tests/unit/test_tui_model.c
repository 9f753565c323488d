// The model of the TUI without curses, over the fixture.
#include "tui/actions.h"
#include "tui/find.h"
#include "tui/lanes.h"
#include "tui/layout.h"
#include "tui/model.h"
#include "tui/pointer.h"
#include "tui/screen.h"
#include "tui/story.h"
#include "tui/view.h"
#include "tui/work.h"
#include "tests/tui/fixture.h"
#include "tui/keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct bench {
    struct fixture *fixture;
    struct tui_model model;
    struct tui_screen screen;
};

static void open_bench(struct bench *b, enum fixture_kind kind, uint64_t tail, int cols, int rows) {
    *b = (struct bench){.fixture = fixture_new(kind, tail)};
    tui_screen_resize(&b->screen, cols, rows);
    tui_model_init(&b->model, &b->fixture->source, cols, rows, 0);
    while (tui_model_work(&b->model))
        continue;
}

static void close_bench(struct bench *b) {
    tui_model_release(&b->model);
    tui_screen_release(&b->screen);
    fixture_free(b->fixture);
}

static void press(struct bench *b, const char *script) {
    int key;
    struct rf_error err = {0};
    while (tui_key_script(&script, &key, &err) == 1)
        tui_model_key(&b->model, key);
    assert_int_equal(err.status, 0);
    while (tui_model_work(&b->model))
        continue;
}

static void test_opens_at_the_verdict(void **state) {
    (void)state;
    struct bench b;
    open_bench(&b, FIXTURE_DEADLOCK, 0, 80, 24);
    assert_int_equal(b.model.focus.event, b.fixture->wait);
    assert_int_equal(b.model.focus.tid, FIXTURE_CHILD);
    assert_string_equal(b.model.frames[b.model.focus.frame].function, "main"); // not libc's frames above it
    assert_int_equal(b.model.story.lines[0].sort, TUI_STORY_STUCK);
    assert_non_null(strstr(b.model.story.lines[0].text, "log_mutex"));
    assert_non_null(strstr(b.model.story.lines[0].text, "worker (1235)"));
    close_bench(&b);
}

static void test_every_kind_has_a_heading(void **state) {
    (void)state;
    struct bench b;
    open_bench(&b, FIXTURE_DEADLOCK, 0, 80, 24);
    for (int kind = 0; kind <= FINDING_UNKNOWN_WAIT; kind++) {
        b.fixture->finding.kind = (enum finding_kind)kind;
        tui_story_build(&b.model);
        const char *heading = b.model.story.lines[0].text;
        assert_non_null(strstr(heading, "(proved)"));
        assert_null(strpbrk(heading, "{}"));
    }
    close_bench(&b);
}

static void test_steps_and_ends(void **state) {
    (void)state;
    struct bench b;
    open_bench(&b, FIXTURE_DEADLOCK, 0, 80, 24);
    uint64_t last = b.fixture->last;
    press(&b, "p");
    assert_int_equal(b.model.focus.event, b.fixture->wait - 1);
    press(&b, "nnnnnnnn");
    assert_int_equal(b.model.focus.event, last);
    assert_non_null(strstr(b.model.message, "last event"));
    press(&b, ":1<Enter>p");
    assert_int_equal(b.model.focus.event, 1);
    press(&b, ":99999999999999999999<Enter>");
    assert_int_equal(b.model.focus.event, 1); // an event that is not there moves nothing
    assert_true(b.model.message_bad);
    press(&b, ":0<Enter>");
    assert_int_equal(b.model.focus.event, 1);
    press(&b, ":x<Enter>");
    assert_true(b.model.message_bad);
    close_bench(&b);
}

static void test_jumps(void **state) {
    (void)state;
    struct bench b;
    open_bench(&b, FIXTURE_DEADLOCK, 0, 80, 24);
    press(&b, "f");
    assert_int_equal(b.model.focus.event, b.fixture->fork);
    press(&b, "f");
    assert_string_equal(b.model.message, "this is the only fork");
    press(&b, "a");
    assert_int_equal(b.model.focus.event, b.fixture->acquire);
    assert_int_equal(b.model.focus.tid, FIXTURE_WORKER);
    press(&b, "b");
    assert_int_equal(b.model.focus.event, b.fixture->wait);
    press(&b, "b"); // the only waits after it are before it: around the end
    assert_true(b.model.focus.event < b.fixture->wait);
    press(&b, "v");
    assert_int_equal(b.model.focus.event, b.fixture->wait);
    press(&b, "e");
    assert_int_equal(b.model.focus.event, b.fixture->acquire);
    press(&b, "e");
    assert_int_equal(b.model.focus.event, b.fixture->fork);
    press(&b, "E");
    assert_int_equal(b.model.focus.event, b.fixture->acquire);
    close_bench(&b);
}

static void test_jumps_without_verdict(void **state) {
    (void)state;
    struct bench b;
    open_bench(&b, FIXTURE_FAILS, 0, 80, 24);
    assert_int_equal(b.model.verdict_state, TUI_VERDICT_FAILED);
    assert_non_null(strstr(b.model.story.lines[0].text, "diverged at event 40"));
    press(&b, "f");
    assert_int_equal(b.model.focus.event, b.fixture->fork);
    press(&b, "a");
    assert_true(b.model.message_bad);
    press(&b, "e");
    assert_true(b.model.message_bad);
    b.fixture->kind = FIXTURE_DEADLOCK; // now it works: v tries again
    press(&b, "v");
    assert_int_equal(b.model.verdict_state, TUI_VERDICT_DONE);
    close_bench(&b);
}

static void test_task_steps(void **state) {
    (void)state;
    struct bench b;
    open_bench(&b, FIXTURE_DEADLOCK, 0, 80, 24);
    press(&b, "a,");
    assert_int_equal(b.fixture->rows[b.model.focus.event].tid, FIXTURE_WORKER);
    uint64_t before = b.model.focus.event;
    press(&b, ".");
    assert_true(b.model.focus.event > before);
    assert_int_equal(b.model.focus.tid, FIXTURE_WORKER);
    press(&b, ".");
    assert_non_null(strstr(b.model.message, "no event after this one"));
    close_bench(&b);
}

static void test_causality(void **state) {
    (void)state;
    struct bench b;
    open_bench(&b, FIXTURE_DEADLOCK, 0, 80, 24);
    press(&b, "["); // a wait for ever is caused by the acquire
    assert_int_equal(b.model.focus.event, b.fixture->acquire);
    press(&b, "f]");
    assert_int_equal(b.model.focus.tid, FIXTURE_CHILD);
    press(&b, "[");
    assert_int_equal(b.model.focus.event, b.fixture->fork);
    close_bench(&b);
    open_bench(&b, FIXTURE_CLEAN, 0, 80, 24);
    press(&b, "a]"); // acquire to release
    assert_int_equal(b.model.focus.event, b.fixture->spans[0].to);
    close_bench(&b);
}

static void test_search_owns_n_until_esc(void **state) {
    (void)state;
    struct bench b;
    open_bench(&b, FIXTURE_DEADLOCK, 0, 80, 24);
    press(&b, ":1<Enter>/openat<Enter>");
    assert_int_equal(b.model.focus.event, 3);
    press(&b, "n");
    assert_int_equal(b.model.focus.event, 7);
    press(&b, "N");
    assert_int_equal(b.model.focus.event, 3);
    press(&b, "<Esc>n");
    assert_int_equal(b.model.focus.event, 4);
    press(&b, "/no such thing<Enter>");
    assert_int_equal(b.model.focus.event, 4);
    assert_true(b.model.message_bad);
    close_bench(&b);
}

static void test_filter_hides_and_gives_back(void **state) {
    (void)state;
    struct bench b;
    open_bench(&b, FIXTURE_DEADLOCK, 0, 80, 24);
    uint64_t all = tui_event_rows(&b.model), with, without;
    press(&b, "Fmmap<Enter>");
    with = tui_event_rows(&b.model);
    assert_int_equal(with, 10);
    press(&b, "3g");
    assert_int_equal(b.model.focus.event, 5);
    press(&b, "j");
    assert_int_equal(b.model.focus.event, 9);
    press(&b, "n"); // a step is one event, filter or not
    assert_int_equal(b.model.focus.event, 10);
    press(&b, "j"); // from a hidden event to the next one shown
    assert_int_equal(b.model.focus.event, 13);
    press(&b, "F!mmap<Enter>");
    without = tui_event_rows(&b.model);
    assert_int_equal(with + without, all);
    press(&b, "Fno such thing<Enter>");
    assert_int_equal(tui_event_rows(&b.model), without);
    press(&b, "<Esc>");
    assert_int_equal(tui_event_rows(&b.model), all);
    close_bench(&b);
}

static void test_marks(void **state) {
    (void)state;
    struct bench b;
    open_bench(&b, FIXTURE_DEADLOCK, 0, 80, 24);
    press(&b, "ma:3<Enter>'a");
    assert_int_equal(b.model.focus.event, b.fixture->wait);
    press(&b, "''");
    assert_int_equal(b.model.focus.event, 3);
    press(&b, "'z");
    assert_true(b.model.message_bad);
    press(&b, "m1");
    assert_true(b.model.message_bad);
    close_bench(&b);
}

static void test_locks_at_the_focus(void **state) {
    (void)state;
    struct bench b;
    size_t held[8];
    open_bench(&b, FIXTURE_DEADLOCK, 0, 80, 24);
    assert_int_equal(tui_held(&b.model, held, 8), 2); // the worker's in the parent, the ghost's in the child
    press(&b, "ap");
    assert_int_equal(tui_held(&b.model, held, 8), 0);
    press(&b, "n");
    assert_int_equal(tui_held(&b.model, held, 8), 1);
    close_bench(&b);
}

// Many spans on one lane, one of them long: asked for by event, as a loop over all of them says.
static void test_spans_by_event(void **state) {
    (void)state;
    enum { SPANS = 37 };
    struct bench b;
    struct held_span spans[SPANS];
    open_bench(&b, FIXTURE_DEADLOCK, 0, 80, 24);
    for (int i = 0; i < SPANS; i++) {
        uint64_t from = 1 + (uint64_t)(i * 17 % SPANS), length = i == 5 ? 30 : 1 + (uint64_t)(i % 3);
        spans[i] = (struct held_span){.lock = (uint64_t)i + 1,
                                      .tid = FIXTURE_WORKER,
                                      .pid = FIXTURE_MAIN,
                                      .from = from,
                                      .to = i == 9 ? 0 : from + length};
    }
    b.fixture->verdict.spans = spans;
    b.fixture->verdict.span_count = SPANS;
    tui_lanes_build(&b.model);
    for (uint64_t event = 1; event <= b.fixture->last; event++) {
        size_t held[SPANS], expected = 0;
        b.model.focus.event = event;
        for (int i = 0; i < SPANS; i++)
            expected += spans[i].from <= event && (!spans[i].to || spans[i].to > event);
        assert_int_equal(tui_held(&b.model, held, SPANS), expected);
        bool any = false;
        for (int i = 0; i < SPANS; i++)
            any |= spans[i].from <= event && (!spans[i].to || spans[i].to >= event);
        assert_true(any == (tui_lane_span(&b.model, &b.model.lanes[1], event, event) != NULL));
    }
    close_bench(&b);
}

static void test_too_small_takes_only_q(void **state) {
    (void)state;
    struct bench b;
    open_bench(&b, FIXTURE_DEADLOCK, 0, 30, 8);
    assert_true(b.model.layout.too_small);
    uint64_t event = b.model.focus.event;
    press(&b, "pp?:1<Enter>");
    assert_int_equal(b.model.focus.event, event);
    assert_false(b.model.help);
    press(&b, "q");
    assert_int_equal(b.model.request, TUI_REQUEST_QUIT);
    close_bench(&b);
}

static void test_help_scrolls_and_closes(void **state) {
    (void)state;
    struct bench b;
    open_bench(&b, FIXTURE_DEADLOCK, 0, 80, 24);
    uint64_t event = b.model.focus.event;
    press(&b, "?jn");
    assert_true(b.model.help);
    assert_int_equal(b.model.help_top, 1);
    assert_int_equal(b.model.focus.event, event);
    press(&b, "?");
    assert_false(b.model.help);
    close_bench(&b);
}

// Every pane and size, every action from each: nothing runs outside of the screen (ASan) and the slots do not
// overlap.
static void test_all_keys_at_all_sizes(void **state) {
    (void)state;
    static const int sizes[][2] = {{200, 50}, {80, 24}, {60, 15},  {40, 10},
                                   {30, 8},   {1, 1},   {119, 29}, {500, 9}};
    for (int kind = FIXTURE_DEADLOCK; kind <= FIXTURE_FAILS; kind++) {
        struct bench b;
        open_bench(&b, (enum fixture_kind)kind, 0, 80, 24);
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            tui_model_resize(&b.model, sizes[i][0], sizes[i][1]);
            tui_screen_resize(&b.screen, sizes[i][0], sizes[i][1]);
            b.screen.ascii = i % 2;
            for (int j = 0; j < b.model.layout.count; j++) {
                const struct tui_slot *x = &b.model.layout.slots[j];
                assert_true(x->y >= 1 && x->x >= 0 && x->h >= 2 && x->y + x->h < sizes[i][1]);
                assert_true(x->x + x->w <= sizes[i][0]);
                for (int k = 0; k < j; k++) {
                    const struct tui_slot *y = &b.model.layout.slots[k];
                    assert_true(x->y >= y->y + y->h || y->y >= x->y + x->h || x->x >= y->x + y->w ||
                                y->x >= x->x + x->w);
                }
            }
            for (int pane = 0; pane < TUI_PANES; pane++) {
                for (int action = 1; action < TUI_ACTIONS; action++) {
                    tui_layout_pane(&b.model, (enum tui_pane)pane);
                    tui_model_action(&b.model, (enum tui_action)action);
                    while (tui_model_work(&b.model))
                        continue;
                    tui_view_draw(&b.model, &b.screen);
                    tui_pointer_click(&b.model, (action * 7) % sizes[i][1], (action * 13) % sizes[i][0]);
                    b.model.prompt = TUI_PROMPT_NONE;
                    b.model.pending = 0;
                    b.model.help = false;
                    assert_true(b.model.focus.event >= 1 && b.model.focus.event <= b.fixture->last);
                }
            }
        }
        close_bench(&b);
    }
}

// A recording of five million events: what a key and its screen ask for does not grow with the recording.
static void test_a_key_is_cheap_in_a_long_recording(void **state) {
    (void)state;
    static const char *const scripts[] = {"p", "n",  ":2500000<Enter>", "f", "a", "v", "0", "+",
                                          "-", "2k", "3<PgUp>",         "g", "G"};
    struct bench small, large;
    open_bench(&small, FIXTURE_DEADLOCK, 1000, 80, 24);
    open_bench(&large, FIXTURE_DEADLOCK, 5000000, 80, 24);
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        large.fixture->event_calls = large.fixture->rank_calls = 0;
        press(&large, scripts[i]);
        tui_view_draw(&large.model, &large.screen);
        assert_true(large.fixture->event_calls <= 64);
        assert_true(large.fixture->rank_calls <= 4 * 80 * 3);
    }
    close_bench(&small);
    close_bench(&large);
}

static void test_every_action_has_its_key(void **state) {
    (void)state;
    for (size_t i = 0; i < tui_action_row_count; i++) {
        const struct tui_action_row *row = &tui_action_rows[i];
        assert_true(*row->help != 0);
        for (const char *keys = row->keys; *keys;) {
            size_t len = strcspn(keys, " ");
            int key = tui_key_named(keys, len);
            assert_int_not_equal(key, TUI_KEY_NONE);
            assert_int_equal(tui_action_of(key, row->searching), row->action); // no key twice
            keys += len + (keys[len] == ' ');
        }
    }
}

static void test_script_keys(void **state) {
    (void)state;
    struct rf_error err = {0};
    const char *script = "a<PgDn><^L><lt>\n";
    int key, expected[] = {'a', TUI_KEY_PAGE_DOWN, TUI_CTRL('L'), '<', TUI_KEY_ENTER};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        assert_int_equal(tui_key_script(&script, &key, &err), 1);
        assert_int_equal(key, expected[i]);
    }
    assert_int_equal(tui_key_script(&script, &key, &err), 0);
    script = "<Nonsense>";
    assert_int_equal(tui_key_script(&script, &key, &err), -1);
    script = "<Pg";
    assert_int_equal(tui_key_script(&script, &key, &err), -1);
}

// Names come from the recorded program: anything may be in them.
static void test_hostile_text(void **state) {
    (void)state;
    struct tui_screen s = {.ascii = true};
    tui_screen_resize(&s, 10, 1);
    struct tui_area a = {&s, 0, 0, 1, 10};
    tui_text(&a, 0, 0, 10, TUI_ROLE_NORMAL, "a\033[2J\xff\xe2\x94\xc3\xa9");
    static const wchar_t expected[] = L"a?[2J???";
    for (int i = 0; expected[i]; i++)
        assert_int_equal(s.cells[i].ch, expected[i]);
    tui_text(&a, 0, 0, 5, TUI_ROLE_NORMAL, "abcdefgh");
    assert_int_equal(s.cells[4].ch, '~');
    tui_text(&a, 0, 8, 10, TUI_ROLE_NORMAL, "xyz"); // clipped to the area
    tui_text(&a, 3, 0, 10, TUI_ROLE_NORMAL, "outside");
    tui_screen_release(&s);
}

static void test_wrap(void **state) {
    (void)state;
    const char *text = "one two three";
    assert_int_equal(tui_wrap(&text, 8), 7);
    assert_string_equal(text, "three");
    assert_int_equal(tui_wrap(&text, 3), 3); // one long word is cut
    assert_string_equal(text, "ee");
    assert_int_equal(tui_wrap(&text, 3), 2);
    assert_string_equal(text, "");
}

static bool refuse(void *argument) {
    ++*(int *)argument;
    return false;
}

static void test_the_verdict_can_be_stopped(void **state) {
    (void)state;
    struct bench b = {.fixture = fixture_new(FIXTURE_DEADLOCK, 0)};
    int calls = 0;
    tui_model_init(&b.model, &b.fixture->source, 80, 24, 0);
    b.model.poll = refuse;
    b.model.poll_argument = &calls;
    while (tui_model_work(&b.model))
        continue;
    assert_true(calls > 0);
    assert_int_equal(b.model.verdict_state, TUI_VERDICT_FAILED);
    assert_non_null(strstr(b.model.story.lines[0].text, "interrupted"));
    close_bench(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_opens_at_the_verdict),
        cmocka_unit_test(test_every_kind_has_a_heading),
        cmocka_unit_test(test_steps_and_ends),
        cmocka_unit_test(test_jumps),
        cmocka_unit_test(test_jumps_without_verdict),
        cmocka_unit_test(test_task_steps),
        cmocka_unit_test(test_causality),
        cmocka_unit_test(test_search_owns_n_until_esc),
        cmocka_unit_test(test_filter_hides_and_gives_back),
        cmocka_unit_test(test_marks),
        cmocka_unit_test(test_locks_at_the_focus),
        cmocka_unit_test(test_spans_by_event),
        cmocka_unit_test(test_too_small_takes_only_q),
        cmocka_unit_test(test_help_scrolls_and_closes),
        cmocka_unit_test(test_all_keys_at_all_sizes),
        cmocka_unit_test(test_a_key_is_cheap_in_a_long_recording),
        cmocka_unit_test(test_every_action_has_its_key),
        cmocka_unit_test(test_script_keys),
        cmocka_unit_test(test_hostile_text),
        cmocka_unit_test(test_wrap),
        cmocka_unit_test(test_the_verdict_can_be_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
