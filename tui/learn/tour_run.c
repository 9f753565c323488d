#include "tui/learn/tour_run.h"

#include "search/interrupt.h"
#include "tui/keys.h"
#include "tui/learn/tour_view.h"
#include "tui/recording/timeline_source.h"
#include "tui/terminal/terminal.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

struct driver {
    struct tour tour;
    struct tui_screen screen;
    const struct tui_options *options;
    const char **script; // NULL: interactive
    bool quit;
    struct rf_error *err;
    bool failed; // *err is filled
};

static void paint(struct driver *d) {
    int cols, rows;
    tui_terminal_size(&cols, &rows);
    if (cols != d->screen.cols || rows != d->screen.rows) tui_screen_resize(&d->screen, cols, rows);
    tour_draw(&d->tour, &d->screen);
    tui_terminal_show(&d->screen);
}

static void prepare(struct driver *d) {
    struct rf_error err = {0};
    paint(d); // what takes a while is told first
    int failed = learn_part_prepare(&d->tour.study, d->tour.part, &err);
    tour_prepared(&d->tour, failed ? &err : NULL);
    if (failed && interrupted()) d->quit = true;
}

// The recording in the TUI, until q.
static void browse(struct driver *d, const struct study_run *run) {
    struct tui_options options = *d->options;
    struct timeline_source *source;
    struct rf_error err = {0};
    char marks[sizeof run->trace + 16];
    snprintf(marks, sizeof marks, "%s.marks", run->trace);
    options.recording = run->trace;
    options.marks = marks;
    options.no_verdict = d->tour.part == LEARN_RECORDING || d->tour.view.hides_verdict;
    int failed = timeline_source_new(NULL, run->trace, &source, &err);
    if (!failed) {
        failed = tui_browse(timeline_source_get(source), &options, d->script, &err);
        timeline_source_free(source);
    }
    if (!failed) return;
    snprintf(d->tour.message, sizeof d->tour.message, "%.150s", err.text);
}

static void serve(struct driver *d) {
    enum tour_request request = d->tour.request;
    d->tour.request = TOUR_NOTHING;
    switch (request) {
    case TOUR_NOTHING:
        break;
    case TOUR_QUIT:
        d->quit = true;
        break;
    case TOUR_PREPARE:
        prepare(d);
        break;
    case TOUR_OPEN_BUG:
        browse(d, &d->tour.study.bug);
        break;
    case TOUR_OPEN_FIX:
        browse(d, &d->tour.study.fix);
        break;
    case TOUR_REDRAW:
        tui_terminal_redraw();
        break;
    case TOUR_SUSPEND:
        if (!d->script) tui_terminal_suspend();
        break;
    }
}

static void run_terminal(struct driver *d) {
    int y, x;
    while (!d->quit && !tui_terminal_signal()) {
        paint(d);
        int key = tui_terminal_key(-1, &y, &x);
        if (key == TUI_KEY_NONE) continue;
        tour_key(&d->tour, key);
        serve(d);
    }
}

// "<Dump FILE>" saves the screen.
static bool dump(struct driver *d) {
    static const char head[] = "<Dump ";
    const char *end = strchr(*d->script, '>');
    char path[1024];
    if (strncmp(*d->script, head, sizeof head - 1) || !end) return false;
    snprintf(path, sizeof path, "%.*s", (int)(end - *d->script - (int)sizeof head + 1),
             *d->script + sizeof head - 1);
    *d->script = end + 1;
    paint(d);
    d->failed = tui_terminal_dump(&d->screen, path, d->err) < 0;
    return true;
}

static void run_script(struct driver *d) {
    int key, more;
    while (!d->quit && !d->failed) {
        paint(d); // the rows of a page follow from the screen's size
        if (dump(d)) continue;
        more = tui_key_script(d->script, &key, d->err);
        d->failed = more < 0;
        if (more <= 0) break;
        tour_key(&d->tour, key);
        serve(d);
    }
}

int tour_run(const struct lessons *lessons, struct workshop *w, const struct learn_view *view,
             const struct lesson *alone, const struct tui_options *options, struct rf_error *err) {
    const char *script = options->script;
    struct driver d = {.options = options, .script = script ? &script : NULL, .err = err};
    if (tui_open(options, err)) return -1;
    d.screen.ascii = tui_terminal_ascii();
    int cols, rows;
    tui_terminal_size(&cols, &rows);
    tui_screen_resize(&d.screen, cols, rows);
    tour_begin(&d.tour, lessons, w, view, alone);
    serve(&d);
    if (script)
        run_script(&d);
    else
        run_terminal(&d);
    tour_end(&d.tour);
    tui_screen_release(&d.screen);
    workshop_close(w); // the process may end by a signal now
    tui_end(options);
    return d.failed ? -1 : 0;
}
