// The loop between terminal and model, or two models of two recordings, for a user and for a script.
#include "tui/terminal/tui.h"

#include "tui/focus.h"
#include "tui/marks.h"
#include "tui/model.h"
#include "tui/pair/pair.h"
#include "tui/pointer.h"
#include "tui/screen.h"
#include "tui/view.h"
#include "tui/keys.h"
#include "tui/terminal/terminal.h"
#include "tui/work.h"
#include "tui/terminal/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

// A recording on the screen.
struct side {
    struct session *session;
    struct tui_model model;
    const char *recording, *rr, *rr_options;
    struct worker *worker;   // NULL in a script: jobs are carried out between two keys
    struct tui_job *waiting; // until the other side's job is through: one of them is on a processor at a time
};

struct session {
    struct side sides[2];
    int count;                 // of sides
    struct tui_pair_view pair; // of two
    struct tui_screen screen;
    bool script;
    bool quit;
    struct timespec painted;
    struct rf_error *err;
    bool failed; // of a script: *err is filled
};

// That takes the keys.
static struct side *active(struct session *s) {
    return &s->sides[s->count == 2 ? s->pair.active : 0];
}

static void paint(struct session *s) {
    int cols, rows;
    tui_terminal_size(&cols, &rows);
    struct tui_model *m = &s->sides[0].model;
    if (cols != s->screen.cols || rows != s->screen.rows) tui_screen_resize(&s->screen, cols, rows);
    if (s->count == 2) {
        tui_pair_resize(&s->pair, cols, rows);
        tui_pair_draw(&s->pair, &s->screen);
    } else {
        if (cols != m->cols || rows != m->rows) tui_model_resize(m, cols, rows);
        tui_view_draw(m, &s->screen);
    }
    tui_terminal_show(&s->screen);
    clock_gettime(CLOCK_MONOTONIC, &s->painted);
}

static void edit(struct side *side) {
    struct rf_error err = {0};
    const struct tui_model *m = &side->model;
    const struct frame *f = m->focus.frame < m->frame_count ? &m->frames[m->focus.frame] : NULL;
    if (!f || !f->file) return;
    if (tui_terminal_edit(f->file, f->line ? f->line : 1, &err))
        tui_model_message(&side->model, true, "%s", err.text);
}

static void dump(struct side *side) {
    struct session *s = side->session;
    struct rf_error err = {0};
    paint(s);
    int result = tui_terminal_dump(&s->screen, side->model.request_text, &err);
    if (!result) {
        tui_model_message(&side->model, false, "saved as '%s'", side->model.request_text);
    } else if (s->script) {
        rf_fail(s->err, err.status, "%s", err.text);
        s->failed = true;
    } else {
        tui_model_message(&side->model, true, "%s", err.text);
    }
}

// gdb on the recording, in a process of its own, which tells at last where it was.
static void debug(struct side *side) {
    struct rf_error err = {0};
    struct tui_model *m = &side->model;
    char event[24], task[16], answer[1024] = "", where[32], rr_options[600];
    int from[2], tid = 0;
    unsigned long long number = 0;
    if (!side->recording) {
        tui_model_message(m, true, "there is no recording that gdb could read");
        return;
    }
    if (pipe2(from, O_CLOEXEC | O_NONBLOCK)) { // what it does not say before it ends is not waited for
        tui_model_message(m, true, "no pipe: %s", strerror(errno));
        return;
    }
    snprintf(event, sizeof event, "%llu", (unsigned long long)m->focus.event);
    snprintf(task, sizeof task, "%d", m->focus.tid);
    snprintf(where, sizeof where, "/proc/%d/fd/%d", getpid(), from[1]);
    snprintf(rr_options, sizeof rr_options, "--rr-options=%s", side->rr_options ? side->rr_options : "");
    const char *argv[16] = {"/proc/self/exe", "gdb", "--at", event, "--task", task, "--where", where};
    size_t n_args = 8;
    if (side->rr) argv[n_args++] = "--rr", argv[n_args++] = side->rr;
    if (side->rr_options) argv[n_args++] = rr_options;
    argv[n_args++] = "--";
    argv[n_args++] = side->recording;
    int status = tui_terminal_run(argv, &err);
    close(from[1]);
    ssize_t n = read(from[0], answer, sizeof answer - 1);
    close(from[0]);
    if (status < 0) {
        tui_model_message(m, true, "%s", err.text);
    } else if (n > 0 && sscanf(answer, "%llu %d", &number, &tid) == 2) {
        tui_model_jump(m, number, tid);
        tui_model_message(m, false, "gdb was at event %llu, in task %d", number, tid);
    } else if (!strncmp(answer, "error: ", 7)) {
        answer[strcspn(answer, "\n")] = 0;
        tui_model_message(m, true, "no gdb: %s", answer + 7);
    } else if (status == 0) {
        tui_model_message(m, false, "gdb ended; it does not tell where it was"); // rr's own
    } else {
        tui_model_message(m, true,
                          status == 127 ? "there is no gdb: install it"
                                        : "gdb ended with status %d; nothing moved",
                          status);
    }
}

// What a key asks for; `before`: the focus before it.
static void serve_request(struct session *s, const struct tui_focus *before) {
    struct side *side = active(s);
    if (s->count == 2 && tui_pair_request(&s->pair)) return;
    enum tui_request request = side->model.request;
    side->model.request = TUI_REQUEST_NONE;
    switch (request) {
    case TUI_REQUEST_NONE:
    case TUI_REQUEST_SIDE:
    case TUI_REQUEST_DIFFERENCE_NEXT:
    case TUI_REQUEST_DIFFERENCE_PREVIOUS:
        break;
    case TUI_REQUEST_QUIT:
        s->quit = true;
        break;
    case TUI_REQUEST_REDRAW:
        tui_terminal_redraw();
        break;
    case TUI_REQUEST_SUSPEND:
        tui_terminal_suspend();
        break;
    case TUI_REQUEST_EDIT:
        edit(side);
        break;
    case TUI_REQUEST_GDB:
        debug(side);
        break;
    case TUI_REQUEST_DUMP:
        dump(side);
        break;
    case TUI_REQUEST_MOUSE:
        tui_model_message(&side->model, false,
                          tui_terminal_mouse()
                              ? "mouse on; M turns it off (shift selects text in most terminals)"
                              : "mouse off: the terminal selects text; M turns it on");
        break;
    }
    if (s->count == 2) tui_pair_follow(&s->pair, before);
}

// A key, a click or the wheel, and what follows from it.
static void press(struct session *s, int key, int y, int x) {
    bool points = key == TUI_KEY_CLICK || key == TUI_KEY_WHEEL_UP || key == TUI_KEY_WHEEL_DOWN;
    if (points && s->count == 2 && !tui_pair_point(&s->pair, y, &x)) return;
    struct tui_model *m = &active(s)->model;
    const struct tui_focus before = m->focus;
    if (key == TUI_KEY_CLICK)
        tui_pointer_click(m, y, x);
    else if (points)
        tui_pointer_wheel(m, key, y, x);
    else
        tui_model_key(m, key);
    serve_request(s, &before);
}

// Takes one key; false when there is none within the time.
static bool take_key(struct session *s, int timeout_ms) {
    int y = 0, x = 0, key = tui_terminal_key(timeout_ms, &y, &x);
    if (key == TUI_KEY_NONE) return false;
    press(s, key, y, x);
    return true;
}

// From inside a search or a filter: the screen stays alive.
static bool poll_terminal(void *argument) {
    struct session *s = argument;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    bool due = (now.tv_sec - s->painted.tv_sec) * 1000 + (now.tv_nsec - s->painted.tv_nsec) / 1000000 >= 40;
    while (!s->quit && take_key(s, 0))
        due = true;
    if (due && !s->quit) paint(s);
    return !s->quit && !tui_terminal_signal();
}

static bool works(struct side *side) {
    return side->model.job.kind && !side->waiting && !worker_through(side->worker);
}

static struct side *other(struct side *side) {
    struct session *s = side->session;
    return s->count == 2 ? &s->sides[side == &s->sides[0]] : NULL;
}

static void give(void *argument, struct tui_job *job) {
    struct side *side = argument, *opposite = other(side);
    if (opposite && works(opposite))
        side->waiting = job;
    else
        worker_give(side->worker, job);
}

// Takes the answers of jobs that are through, and gives those that wait.
static void take_answers(struct session *s) {
    for (int i = 0; i < s->count; i++) {
        struct side *side = &s->sides[i];
        if (!side->model.job.kind || side->waiting || !worker_through(side->worker)) continue;
        tui_work_answered(&side->model);
        if (side->model.failed.status) s->quit = true;
    }
    for (int i = 0; i < s->count; i++) {
        struct side *side = &s->sides[i];
        if (!side->waiting || works(other(side))) continue;
        worker_give(side->worker, side->waiting);
        side->waiting = NULL;
    }
}

// Does what there is to do beside keys, the active side first; true: there is more.
static bool work(struct session *s) {
    bool more = tui_model_work(&active(s)->model);
    if (s->count == 2 && !more) more = tui_model_work(&other(active(s))->model);
    return more;
}

// The error that a recording could not be opened for, if any.
static int failure(struct session *s) {
    for (int i = 0; i < s->count; i++) {
        if (!s->sides[i].model.failed.status) continue;
        *s->err = s->sides[i].model.failed;
        return -1;
    }
    return 0;
}

enum { PROGRESS_MS = 100 }; // how often the progress of a job is painted

static int run_terminal(struct session *s) {
    for (int i = 0; i < s->count; i++) {
        struct side *side = &s->sides[i];
        side->worker = worker_new(side->model.source, tui_terminal_wake, s->err);
        if (!side->worker) return -1;
        side->model.poll = poll_terminal;
        side->model.poll_argument = s;
        side->model.give_argument = side;
        side->model.give = give;
    }
    bool more = true;
    paint(s);
    while (!s->quit && !tui_terminal_signal()) {
        bool busy = s->sides[0].model.job.kind || (s->count == 2 && s->sides[1].model.job.kind);
        int wait = more ? 0 : busy ? PROGRESS_MS : -1;
        if (take_key(s, wait)) {
            while (!s->quit && take_key(s, 0))
                continue; // typed ahead: paint once
        } else if (tui_terminal_signal()) {
            break;
        }
        take_answers(s);
        more = !s->quit && work(s);
        if (!s->quit) paint(s);
    }
    return failure(s);
}

// "<Dump FILE>" saves the screen as it is, also while something is typed; ":dump FILE" where it is too small for prompts. The
// length of that, with the file's name in the model; 0: the script goes on with something else.
static size_t dump_at(struct tui_model *m, const char *script) {
    static const char angle[] = "<Dump ", colon[] = ":dump ";
    size_t head = strlen(angle), len;
    if (!strncmp(script, angle, head) && strchr(script, '>'))
        len = strcspn(script, ">") + 1;
    else if (m->layout.too_small && !strncmp(script, colon, head))
        len = strcspn(script, "<\n");
    else
        return 0;
    size_t name = len - head - (*script == '<');
    if (name >= sizeof m->request_text) return 0;
    snprintf(m->request_text, sizeof m->request_text, "%.*s", (int)name, script + head);
    return len;
}

// Takes the keys until the script ends or one of them quits: *script stands behind that one.
static int run_script(struct session *s, const char **script) {
    int key, result;
    for (;;) {
        while (work(s))
            continue;
        if (failure(s)) return -1;
        if (s->quit || s->failed) break;
        size_t len = dump_at(&active(s)->model, *script);
        if (len) {
            dump(active(s));
            *script += len;
            continue;
        }
        result = tui_key_script(script, &key, s->err);
        if (result < 0) return -1;
        if (!result) break;
        const struct tui_focus before = active(s)->model.focus;
        tui_model_key(&active(s)->model, key);
        while (work(s))
            continue;
        serve_request(s, &before);
    }
    return s->failed ? -1 : 0;
}

static int browse(struct session *s, const struct tui_options *options, const char **script) {
    int result = s->script ? run_script(s, script) : run_terminal(s);
    if (options->ends) tui_terminal_close(); // nobody waits for a job that takes a while to stop
    for (int i = 0; i < s->count; i++) {
        struct side *side = &s->sides[i];
        const struct tui_source *source = side->model.source;
        if (side->worker)
            worker_free(side->worker);
        else
            source->close(source->context);
        tui_model_release(&side->model);
    }
    if (s->count == 2) tui_pair_release(&s->pair);
    tui_screen_release(&s->screen);
    free(s);
    return result;
}

static struct session *session_new(const struct tui_source *const sources[], int count,
                                   const struct tui_options options[], bool script, struct rf_error *err) {
    struct session *s = calloc(1, sizeof *s);
    rf_assert(s);
    s->script = script;
    s->count = count;
    s->err = err;
    s->screen.ascii = tui_terminal_ascii();
    int cols, rows;
    tui_terminal_size(&cols, &rows);
    tui_screen_resize(&s->screen, cols, rows);
    for (int i = 0; i < count; i++) {
        struct side *side = &s->sides[i];
        side->session = s;
        side->recording = options[i].recording;
        side->rr = options[i].rr;
        side->rr_options = options[i].rr_options;
        tui_model_init(&side->model, sources[i], cols, rows, options[i].start);
        if (options[i].no_verdict) tui_model_hide_verdict(&side->model);
        tui_marks_open(&side->model, options[i].marks);
    }
    return s;
}

int tui_browse(const struct tui_source *source, const struct tui_options *options, const char **script,
               struct rf_error *err) {
    return browse(session_new(&source, 1, options, script != NULL, err), options, script);
}

int tui_open(const struct tui_options *options, struct rf_error *err) {
    struct tui_terminal_options terminal = {.ascii = options->ascii, .no_colour = options->no_colour};
    const char *size = options->size ? options->size : "80x24";
    int end = 0;
    if (options->script &&
        (sscanf(size, "%dx%d%n", &terminal.cols, &terminal.rows, &end) != 2 || size[end] ||
         terminal.cols < 1 || terminal.rows < 1 || terminal.cols > 1000 || terminal.rows > 1000))
        return rf_fail(err, RF_CANNOT, "bad size '%s'; write columns and rows as 80x24", size);
    return tui_terminal_open(&terminal, err);
}

void tui_end(const struct tui_options *options) {
    int ending = options->script ? 0 : tui_terminal_signal();
    tui_terminal_close();
    if (ending) raise(ending);
}

int tui_run(const struct tui_source *source, const struct tui_options *options, struct rf_error *err) {
    struct tui_options whole = *options;
    const char *script = options->script;
    whole.ends = true;
    if (tui_open(&whole, err)) return -1;
    int result = tui_browse(source, &whole, script ? &script : NULL, err);
    tui_end(&whole);
    return result;
}

int tui_run_pair(const struct tui_source *const sources[2], const struct tui_options options[2],
                 const struct tui_pair *pair, struct rf_error *err) {
    struct tui_options whole[2] = {options[0], options[1]};
    const char *script = options[0].script;
    whole[0].ends = true;
    if (tui_open(&whole[0], err)) return -1;
    struct session *s = session_new(sources, 2, whole, script != NULL, err);
    tui_pair_begin(&s->pair, pair, &s->sides[0].model, &s->sides[1].model, s->screen.ascii);
    tui_pair_resize(&s->pair, s->screen.cols, s->screen.rows);
    int result = browse(s, &whole[0], script ? &script : NULL);
    tui_end(&whole[0]);
    return result;
}
