// Made-up recordings as a tui_source: the story of samples/mutex_deadlock (a worker holds a mutex, main
// forks, the child wants the mutex), the same without a deadlock, and one of any length. Static functions:
// included by the unit test and by tests/tui/fixture_tui.c.
#ifndef REFORK_TESTS_TUI_FIXTURE_H
#define REFORK_TESTS_TUI_FIXTURE_H

#include "tui/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FIXTURE_MAIN = 1234,
    FIXTURE_WORKER = 1235,
    FIXTURE_CHILD = 1240,
    FIXTURE_SERVED = 2000,
    FIXTURE_POOL = 40
};
// SERVER: the deadlock behind a pool of children, FIXTURE_SERVED and the numbers behind it, that have ended.
enum fixture_kind {
    FIXTURE_DEADLOCK,
    FIXTURE_CLEAN,
    FIXTURE_FAILS,
    FIXTURE_HEAP,
    FIXTURE_SERVER,
    FIXTURE_DAMAGED
};

struct fixture_row {
    int tid;
    uint8_t kind;
    bool fork;
    uint64_t cause, effect;
    char text[96];
};

struct fixture {
    struct tui_source source;
    enum fixture_kind kind;
    struct fixture_row *rows; // rows[number]
    uint64_t last, loaded, room;
    uint64_t long_tail; // events of worker and main in turn before the story, made up on the fly
    struct tui_task tasks[3 + FIXTURE_POOL];
    size_t task_count;
    bool opened;
    struct verdict verdict;
    struct finding finding;
    struct lock_allocation allocation;
    struct held_span spans[2];
    tui_progress progress;
    void *progress_argument;
    uint64_t event_calls, rank_calls; // how often the TUI asked
    uint64_t acquire, fork, wait;
};

static const char *const fixture_text[] = {
    "#include <pthread.h>",
    "#include <stdio.h>",
    "#include <sys/wait.h>",
    "#include <unistd.h>",
    "",
    "static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;",
    "",
    "static void *worker(void *arg)",
    "{",
    "    pthread_mutex_lock(&log_mutex);",
    "    sleep(5); // a slow write",
    "    pthread_mutex_unlock(&log_mutex);",
    "    return NULL;",
    "}",
    "",
    "int main(void)",
    "{",
    "    pthread_t t;",
    "    pthread_create(&t, NULL, worker, NULL);",
    "    sleep(1);",
    "    pid_t pid = fork();",
    "    if (pid == 0) {",
    "        pthread_mutex_lock(&log_mutex); // never comes back",
    "        puts(\"child\");",
    "        return 0;",
    "    }",
    "    waitpid(pid, NULL, 0);",
    "    pthread_join(t, NULL);",
    "}",
    "",
    "struct log *log_new(void)",
    "{",
    "    struct log *log = calloc(1, sizeof *log);",
    "    pthread_mutex_init(&log->mutex, NULL);",
    "    return log;",
    "}",
};

#define FIXTURE_SOURCE "/home/you/mutex_deadlock.c"
static struct frame fixture_acquire_frames[] = {
    {.pc = 0x7f10, .function = "pthread_mutex_lock", .module = "libc.so.6"},
    {.pc = 0x5010, .function = "worker", .file = FIXTURE_SOURCE, .line = 10, .module = "mutex_deadlock"},
    {.pc = 0x7f20, .function = "start_thread", .module = "libc.so.6"},
};
static struct frame fixture_fork_frames[] = {
    {.pc = 0x7f30, .function = "_Fork", .module = "libc.so.6"},
    {.pc = 0x7f31, .function = "fork", .module = "libc.so.6"},
    {.pc = 0x5020, .function = "main", .file = FIXTURE_SOURCE, .line = 21, .module = "mutex_deadlock"},
    {.pc = 0x7f40, .function = "__libc_start_main", .module = "libc.so.6"},
};
static struct frame fixture_wait_frames[] = {
    {.pc = 0x7f50, .function = "__lll_lock_wait", .module = "libc.so.6"},
    {.pc = 0x7f51, .function = "pthread_mutex_lock", .module = "libc.so.6"},
    {.pc = 0x5030, .function = "main", .file = FIXTURE_SOURCE, .line = 23, .module = "mutex_deadlock"},
    {.pc = 0x7f40, .function = "__libc_start_main", .module = "libc.so.6"},
};
static struct frame fixture_calloc_frames[] = {
    {.pc = 0x7f70, .function = "calloc", .module = "libc.so.6"},
    {.pc = 0x5040, .function = "log_new", .file = FIXTURE_SOURCE, .line = 33, .module = "mutex_deadlock"},
};
static struct frame fixture_init_frames[] = {
    {.pc = 0x7f80, .function = "pthread_mutex_init", .module = "libc.so.6"},
    {.pc = 0x5048, .function = "log_new", .file = FIXTURE_SOURCE, .line = 34, .module = "mutex_deadlock"},
};
static struct frame fixture_libc_frames[] = {
    {.pc = 0x7f60, .function = "clock_nanosleep", .module = "libc.so.6"},
    {.pc = 0x7f61, .function = NULL, .module = "libc.so.6"},
};

static struct fixture_row *fixture_add(struct fixture *f, int tid, uint8_t kind, const char *text) {
    if (f->last + 2 > f->room) {
        f->room = f->room ? f->room * 2 : 512;
        f->rows = realloc(f->rows, f->room * sizeof *f->rows);
        rf_assert(f->rows);
    }
    struct fixture_row *row = &f->rows[++f->last];
    *row = (struct fixture_row){.tid = tid, .kind = kind};
    snprintf(row->text, sizeof row->text, "%s", text);
    return row;
}

static uint64_t fixture_last(void *context) {
    const struct fixture *f = context;
    return f->long_tail + f->last;
}

// Events 1..long_tail: main and worker by turns.
static int fixture_tid(const struct fixture *f, uint64_t number) {
    if (number <= f->long_tail) return number % 2 ? FIXTURE_MAIN : FIXTURE_WORKER;
    return f->rows[number - f->long_tail].tid;
}

static bool fixture_event(void *context, uint64_t number, struct tui_event *out) {
    struct fixture *f = context;
    f->event_calls++;
    if (number < 1 || number > fixture_last(f)) return false;
    *out = (struct tui_event){.number = number, .tid = fixture_tid(f, number), .time_us = number * 425};
    if (number <= f->long_tail) {
        out->kind = EV_SYSCALL;
        snprintf(out->text, sizeof out->text, "getppid() = 1");
        return true;
    }
    const struct fixture_row *row = &f->rows[number - f->long_tail];
    out->kind = row->kind;
    out->fork = row->fork;
    snprintf(out->text, sizeof out->text, "%s", row->text);
    return true;
}

static bool fixture_load(void *context) {
    struct fixture *f = context;
    f->loaded = fixture_last(f);
    return false;
}

static uint64_t fixture_loaded(void *context) {
    const struct fixture *f = context;
    return f->loaded;
}

static size_t fixture_task_count(void *context) {
    const struct fixture *f = context;
    return f->loaded ? f->task_count : 0;
}

static bool fixture_task(void *context, size_t index, struct tui_task *out) {
    const struct fixture *f = context;
    if (index >= f->task_count) return false;
    *out = f->tasks[index];
    return true;
}

static uint64_t fixture_rank(void *context, size_t index, uint64_t number) {
    struct fixture *f = context;
    uint64_t rank = 0, tail = number < f->long_tail ? number : f->long_tail;
    f->rank_calls++;
    if (f->tasks[index].tid == FIXTURE_MAIN) rank = (tail + 1) / 2;
    if (f->tasks[index].tid == FIXTURE_WORKER) rank = tail / 2;
    for (uint64_t n = 1; n <= f->last && n + f->long_tail <= number; n++)
        rank += f->rows[n].tid == f->tasks[index].tid;
    return rank;
}

static uint64_t fixture_select(void *context, size_t index, uint64_t k, uint8_t *kind) {
    struct fixture *f = context;
    int tid = f->tasks[index].tid;
    uint64_t tail = tid == FIXTURE_MAIN     ? (f->long_tail + 1) / 2
                    : tid == FIXTURE_WORKER ? f->long_tail / 2
                                            : 0;
    *kind = EV_SYSCALL;
    if (k <= tail) return tid == FIXTURE_MAIN ? 2 * k - 1 : 2 * k;
    uint64_t rank = tail;
    for (uint64_t n = 1; n <= f->last; n++) {
        rank += f->rows[n].tid == tid;
        if (rank != k || f->rows[n].tid != tid) continue;
        *kind = f->rows[n].kind;
        return n + f->long_tail;
    }
    return 0;
}

static uint64_t fixture_landmark(void *context, enum tui_landmark what, uint64_t number, int direction) {
    const struct fixture *f = context;
    uint64_t found = 0;
    for (uint64_t n = 1; n <= f->last; n++) {
        uint64_t at = n + f->long_tail;
        if (what == TUI_FORK ? !f->rows[n].fork : f->rows[n].kind != EV_ENTER) continue;
        if (direction > 0 && at > number) return at;
        if (direction < 0 && at < number) found = at;
    }
    return found;
}

static void fixture_links(void *context, uint64_t number, struct tui_links *out) {
    const struct fixture *f = context;
    *out = (struct tui_links){0};
    if (number <= f->long_tail) return;
    const struct fixture_row *row = &f->rows[number - f->long_tail];
    if (row->cause) out->cause = row->cause + f->long_tail;
    if (row->effect) out->effect = row->effect + f->long_tail;
}

static int fixture_alive(void *context, uint64_t number, int tid, struct rf_error *err) {
    const struct fixture *f = context;
    if (tid == FIXTURE_CHILD && number < f->fork) {
        return rf_fail(err, RF_CANNOT, "task %d does not exist yet at event %llu", tid,
                       (unsigned long long)number);
    }
    return 0;
}

static void fixture_judged(void *context, const struct verdict *verdict) {
    struct fixture *f = context;
    rf_assert(verdict == &f->verdict);
}

static int fixture_open(void *context, struct rf_error *err) {
    struct fixture *f = context;
    if (f->kind == FIXTURE_DAMAGED)
        return rf_fail(err, RF_BAD_TRACE, "damaged trace 'mutex_deadlock.refork'");
    f->opened = true;
    return 0;
}

static void fixture_close(void *context) {
    struct fixture *f = context;
    f->opened = false;
}

static int fixture_stack(void *context, uint64_t number, int tid, struct frame *out, size_t max,
                         struct rf_error *err) {
    const struct fixture *f = context;
    const struct frame *frames = fixture_libc_frames;
    size_t count = 2;
    (void)err;
    if (number == f->acquire && tid == FIXTURE_WORKER) frames = fixture_acquire_frames, count = 3;
    if (number >= f->fork && tid == FIXTURE_MAIN) frames = fixture_fork_frames, count = 4;
    if (number >= f->wait && tid == FIXTURE_CHILD) frames = fixture_wait_frames, count = 4;
    if (count > max) count = max;
    memcpy(out, frames, count * sizeof *out);
    return (int)count;
}

static const char *fixture_source_line(void *context, const char *file, int line) {
    (void)context;
    if (strcmp(file, FIXTURE_SOURCE) || line < 1 || line > (int)(sizeof fixture_text / sizeof *fixture_text))
        return NULL;
    return fixture_text[line - 1];
}

static int fixture_verdict(void *context, const struct verdict **out, struct rf_error *err) {
    struct fixture *f = context;
    if (f->progress && !f->progress(f->progress_argument, 1, fixture_last(f))) {
        return rf_fail(err, RF_CANNOT, "interrupted");
    }
    if (f->kind == FIXTURE_FAILS) {
        return rf_fail(err, RF_DIVERGED,
                       "replay diverged at event 40: task 1234, rax is 3, the trace says 4");
    }
    *out = &f->verdict;
    return 0;
}

static void fixture_row(struct tui_variables *v, uint8_t sort, int examined, struct local what) {
    struct tui_variable *row = &v->rows[v->count++];
    row->sort = sort;
    row->examined = (int8_t)examined;
    row->what = what;
}

// The log's length grows by one with each event; its memory shows that.
static void fixture_examined(struct tui_variables *v, uint64_t event, int index, const char *text) {
    struct local what = {0, "log_length", "unsigned long", "", 0x555555558090, 8};
    snprintf(what.value, sizeof what.value, "%llu", (unsigned long long)event);
    if (!strcmp(text, "log_length")) {
        fixture_row(v, TUI_ROW_VARIABLE, index, what);
    } else if (!strcmp(text, "log_mutex")) {
        static const struct local mutex[] = {
            {0, "log_mutex", "pthread_mutex_t", "", 0x555555558060, 40},
            {1, "__data", "struct __pthread_mutex_s", "", 0x555555558060, 40},
            {2, "__lock", "int", "1", 0x555555558060, 4},
        };
        for (size_t i = 0; i < sizeof mutex / sizeof *mutex; i++)
            fixture_row(v, TUI_ROW_VARIABLE, index, mutex[i]);
    } else if (!strncmp(text, "0x", 2)) {
        fixture_row(v, TUI_ROW_HEADING, index,
                    (struct local){0, "memory at 0x555555558090", "", "log_length", 0, 0});
        for (int i = 0; i < 2; i++) {
            fixture_row(v, TUI_ROW_MEMORY, index,
                        (struct local){.address = 0x555555558090 + 8 * (uint64_t)i, .size = 8});
            struct tui_variable *row = &v->rows[v->count - 1];
            row->length = 8;
            memcpy(row->bytes, i ? "nightly" : (const char *)&event, 8);
        }
    } else {
        fixture_row(v, TUI_ROW_HEADING, index,
                    (struct local){0, "nothing", "", "no such variable here", 0, 0});
    }
}

static int fixture_variables(void *context, const struct tui_variables_wish *wish, struct tui_variables **out,
                             struct rf_error *err) {
    static const struct local rows[] = {
        {0, "argc", "int", "2", 0x7fffffffe00c, 4},
        {0, "argv", "char * *", "<optimized out>", 0, 0},
        {0, "job", "struct job", "", 0x7fffffffe010, 24},
        {1, "name", "char []", "\"nightly\"", 0x7fffffffe010, 8},
        {1, "left", "unsigned int", "3", 0x7fffffffe018, 4},
        {1, "lock", "pthread_mutex_t *", "0x555555558060 <log_mutex>", 0x7fffffffe020, 8},
        {0, "pid", "pid_t", "0", 0x7fffffffe028, 4},
    };
    (void)context;
    bool framed = wish->at.frame == 2;
    if (!framed && !wish->count)
        return rf_fail(err, RF_CANNOT, "no debug information of this function: compile it with -g");
    struct tui_variables *v = calloc(1, sizeof *v + 64 * sizeof *v->rows);
    rf_assert(v);
    for (size_t i = 0; framed && i < sizeof rows / sizeof *rows; i++)
        fixture_row(v, TUI_ROW_VARIABLE, -1, rows[i]);
    for (size_t i = 0; i < wish->count; i++)
        fixture_examined(v, wish->at.event, (int)i, wish->examined[i].text);
    *out = v;
    return 0;
}

static int fixture_names(void *context, uint64_t number, int tid, struct tui_names **out,
                         struct rf_error *err) {
    static const char *const names[] = {"audit_lock", "log_file", "log_length", "log_mutex"};
    (void)context, (void)number, (void)tid, (void)err;
    struct tui_names *n = calloc(1, sizeof *n + sizeof names / sizeof *names * sizeof *n->items);
    rf_assert(n);
    for (; n->count < sizeof names / sizeof *names; n->count++)
        snprintf(n->items[n->count].text, sizeof n->items->text, "%s", names[n->count]);
    *out = n;
    return 0;
}

// Two changes: at the worker's acquire and at the fork.
static int fixture_change(void *context, const struct tui_change_wish *wish, struct tui_change *out,
                          struct rf_error *err) {
    const struct fixture *f = context;
    const uint64_t at[] = {f->acquire, f->fork};
    (void)err;
    *out = (struct tui_change){0};
    for (size_t i = 0; i < 2; i++) {
        bool passed = at[i] <= wish->event;
        if (passed != wish->back || (!wish->back && out->event)) continue;
        *out = (struct tui_change){.event = at[i],
                                   .count = i + 1,
                                   .tid = i ? FIXTURE_MAIN : FIXTURE_WORKER,
                                   .address = wish->address,
                                   .size = (int)wish->size,
                                   .before = i,
                                   .after = i + 1};
        snprintf(out->where, sizeof out->where, "%s", "log_begin, demo.c:23");
    }
    return 0;
}

static int fixture_lock_story(void *context, const struct tui_lock_wish *wish, struct tui_lock_story **out,
                              struct rf_error *err) {
    const struct fixture *f = context;
    const struct tui_lock_op ops[] = {
        {12, FIXTURE_MAIN, FIXTURE_MAIN, TUI_OP_ACQUIRE, "pthread_mutex_lock"},
        {20, FIXTURE_MAIN, FIXTURE_MAIN, TUI_OP_RELEASE, "pthread_mutex_unlock"},
        {f->acquire, FIXTURE_WORKER, FIXTURE_MAIN, TUI_OP_ACQUIRE, "pthread_mutex_lock"},
        {f->fork, FIXTURE_MAIN, FIXTURE_CHILD, TUI_OP_FORK, "held by worker (1235)"},
        {f->wait, FIXTURE_CHILD, FIXTURE_CHILD, TUI_OP_FAILED, "pthread_mutex_lock"},
        {f->wait, FIXTURE_CHILD, FIXTURE_CHILD, TUI_OP_WAIT, "pthread_mutex_lock"},
    };
    size_t count = sizeof ops / sizeof *ops;
    if (wish->address != f->spans[0].lock)
        return rf_fail(err, RF_CANNOT, "no lock at 0x%llx", (unsigned long long)wish->address);
    struct tui_lock_story *s = calloc(1, sizeof *s + sizeof ops);
    rf_assert(s);
    snprintf(s->name, sizeof s->name, "%.60s", f->spans[0].symbol);
    s->count = s->total = count;
    memcpy(s->ops, ops, sizeof ops);
    *out = s;
    return 0;
}

static void fixture_set_progress(void *context, tui_progress progress, void *argument) {
    struct fixture *f = context;
    f->progress = progress;
    f->progress_argument = argument;
}

static void fixture_startup(struct fixture *f) {
    static const char *const calls[] = {
        "openat(AT_FDCWD, \"/etc/ld.so.cache\", O_RDONLY|O_CLOEXEC) = 3",
        "newfstatat(3, \"\", 0x7ffe30, AT_EMPTY_PATH) = 0",
        "mmap(NULL, 27841, PROT_READ, MAP_PRIVATE, 3, 0) = 0x7ffff7fb8000",
        "close(3) = 0",
        "openat(AT_FDCWD, \"/lib/x86_64-linux-gnu/libc.so.6\", O_RDONLY) = 3",
        "read(3, 0x7ffe40, 832) = 832",
        "mmap(NULL, 2117488, PROT_READ, MAP_PRIVATE, 3, 0) = 0x7ffff7db0000",
        "mprotect(0x7ffff7f83000, 16384, PROT_READ) = 0",
    };
    fixture_add(f, FIXTURE_MAIN, EV_EXEC, "executes ./mutex_deadlock");
    fixture_add(f, FIXTURE_MAIN, EV_TRAP, "cpuid");
    for (int i = 0; i < 40; i++)
        fixture_add(f, FIXTURE_MAIN, EV_SYSCALL, calls[i % 8]);
}

static void fixture_pool(struct fixture *f) {
    for (int i = 0; i < FIXTURE_POOL; i++) {
        char text[96];
        snprintf(text, sizeof text, "forks process %d", FIXTURE_SERVED + i);
        fixture_add(f, FIXTURE_MAIN, EV_BIRTH, text)->fork = true;
        f->tasks[f->task_count++] = (struct tui_task){.tid = FIXTURE_SERVED + i,
                                                      .pid = FIXTURE_SERVED + i,
                                                      .parent_tid = FIXTURE_MAIN,
                                                      .birth = f->last,
                                                      .name = "mutex_deadlock"};
        for (int k = 0; k < i % 3; k++)
            fixture_add(f, FIXTURE_SERVED + i, EV_SYSCALL, "read(3, \"request\", 7) = 7");
    }
    for (int i = 0; i < FIXTURE_POOL; i++)
        fixture_add(f, FIXTURE_SERVED + i, EV_DEATH, "ends with status 0");
}

// Numbers of the story's rows come out as written in tests/tui/golden.
static void fixture_story(struct fixture *f) {
    uint64_t thread, enter, from_sleep;
    fixture_add(f, FIXTURE_MAIN, EV_ENTER, "clone3(0x7ffe10, 88)")->effect = f->last + 4;
    fixture_add(f, FIXTURE_MAIN, EV_BIRTH, "starts thread 1235");
    thread = f->last;
    f->rows[thread].effect = thread + 1;
    fixture_add(f, FIXTURE_WORKER, EV_SYSCALL, "set_robust_list(0x7ffff7daf9e0, 24) = 0")->cause = thread;
    fixture_add(f, FIXTURE_MAIN, EV_EXIT, "clone3 = 1235")->cause = thread - 1;
    f->rows[thread - 1].effect = f->last;
    fixture_add(f, FIXTURE_MAIN, EV_ENTER, "clock_nanosleep(CLOCK_REALTIME, 0, 1 s)");
    from_sleep = f->last;
    fixture_add(f, FIXTURE_WORKER, EV_SYSCALL, "rt_sigprocmask(SIG_SETMASK, 0x7ffff7, NULL, 8) = 0");
    fixture_add(f, FIXTURE_WORKER, EV_ENTER, "clock_nanosleep(CLOCK_REALTIME, 0, 5 s)");
    f->acquire = f->last;
    fixture_add(f, FIXTURE_MAIN, EV_EXIT, "clock_nanosleep = 0")->cause = from_sleep;
    f->rows[from_sleep].effect = f->last;
    fixture_add(f, FIXTURE_MAIN, EV_ENTER, "clone(SIGCHLD|CHILD_SETTID|CHILD_CLEARTID)")->effect =
        f->last + 3;
    enter = f->last;
    fixture_add(f, FIXTURE_MAIN, EV_BIRTH, "forks process 1240")->fork = true;
    f->fork = f->last;
    f->rows[f->fork].effect = f->fork + 2;
    fixture_add(f, FIXTURE_MAIN, EV_EXIT, "clone = 1240")->cause = enter;
    fixture_add(f, FIXTURE_CHILD, EV_SYSCALL, "set_robust_list(0x7ffff7fb5a20, 24) = 0")->cause = f->fork;
    fixture_add(f, FIXTURE_MAIN, EV_ENTER, "wait4(1240, NULL, 0, NULL)");
    if (f->kind == FIXTURE_CLEAN) {
        fixture_add(f, FIXTURE_CHILD, EV_SYSCALL, "write(1, \"child\\n\", 6) = 6");
        fixture_add(f, FIXTURE_CHILD, EV_DEATH, "exits with status 0");
        fixture_add(f, FIXTURE_MAIN, EV_EXIT, "wait4 = 1240");
        fixture_add(f, FIXTURE_WORKER, EV_EXIT, "clock_nanosleep = 0");
        fixture_add(f, FIXTURE_WORKER, EV_DEATH, "ends");
        fixture_add(f, FIXTURE_MAIN, EV_DEATH, "exits with status 0");
    } else {
        fixture_add(f, FIXTURE_CHILD, EV_ENTER, "futex(0x555555558060, FUTEX_WAIT_PRIVATE, 2, NULL)");
        f->wait = f->last;
        fixture_add(f, FIXTURE_CHILD, EV_STUCK, "waits for ever (proved)")->cause = f->wait;
        f->rows[f->wait].effect = f->last;
    }
    fixture_add(f, FIXTURE_MAIN, EV_END,
                f->kind == FIXTURE_CLEAN ? "the program ended with status 0" : "stuck: stopped by refork");
}

static void fixture_find(struct fixture *f) {
    struct finding *x = &f->finding;
    *x = (struct finding){
        .kind = FINDING_ORPHANED_LOCK,
        .confidence = CONFIDENCE_PROVED,
        .lock = {.address = 0x555555558060,
                 .kind = "pthread_mutex",
                 .symbol = "log_mutex",
                 .declared = "mutex_deadlock.c:6"},
        .holder = {.pid = FIXTURE_MAIN,
                   .tid = FIXTURE_WORKER,
                   .name = "mutex_deadlock",
                   .start_routine = "worker",
                   .vanished = true},
        .waiter = {.pid = FIXTURE_CHILD, .tid = FIXTURE_CHILD, .name = "mutex_deadlock"},
        .acquired = {f->acquire, FIXTURE_MAIN, FIXTURE_WORKER, {fixture_acquire_frames, 3}},
        .fork = {f->fork, FIXTURE_MAIN, FIXTURE_MAIN, {fixture_fork_frames, 4}},
        .waiting = {f->wait, FIXTURE_CHILD, FIXTURE_CHILD, {fixture_wait_frames, 4}},
        .advice = "Any one of these removes the cause:\n1. Start the program with posix_spawn.\n2. Or take "
                  "log_mutex in a pthread_atfork prepare handler, and release it in the other two.\n",
    };
}

static void fixture_judge(struct fixture *f) {
    struct finding *x = &f->finding;
    f->verdict = (struct verdict){.events = fixture_last(f), .findings = x, .spans = f->spans};
    snprintf(f->verdict.program, sizeof f->verdict.program, "./mutex_deadlock");
    f->spans[0] = (struct held_span){.lock = 0x555555558060,
                                     .symbol = "log_mutex",
                                     .tid = FIXTURE_WORKER,
                                     .pid = FIXTURE_MAIN,
                                     .from = f->acquire};
    if (f->kind == FIXTURE_CLEAN) {
        f->spans[0].to = fixture_last(f) - 2;
        f->verdict.span_count = 1;
        snprintf(f->verdict.end_reason, sizeof f->verdict.end_reason, "the program ended with status 0");
        return;
    }
    f->spans[1] = f->spans[0];
    f->spans[1].pid = FIXTURE_CHILD;
    f->spans[1].ghost = true;
    f->spans[1].from = f->fork;
    f->verdict.span_count = 2;
    f->verdict.count = 1;
    f->verdict.deadlock = true;
    snprintf(f->verdict.end_reason, sizeof f->verdict.end_reason, "stuck: stopped by refork");
    fixture_find(f);
    if (f->kind != FIXTURE_HEAP) return;
    uint64_t made = f->long_tail + 42; // one slice
    f->allocation =
        (struct lock_allocation){.point = {made, FIXTURE_MAIN, FIXTURE_MAIN, {fixture_calloc_frames, 2}},
                                 .function = "calloc",
                                 .size = 64,
                                 .offset = 24};
    x->initialised = (struct finding_point){made, FIXTURE_MAIN, FIXTURE_MAIN, {fixture_init_frames, 2}};
    x->lock = (struct finding_lock){.address = 0x555555559308,
                                    .kind = "pthread_mutex",
                                    .symbol = "heap lock 0x555555559308",
                                    .unnamed = true,
                                    .of_this_run = true,
                                    .allocated = &f->allocation};
    for (int i = 0; i < 2; i++) {
        f->spans[i].lock = x->lock.address;
        snprintf(f->spans[i].symbol, sizeof f->spans[i].symbol, "%.63s", x->lock.symbol);
    }
}

// `tail`: so many events of two busy tasks before the story.
static struct fixture *fixture_new(enum fixture_kind kind, uint64_t tail) {
    struct fixture *f = calloc(1, sizeof *f);
    rf_assert(f);
    f->kind = kind;
    f->long_tail = tail;
    fixture_startup(f);
    f->task_count = 1;
    if (kind == FIXTURE_SERVER) fixture_pool(f);
    size_t count = f->task_count;
    uint64_t birth = f->last + 2;
    fixture_story(f);
    f->acquire += tail;
    f->fork += tail;
    f->wait += tail;
    f->tasks[0] = (struct tui_task){.tid = FIXTURE_MAIN, .pid = FIXTURE_MAIN, .name = "mutex_deadlock"};
    f->tasks[count] = (struct tui_task){.tid = FIXTURE_WORKER,
                                        .pid = FIXTURE_MAIN,
                                        .parent_tid = FIXTURE_MAIN,
                                        .birth = tail ? 1 : birth,
                                        .name = "mutex_deadlock",
                                        .start_routine = "worker"};
    f->task_count = count + 2;
    f->tasks[count + 1] = (struct tui_task){.tid = FIXTURE_CHILD,
                                            .pid = FIXTURE_CHILD,
                                            .parent_tid = FIXTURE_MAIN,
                                            .birth = f->fork,
                                            .name = "mutex_deadlock"};
    for (uint64_t n = 1; n <= f->last; n++) {
        for (size_t i = 0; i < f->task_count; i++) {
            if (f->rows[n].kind == EV_DEATH && f->rows[n].tid == f->tasks[i].tid)
                f->tasks[i].death = n + tail;
        }
    }
    fixture_judge(f);
    f->source = (struct tui_source){
        .context = f,
        .title = "mutex_deadlock.refork",
        .last = fixture_last,
        .event = fixture_event,
        .load = fixture_load,
        .loaded = fixture_loaded,
        .task_count = fixture_task_count,
        .task = fixture_task,
        .task_rank = fixture_rank,
        .task_select = fixture_select,
        .landmark = fixture_landmark,
        .links = fixture_links,
        .alive = fixture_alive,
        .judged = fixture_judged,
        .open = fixture_open,
        .close = fixture_close,
        .stack = fixture_stack,
        .lock_story = fixture_lock_story,
        .variables = fixture_variables,
        .names = fixture_names,
        .change = fixture_change,
        .source_line = fixture_source_line,
        .verdict = fixture_verdict,
        .set_progress = fixture_set_progress,
    };
    return f;
}

static void fixture_free(struct fixture *f) {
    free(f->rows);
    free(f);
}

#endif
