#include "replayer/rr/trace.h"

#include "core/array.h"
#include "core/guard.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOTE "refork.rr" // what made it: two lines, the command and its options

enum { TASKS_MOST = 1 << 20 };

bool rr_is_trace(const char *path) {
    // rr's TraceStream has these four in every trace since 5.0.
    static const char *const parts[] = {"version", "events", "tasks", "mmaps"};
    struct stat st;
    if (stat(path, &st) || !S_ISDIR(st.st_mode)) return false;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char name[4200];
        snprintf(name, sizeof name, "%s/%s", path, parts[i]);
        if (stat(name, &st) || !S_ISREG(st.st_mode)) return false;
    }
    return true;
}

void rr_trace_note(const char *path, const char *command, const char *options) {
    char name[4200];
    snprintf(name, sizeof name, "%s/" NOTE, path);
    FILE *f = fopen(name, "we");
    if (!f) return;
    fprintf(f, "%s\n%s\n", command, options);
    fclose(f);
}

static void read_note(struct rr_trace *t) {
    char name[4200], options[sizeof t->options] = "";
    snprintf(name, sizeof name, "%s/" NOTE, t->path);
    scoped_file FILE *f = fopen(name, "re");
    char *lines[] = {t->recorder, options};
    for (size_t i = 0; f && i < 2 && fgets(lines[i], sizeof options, f); i++)
        lines[i][strcspn(lines[i], "\n")] = 0;
    // Other options may name programs.
    if (!strcmp(options, "-W")) strcpy(t->options, options);
}

// ---- rr dump

// "TraceTaskEvent::CLONE tid=2 parent=1 clone_flags=0x3d0f00", "::EXEC tid=1 file=./a", "::EXIT tid=1 status=0":
// DumpCommand.cc of rr 5.6 to 5.9.
static int field(const char *line, const char *end, const char *name, long *out) {
    const char *at = memmem(line, (size_t)(end - line), name, strlen(name));
    if (!at) return -1;
    char *stop;
    *out = strtol(at + strlen(name), &stop, 0);
    return stop == at + strlen(name) ? -1 : 0;
}

static struct rr_task *living(struct rr_trace *t, int tid) {
    for (size_t i = t->count; i-- > 0;)
        if (t->tasks[i].tid == tid) return t->tasks[i].died ? NULL : &t->tasks[i];
    return NULL;
}

static void born(struct rr_trace *t, int tid, int parent, long flags, uint64_t event) {
    struct rr_task task = {.tid = tid, .pid = tid, .parent = parent, .born = event};
    const struct rr_task *maker = living(t, parent);
    task.shares_memory = flags & CLONE_VM;
    task.forked = !(flags & CLONE_THREAD);
    if (!task.forked && maker) task.pid = maker->pid;
    if (t->count < TASKS_MOST) array_push(t->tasks, t->count, task);
}

static void read_task_event(struct rr_trace *t, const char *line, const char *end, uint64_t event) {
    long tid, parent, flags, status;
    if (field(line, end, " tid=", &tid)) return;
    struct rr_task *task = living(t, (int)tid);
    if (!strncmp(line, "CLONE ", 6) && !field(line, end, " parent=", &parent) &&
        !field(line, end, " clone_flags=", &flags)) {
        born(t, (int)tid, (int)parent, flags, event);
    } else if (!strncmp(line, "EXEC ", 5)) {
        if (task)
            task->forked = task->shares_memory = false;
        else if (!t->count)
            array_push(t->tasks, t->count, (struct rr_task){.tid = (int)tid, .pid = (int)tid, .born = event});
        const char *file = memmem(line, (size_t)(end - line), " file=", 6);
        if (file && !*t->program)
            snprintf(t->program, sizeof t->program, "%.*s", (int)(end - file - 6), file + 6);
    } else if (!strncmp(line, "EXIT ", 5) && task) {
        task->died = event;
        if (!field(line, end, " status=", &status)) task->status = (int)status;
    }
}

// rr's kinds of events by their first word (src/Event.h); others are notes.
static const struct {
    const char *word;
    uint8_t kind;
} kinds[] = {
    {"SYSCALL: ", EV_SYSCALL},     {"EXIT", EV_DEATH},          {"SIGNAL: ", EV_SIGNAL}, {"SCHED", EV_TICK},
    {"INSTRUCTION_TRAP", EV_TRAP}, {"PATCH_SYSCALL", EV_PATCH},
};

static void keep_frame(struct rr_trace *t, const char *line, const char *end, int tid) {
    const char *name = memmem(line, (size_t)(end - line), "event:`", 7);
    if (!name) return;
    name += 7;
    const char *stop = memchr(name, '\'', (size_t)(end - name));
    if (!stop) return;
    struct rr_frame *f = array_add(t->frames, t->frame_count);
    double seconds = strtod(line + 12, NULL); // behind "  real_time:"
    *f = (struct rr_frame){
        .event = t->last, .time_us = (uint64_t)(seconds * 1e6), .tid = tid, .kind = EV_NOTE};
    size_t skip = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strncmp(name, kinds[i].word, strlen(kinds[i].word))) continue;
        f->kind = kinds[i].kind;
        if (f->kind == EV_SYSCALL) skip = strlen(kinds[i].word);
    }
    const char *state = memmem(stop, (size_t)(end - stop), "(state:", 7);
    bool enters = state && !strncmp(state + 7, "ENTERING", 8),
         leaves = state && !strncmp(state + 7, "EXITING", 7);
    if (enters || leaves) f->kind = enters ? EV_ENTER : EV_EXIT;
    snprintf(f->text, sizeof f->text, "%.*s%s", (int)(stop - name - (ptrdiff_t)skip), name + skip,
             enters   ? " begins"
             : leaves ? " returns"
                      : "");
}

// "  real_time:1.5 global_time:331, event:`SYSCALL: futex' (state:ENTERING_SYSCALL) tid:28859, ticks:30"
static struct rr_task *read_frame(struct rr_trace *t, const char *line, const char *end) {
    const char *time = memmem(line, (size_t)(end - line), "global_time:", 12);
    long tid;
    if (!time) return NULL;
    t->last = strtoull(time + 12, NULL, 10);
    if (field(line, end, " tid:", &tid)) return NULL;
    keep_frame(t, line, end, (int)tid);
    struct rr_task *task = living(t, (int)tid);
    if (!task || memmem(line, (size_t)(end - line), "event:`EXIT'", 12)) return NULL;
    task->last = t->last;
    const char *state = memmem(line, (size_t)(end - line), "(state:", 7);
    task->in_call = state && (!strncmp(state + 7, "ENTERING", 8) || !strncmp(state + 7, "BLOCKED", 7));
    if (task->in_call) task->entered = t->last;
    return task;
}

static void read_dump(struct rr_trace *t, const char *text) {
    static const char mark[] = "  TraceTaskEvent::";
    struct rr_task *task = NULL; // of the frame that the line belongs to
    for (const char *line = text, *end; *line; line = *end ? end + 1 : end) {
        end = strchrnul(line, '\n');
        long value;
        if (!strncmp(line, "  real_time:", 12)) task = read_frame(t, line, end);
        if (task && !strncmp(line, "rax:", 4)) {
            task->rip = field(line, end, " rip:", &value) ? 0 : (uint64_t)value;
            task->rsp = field(line, end, " rsp:", &value) ? 0 : (uint64_t)value;
        }
        if (!strncmp(line, mark, sizeof mark - 1)) read_task_event(t, line + sizeof mark - 1, end, t->last);
    }
}

// Who recorded it, when that is another one: the way out.
static void name_recorder(const struct rr_trace *t, struct rf_error *err) {
    if (!*t->recorder || !strcmp(t->recorder, t->command)) return;
    const struct rf_error before = *err;
    rf_fail(err, before.status,
            "%.300s; the trace says that '%.200s' recorded it: name that with --rr if you trust it",
            before.text, t->recorder);
}

int rr_trace_open(const char *path, const char *command, const char *options, struct rr_trace *out,
                  struct rf_error *err) {
    *out = (struct rr_trace){0};
    if (!realpath(path, out->path)) return rf_fail_errno(err, RF_BAD_TRACE, "could not open '%s'", path);
    read_note(out);
    snprintf(out->command, sizeof out->command, "%s", command);
    if (options) snprintf(out->options, sizeof out->options, "%s", options);
    struct rr_line l = {0};
    struct rr_output o;
    rr_line_add(&l, out->command);
    rr_line_add(&l, "dump");
    rr_line_add(&l, "-e");
    rr_line_add(&l, out->path);
    if (rr_run(&l, NULL, &o, err)) return -1;
    if (WIFEXITED(o.status) && WEXITSTATUS(o.status) == 0) read_dump(out, o.text);
    int failed = 0;
    if (WIFEXITED(o.status) && WEXITSTATUS(o.status) == 127)
        failed =
            rf_fail(err, RF_CANNOT,
                    "'%s' is a trace of rr, and there is no '%s' here: install rr, or name one with --rr",
                    path, out->command);
    else if (!out->count)
        failed = rf_fail(err, RF_BAD_TRACE, "'%s' cannot read the trace '%s': %s", out->command, path,
                         *o.complaint ? o.complaint : "it has no program");
    if (failed) name_recorder(out, err);
    rr_output_release(&o);
    return failed;
}

void rr_trace_release(struct rr_trace *t) {
    free(t->tasks);
    free(t->frames);
    t->frames = NULL;
    t->tasks = NULL;
    t->count = 0;
}

const struct rr_task *rr_trace_task(const struct rr_trace *t, int tid, uint64_t event) {
    for (size_t i = t->count; i-- > 0;)
        if (t->tasks[i].tid == tid && (!event || t->tasks[i].born <= event)) return &t->tasks[i];
    return NULL;
}

const struct rr_task *rr_trace_forker(const struct rr_trace *t, const struct rr_task *first) {
    return first->parent ? rr_trace_task(t, first->parent, first->born) : NULL;
}

// The thread with the last event, of those that were there until a signal or the trace ended them. *threads: how many.
static const struct rr_task *last_of(const struct rr_trace *t, const struct rr_task *first, size_t *threads) {
    const struct rr_task *last = NULL;
    *threads = 0;
    for (const struct rr_task *task = first; task < t->tasks + t->count; task++) {
        if (task != first && task->tid == first->tid) break; // another one got its number
        if (task->pid != first->pid || (task->died && !WIFSIGNALED(task->status))) continue;
        ++*threads;
        if (!last || task->last > last->last) last = task;
    }
    return last;
}

uint64_t rr_trace_last(const struct rr_trace *t, const struct rr_task *first) {
    size_t threads;
    const struct rr_task *last = last_of(t, first, &threads);
    return last ? last->last : first->last;
}

struct rr_end rr_trace_end(const struct rr_trace *t, const struct rr_task *first) {
    size_t threads;
    const struct rr_task *last = last_of(t, first, &threads);
    if (threads < 2) return (struct rr_end){0};
    // A dump without registers does not say where its last call is made.
    if (last->in_call && !last->rip) return (struct rr_end){last->last, NULL};
    return (struct rr_end){last->last - 1, last->in_call ? last : NULL};
}

int rr_trace_serve(const struct rr_trace *t, const struct rr_task *first, uint64_t event,
                   struct rr_server *out, struct rf_error *err) {
    char options[sizeof t->options], pid[16], at[24];
    snprintf(options, sizeof options, "%s", t->options);
    snprintf(pid, sizeof pid, "%d", first->pid);
    snprintf(at, sizeof at, "%" PRIu64, event);
    struct rr_line l = {0};
    rr_line_add(&l, t->command);
    rr_line_add(&l, "replay");
    rr_line_words(&l, options);
    rr_line_add(&l, "-q"); // the program's output was seen when it was recorded
    rr_line_add(&l, first->parent && (first->forked || first->shares_memory) ? "-f" : "-p");
    rr_line_add(&l, pid);
    if (event) {
        rr_line_add(&l, "-g");
        rr_line_add(&l, at);
    } else {
        rr_line_add(&l, "-e");
    }
    rr_line_add(&l, "-s");
    rr_line_add(&l, "0");
    rr_line_add(&l, t->path);
    return rr_server_start(&l, out, err);
}
