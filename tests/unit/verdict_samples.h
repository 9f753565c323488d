// Verdicts made by hand, for the tests of the reports. Static functions: included by each of them.
#ifndef REFORK_TESTS_UNIT_VERDICT_SAMPLES_H
#define REFORK_TESTS_UNIT_VERDICT_SAMPLES_H

#include "replayer/report/text.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static inline const char *quoted(void *context, const char *file, int line) {
    (void)context;
    if (strcmp(file, "/src/app/server.c")) return NULL;
    static const struct {
        int line;
        const char *text;
    } lines[] = {
        {41, "\tpthread_mutex_lock(&log_mutex); /* child */"},
        {12, "    pthread_mutex_lock(&log_mutex);"},
        {77, "    pid_t pid = fork();"},
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (lines[i].line == line) return lines[i].text;
    return NULL;
}

#define FRAME(f, l)                                                                                          \
    {                                                                                                        \
        .pc = 0x401000 + (l), .function = (f), .file = "/src/app/server.c", .line = (l), .module = "server", \
        .module_offset = 0x1000 + (l)                                                                        \
    }
#define LIBC(f)                                                                                              \
    {                                                                                                        \
        .pc = 0x7ffff7e00000, .function = (f), .file = "./nptl/x.c", .line = 93, .module = "libc.so.6",      \
        .module_offset = 0x90000                                                                             \
    }

#define STACK(...)                                                                                           \
    stack_of((struct frame[]){__VA_ARGS__}, sizeof((struct frame[]){__VA_ARGS__}) / sizeof(struct frame))

static inline struct verdict *verdict_of(size_t findings) {
    struct verdict *v = calloc(1, sizeof *v);
    assert_non_null(v);
    v->findings = findings ? calloc(findings, sizeof *v->findings) : NULL;
    v->count = findings;
    v->deadlock = findings > 0;
    v->events = 4321;
    strcpy(v->program, "server");
    strcpy(v->end_reason, findings ? "stopped by refork: process 1235 is stuck" : "exited with status 0");
    return v;
}

static inline struct verdict *orphaned(void) {
    struct verdict *v = verdict_of(2);
    struct finding *f = &v->findings[1];
    f->kind = FINDING_ORPHANED_LOCK;
    f->confidence = CONFIDENCE_PROVED;
    f->lock = (struct finding_lock){.address = 0x404080,
                                    .kind = "pthread_mutex",
                                    .symbol = "log_mutex",
                                    .declared = "/src/app/server.c:5"};
    f->holder = (struct finding_task){
        .pid = 1233, .tid = 1234, .name = "logger", .start_routine = "worker", .vanished = true};
    f->waiter = (struct finding_task){.pid = 1235, .tid = 1235, .name = "server"};
    f->acquired =
        (struct finding_point){.event = 600,
                               .pid = 1233,
                               .tid = 1234,
                               .stack = STACK(LIBC("pthread_mutex_lock"), FRAME("write_log", 12),
                                              FRAME("worker", 30), LIBC("start_thread"), LIBC("clone3"))};
    f->fork = (struct finding_point){.event = 700,
                                     .pid = 1233,
                                     .tid = 1233,
                                     .stack = STACK(LIBC("_Fork"), LIBC("fork"), FRAME("main", 77),
                                                    LIBC("__libc_start_main"), FRAME("_start", 0))};
    f->waiting = (struct finding_point){.event = 812,
                                        .pid = 1235,
                                        .tid = 1235,
                                        .stack = STACK(LIBC("futex_wait"), LIBC("__lll_lock_wait"),
                                                       LIBC("pthread_mutex_lock"), FRAME("child_work", 41),
                                                       FRAME("main", 80), LIBC("__libc_start_main"),
                                                       FRAME("_start", 0))};
    strcpy(f->advice, "Use posix_spawn, or fork before the first thread is made, or protect log_mutex with "
                      "pthread_atfork so that it is free in the child.");
    f = &v->findings[0];
    f->kind = FINDING_CROSS_PROCESS_WAIT;
    f->confidence = CONFIDENCE_PROVED;
    f->waiter = (struct finding_task){.pid = 1233, .tid = 1233, .name = "server"};
    f->waiting = (struct finding_point){
        .event = 820, .pid = 1233, .tid = 1233, .stack = STACK(LIBC("wait4"), FRAME("main", 99))};
    f->caused_by = &v->findings[1];
    return v;
}

static inline struct verdict *cycle(void) {
    struct verdict *v = verdict_of(1);
    struct finding *f = v->findings;
    f->kind = FINDING_ATFORK_DEADLOCK;
    f->confidence = CONFIDENCE_LIKELY;
    f->lock = (struct finding_lock){.address = 0x404080, .kind = "pthread_mutex", .symbol = "b_mutex"};
    f->waiter = (struct finding_task){.pid = 9, .tid = 9, .name = "main"};
    f->holder = (struct finding_task){.pid = 9, .tid = 10, .name = "other"};
    f->acquired =
        (struct finding_point){.event = 5, .pid = 9, .tid = 10, .stack = STACK(FRAME("take_b", 12))};
    f->waiting = (struct finding_point){.event = 7, .pid = 9, .tid = 9, .stack = STACK(FRAME("prepare", 41))};
    f->edges = calloc(1, sizeof *f->edges);
    f->edge_count = 1;
    f->edges[0].lock =
        (struct finding_lock){.address = 0x4040c0, .kind = "pthread_mutex", .symbol = "a_mutex"};
    f->edges[0].waiter = f->holder;
    f->edges[0].holder = f->waiter;
    f->edges[0].acquired = (struct finding_point){.event = 4, .stack = STACK(FRAME("take_a", 77))};
    f->edges[0].waiting = (struct finding_point){.event = 6, .stack = STACK(FRAME("take_a_too", 12))};
    return v;
}

// The parts come in this order.
static inline void expect_order(const char *text, const char *const *parts) {
    const char *at = text;
    for (; *parts; parts++) {
        const char *found = strstr(at, *parts);
        if (!found) fail_msg("'%s' is not (in its place) in:\n%s", *parts, text);
        at = found + strlen(*parts);
    }
}

#define ORDER(text, ...) expect_order(text, (const char *const[]){__VA_ARGS__, NULL})

static inline void expect_narrow(const char *text) {
    for (const char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
        int columns = 0; // characters of UTF-8
        for (const char *c = line; c < end; c++)
            columns += (*c & 0xc0) != 0x80;
        if (columns > 80) fail_msg("%d columns: %.*s", columns, (int)(end - line), line);
    }
}

#endif
