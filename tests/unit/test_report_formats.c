// The verdict for eighty columns, for several recordings, and as SARIF.
#include "tests/unit/verdict_samples.h"

#include "replayer/report/lines.h"
#include "replayer/report/many.h"
#include "replayer/report/sarif.h"

// ---- lines
static char *frame_text(const struct frame *f) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    report_frame(out, f, 7, 0);
    fclose(out);
    expect_narrow(text);
    return text;
}

static void expect_frame(const char *function, const char *file, const char *want) {
    char name[1000];
    snprintf(name, sizeof name, "%s", function);
    char path[1000];
    snprintf(path, sizeof path, "%s", file);
    char *text =
        frame_text(&(struct frame){.pc = 1, .function = name, .file = path, .line = 123, .module = "m"});
    if (strcmp(text, want)) fail_msg("wanted\n%sgot\n%s", want, text);
    free(text);
}

#define MAP "std::map<std::string, std::vector<std::pair<int, long> >, std::less<std::string> >"
static void test_frames(void **state) {
    (void)state;
    expect_frame("main", "/src/app.c", "    #7  main  /src/app.c:123\n");
    // What fits stays as it is.
    expect_frame("std::vector<int>::push_back(int&&)", "/a.cc",
                 "    #7  std::vector<int>::push_back(int&&)  /a.cc:123\n");
    // The place goes to the next line, of a long path its end.
    expect_frame("an_ordinary_function_with_a_name_of_some_length", "/home/user/src/project/file.cc",
                 "    #7  an_ordinary_function_with_a_name_of_some_length\n"
                 "          /home/user/src/project/file.cc:123\n");
    expect_frame("main",
                 "/a/very/long/path/that/goes/on/and/on/and/on/and/on/and/on/and/on/project/src/file.cc",
                 "    #7  main\n"
                 "          .../goes/on/and/on/and/on/and/on/and/on/and/on/project/src/file.cc:123\n");
    // Template arguments go first, then parameters; what the function is called never does.
    expect_frame(MAP "::find(std::string const&) const", "/a.cc",
                 "    #7  std::map<...>::find(std::string const&) const  /a.cc:123\n");
    expect_frame("void app::(anonymous namespace)::handle_request(std::shared_ptr<app::Request>, "
                 "std::function<void (app::Response)>, std::chrono::milliseconds)",
                 "/a.cc", "    #7  void app::(anonymous namespace)::handle_request(...)  /a.cc:123\n");
    // Operators are no brackets.
    expect_frame("app::Key::operator<(app::Key const&, " MAP " const&) const", "/a.cc",
                 "    #7  app::Key::operator<(app::Key const&, std::map<...> const&) const\n"
                 "          /a.cc:123\n");
    expect_frame(
        "std::operator<< <std::char_traits<char> >(std::basic_ostream<char, std::char_traits<char> >&, "
        "char const*)",
        "/a.cc",
        "    #7  std::operator<< <std::char_traits<char> >(std::ostream&, char const*)\n          "
        "/a.cc:123\n");
    expect_frame(
        "main::{lambda(app::Request const&, app::Response&, std::vector<int>)#1}::operator()(app::Request "
        "const&, app::Response&) const",
        "/a.cc",
        "    #7  main::{lambda(app::Request const&, app::Response&, std::\n"
        "        vector<int>)#1}::operator()(...) const  /a.cc:123\n");
    // And what has none of it is broken behind a part of the name.
    expect_frame("company::product::subsystem::component::detail::implementation::a_class::a_method", "/a.cc",
                 "    #7  company::product::subsystem::component::detail::implementation::\n"
                 "        a_class::a_method  /a.cc:123\n");
}

static void test_odd_frames(void **state) {
    (void)state;
    static const char *const names[] = {
        "<",
        ">>>>",
        "a<b",
        "(((((",
        "operator",
        "operator<",
        "operator-><a>(b",
        "x->y<z>",
        ")(",
        "<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<",
        "a(b)<c(d>e)f>((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((",
        ("漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字"
         "漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字")};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char name[1000];
        snprintf(name, sizeof name, "%s", names[i]);
        free(frame_text(&(struct frame){.function = name, .file = name, .line = 1, .inlined = true}));
    }
}

static char *wrapped(int indent, const char *text) {
    char *result = NULL;
    size_t size;
    FILE *out = open_memstream(&result, &size);
    assert_non_null(out);
    report_wrap(out, indent, "%s", text);
    fclose(out);
    expect_narrow(result);
    return result;
}

static void test_wrap(void **state) {
    (void)state;
    char *text = wrapped(4, "one two\nthree");
    assert_string_equal(text, "    one two\n    three\n");
    free(text);
    // A path that is longer than a line is broken at its folders.
    text =
        wrapped(4, "declared at "
                   "/home/someone/src/a-project-with-a-name/that-is/deep/in/many/folders/of/the/tree/x.c:12");
    assert_string_equal(text,
                        "    declared at\n"
                        "    /home/someone/src/a-project-with-a-name/that-is/deep/in/many/folders/of/the/\n"
                        "    tree/x.c:12\n");
    free(text);
    // Items of a list hang.
    text = wrapped(4, "1. Use posix_spawn, or fork and exec at once: a new program inherits no lock at all.");
    assert_string_equal(text,
                        "    1. Use posix_spawn, or fork and exec at once: a new program inherits no lock\n"
                        "       at all.\n");
    free(text);
    // Columns are characters.
    text = wrapped(0, "éééééééééééééééééééé éééééééééééééééééééé éééééééééééééééééééé éééééééééééé ééé");
    assert_true(strlen(text) > 100);
    assert_string_equal(strchr(text, '\n'), "\n");
    free(text);
}

static void test_narrow_verdict(void **state) {
    (void)state;
    static char path[] = "/home/someone/work/a-project-with-a-long-name/build/_deps/library-src/include/"
                         "library/detail/impl.hpp";
    static char symbol[] =
        "boost::asio::detail::executor_op<boost::asio::detail::binder0<app::Server::run()::{lambda()#1}"
        ">, std::allocator<void>, boost::asio::detail::scheduler_operation>::do_complete(void*, "
        "boost::asio::detail::scheduler_operation*, boost::system::error_code const&, unsigned long)";
    struct verdict *v = orphaned();
    struct finding *f = &v->findings[1];
    for (size_t i = 3; i < 5; i++) {
        f->waiting.stack.frames[i].function = symbol;
        f->waiting.stack.frames[i].file = path;
    }
    snprintf(f->lock.symbol, sizeof f->lock.symbol, "%.255s", symbol);
    snprintf(f->lock.declared, sizeof f->lock.declared, "%s:77", path);
    snprintf(f->holder.start_routine, sizeof f->holder.start_routine, "%.127s", symbol);
    snprintf(v->program, sizeof v->program, "%s%s", path, path);
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    report_text(out, v, quoted, NULL);
    fclose(out);
    expect_narrow(text);
    ORDER(text, "What is stuck", "boost::asio::detail::executor_op<...>::do_complete(...)",
          "detail/impl.hpp:41", "Which lock", "impl.hpp:77", "Who held it");
    free(text);
    verdict_free(v);
}

// ---- several recordings
static json_t *many_of(struct verdict *const *verdicts, size_t count, char **text) {
    struct report_many *m = report_many_new();
    char name[16], *json = NULL;
    size_t size;
    for (size_t i = 0; i < count; i++) {
        snprintf(name, sizeof name, "%c.refork", 'a' + (int)i);
        if (verdicts[i])
            report_many_add(m, name, verdicts[i], quoted, NULL);
        else
            report_many_add_failed(m, name,
                                   &(struct rf_error){.status = RF_BAD_TRACE, .text = "byte 7 is bad"});
        if (verdicts[i]) verdict_free(verdicts[i]);
    }
    FILE *out = open_memstream(text, &size);
    report_many_text(out, m);
    fclose(out);
    expect_narrow(*text);
    out = open_memstream(&json, &size);
    assert_int_equal(report_many_json(out, m), 0);
    fclose(out);
    FILE *full = fopen("/dev/full", "we");
    assert_non_null(full);
    assert_int_equal(report_many_json(full, m), -1);
    fclose(full);
    report_many_free(m);
    json_error_t error;
    json_t *root = json_loads(json, 0, &error);
    if (!root) fail_msg("%s in %s", error.text, json);
    free(json);
    return root;
}

// NULL: null in the document.
struct group {
    const char *kind, *lock, *site;
    int count;
    size_t traces;
};

static void expect_group(json_t *root, size_t index, struct group want) {
    json_t *g = json_array_get(json_object_get(root, "groups"), index);
    assert_string_equal(json_string_value(json_object_get(g, "kind")), want.kind);
    const char *got = json_string_value(json_object_get(g, "lock"));
    assert_true(want.lock ? got && !strcmp(got, want.lock) : !got);
    got = json_string_value(json_object_get(g, "site"));
    assert_true(want.site ? got && !strcmp(got, want.site) : !got);
    assert_int_equal(json_integer_value(json_object_get(g, "count")), want.count);
    assert_int_equal(json_array_size(json_object_get(g, "traces")), want.traces);
    json_t *first = json_object_get(g, "first");
    assert_string_equal(json_string_value(json_object_get(first, "kind")), want.kind);
}

static void test_many(void **state) {
    (void)state;
    struct verdict *nameless = orphaned(), *nameless_too = orphaned(), *elsewhere = orphaned();
    nameless->findings[1].lock.symbol[0] = nameless_too->findings[1].lock.symbol[0] = 0;
    nameless_too->findings[1].lock.address += 64;
    elsewhere->findings[1].lock.symbol[0] = 0;
    elsewhere->findings[1].acquired.stack.frames[1].line++;
    // A name with an address in it is none: it is another one in each run.
    strcpy(nameless_too->findings[1].lock.symbol, "heap lock 0x555555559308");
    nameless_too->findings[1].lock.of_this_run = true;
    struct verdict *const verdicts[] = {cycle(),  orphaned(),   verdict_of(0), NULL,         orphaned(),
                                        nameless, nameless_too, elsewhere,     verdict_of(0)};
    char *text;
    json_t *root = many_of(verdicts, 9, &text);
    assert_int_equal(json_array_size(json_object_get(root, "groups")), 4);
    // The most frequent first, else as they came; consequences are not counted.
    expect_group(root, 0, (struct group){"orphaned-lock", "log_mutex", NULL, 2, 2});
    expect_group(root, 1, (struct group){"orphaned-lock", NULL, "write_log, server.c:12", 2, 2});
    expect_group(root, 2, (struct group){"atfork-deadlock", "b_mutex", NULL, 1, 1});
    expect_group(root, 3, (struct group){"orphaned-lock", NULL, "write_log, server.c:13", 1, 1});
    json_t *traces = json_object_get(root, "traces"), *bad = json_array_get(traces, 3);
    assert_int_equal(json_array_size(traces), 9);
    assert_true(json_is_null(json_object_get(bad, "verdict")));
    assert_int_equal(json_integer_value(json_object_get(json_object_get(bad, "error"), "status")),
                     RF_BAD_TRACE);
    assert_true(json_is_null(json_object_get(json_array_get(traces, 0), "error")));
    ORDER(text, "9 recordings: 6 with a deadlock, 2 without, 1 without a verdict",
          "no verdict: byte 7 is bad", "1. orphaned-lock on log_mutex: 2 times, in 2 of 9 recordings",
          "b.refork, e.refork", "Finding 2 of 2", "What to do",
          "2. orphaned-lock on the lock taken in write_log, server.c:12: 2 times", "f.refork, g.refork",
          "3. atfork-deadlock on b_mutex: 1 time, in 1 of 9", "a.refork", "4. orphaned-lock");
    free(text);
    json_decref(root);
}

// Nobody took it: the site is where it is waited for.
static void test_many_waits(void **state) {
    (void)state;
    struct verdict *v = orphaned();
    struct finding *f = &v->findings[1];
    f->kind = FINDING_VANISHED_WAKER;
    f->lock.symbol[0] = 0;
    free(f->acquired.stack.frames);
    f->acquired = (struct finding_point){0};
    char *text;
    json_t *root = many_of((struct verdict *const[]){v, verdict_of(0)}, 2, &text);
    ORDER(text, "1. vanished-waker on what is waited for in child_work, server.c:41: 1 time");
    free(text);
    json_decref(root);
}

// ---- SARIF
static json_t *sarif_of(struct verdict *v, const char *folder) {
    json_t *run = report_sarif_run(v, "server.refork", folder);
    assert_non_null(run);
    json_t *log = report_sarif_log(json_pack("[o]", run));
    assert_non_null(log);
    return log;
}

static const char *fingerprint(json_t *log, size_t index) {
    const char *text;
    json_t *result =
        json_array_get(json_object_get(json_array_get(json_object_get(log, "runs"), 0), "results"), index);
    assert_int_equal(json_unpack(result, "{s:{s:s}}", "partialFingerprints", "reforkSites/v1", &text), 0);
    return text;
}

static const char *first_uri(json_t *log, size_t index, const char **base) {
    const char *text = NULL;
    json_t *location = json_array_get(
        json_object_get(
            json_array_get(json_object_get(json_array_get(json_object_get(log, "runs"), 0), "results"),
                           index),
            "locations"),
        0);
    *base = NULL;
    assert_int_equal(json_unpack(location, "{s:{s:{s:s, s?s}}}", "physicalLocation", "artifactLocation",
                                 "uri", &text, "uriBaseId", base),
                     0);
    return text;
}

static void test_sarif(void **state) {
    (void)state;
    struct verdict *v = orphaned();
    json_t *log = sarif_of(v, "/src");
    json_t *run = json_array_get(json_object_get(log, "runs"), 0), *results = json_object_get(run, "results");
    assert_int_equal(json_array_size(results), 2);
    json_t *consequence = json_array_get(results, 0), *r = json_array_get(results, 1);
    assert_string_equal(json_string_value(json_object_get(consequence, "level")), "note");
    assert_string_equal(json_string_value(json_object_get(r, "level")), "error");
    // The rule at that index is that rule.
    json_t *rules = json_object_get(json_object_get(json_object_get(run, "tool"), "driver"), "rules");
    json_t *rule = json_array_get(rules, (size_t)json_integer_value(json_object_get(r, "ruleIndex")));
    assert_string_equal(json_string_value(json_object_get(rule, "id")), "orphaned-lock");
    assert_string_equal(json_string_value(json_object_get(r, "ruleId")), "orphaned-lock");
    // Where it waits, in the program's own source.
    int line;
    const char *function, *base, *uri = first_uri(log, 1, &base);
    assert_string_equal(uri, "app/server.c");
    assert_string_equal(base, "CURRENT");
    assert_int_equal(json_unpack(json_array_get(json_object_get(r, "locations"), 0),
                                 "{s:{s:{s:i}}, s:[{s:s}]}", "physicalLocation", "region", "startLine", &line,
                                 "logicalLocations", "name", &function),
                     0);
    assert_int_equal(line, 41);
    assert_string_equal(function, "child_work");
    // Three tasks, each with its part: acquire, fork, wait.
    json_t *flows = json_object_get(json_array_get(json_object_get(r, "codeFlows"), 0), "threadFlows");
    static const char *const kinds[] = {"acquire", "fork", "wait"};
    static const int events[] = {600, 700, 812};
    assert_int_equal(json_array_size(flows), 3);
    for (size_t i = 0; i < 3; i++) {
        const char *kind;
        int order;
        json_t *at = json_array_get(json_object_get(json_array_get(flows, i), "locations"), 0);
        assert_int_equal(json_unpack(at, "{s:[s], s:i}", "kinds", &kind, "executionOrder", &order), 0);
        assert_string_equal(kind, kinds[i]);
        assert_int_equal(order, events[i]);
    }
    assert_int_equal(json_array_size(json_object_get(r, "relatedLocations")), 3);
    const char *text;
    assert_int_equal(json_unpack(r, "{s:{s:s}}", "message", "text", &text), 0);
    assert_non_null(strstr(
        text, "The main thread 'server' waits for log_mutex, held by thread 'logger' started in worker, "
              "which does not exist there."));
    json_decref(log);

    // Elsewhere, and in a folder whose name is only a beginning of the path's: absolute.
    log = sarif_of(v, "/sr");
    assert_string_equal(first_uri(log, 1, &base), "file:///src/app/server.c");
    assert_null(base);
    json_decref(log);
    v->findings[1].waiting.stack.frames[3].file = "/src/a b/#1%/é.c";
    log = sarif_of(v, "");
    assert_string_equal(first_uri(log, 1, &base), "src/a%20b/%231%25/%C3%A9.c");
    json_decref(log);
    v->findings[1].waiting.stack.frames[3].file = "/src/../etc/x.c";
    log = sarif_of(v, "/src");
    assert_string_equal(first_uri(log, 1, &base), "file:///src/../etc/x.c");
    json_decref(log);
    verdict_free(v);
}

static void test_fingerprints(void **state) {
    (void)state;
    struct verdict *v = orphaned(), *other = orphaned();
    json_t *log = sarif_of(v, "/src"), *again;
    const char *want = fingerprint(log, 1);
    assert_int_equal(strlen(want), 32);
    // Another run: other tasks, events, addresses, lines.
    struct finding *f = &other->findings[1];
    f->holder.tid = 77;
    f->waiter.pid = f->waiter.tid = 78;
    f->waiting.event = 9000;
    f->lock.address = 0x7f0000001000;
    f->waiting.stack.frames[3].pc += 0x1000;
    f->waiting.stack.frames[3].line += 2;
    again = sarif_of(other, "/elsewhere");
    assert_string_equal(fingerprint(again, 1), want);
    json_decref(again);
    // Another lock, another place to take it, to fork, to wait.
    strcpy(f->lock.symbol, "other_mutex");
    again = sarif_of(other, "/src");
    assert_string_not_equal(fingerprint(again, 1), want);
    json_decref(again);
    strcpy(f->lock.symbol, "log_mutex");
    struct stack *const stacks[] = {&f->acquired.stack, &f->fork.stack, &f->waiting.stack};
    const size_t own[] = {1, 2, 3};
    for (size_t i = 0; i < 3; i++) {
        char *before = stacks[i]->frames[own[i]].function;
        stacks[i]->frames[own[i]].function = "somewhere_else";
        again = sarif_of(other, "/src");
        assert_string_not_equal(fingerprint(again, 1), want);
        json_decref(again);
        stacks[i]->frames[own[i]].function = before;
    }
    json_decref(log);
    verdict_free(v);
    verdict_free(other);
}

// A lock on the heap is told by who made it, and by no address.
static void test_sarif_heap(void **state) {
    (void)state;
    struct verdict *v = orphaned();
    struct finding *f = &v->findings[1];
    v->allocations = calloc(1, sizeof *v->allocations);
    v->allocations[0] = calloc(1, sizeof **v->allocations);
    v->allocation_count = 1;
    *v->allocations[0] =
        (struct lock_allocation){.point = {.event = 300,
                                           .pid = 1233,
                                           .tid = 1233,
                                           .stack = STACK(LIBC("calloc"), FRAME("log_new", 55))},
                                 .function = "calloc",
                                 .size = 64,
                                 .offset = 24};
    f->initialised = (struct finding_point){.event = 300,
                                            .pid = 1233,
                                            .tid = 1233,
                                            .stack = STACK(LIBC("pthread_mutex_init"), FRAME("log_new", 56))};
    f->lock = (struct finding_lock){.address = 0x555555559308,
                                    .kind = "pthread_mutex",
                                    .symbol = "heap lock 0x555555559308",
                                    .unnamed = true,
                                    .of_this_run = true,
                                    .allocated = v->allocations[0]};
    json_t *log = sarif_of(v, "/src");
    json_t *r =
        json_array_get(json_object_get(json_array_get(json_object_get(log, "runs"), 0), "results"), 1);
    const char *text;
    assert_int_equal(json_unpack(r, "{s:{s:s}}", "message", "text", &text), 0);
    assert_non_null(
        strstr(text, "waits for the pthread_mutex allocated in log_new, held by thread 'logger'"));
    assert_non_null(strstr(text, "The lock is at byte 24 of 64 bytes from calloc."));
    // Related places in the order of events, of one event in the order of things.
    static const struct {
        const char *text;
        int line;
    } want[] = {{"allocates the pthread_mutex allocated in log_new: byte 24 of 64 bytes from calloc", 55},
                {"initialises the pthread_mutex allocated in log_new", 56},
                {"acquires the pthread_mutex allocated in log_new", 12},
                {"forks", 77},
                {"waits for ever for the pthread_mutex allocated in log_new", 41}};
    json_t *related = json_object_get(r, "relatedLocations");
    assert_int_equal(json_array_size(related), 5);
    for (size_t i = 0; i < 5; i++) {
        int line;
        assert_int_equal(json_unpack(json_array_get(related, i), "{s:{s:{s:i}}, s:{s:s}}", "physicalLocation",
                                     "region", "startLine", &line, "message", "text", &text),
                         0);
        assert_string_equal(text, want[i].text);
        assert_int_equal(line, want[i].line);
    }
    // Who made it is a flow of its own, or, as here, a part of the forking thread's.
    json_t *flows = json_object_get(json_array_get(json_object_get(r, "codeFlows"), 0), "threadFlows");
    assert_int_equal(json_array_size(flows), 3);
    assert_int_equal(json_unpack(json_array_get(flows, 0), "{s:{s:s}}", "message", "text", &text), 0);
    assert_string_equal(text, "the forking thread");
    assert_int_equal(json_array_size(json_object_get(json_array_get(flows, 0), "locations")), 3);
    // Another run has it at another address, and may have had no time to look for the allocation.
    char print[40];
    strcpy(print, fingerprint(log, 1));
    json_decref(log);
    strcpy(f->lock.symbol, "heap lock 0x5555555593a8");
    f->lock.address += 0xa0;
    f->lock.allocated = NULL;
    log = sarif_of(v, "/src");
    assert_string_equal(fingerprint(log, 1), print);
    r = json_array_get(json_object_get(json_array_get(json_object_get(log, "runs"), 0), "results"), 1);
    assert_int_equal(json_unpack(r, "{s:{s:s}}", "message", "text", &text), 0);
    assert_non_null(strstr(text, "waits for a pthread_mutex without a name, held by"));
    char *all = json_dumps(log, JSON_COMPACT);
    assert_null(strstr(all, "0x5555"));
    free(all);
    json_decref(log);
    f->lock.allocated = v->allocations[0];
    v->allocations[0]->point.tid = 1300;
    f->initialised.tid = 1300;
    log = sarif_of(v, "/src");
    r = json_array_get(json_object_get(json_array_get(json_object_get(log, "runs"), 0), "results"), 1);
    flows = json_object_get(json_array_get(json_object_get(r, "codeFlows"), 0), "threadFlows");
    assert_int_equal(json_array_size(flows), 4);
    assert_int_equal(json_unpack(json_array_get(flows, 0), "{s:{s:s}}", "message", "text", &text), 0);
    assert_string_equal(text, "the thread that made the lock");
    json_decref(log);
    verdict_free(v);
}

// Every kind of finding has a rule of its own name, and nothing unknown makes an invalid log.
static void test_all_kinds(void **state) {
    (void)state;
    for (int kind = 0; kind <= FINDING_UNKNOWN_WAIT; kind++) {
        struct verdict *v = verdict_of(1);
        v->findings[0].kind = (enum finding_kind)kind;
        json_t *log = sarif_of(v, "/src");
        const char *rule, *text;
        json_t *result =
            json_array_get(json_object_get(json_array_get(json_object_get(log, "runs"), 0), "results"), 0);
        assert_int_equal(json_unpack(result, "{s:s, s:{s:s}}", "ruleId", &rule, "message", "text", &text), 0);
        assert_string_equal(rule, finding_kind_name((enum finding_kind)kind));
        assert_true(strlen(text) > 20);
        assert_int_equal(json_array_size(json_object_get(result, "locations")), 1);
        json_decref(log);
        verdict_free(v);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames),       cmocka_unit_test(test_odd_frames),
        cmocka_unit_test(test_wrap),         cmocka_unit_test(test_narrow_verdict),
        cmocka_unit_test(test_many),         cmocka_unit_test(test_sarif),
        cmocka_unit_test(test_fingerprints), cmocka_unit_test(test_all_kinds),
        cmocka_unit_test(test_many_waits),   cmocka_unit_test(test_sarif_heap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
