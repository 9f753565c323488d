#include "core/trace/dump.h"

#include "core/abi.h"

#include "core/array.h"
#include "core/decode/recorded.h"
#include "core/printable.h"
#include "core/calls/syscalls.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

static void add_quoted(struct text *t, const struct piece *p, size_t max) {
    text_add(t, "\"");
    text_escaped(t, p->data, p->len, max);
    text_add(t, "\"");
}

static void add_status(struct text *t, const struct event *e) {
    if (e->flags & EVF_KILLED) {
        text_add(t, "killed by ");
        text_signal(t, e->ret);
    } else {
        text_add(t, "exit status %lld", (long long)e->ret);
    }
}

// ---- pieces ----
#define HEX(v) (unsigned long long)(v)

static void add_memory(struct text *t, const struct piece *p) {
    text_add(t, " 0x%llx+%zu", HEX(p->mem.address), p->len);
}

static void add_hash(struct text *t, const struct piece *p) {
    text_add(t, " 0x%llx+%llu:%016llx", HEX(p->hash.address), HEX(p->hash.length), HEX(p->hash.xxh3));
}

static void add_regs(struct text *t, const struct piece *p) {
    struct user_regs_struct regs;
    if (p->len != sizeof regs) {
        text_add(t, " %zu bytes", p->len);
        return;
    }
    memcpy(&regs, p->data, sizeof regs);
    text_add(t, " rip 0x%llx rsp 0x%llx", HEX(regs.rip), HEX(regs.rsp));
}

static void add_length(struct text *t, const struct piece *p) {
    text_add(t, " %zu bytes", p->len);
}

static void add_map(struct text *t, const struct piece *p) {
    text_add(t, " ");
    text_escaped(t, p->data, p->len, 80);
    text_add(t, "@0x%llx+0x%llx %c%c%c", HEX(p->map.address), HEX(p->map.length),
             p->map.prot & PROT_READ ? 'r' : '-', p->map.prot & PROT_WRITE ? 'w' : '-',
             p->map.prot & PROT_EXEC ? 'x' : '-');
    if (p->map.blob) text_add(t, " file %llu+0x%llx", HEX(p->map.blob), HEX(p->map.offset));
}

static void add_share(struct text *t, const struct piece *p) {
    text_add(t, " object %llu of %llu bytes", HEX(p->share.identity), HEX(p->share.size));
}

static void add_siginfo(struct text *t, const struct piece *p) {
    siginfo_t info;
    if (p->len < sizeof info) {
        add_length(t, p);
        return;
    }
    memcpy(&info, p->data, sizeof info);
    text_add(t, " code %d", info.si_code);
}

static void add_text(struct text *t, const struct piece *p) {
    static const char *const names[TEXT_KINDS] = {[TEXT_PATH] = "path",
                                                  [TEXT_ARG] = "argument",
                                                  [TEXT_ENV] = "environment",
                                                  [TEXT_MESSAGE] = "message",
                                                  [TEXT_NAME] = "name"};
    if (p->text.kind < TEXT_KINDS) text_add(t, " %s", names[p->text.kind]);
    text_add(t, " ");
    add_quoted(t, p, 80);
}

static void add_values(struct text *t, const struct piece *p) {
    int last = PIECE_VALUES - 1;
    while (last > 0 && p->v[last] == 0)
        last--;
    for (int i = 0; i <= last; i++)
        text_add(t, " 0x%llx", HEX(p->v[i]));
}

static void (*const piece_formats[PIECE_KINDS])(struct text *, const struct piece *) = {
    [PIECE_MEM] = add_memory,      [PIECE_HASH] = add_hash,     [PIECE_REGS] = add_regs,
    [PIECE_XSTATE] = add_length,   [PIECE_MAP] = add_map,       [PIECE_SHARE] = add_share,
    [PIECE_SIGINFO] = add_siginfo, [PIECE_TEXT] = add_text,     [PIECE_WORD] = add_values,
    [PIECE_CHILDMEM] = add_memory, [PIECE_WAIT] = add_values,   [PIECE_PEER] = add_values,
    [PIECE_REACH] = add_values,    [PIECE_STREAM] = add_values, [PIECE_TASKMEM] = add_memory,
    [PIECE_EXTENT] = add_values,   [PIECE_LIMIT] = add_values,  [PIECE_INSIDE] = add_values,
};

#define SHOWN_PER_KIND 3

// Up to three pieces of a kind, the others as their number: an exec has hundreds.
static void add_pieces(struct text *t, const struct event *e) {
    size_t count[PIECE_KINDS] = {0};
    for (size_t i = 0; i < e->piece_count; i++) {
        const struct piece *p = &e->pieces[i];
        if (p->kind == PIECE_NONE || p->kind >= PIECE_KINDS || ++count[p->kind] > SHOWN_PER_KIND) continue;
        text_add(t, "  %s", piece_kind_name(p->kind));
        if (piece_formats[p->kind]) piece_formats[p->kind](t, p);
    }
    for (int kind = 0; kind < PIECE_KINDS; kind++)
        if (count[kind] > SHOWN_PER_KIND)
            text_add(t, "  %s: %zu more", piece_kind_name(kind), count[kind] - SHOWN_PER_KIND);
}

// ---- events ----
static void add_birth(struct text *t, const struct event *e) {
    const char *what = e->flags & EVF_THREAD ? "thread"
                       : e->flags & EVF_VM   ? "process (same memory)"
                                             : "process";
    text_add(t, "%s %lld", what, (long long)e->ret);
    if (e->flags & EVF_THREAD) text_add(t, " of process %llu", HEX(e->aux));
}

static void add_death(struct text *t, const struct event *e) {
    add_status(t, e);
    if (e->flags & EVF_LAST) text_add(t, ", the process's last task");
}

static void add_tick(struct text *t, const struct event *e) {
    text_add(t, "count %lld", (long long)e->ret);
}

static void add_pc(struct text *t, const struct event *e) {
    if (e->flags & EVF_REGS) text_add(t, "at 0x%llx", HEX(e->regs.rip));
}

static void add_break(struct text *t, const struct event *e) {
    text_add(t, "%s 0x%llx, time %llu", e->nr == BREAK_BEHIND ? "behind" : "at", HEX(e->ret), HEX(e->aux));
}

static void add_end(struct text *t, const struct event *e) {
    add_status(t, e);
    text_add(t, ", %s", end_reason_text(e->nr));
}

static void add_trap(struct text *t, const struct event *e) {
    static const char *const names[] = {
        [TRAP_RDTSC] = "rdtsc",   [TRAP_RDTSCP] = "rdtscp", [TRAP_CPUID] = "cpuid", [TRAP_RDRAND] = "rdrand",
        [TRAP_RDSEED] = "rdseed", [TRAP_XGETBV] = "xgetbv", [TRAP_XSAVE] = "xsave", [TRAP_RDPID] = "rdpid"};
    if (e->nr >= TRAP_RDTSC && e->nr < TRAP_KINDS)
        text_add(t, "%s ", names[e->nr]);
    else
        text_add(t, "instruction %d ", e->nr);
    add_pc(t, e);
}

static void add_delivery(struct text *t, const struct event *e) {
    text_signal(t, e->nr);
    text_add(t, e->aux == SIGNAL_BY_INSTRUCTION ? " (its own instruction) " : " ");
    add_pc(t, e);
}

static void add_stuck(struct text *t, const struct event *e) {
    const struct piece *wait = event_piece(e, PIECE_WAIT, NULL);
    text_add(t, e->flags & EVF_PROVED ? "waits for ever (proved): " : "waits for ever (likely): ");
    text_add(t, "%s", wait ? wait_kind_name(wait->wait.kind) : "?");
    bool file = wait && wait->wait.kind >= WAIT_PIPE_READ && wait->wait.kind <= WAIT_FILE_LOCK;
    if (file) text_add(t, " of fd %d", (int)wait->wait.object);
}

static void (*const event_formats[EV_KINDS])(struct text *, const struct event *) = {
    [EV_EXEC] = add_pc,  [EV_BIRTH] = add_birth, [EV_DEATH] = add_death,     [EV_TICK] = add_tick,
    [EV_STATE] = add_pc, [EV_TRAP] = add_trap,   [EV_SIGNAL] = add_delivery, [EV_STUCK] = add_stuck,
    [EV_END] = add_end,  [EV_BREAK] = add_break,
};

static void add_call(struct text *t, const struct event *e, const struct descriptors *d) {
    recorded_call(t, e, e->kind == EV_EXIT && d ? descriptors_arguments(d, e->tid) : NULL, d);
    if (e->kind == EV_EXIT && e->flags & EVF_RESTART) text_add(t, " (to be restarted)");
}

void dump_event_line(const struct event *e, const struct descriptors *d, char *buffer, size_t size) {
    struct text t = text_in(buffer, size);
    text_add(&t, "%8llu %5llu.%06u %7d %-7s ", HEX(e->number), HEX(e->time_us / 1000000),
             (unsigned)(e->time_us % 1000000), e->tid, event_kind_name(e->kind));
    if (e->kind == EV_SYSCALL || e->kind == EV_ENTER || e->kind == EV_EXIT)
        add_call(&t, e, d);
    else if (e->kind < EV_KINDS && event_formats[e->kind])
        event_formats[e->kind](&t, e);
    add_pieces(&t, e);
    while (t.used > 0 && buffer[t.used - 1] == ' ')
        buffer[--t.used] = 0;
}

static int check_output(FILE *out, struct rf_error *err) {
    errno = 0;
    if (fflush(out) == 0 && !ferror(out)) return 0;
    return rf_fail_errno(err, RF_CANNOT, "cannot write the output");
}

// Which descriptors were opened before event `from`; as far as that can be read.
static void learn_before(struct trace_reader *r, struct descriptors *d, uint64_t from) {
    struct event e;
    if (from <= 1 || trace_seek(r, 1, NULL) < 0) return;
    while (trace_next(r, &e, NULL) == 1 && e.number < from)
        descriptors_event(d, &e, recorded_memory(&e));
}

int dump_events(FILE *out, struct trace_reader *r, uint64_t from, uint64_t to, int tid,
                struct rf_error *err) {
    struct descriptors *d = descriptors_new();
    learn_before(r, d, from);
    int more = trace_seek(r, from > 0 ? from : 1, err) < 0 ? -1 : 1;
    struct event e;
    char line[4096];
    while (more == 1 && !ferror(out) && (more = trace_next(r, &e, err)) == 1) {
        if (to > 0 && e.number > to) break;
        descriptors_event(d, &e, recorded_memory(&e));
        if (tid != 0 && e.tid != tid) continue;
        dump_event_line(&e, d, line, sizeof line);
        printable(line);
        fprintf(out, "%s\n", line);
    }
    descriptors_free(d);
    if (check_output(out, more < 0 ? NULL : err) < 0) return -1;
    return more < 0 ? -1 : 0;
}

// ---- summary ----
#define MAX_TASKS (1u << 18) // more are counted, not listed
#define MAX_ARGS  64
#define MAX_NOTES 32

struct task {
    int tid, pid, parent;
    uint64_t birth, death; // events; 0: before the first, never seen
    int64_t status;
    bool killed, thread, execed;
    char name[16];
};

struct summary {
    char *path; // of the first program; NULL: no exec was recorded
    json_t *args, *notes;
    uint64_t duration_us, kinds[EV_KINDS], last, stuck;
    bool stuck_proved, ended, killed;
    int64_t status;
    int end_reason;
    char *failure; // why the recorder could not go on; NULL: it could
    struct task *tasks;
    size_t task_count, tasks_unlisted;
    struct hash by_tid; // the latest task with that tid
};

// A JSON string of any bytes: those that are not UTF-8 are escaped.
static json_t *json_bytes(const void *data, size_t len) {
    if (len == 0) return json_string("");
    json_t *string = json_stringn(data, len);
    if (string) return string;
    size_t size = 4 * len + 1;
    char *buffer = malloc(size);
    if (!buffer) return NULL;
    struct text t = text_in(buffer, size);
    for (size_t i = 0; i < len; i++) {
        unsigned char byte = ((const unsigned char *)data)[i];
        text_add(&t, byte >= ' ' && byte < 127 ? "%c" : "\\x%02x", byte);
    }
    string = json_string(buffer);
    free(buffer);
    return string;
}

// An array without one of its values would be a wrong answer.
static void append(json_t *array, json_t *value) {
    int failed = json_array_append_new(array, value);
    rf_assert(!failed);
}

static uint64_t task_key(const void *tasks, size_t i) {
    return hash_mix((uint64_t)((const struct task *)tasks)[i].tid);
}

static bool task_same(const void *tasks, size_t i, const void *tid) {
    return ((const struct task *)tasks)[i].tid == *(const int *)tid;
}

static struct task *new_task(struct summary *s, int tid, int pid) {
    if (s->task_count >= MAX_TASKS) {
        s->tasks_unlisted++;
        return NULL;
    }
    bool room = hash_room(&s->by_tid, s->task_count, task_key, s->tasks);
    struct task *task = room ? array_try_add(s->tasks, s->task_count) : NULL;
    rf_assert(task);
    *task = (struct task){.tid = tid, .pid = pid};
    *hash_slot(&s->by_tid, hash_mix((uint64_t)tid), task_same, s->tasks, &tid) = (uint32_t)s->task_count;
    return task;
}

static struct task *find_task(struct summary *s, int tid) {
    uint32_t index = hash_find(&s->by_tid, hash_mix((uint64_t)tid), task_same, s->tasks, &tid);
    return index ? &s->tasks[index - 1] : NULL;
}

static char *text_of(const struct piece *p) {
    char *text = strndup(p->len ? p->data : "", p->len);
    rf_assert(text);
    return text;
}

static void set_name(struct task *task, const struct piece *path) {
    const char *name = path->data, *slash = path->len ? memrchr(name, '/', path->len) : NULL;
    size_t len = path->len;
    if (slash) {
        len -= (size_t)(slash + 1 - name);
        name = slash + 1;
    }
    if (len >= sizeof task->name) len = sizeof task->name - 1;
    if (len > 0) memcpy(task->name, name, len);
    task->name[len] = 0;
}

static void see_exec(struct summary *s, const struct event *e, struct task *task) {
    const struct piece *p;
    const bool first = !s->path;
    for (size_t at = 0; (p = event_piece(e, PIECE_TEXT, &at)) != NULL;) {
        if (p->text.kind == TEXT_PATH) {
            if (task) set_name(task, p);
            if (!s->path) s->path = text_of(p);
        }
        if (p->text.kind == TEXT_ARG && first && json_array_size(s->args) < MAX_ARGS)
            append(s->args, json_bytes(p->data, p->len));
    }
    if (task) task->execed = true;
}

static void see_birth(struct summary *s, const struct event *e, const struct task *parent) {
    char name[16] = "";
    if (parent) memcpy(name, parent->name, sizeof name);
    struct task *child = new_task(s, (int)e->ret, (int)e->aux);
    if (!child) return;
    child->parent = e->tid;
    child->birth = e->number;
    child->thread = e->flags & EVF_THREAD;
    memcpy(child->name, name, sizeof name);
}

static void see_text(struct summary *s, const struct event *e) {
    const struct piece *p;
    for (size_t at = 0; (p = event_piece(e, PIECE_TEXT, &at)) != NULL;) {
        if (e->kind == EV_NOTE && json_array_size(s->notes) < MAX_NOTES)
            append(s->notes, json_bytes(p->data, p->len));
        if (e->kind == EV_END && !s->failure && p->len > 0) s->failure = text_of(p);
    }
}

static void see_event(struct summary *s, const struct event *e) {
    s->kinds[e->kind]++;
    s->last = e->number;
    s->duration_us = e->time_us;
    struct task *task = find_task(s, e->tid);
    if (!task && (e->kind == EV_EXEC || s->task_count == 0)) task = new_task(s, e->tid, e->tid);
    if (e->kind == EV_EXEC) see_exec(s, e, task);
    if (e->kind == EV_BIRTH) see_birth(s, e, task);
    if (e->kind == EV_NOTE || e->kind == EV_END) see_text(s, e);
    if (e->kind == EV_STUCK) {
        s->stuck = e->number;
        s->stuck_proved = e->flags & EVF_PROVED;
    }
    if (e->kind == EV_DEATH && task) {
        task->death = e->number;
        task->status = e->ret;
        task->killed = e->flags & EVF_KILLED;
    }
    if (e->kind == EV_END) {
        s->ended = true;
        s->end_reason = e->nr;
        s->status = e->ret;
        s->killed = e->flags & EVF_KILLED;
    }
}

static void summary_release(struct summary *s) {
    free(s->path);
    free(s->failure);
    free(s->tasks);
    hash_release(&s->by_tid);
    json_decref(s->args);
    json_decref(s->notes);
}

// Reads the trace: 0, or -1 and *err where damage ends it; *s is filled as far as that in both cases.
static int summarise(struct trace_reader *r, struct summary *s, struct rf_error *err) {
    *s = (struct summary){.args = json_array(), .notes = json_array()};
    struct event e;
    int more = trace_seek(r, 1, err);
    if (more < 0) return -1;
    while ((more = trace_next(r, &e, err)) == 1)
        see_event(s, &e);
    return more;
}

static void add_ending(struct text *t, const struct summary *s) {
    if (!s->ended) {
        text_add(t, "not recorded: the recorder was killed, or could not write on");
        return;
    }
    // Of a program that was stopped there is no status.
    if (s->end_reason == END_BY_ITSELF) {
        add_status(t, &(struct event){.ret = s->status, .flags = s->killed ? EVF_KILLED : 0});
        text_add(t, ": ");
    }
    text_add(t, "%s", end_reason_text(s->end_reason));
    if (s->stuck)
        text_add(t, "; a task stuck at event %llu (%s)", HEX(s->stuck),
                 s->stuck_proved ? "proved" : "likely");
    if (!s->failure) return;
    text_add(t, ": ");
    text_escaped(t, s->failure, strlen(s->failure), 200);
}

static void put_field(FILE *out, const char *name, const char *value) {
    char buffer[2048];
    struct text t = text_in(buffer, sizeof buffer);
    text_escaped(&t, value, strlen(value), 500);
    print_clean(out, "%-10s %s\n", name, t.used ? buffer : "");
}

static void put_tasks(FILE *out, const struct summary *s) {
    print_clean(out, "\n%8s %8s %8s %10s %10s  %-15s %s\n", "process", "task", "parent", "birth", "death",
                "name", "ended");
    for (size_t i = 0; i < s->task_count; i++) {
        const struct task *task = &s->tasks[i];
        char name[80], status[64];
        struct text n = {name, sizeof name, 0}, t = {status, sizeof status, 0};
        name[0] = 0;
        text_escaped(&n, task->name, strlen(task->name), sizeof task->name);
        if (task->death)
            add_status(&t, &(struct event){.ret = task->status, .flags = task->killed ? EVF_KILLED : 0});
        else
            text_add(&t, "-");
        print_clean(out, "%8d %8d %8d %10llu %10llu  %-15s %s\n", task->pid, task->tid, task->parent,
                    HEX(task->birth), HEX(task->death), name, status);
    }
    if (s->tasks_unlisted) fprintf(out, "and %zu more\n", s->tasks_unlisted);
}

static void format_time(uint64_t unix_ns, char buffer[40]) {
    time_t seconds = (time_t)(unix_ns / 1000000000u);
    struct tm tm;
    if (!gmtime_r(&seconds, &tm) || strftime(buffer, 40, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0) strcpy(buffer, "?");
}

// The CPU that the program was shown: what a replay needs of one.
static void put_cpu(FILE *out, const struct cpu_model *cpu) {
    struct cpu_features here, lacking;
    char names[1000];
    cpu_features_text(&cpu->shown, names, sizeof names);
    print_clean(out, "%-10s %s, as the program was shown it: %s\n", "cpu", cpu_level_name(cpu->level), names);
    cpu_features_here(&here);
    if (!cpu_features_lacking(&cpu->shown, &here, &lacking)) {
        put_field(out, "  here", "this CPU has all of that");
        return;
    }
    cpu_features_text(&lacking, names, sizeof names);
    print_clean(out, "%-10s this CPU lacks %s: the replay ends where the program uses it\n", "  here", names);
}

int dump_info(FILE *out, const char *path, struct trace_reader *r, struct rf_error *err) {
    struct summary s;
    int result = summarise(r, &s, err);
    const struct trace_header *h = trace_get_header(r);
    struct trace_sizes sizes;
    trace_get_sizes(r, &sizes);
    char buffer[1024], when[40];
    struct text t = text_in(buffer, sizeof buffer);

    put_field(out, "trace", path);
    print_clean(out, "%-10s %u, made by refork %s\n", "format", h->format, h->refork_version);
    put_field(out, "program", s.path ? s.path : "(no exec recorded)");
    print_clean(out, "%-10s", "arguments");
    size_t i;
    json_t *arg;
    json_array_foreach(s.args, i, arg) {
        buffer[0] = 0;
        t.used = 0;
        text_escaped(&t, json_string_value(arg), json_string_length(arg), 200);
        print_clean(out, " \"%s\"", buffer);
    }
    format_time(h->start_unix_ns, when);
    print_clean(out, "\n%-10s %s\n", "recorded", when);
    print_clean(out, "%-10s Linux %s, %s\n", "machine", h->kernel, h->machine_id);
    put_cpu(out, &h->cpu);
    print_clean(out, "%-10s %llu.%06u s\n", "duration", HEX(s.duration_us / 1000000),
                (unsigned)(s.duration_us % 1000000));
    t.used = 0;
    add_ending(&t, &s);
    print_clean(out, "%-10s %s\n", "ended", buffer);
    uint64_t cut;
    if (trace_truncated(r, &cut))
        print_clean(out, "%-10s yes, at byte %llu\n", "truncated", HEX(cut));
    else
        print_clean(out, "%-10s no\n", "truncated");
    print_clean(out, "%-10s %llu\n", "events", HEX(s.last));
    for (int kind = 1; kind < EV_KINDS; kind++)
        if (s.kinds[kind]) print_clean(out, "  %-8s %llu\n", event_kind_name(kind), HEX(s.kinds[kind]));
    print_clean(out, "%-10s %llu bytes in %llu chunks\n", "size", HEX(sizes.file), HEX(sizes.chunks));
    print_clean(out, "  %-8s %llu bytes, %llu before compression\n", "events", HEX(sizes.events_stored),
                HEX(sizes.events_raw));
    print_clean(out, "  %-8s %llu bytes, %llu before compression, %llu files\n", "files",
                HEX(sizes.blobs_stored), HEX(sizes.blobs_raw), HEX(trace_blob_count(r)));
    print_clean(out, "  %-8s %llu bytes\n", "other", HEX(sizes.other_stored));
    json_array_foreach(s.notes, i, arg) put_field(out, "note", json_string_value(arg));
    put_tasks(out, &s);
    summary_release(&s);
    if (check_output(out, result < 0 ? NULL : err) < 0) return -1;
    return result;
}

static json_t *cpu_json(const struct cpu_model *cpu) {
    struct cpu_features here, lacking;
    char shown[1000], missing[1000];
    cpu_features_here(&here);
    cpu_features_lacking(&cpu->shown, &here, &lacking);
    cpu_features_text(&cpu->shown, shown, sizeof shown);
    cpu_features_text(&lacking, missing, sizeof missing);
    return json_pack("{s:s, s:s, s:s}", "kind", cpu_level_name(cpu->level), "shown", shown, "lacking_here",
                     missing);
}

static json_t *task_json(const struct task *task) {
    json_t *json = json_pack("{s:i, s:i, s:i, s:b, s:I, s:o}", "pid", task->pid, "tid", task->tid, "parent",
                             task->parent, "thread", (int)task->thread, "birth", (json_int_t)task->birth,
                             "name", json_bytes(task->name, strlen(task->name)));
    if (!task->death) return json;
    json_object_set_new(json, "death", json_integer((json_int_t)task->death));
    json_object_set_new(json, task->killed ? "signal" : "status", json_integer(task->status));
    return json;
}

static json_t *ending_json(const struct summary *s) {
    if (!s->ended) return json_null();
    json_t *end = json_object();
    json_object_set_new(end, s->killed ? "signal" : "status", json_integer(s->status));
    const char *why = s->failure ? s->failure : end_reason_text(s->end_reason);
    json_object_set_new(end, "why", json_bytes(why, strlen(why)));
    return end;
}

json_t *dump_info_object(const char *path, struct trace_reader *r, int *result, struct rf_error *err) {
    struct summary s;
    *result = summarise(r, &s, err);
    const struct trace_header *h = trace_get_header(r);
    struct trace_sizes sizes;
    trace_get_sizes(r, &sizes);
    char when[40];
    format_time(h->start_unix_ns, when);
    uint64_t cut;
    bool truncated = trace_truncated(r, &cut);

    json_t *kinds = json_object(), *tasks = json_array();
    for (int kind = 1; kind < EV_KINDS; kind++)
        if (s.kinds[kind])
            json_object_set_new(kinds, event_kind_name(kind), json_integer((json_int_t)s.kinds[kind]));
    for (size_t i = 0; i < s.task_count; i++)
        append(tasks, task_json(&s.tasks[i]));
    json_t *size =
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "file", (json_int_t)sizes.file, "events_raw",
                  (json_int_t)sizes.events_raw, "events_stored", (json_int_t)sizes.events_stored, "blobs_raw",
                  (json_int_t)sizes.blobs_raw, "blobs_stored", (json_int_t)sizes.blobs_stored, "other_stored",
                  (json_int_t)sizes.other_stored, "chunks", (json_int_t)sizes.chunks);
    json_t *info = json_pack(
        "{s:o, s:I, s:s, s:o?, s:O, s:s, s:s, s:s, s:o, s:I, s:o, s:b, s:o, s:I, s:o, s:o, s:I, s:O, s:o, "
        "s:I}",
        "trace", json_bytes(path, strlen(path)), "format", (json_int_t)h->format, "refork", h->refork_version,
        "program", s.path ? json_bytes(s.path, strlen(s.path)) : NULL, "arguments", s.args, "recorded", when,
        "kernel", h->kernel, "machine", h->machine_id, "cpu", cpu_json(&h->cpu), "duration_us",
        (json_int_t)s.duration_us, "end", ending_json(&s), "truncated", (int)truncated, "truncated_at",
        truncated ? json_integer((json_int_t)cut) : json_null(), "events", (json_int_t)s.last, "kinds", kinds,
        "size", size, "files", (json_int_t)trace_blob_count(r), "notes", s.notes, "tasks", tasks,
        "stuck_event", (json_int_t)s.stuck);
    summary_release(&s);
    if (!info) *result = rf_fail(err, RF_CANNOT, "out of memory while describing trace '%s'", path);
    return info;
}

int dump_info_json(FILE *out, const char *path, struct trace_reader *r, struct rf_error *err) {
    int result;
    json_t *info = dump_info_object(path, r, &result, err);
    if (!info) return -1;
    int written = json_dumpf(info, out, JSON_INDENT(2));
    json_decref(info);
    if (written < 0 || fputc('\n', out) == EOF) return rf_fail(err, RF_CANNOT, "cannot write the output");
    if (check_output(out, result < 0 ? NULL : err) < 0) return -1;
    return result;
}
