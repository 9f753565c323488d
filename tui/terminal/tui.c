// The loop between terminal and model, for a user and for a script.
#include "tui/terminal/tui.h"

#include "tui/focus.h"
#include "tui/marks.h"
#include "tui/model.h"
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

struct session {
    struct tui_model model;
    struct tui_screen screen;
    const char *recording;
    bool script;
    bool quit;
    struct worker *worker; // NULL in a script: jobs are carried out between two keys
    struct timespec painted;
    struct rf_error *err;
    bool failed; // of a script: *err is filled
};

static void paint(struct session *s) {
    int cols, rows;
    tui_terminal_size(&cols, &rows);
    if (cols != s->screen.cols || rows != s->screen.rows) tui_screen_resize(&s->screen, cols, rows);
    if (cols != s->model.cols || rows != s->model.rows) tui_model_resize(&s->model, cols, rows);
    tui_view_draw(&s->model, &s->screen);
    tui_terminal_show(&s->screen);
    clock_gettime(CLOCK_MONOTONIC, &s->painted);
}

static void edit(struct session *s) {
    struct rf_error err = {0};
    const struct tui_model *m = &s->model;
    const struct frame *f = m->focus.frame < m->frame_count ? &m->frames[m->focus.frame] : NULL;
    if (!f || !f->file) return;
    if (tui_terminal_edit(f->file, f->line ? f->line : 1, &err))
        tui_model_message(&s->model, true, "%s", err.text);
}

static void dump(struct session *s) {
    struct rf_error err = {0};
    paint(s);
    int result = tui_terminal_dump(&s->screen, s->model.request_text, &err);
    if (!result) {
        tui_model_message(&s->model, false, "saved as '%s'", s->model.request_text);
    } else if (s->script) {
        rf_fail(s->err, err.status, "%s", err.text);
        s->failed = true;
    } else {
        tui_model_message(&s->model, true, "%s", err.text);
    }
}

// gdb on the recording, in a process of its own, which tells at last where it was.
static void debug(struct session *s) {
    struct rf_error err = {0};
    struct tui_model *m = &s->model;
    char event[24], task[16], answer[64] = "", where[32];
    int from[2], tid = 0;
    unsigned long long number = 0;
    if (!s->recording) {
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
    const char *const argv[] = {"/proc/self/exe", "gdb", "--at", event,        "--task", task,
                                "--where",        where, "--",   s->recording, NULL};
    int status = tui_terminal_run(argv, &err);
    close(from[1]);
    ssize_t n = read(from[0], answer, sizeof answer - 1);
    close(from[0]);
    if (status < 0) {
        tui_model_message(m, true, "%s", err.text);
    } else if (n > 0 && sscanf(answer, "%llu %d", &number, &tid) == 2) {
        tui_model_jump(m, number, tid);
        tui_model_message(m, false, "gdb was at event %llu, in task %d", number, tid);
    } else {
        tui_model_message(m, true,
                          status == 127 ? "there is no gdb: install it"
                                        : "gdb ended with status %d; nothing moved",
                          status);
    }
}

static void serve_request(struct session *s) {
    enum tui_request request = s->model.request;
    s->model.request = TUI_REQUEST_NONE;
    switch (request) {
    case TUI_REQUEST_NONE:
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
        edit(s);
        break;
    case TUI_REQUEST_GDB:
        debug(s);
        break;
    case TUI_REQUEST_DUMP:
        dump(s);
        break;
    case TUI_REQUEST_MOUSE:
        tui_model_message(&s->model, false,
                          tui_terminal_mouse()
                              ? "mouse on; M turns it off (shift selects text in most terminals)"
                              : "mouse off: the terminal selects text; M turns it on");
        break;
    }
}

// Takes one key; false when there is none within the time.
static bool take_key(struct session *s, int timeout_ms) {
    int y = 0, x = 0, key = tui_terminal_key(timeout_ms, &y, &x);
    if (key == TUI_KEY_NONE) return false;
    if (key == TUI_KEY_CLICK)
        tui_pointer_click(&s->model, y, x);
    else if (key == TUI_KEY_WHEEL_UP || key == TUI_KEY_WHEEL_DOWN)
        tui_pointer_wheel(&s->model, key, y, x);
    else
        tui_model_key(&s->model, key);
    serve_request(s);
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

static void give(void *argument, struct tui_job *job) {
    struct session *s = argument;
    worker_give(s->worker, job);
}

// Takes the answer when the job is through; false: nothing has come.
static bool take_answer(struct session *s) {
    if (!s->model.job.kind || !worker_through(s->worker)) return false;
    tui_work_answered(&s->model);
    if (s->model.failed.status) s->quit = true;
    return true;
}

enum { PROGRESS_MS = 100 }; // how often the progress of a job is painted

static int run_terminal(struct session *s) {
    s->worker = worker_new(s->model.source, tui_terminal_wake, s->err);
    if (!s->worker) return -1;
    s->model.poll = poll_terminal;
    s->model.poll_argument = s->model.give_argument = s;
    s->model.give = give;
    bool more = true;
    paint(s);
    while (!s->quit && !tui_terminal_signal()) {
        int wait = more ? 0 : s->model.job.kind ? PROGRESS_MS : -1;
        if (take_key(s, wait)) {
            while (!s->quit && take_key(s, 0))
                continue; // typed ahead: paint once
        } else if (tui_terminal_signal()) {
            break;
        }
        take_answer(s);
        more = !s->quit && tui_model_work(&s->model);
        if (!s->quit) paint(s);
    }
    if (!s->model.failed.status) return 0;
    *s->err = s->model.failed;
    return -1;
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
        while (tui_model_work(&s->model))
            continue;
        if (s->model.failed.status) {
            *s->err = s->model.failed;
            return -1;
        }
        if (s->quit || s->failed) break;
        size_t len = dump_at(&s->model, *script);
        if (len) {
            dump(s);
            *script += len;
            continue;
        }
        result = tui_key_script(script, &key, s->err);
        if (result < 0) return -1;
        if (!result) break;
        tui_model_key(&s->model, key);
        while (tui_model_work(&s->model))
            continue;
        serve_request(s);
    }
    return s->failed ? -1 : 0;
}

int tui_browse(const struct tui_source *source, const struct tui_options *options, const char **script,
               struct rf_error *err) {
    struct session *s = calloc(1, sizeof *s);
    rf_assert(s);
    s->script = script != NULL;
    s->recording = options->recording;
    s->err = err;
    s->screen.ascii = tui_terminal_ascii();
    int cols, rows;
    tui_terminal_size(&cols, &rows);
    tui_screen_resize(&s->screen, cols, rows);
    tui_model_init(&s->model, source, cols, rows, options->start);
    if (options->no_verdict) tui_model_hide_verdict(&s->model);
    tui_marks_open(&s->model, options->marks);
    int result = s->script ? run_script(s, script) : run_terminal(s);
    if (options->ends) tui_terminal_close(); // nobody waits for a job that takes a while to stop
    if (s->worker)
        worker_free(s->worker);
    else
        source->close(source->context);
    tui_model_release(&s->model);
    tui_screen_release(&s->screen);
    free(s);
    return result;
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
