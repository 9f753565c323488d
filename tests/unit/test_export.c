// The page and the document of a recording: hostile names stay text, and long recordings make no long pages.
#include "tui/export/document.h"
#include "tui/export/page.h"
#include "tui/export/subject.h"
#include "tui/model.h"
#include "tui/work.h"
#include "tui/export/markup.h"
#include "tests/tui/fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static char *marked(const char *text, size_t max) {
    char *result = NULL;
    size_t size;
    FILE *f = open_memstream(&result, &size);
    assert_non_null(f);
    markup_text(f, text, max);
    fclose(f);
    return result;
}

static void assert_marked(const char *text, size_t max, const char *want) {
    char *got = marked(text, max);
    assert_string_equal(got, want);
    free(got);
}

static void test_escaping(void **state) {
    (void)state;
    assert_marked("plain é 漢 \xf0\x9f\x98\x80", 100, "plain é 漢 \xf0\x9f\x98\x80");
    assert_marked("<b a=\"1\" c='2'>&", 100, "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;");
    assert_marked("a\tb\nc", 100, "a b c");
    // Controls, C1, a stray continuation, a cut sequence, an overlong '<', a surrogate, U+FFFF, beyond U+10FFFF, bidi.
    static const char *const bad[] = {"\x01",         "\x1b",         "\x7f",         "\xc2\x9b",
                                      "\xef\xbf\xbf", "\xe2\x80\xae", "\xe2\x81\xa6", "\xe2\x80\xa8"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_marked(bad[i], 100, "\xef\xbf\xbd");
    assert_marked("\x80", 100, "\xef\xbf\xbd");
    assert_marked("\xe6\xbc", 100, "\xef\xbf\xbd\xef\xbf\xbd");
    assert_marked("\xc0\xbc", 100, "\xef\xbf\xbd\xef\xbf\xbd");
    assert_marked("\xed\xa0\x80", 100, "\xef\xbf\xbd");
    assert_marked("\xf4\x90\x80\x80", 100, "\xef\xbf\xbd");
    // Cut between characters, never within one.
    assert_marked("abcdef", 3, "abc…");
    assert_marked("abé", 3, "ab…");
    assert_marked("abc", 3, "abc");
}

static void test_format(void **state) {
    (void)state;
    char *text = NULL, *volatile none = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    assert_non_null(f);
    markup(f, "<p>%s|%.3s|%s|%d|%5u|%zu|%llu|%lx|%c|%%</p>", "<", "abcdef", none, -1, 7u, (size_t)8, 9ull,
           10ul, 'x');
    fclose(f);
    assert_string_equal(text, "<p>&lt;|abc…||-1|    7|8|9|a|x|%</p>");
    free(text);
}

// ---- pages
struct page {
    struct fixture *f;
    struct tui_model model;
    json_t *info;
};

static void open_page(struct page *p, enum fixture_kind kind, uint64_t tail) {
    p->f = fixture_new(kind, tail);
    p->info = json_pack("{s:s, s:[s, s], s:s, s:i, s:[]}", "program", "/usr/bin/server", "arguments",
                        "server", "</code><script>alert(1)</script>", "refork", "0.1", "format", 1, "tasks");
    assert_non_null(p->info);
    tui_model_init(&p->model, &p->f->source, 120, 40, 0);
}

static char *made(struct page *p, int (*write)(FILE *, const struct export_subject *), const char *path) {
    char *text = NULL;
    size_t size;
    struct export_subject x = {.path = path, .model = &p->model, .info = p->info};
    while (p->model.verdict_state < TUI_VERDICT_DONE && tui_model_work(&p->model))
        continue;
    FILE *f = open_memstream(&text, &size);
    assert_non_null(f);
    assert_int_equal(write(f, &x), 0);
    fclose(f);
    return text;
}

static void close_page(struct page *p) {
    tui_model_release(&p->model);
    json_decref(p->info);
    fixture_free(p->f);
}

static size_t times(const char *text, const char *what) {
    size_t n = 0;
    for (const char *p = text; (p = strstr(p, what)); p++)
        n++;
    return n;
}

// All that opens is closed, in order, every attribute is quoted, no text has a bare & < or >: a parser of XML in small.
// Script and style are the page's own and checked as text.
static void assert_well_formed(const char *page) {
    char stack[64][16];
    size_t depth = 0, seen = 0;
    const char *p = strchr(page, '\n') + 1; // <!DOCTYPE html>
    while (*p) {
        if (*p == '&') {
            size_t n = strcspn(p, ";");
            if (n > 7) fail_msg("a bare & at: %.40s", p);
        }
        if (*p == '>') fail_msg("a bare > at: %.40s", p);
        if (*p != '<') {
            p++;
            continue;
        }
        bool closing = p[1] == '/';
        const char *name = p + 1 + closing;
        size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789"), end = (size_t)(name - p) + n;
        if (!n || n > 15) fail_msg("no tag at: %.40s", p);
        bool quoted = false;
        while (p[end] && (quoted || p[end] != '>')) {
            if (p[end] == '<') fail_msg("a bare < at: %.60s", p);
            quoted ^= p[end++] == '"';
        }
        if (p[end] != '>') fail_msg("a tag without end: %.60s", p);
        seen++;
        if (closing) {
            if (!depth || strncmp(stack[depth - 1], name, n) || stack[depth - 1][n])
                fail_msg("</%.*s> closes %s", (int)n, name, depth ? stack[depth - 1] : "nothing");
            depth--;
        } else if (p[end - 1] != '/') {
            assert_true(depth < 64);
            snprintf(stack[depth++], sizeof stack[0], "%.*s", (int)n, name);
        }
        p += end + 1;
        bool raw = !closing && (!strncmp(name, "style>", 6) || !strncmp(name, "script>", 7));
        if (raw) p = strstr(p, "</");
        assert_non_null(p);
    }
    assert_int_equal(depth, 0);
    assert_true(seen > 50);
}

static void test_page(void **state) {
    (void)state;
    struct page p;
    open_page(&p, FIXTURE_DEADLOCK, 0);
    char *page = made(&p, export_html, "/tmp/server.refork");
    assert_well_formed(page);
    // The verdict, the source around the evidence, the picture with its ghost, the tree, the way to replay it.
    static const char *const parts[] = {"✗ deadlock",
                                        "orphaned-lock",
                                        "log_mutex",
                                        "► ",
                                        "pthread_mutex_lock(&amp;log_mutex); // never comes back",
                                        "† log_mutex: still locked here",
                                        "✗ waits for ever for log_mutex",
                                        "† 1235 mutex_deadlock",
                                        "vanished in process 1240",
                                        "refork replay server.refork",
                                        "<li>Start the program with posix_spawn.</li>",
                                        "forks process 1240"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!strstr(page, parts[i])) fail_msg("no '%s' in the page", parts[i]);
    assert_int_equal(times(page, "class=\"heldghost\""), 2); // one, and the legend
    assert_int_equal(times(page, "<script"), 1);
    assert_null(strstr(page, "alert(1)</script>"));
    // Nothing is loaded: no address but that of a namespace, none in the styles.
    assert_int_equal(times(page, "http"), times(page, "http://www.w3.org/") + 1); // http-equiv
    assert_null(strstr(page, " src="));
    assert_null(strstr(page, "@import"));
    assert_int_equal(times(page, "url("), times(page, "url(#"));
    free(page);
    close_page(&p);
}

// A child that crashed waits for nothing.
static void test_crash_page(void **state) {
    (void)state;
    struct page p;
    open_page(&p, FIXTURE_DEADLOCK, 0);
    p.f->finding.kind = FINDING_TORN_DATA;
    p.f->finding.signal = 11;
    char *page = made(&p, export_html, "server.refork");
    assert_well_formed(page);
    assert_non_null(strstr(page, "✗ crashes (SIGSEGV)"));
    assert_non_null(strstr(page, "What crashed, and where"));
    assert_null(strstr(page, "waits for ever since"));
    assert_int_equal(times(page, "class=\"wait4ever\""), 1); // the legend's
    free(page);
    close_page(&p);
}

static void test_clean_page(void **state) {
    (void)state;
    struct page p;
    open_page(&p, FIXTURE_CLEAN, 0);
    char *page = made(&p, export_html, "server.refork");
    assert_well_formed(page);
    assert_non_null(strstr(page, "✓ no deadlock"));
    assert_null(strstr(page, "Finding 1"));
    assert_int_equal(times(page, "class=\"wait4ever\""), 1); // the legend's
    free(page);
    close_page(&p);
}

#define EVIL "\"'><script>alert(1)</script>&\x1b[31m\xff"

static void test_hostile_page(void **state) {
    (void)state;
    struct page p;
    open_page(&p, FIXTURE_DEADLOCK, 0);
    struct finding *f = &p.f->finding;
    struct frame frame = {.pc = 1, .function = EVIL, .file = EVIL, .line = 3, .module = EVIL};
    f->waiting.stack = f->fork.stack = f->acquired.stack = (struct stack){&frame, 1};
    snprintf(f->lock.symbol, sizeof f->lock.symbol, "%s", EVIL);
    snprintf(f->lock.kind, sizeof f->lock.kind, "%.31s", EVIL);
    snprintf(f->lock.declared, sizeof f->lock.declared, "%s", EVIL);
    snprintf(f->holder.start_routine, sizeof f->holder.start_routine, "%s", EVIL);
    snprintf(f->advice, sizeof f->advice, "1. %s\n%s\n2. x", EVIL, EVIL);
    snprintf(p.f->spans[0].symbol, sizeof p.f->spans[0].symbol, "%s", EVIL);
    snprintf(p.f->verdict.end_reason, sizeof p.f->verdict.end_reason, "%s", EVIL);
    for (int i = 0; i < 3; i++) {
        snprintf(p.f->tasks[i].name, sizeof p.f->tasks[i].name, "%.15s", EVIL);
        snprintf(p.f->tasks[i].start_routine, sizeof p.f->tasks[i].start_routine, "%s", EVIL);
    }
    for (uint64_t n = 1; n <= p.f->last; n++)
        snprintf(p.f->rows[n].text, sizeof p.f->rows[n].text, "%s", EVIL);
    struct finding_party party = {.task = f->holder, .point = {.event = 9, .stack = {&frame, 1}}};
    snprintf(party.what, sizeof party.what, "%s", EVIL);
    struct vanished_thread vanished = {.task = f->holder, .destructors = 3, .keys = 2, .cache_blocks = 7};
    struct held_lock held = {.lock = f->lock, .holder = f->holder, .fork = 7, .child = 8};
    snprintf(f->reason, sizeof f->reason, "%s", EVIL);
    f->holders = f->wakers = &party;
    f->holder_count = f->waker_count = 1;
    f->vanished = &vanished;
    f->vanished_count = 1;
    f->initialised = f->fork;
    p.f->verdict.held_at_fork = &held;
    p.f->verdict.held_count = 1;
    json_object_set_new(p.info, "program", json_string("/<script>alert(1)</script>"));
    json_object_set_new(p.info, "notes", json_pack("[s]", "<script>alert(1)</script>"));
    char *page = made(&p, export_html, "/tmp/\"'><script>alert(1)< script>.refork");
    assert_well_formed(page);
    assert_int_equal(times(page, "<script"), 1);
    assert_null(strchr(page, 0x1b));
    assert_true(times(page, "&lt;script&gt;alert(1)") > 30);
    assert_non_null(strstr(page, "3 destructors of thread_local objects"));
    assert_non_null(strstr(page, "Other locks that were held at a fork"));
    free(page);
    char *text = made(&p, export_json, "x.refork");
    json_error_t error;
    json_t *root = json_loads(text, 0, &error);
    if (!root) fail_msg("%s in %s", error.text, text);
    json_decref(root);
    free(text);
    close_page(&p);
}

// Two million events before the story, as many locks as can be, and the page is hardly longer.
static void test_bounded_page(void **state) {
    (void)state;
    struct page p;
    open_page(&p, FIXTURE_DEADLOCK, 2000000);
    enum { SPANS = 50000, FINDINGS = 3000 };
    struct held_span *spans = calloc(SPANS, sizeof *spans);
    struct finding *findings = calloc(FINDINGS, sizeof *findings);
    struct frame *frames = calloc(10000, sizeof *frames);
    assert_true(spans && findings && frames);
    for (size_t i = 0; i < SPANS; i++) {
        spans[i] = p.f->spans[i % 2];
        spans[i].from = 1 + i * 30;
        spans[i].to = spans[i].from + 10;
        if (i % 3) spans[i].lock += i;
    }
    for (size_t i = 0; i < 10000; i++)
        frames[i] = (struct frame){.pc = i, .function = "deep"};
    for (size_t i = 0; i < FINDINGS; i++) {
        findings[i] = p.f->finding;
        findings[i].waiting.stack = (struct stack){frames, 10000};
    }
    p.f->verdict.spans = spans;
    p.f->verdict.span_count = SPANS;
    p.f->verdict.findings = findings;
    p.f->verdict.count = FINDINGS;
    char *page = made(&p, export_html, "server.refork");
    assert_well_formed(page);
    assert_true(strlen(page) < 3000000);
    assert_non_null(strstr(page, "more findings"));
    assert_non_null(strstr(page, "more frames"));
    free(page);
    close_page(&p);
    free(spans);
    free(findings);
    free(frames);
}

static void test_document(void **state) {
    (void)state;
    struct page p;
    open_page(&p, FIXTURE_DEADLOCK, 0);
    char *text = made(&p, export_json, "server.refork");
    json_error_t error;
    json_t *root = json_loads(text, 0, &error);
    if (!root) fail_msg("%s in %s", error.text, text);
    json_t *verdict = json_object_get(root, "verdict"), *tasks = json_object_get(root, "tasks");
    assert_int_equal(json_array_size(json_object_get(verdict, "findings")), 1);
    assert_int_equal(json_array_size(tasks), 3);
    assert_int_equal(json_array_size(json_object_get(root, "spans")), 2);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(tasks, 2), "stuck_since")), p.f->wait);
    assert_true(json_is_null(json_object_get(json_array_get(tasks, 0), "parent")));
    size_t i, evidence = 0;
    uint64_t before = 0;
    json_t *event;
    json_array_foreach(json_object_get(root, "events"), i, event) {
        uint64_t number = (uint64_t)json_integer_value(json_object_get(event, "event"));
        assert_true(number > before);
        before = number;
        bool is = json_is_true(json_object_get(event, "evidence"));
        assert_int_equal(is, number == p.f->acquire || number == p.f->fork || number == p.f->wait);
        evidence += is;
    }
    assert_int_equal(evidence, 3);
    json_decref(root);
    free(text);
    close_page(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_escaping),     cmocka_unit_test(test_format),
        cmocka_unit_test(test_page),         cmocka_unit_test(test_clean_page),
        cmocka_unit_test(test_crash_page),   cmocka_unit_test(test_hostile_page),
        cmocka_unit_test(test_bounded_page), cmocka_unit_test(test_document),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
