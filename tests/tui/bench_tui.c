// The TUI over a recording of so many events (10,000,000): how long until it is on the screen, and what a step costs, drawn
// included. The recording is made here, without a program: two tasks by turns. Prints three numbers, in ms: the first paint from
// the opening of the file, the median of 200 single steps, and that of 40 jumps to anywhere.
//   tui FILE [EVENTS]
#include "core/clock.h"
#include "core/trace/trace_write.h"
#include "tui/keys.h"
#include "tui/model.h"
#include "tui/recording/timeline_source.h"
#include "tui/screen.h"
#include "tui/view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

enum { STEPS = 201, JUMPS = 41 };

static void check(int failed, const struct rf_error *err) {
    if (!failed) return;
    fprintf(stderr, "tui: %s\n", err->text);
    exit(1);
}

static void make(const char *path, uint64_t events) {
    struct trace_header header = {.format = TRACE_FORMAT, .cpu.level = CPU_NATIVE};
    struct trace_writer *w;
    struct rf_error err = {0};
    check(trace_create(path, &header, -1, &w, &err), &err);
    for (uint64_t i = 1; i <= events; i++) {
        struct event e = {
            .kind = EV_SYSCALL, .tid = 100 + (int)(i / 3 % 2), .nr = SYS_getppid, .ret = 1, .time_us = i * 2};
        struct piece name = {.kind = PIECE_TEXT, .text = {TEXT_PATH}, .data = "/bin/x", .len = 6};
        if (i == 1) e = (struct event){.kind = EV_EXEC, .tid = 100, .pieces = &name, .piece_count = 1};
        if (i == 2)
            e = (struct event){.kind = EV_BIRTH, .tid = 100, .ret = 101, .aux = 100, .flags = EVF_THREAD};
        check(trace_append(w, &e, &err), &err);
    }
    check(trace_finish(w, &err), &err);
}

static double ms_since(uint64_t then) {
    return (double)(clock_us(CLOCK_MONOTONIC) - then) / 1000;
}

static int by_time(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *times, size_t count) {
    qsort(times, count, sizeof *times, by_time);
    return times[count / 2];
}

int main(int argc, char **argv) {
    uint64_t events = argc > 2 ? strtoull(argv[2], NULL, 10) : 10000000;
    struct timeline_source *opened;
    struct tui_screen screen = {0};
    struct tui_model *m = calloc(1, sizeof *m);
    struct rf_error err = {0};
    if (argc < 2 || !m) return 1;
    make(argv[1], events);
    tui_screen_resize(&screen, 200, 50);

    uint64_t begin = clock_us(CLOCK_MONOTONIC);
    check(timeline_source_new(NULL, argv[1], &opened, &err), &err);
    const struct tui_source *source = timeline_source_get(opened);
    tui_model_init(m, source, 200, 50, events / 2);
    tui_view_draw(m, &screen);
    double first = ms_since(begin), steps[STEPS], jumps[JUMPS];

    while (source->load(source->context)) // the index: behind the paint, 8 ms at a time
        continue;
    for (int i = 0; i < STEPS; i++) {
        begin = clock_us(CLOCK_MONOTONIC);
        tui_model_key(m, i % 2 ? 'p' : 'n');
        tui_view_draw(m, &screen);
        steps[i] = ms_since(begin);
    }
    for (int i = 0; i < JUMPS; i++) {
        char keys[32];
        snprintf(keys, sizeof keys, ":%llu", (unsigned long long)(1 + (uint64_t)i * 7919 * 104729 % events));
        begin = clock_us(CLOCK_MONOTONIC);
        for (const char *key = keys; *key; key++)
            tui_model_key(m, *key);
        tui_model_key(m, TUI_KEY_ENTER);
        tui_view_draw(m, &screen);
        jumps[i] = ms_since(begin);
    }
    printf("%.1f %.1f %.1f\n", first, median(steps, STEPS), median(jumps, JUMPS));
    tui_model_release(m);
    tui_screen_release(&screen);
    timeline_source_free(opened);
    free(m);
    return 0;
}
