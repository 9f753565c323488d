#include "tui/recording/timeline_source.h"

#include "core/abi.h"
#include "core/array.h"
#include "core/decode/recorded.h"
#include "core/futex.h"
#include "core/path.h"
#include "replayer/names/script.h"
#include "replayer/source_text.h"
#include "tui/recording/changes.h"
#include "tui/recording/lock_ops.h"
#include "tui/recording/values.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

// The index that `load` builds in one pass: for each task the numbers of its events and their kinds (5 bytes an event).
struct lane {
    struct tui_task task;
    uint32_t *numbers;
    uint8_t *kinds;
    size_t count, kind_count; // the same
    uint64_t entry;           // the ENTER event that was read last, 0: none
    uint64_t args[6];         // its arguments
};

struct numbers {
    uint32_t *items;
    size_t count;
};

struct timeline_source {
    struct tui_source source;
    struct session *session; // NULL before it is opened
    bool own;                // opened by the source
    int (*check)(const char *path, struct rf_error *err);
    struct timeline *timeline; // the session's
    struct source_text *texts;
    struct trace_reader *reader;
    uint64_t next; // the event that the reader's cursor stands before; 0: unknown
    uint64_t last, loaded;
    bool complete; // read to the end, or as far as it can be read
    struct lane *lanes;
    size_t lane_count;
    struct numbers landmarks[TUI_LANDMARKS];
    struct descriptors *descriptors; // as far as `loaded`
    char title[256];
    tui_progress progress;
    void *progress_argument;
};

// An answer to `links` may look at so many events behind the one in question: a key must not take longer.
enum { LINK_WINDOW = 20000 };

static void push(struct numbers *n, uint64_t number) {
    array_push(n->items, n->count, (uint32_t)number);
}

// How many of the numbers are <= `number`.
static size_t rank_in(const uint32_t *items, size_t count, uint64_t number) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (items[middle] <= number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// ---- reading

static bool read_event(struct timeline_source *s, uint64_t number, struct event *out) {
    if (number < 1 || number > s->last) return false;
    if (s->next != number && trace_seek(s->reader, number, NULL)) {
        s->next = 0;
        return false;
    }
    bool good = trace_next(s->reader, out, NULL) == 1;
    s->next = good ? number + 1 : 0;
    return good;
}

static void copy_text(const struct event *e, uint64_t kind, char *out, size_t size) {
    size_t from = 0;
    const struct piece *p;
    *out = 0;
    while ((p = event_piece(e, PIECE_TEXT, &from))) {
        if (p->text.kind != kind) continue;
        snprintf(out, size, "%.*s", (int)(p->len > 4096 ? 4096 : p->len),
                 p->len ? (const char *)p->data : "");
        return;
    }
}

static void say(const struct event *e, char *out, size_t size) {
    static const char *const traps[] = {"?",      "rdtsc",  "rdtscp", "cpuid", "rdrand",
                                        "rdseed", "xgetbv", "xsave",  "rdpid"};
    char text[160];
    switch (e->kind) {
    case EV_EXEC:
        copy_text(e, TEXT_PATH, text, sizeof text);
        snprintf(out, size, "executes %s", text);
        return;
    case EV_BIRTH:
        snprintf(out, size,
                 e->flags & EVF_THREAD ? "starts thread %lld"
                 : e->flags & EVF_VM   ? "starts process %lld in its own memory"
                                       : "forks process %lld",
                 (long long)e->ret);
        return;
    case EV_DEATH:
        snprintf(out, size, e->flags & EVF_KILLED ? "killed by signal %lld" : "ends with status %lld",
                 (long long)e->ret);
        return;
    case EV_TICK:
        snprintf(out, size, "at library call %lld", (long long)e->ret);
        return;
    case EV_BREAK:
        snprintf(out, size, "%s 0x%llx, time %llu", e->nr == BREAK_BEHIND ? "behind" : "at",
                 (unsigned long long)e->ret, (unsigned long long)e->aux);
        return;
    case EV_TRAP:
        snprintf(out, size, "%s", traps[e->nr >= TRAP_RDTSC && e->nr < TRAP_KINDS ? e->nr : 0]);
        return;
    case EV_SIGNAL: {
        const char *name = sigabbrev_np(e->nr);
        snprintf(out, size, "signal %d (SIG%s)", e->nr, name ? name : "?");
        return;
    }
    case EV_STUCK:
        snprintf(out, size, "waits for ever (%s)", e->flags & EVF_PROVED ? "proved" : "likely");
        return;
    case EV_NOTE:
        copy_text(e, TEXT_MESSAGE, out, size);
        return;
    case EV_END:
        copy_text(e, TEXT_MESSAGE, text, sizeof text); // of END_FAILED
        snprintf(out, size, "the recording ends: %s%s%s", end_reason_text(e->nr), *text ? ": " : "", text);
        return;
    default:
        snprintf(out, size, "%s", event_kind_name(e->kind));
        return;
    }
}

static bool is_fork(const struct event *e) {
    return e->kind == EV_BIRTH && !(e->flags & (EVF_VM | EVF_THREAD));
}

// ---- the index

// TIDs are reused: the last one born is meant.
static struct lane *lane_of(struct timeline_source *s, int tid) {
    for (size_t i = s->lane_count; i-- > 0;) {
        if (s->lanes[i].task.tid == tid) return &s->lanes[i];
    }
    return NULL;
}

static struct lane *add_lane(struct timeline_source *s, int tid, int pid, int parent, uint64_t birth) {
    struct lane *lane = array_add(s->lanes, s->lane_count);
    *lane = (struct lane){.task = {.tid = tid, .pid = pid, .parent_tid = parent, .birth = birth}};
    const struct lane *from = lane_of(s, parent);
    if (from && from != lane) memcpy(lane->task.name, from->task.name, sizeof lane->task.name);
    return lane;
}

static void set_name(struct tui_task *task, const char *path) {
    snprintf(task->name, sizeof task->name, "%.15s", base_name(path));
}

static void index_event(struct timeline_source *s, const struct event *e) {
    if (!e->tid) return; // END is no task's
    struct lane *lane = lane_of(s, e->tid);
    if (!lane) lane = add_lane(s, e->tid, e->tid, 0, 0);
    array_push(lane->numbers, lane->count, (uint32_t)e->number);
    array_push(lane->kinds, lane->kind_count, e->kind);
    char text[256];
    if (is_fork(e)) push(&s->landmarks[TUI_FORK], e->number);
    if (e->kind == EV_ENTER) push(&s->landmarks[TUI_BLOCK], e->number);
    if (e->kind == EV_DEATH) lane->task.death = e->number;
    if (e->kind == EV_EXEC) {
        copy_text(e, TEXT_PATH, text, sizeof text);
        if (*text) set_name(&lane->task, text);
    } else {
        copy_text(e, TEXT_NAME, text, sizeof text);
        if (*text) set_name(&lane->task, text);
    }
    if (e->kind == EV_BIRTH) { // the last use of `lane`: the array may move
        int parent_pid = lane->task.pid;
        add_lane(s, (int)e->ret, e->flags & EVF_THREAD ? parent_pid : (int)e->aux, e->tid, e->number);
    }
}

static bool source_load(void *context) {
    struct timeline_source *s = context;
    struct timespec begin, now;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    while (!s->complete && s->loaded < s->last) {
        struct event e;
        if (!read_event(s, s->loaded + 1, &e)) { // a broken tail: what can be read is shown
            s->complete = true;
            break;
        }
        index_event(s, &e);
        descriptors_event(s->descriptors, &e, recorded_memory(&e));
        s->loaded++;
        if (s->loaded % 256) continue;
        clock_gettime(CLOCK_MONOTONIC, &now);
        if ((now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000 >= 8) return true;
    }
    s->complete = true;
    return false;
}

static uint64_t source_last(void *context) {
    const struct timeline_source *s = context;
    return s->last;
}

static uint64_t source_loaded(void *context) {
    const struct timeline_source *s = context;
    return s->loaded;
}

static size_t source_task_count(void *context) {
    const struct timeline_source *s = context;
    return s->lane_count;
}

static bool source_task(void *context, size_t index, struct tui_task *out) {
    const struct timeline_source *s = context;
    if (index >= s->lane_count) return false;
    *out = s->lanes[index].task;
    return true;
}

static uint64_t source_rank(void *context, size_t index, uint64_t number) {
    const struct timeline_source *s = context;
    return index < s->lane_count ? rank_in(s->lanes[index].numbers, s->lanes[index].count, number) : 0;
}

static uint64_t source_select(void *context, size_t index, uint64_t k, uint8_t *kind) {
    const struct timeline_source *s = context;
    if (index >= s->lane_count || k < 1 || k > s->lanes[index].count) return 0;
    *kind = s->lanes[index].kinds[k - 1];
    return s->lanes[index].numbers[k - 1];
}

static uint64_t source_landmark(void *context, enum tui_landmark what, uint64_t number, int direction) {
    const struct timeline_source *s = context;
    const struct numbers *n = &s->landmarks[what];
    if (direction > 0) {
        size_t at = rank_in(n->items, n->count, number);
        return at < n->count ? n->items[at] : 0;
    }
    size_t at = number ? rank_in(n->items, n->count, number - 1) : 0;
    return at ? n->items[at - 1] : 0;
}

// ---- causes and effects

// The task's event before (-1) or after (1) `number`, 0: none.
static uint64_t neighbour(struct timeline_source *s, int tid, uint64_t number, int direction, uint8_t *kind) {
    struct lane *lane = lane_of(s, tid);
    if (!lane) return 0;
    size_t index = (size_t)(lane - s->lanes);
    uint64_t rank = source_rank(s, index, direction > 0 ? number : number - 1);
    return source_select(s, index, direction > 0 ? rank + 1 : rank, kind);
}

// ---- one event
// The arguments of the call that the EXIT event `e` ends: those of its ENTER. Reads it if it was not the last one that was asked for, and
// *e again then.
static const uint64_t *entry_arguments(struct timeline_source *s, struct event *e) {
    struct lane *lane = lane_of(s, e->tid);
    uint8_t kind = EV_NONE;
    uint64_t number = e->number, enter = neighbour(s, e->tid, number, -1, &kind);
    while (enter && kind == EV_BIRTH) // lies between the two ends of a fork or clone
        enter = neighbour(s, e->tid, enter, -1, &kind);
    if (!lane || !enter || kind != EV_ENTER) return NULL;
    if (lane->entry != enter) {
        struct event entry;
        bool good = read_event(s, enter, &entry) && entry.flags & EVF_REGS;
        if (good) abi_arguments(&entry.regs, lane->args);
        lane->entry = good ? enter : 0;
        if (!read_event(s, number, e) || !good) return NULL;
    }
    return lane->args;
}

static void say_call(struct timeline_source *s, struct event *e, char *out, size_t size) {
    struct text t = text_in(out, size);
    const uint64_t *args = e->kind == EV_EXIT ? entry_arguments(s, e) : NULL;
    struct lane *lane = e->kind == EV_ENTER && e->flags & EVF_REGS ? lane_of(s, e->tid) : NULL;
    if (lane) {
        abi_arguments(&e->regs, lane->args);
        lane->entry = e->number;
    }
    recorded_call(&t, e, args, s->descriptors);
}

static bool source_event(void *context, uint64_t number, struct tui_event *out) {
    struct timeline_source *s = context;
    struct event e;
    if (!read_event(s, number, &e)) return false;
    *out = (struct tui_event){
        .number = number, .time_us = e.time_us, .tid = e.tid, .kind = e.kind, .fork = is_fork(&e)};
    if (e.kind == EV_SYSCALL || e.kind == EV_ENTER || e.kind == EV_EXIT)
        say_call(s, &e, out->text, sizeof out->text);
    else
        say(&e, out->text, sizeof out->text);
    return true;
}

static bool futex_op(const struct event *e, uint64_t *word, int *op) {
    if (e->nr != SYS_futex || !(e->flags & EVF_REGS)) return false;
    *word = e->regs.rdi;
    uint64_t args[6];
    abi_arguments(&e->regs, args);
    *op = futex_operation(args);
    return true;
}

// The call that woke a futex wait [enter, exit]: the last one before its exit that wakes the same word and
// woke somebody.
static uint64_t waker(struct timeline_source *s, uint64_t enter, uint64_t exit) {
    struct event e;
    uint64_t word = 0, other;
    int op = 0;
    if (!read_event(s, enter, &e) || !futex_op(&e, &word, &op)) return 0;
    uint64_t found = 0, from = exit - enter > LINK_WINDOW ? exit - LINK_WINDOW : enter + 1;
    for (uint64_t n = from; n < exit && read_event(s, n, &e); n++) {
        if (!futex_op(&e, &other, &op) || other != word || e.ret <= 0) continue;
        if (op == FUTEX_WAKE || op == FUTEX_WAKE_BITSET || op == FUTEX_WAKE_OP || op == FUTEX_REQUEUE ||
            op == FUTEX_CMP_REQUEUE || op == FUTEX_UNLOCK_PI) {
            found = n;
        }
    }
    return found;
}

static void source_links(void *context, uint64_t number, struct tui_links *out) {
    struct timeline_source *s = context;
    struct event e;
    uint8_t kind = EV_NONE;
    *out = (struct tui_links){0};
    if (!read_event(s, number, &e)) return;
    int tid = e.tid, nr = e.nr;
    int64_t ret = e.ret;
    uint8_t what = e.kind;
    uint64_t before = neighbour(s, tid, number, -1, &kind);
    if (what == EV_BIRTH) {
        out->effect = neighbour(s, (int)ret, number, 1, &kind);
    } else if (what == EV_ENTER) {
        out->effect = neighbour(s, tid, number, 1, &kind);
    } else if (what == EV_EXIT) {
        uint64_t enter = before; // a BIRTH lies between the two ends of a fork or clone
        while (enter && kind == EV_BIRTH)
            enter = neighbour(s, tid, enter, -1, &kind);
        out->cause = enter;
        uint64_t woke = nr == SYS_futex && ret == 0 && enter ? waker(s, enter, number) : 0;
        if (woke) out->cause = woke;
        struct lane *child = (nr == SYS_wait4 || nr == SYS_waitid) && ret > 0 ? lane_of(s, (int)ret) : NULL;
        if (child && child->task.death && child->task.death < number) out->cause = child->task.death;
    } else if (what == EV_STUCK) {
        out->cause = before;
    }
    struct lane *lane = lane_of(s, tid);
    bool first = !before && lane && lane->task.birth;
    if (first && !out->cause) out->cause = lane->task.birth;
}

// ---- what needs the replay

static int source_stack(void *context, uint64_t number, int tid, struct frame *out, size_t max,
                        struct rf_error *err) {
    struct timeline_source *s = context;
    if (timeline_seek(s->timeline, number, err)) return -1;
    struct frame *frames = calloc(max, sizeof *frames);
    if (!frames) return rf_fail(err, RF_CANNOT, "out of memory");
    size_t n = timeline_stack(s->timeline, tid, frames, max);
    n = script_frames(frames, n, out, max);
    free(frames);
    return (int)n;
}

static int source_alive(void *context, uint64_t number, int tid, struct rf_error *err) {
    struct timeline_source *s = context;
    const struct lane *lane = lane_of(s, tid);
    if (lane && lane->task.birth > number) {
        return rf_fail(err, RF_CANNOT, "task %d does not exist yet: event %llu makes it", tid,
                       (unsigned long long)lane->task.birth);
    }
    if (lane && lane->task.death && lane->task.death <= number) {
        return rf_fail(err, RF_CANNOT, "task %d is gone: it ended at event %llu", tid,
                       (unsigned long long)lane->task.death);
    }
    return 0;
}

static const char *source_line_text(void *context, const char *file, int line) {
    struct timeline_source *s = context;
    return source_text_line(s->texts, file, line);
}

// Names that only the verdict knows.
static void learn(struct timeline_source *s, const struct finding_task *task) {
    struct lane *lane = task->tid ? lane_of(s, task->tid) : NULL;
    if (!lane) return;
    if (*task->start_routine) {
        snprintf(lane->task.start_routine, sizeof lane->task.start_routine, "%.63s", task->start_routine);
    }
    if (*task->name) snprintf(lane->task.name, sizeof lane->task.name, "%.15s", task->name);
}

static int source_verdict(void *context, const struct verdict **out, struct rf_error *err) {
    struct timeline_source *s = context;
    return session_verdict(s->session, out, err);
}

static int source_variables(void *context, const struct tui_variables_wish *wish, struct tui_variables **out,
                            struct rf_error *err) {
    struct timeline_source *s = context;
    return values_variables(s->timeline, wish, out, err);
}

static int source_names(void *context, uint64_t number, int tid, struct tui_names **out,
                        struct rf_error *err) {
    struct timeline_source *s = context;
    return values_names(s->timeline, &(struct tui_place){.event = number, .tid = tid}, out, err);
}

static int source_change(void *context, const struct tui_change_wish *wish, struct tui_change *out,
                         struct rf_error *err) {
    struct timeline_source *s = context;
    return changes_find(s->timeline, wish, s->progress, s->progress_argument, out, err);
}

static int source_lock_story(void *context, const struct tui_lock_wish *wish, struct tui_lock_story **out,
                             struct rf_error *err) {
    struct timeline_source *s = context;
    struct lock_history *h;
    if (session_locks(s->session, &h, err)) return -1;
    return lock_ops_story(h, wish, out, err);
}

static void source_judged(void *context, const struct verdict *verdict) {
    struct timeline_source *s = context;
    for (size_t i = 0; i < verdict->count; i++) {
        const struct finding *f = &verdict->findings[i];
        learn(s, &f->holder);
        learn(s, &f->waiter);
        for (size_t j = 0; j < f->edge_count; j++) {
            learn(s, &f->edges[j].holder);
            learn(s, &f->edges[j].waiter);
        }
    }
}

static int source_open(void *context, struct rf_error *err) {
    struct timeline_source *s = context;
    if (s->session) return 0; // the caller's
    if (s->check && s->check(s->title, err)) return -1;
    if (session_open(s->title, &s->session, err)) return -1;
    s->own = true;
    s->timeline = session_timeline(s->session);
    return 0;
}

static void source_close(void *context) {
    struct timeline_source *s = context;
    if (!s->own) return;
    session_close(s->session);
    s->session = NULL;
    s->timeline = NULL;
    s->own = false;
}

static void source_set_progress(void *context, tui_progress progress, void *argument) {
    struct timeline_source *s = context;
    s->progress = progress;
    s->progress_argument = argument;
    if (s->timeline) timeline_set_progress(s->timeline, progress, argument);
}

// ---- life

int timeline_source_new(struct session *session, const char *path, struct timeline_source **out,
                        struct rf_error *err) {
    struct timeline_source *s = calloc(1, sizeof *s);
    if (!s) return rf_fail_errno(err, RF_CANNOT, "no memory for '%s'", path);
    if (trace_open(path, &s->reader, err)) {
        free(s);
        return -1;
    }
    s->descriptors = descriptors_new();
    s->session = session;
    s->timeline = session ? session_timeline(session) : NULL;
    s->texts = source_text_new(s->reader);
    s->last = trace_last_event(s->reader);
    if (s->last > UINT32_MAX) { // the index keeps 32 bits per event
        timeline_source_free(s);
        return rf_fail(err, RF_CANNOT, "'%s' has more than 4 billion events; 'refork explain' can read it",
                       path);
    }
    snprintf(s->title, sizeof s->title, "%s", path);
    s->source = (struct tui_source){
        .context = s,
        .title = s->title,
        .last = source_last,
        .event = source_event,
        .load = source_load,
        .loaded = source_loaded,
        .task_count = source_task_count,
        .task = source_task,
        .task_rank = source_rank,
        .task_select = source_select,
        .landmark = source_landmark,
        .links = source_links,
        .alive = source_alive,
        .judged = source_judged,
        .open = source_open,
        .close = source_close,
        .stack = source_stack,
        .lock_story = source_lock_story,
        .variables = source_variables,
        .names = source_names,
        .change = source_change,
        .source_line = source_line_text,
        .verdict = source_verdict,
        .set_progress = source_set_progress,
    };
    *out = s;
    return 0;
}

void timeline_source_check_first(struct timeline_source *s,
                                 int (*check)(const char *path, struct rf_error *err)) {
    s->check = check;
}

const struct tui_source *timeline_source_get(const struct timeline_source *s) {
    return &s->source;
}

void timeline_source_free(struct timeline_source *s) {
    if (!s) return;
    for (size_t i = 0; i < s->lane_count; i++) {
        free(s->lanes[i].numbers);
        free(s->lanes[i].kinds);
    }
    for (int i = 0; i < TUI_LANDMARKS; i++)
        free(s->landmarks[i].items);
    free(s->lanes);
    source_text_free(s->texts);
    descriptors_free(s->descriptors);
    trace_close(s->reader);
    free(s);
}
