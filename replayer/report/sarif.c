#include "replayer/report/sarif.h"

#include "core/version.h"
#include "replayer/names/script.h"
#include "replayer/report/json.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { SITE_FRAMES = 3 }; // of each stack, in the fingerprint

// The rules: one for each kind of finding, whether this log has one or not, so that their indices never change.
static const struct rule {
    enum finding_kind kind;
    const char *name, *what, *help;
} rules[] = {
    {FINDING_ORPHANED_LOCK, "OrphanedLock",
     "A forked process waits for a lock whose holder does not exist there.",
     "A child of fork() has only the thread that forked, but all locks as they were. Use posix_spawn, fork "
     "before threads are started, or protect the lock with pthread_atfork."},
    {FINDING_ORPHANED_SPIN, "OrphanedSpin",
     "A forked process polls a word for ever that a thread which does not exist there had set.",
     "As orphaned-lock; the lock spins or yields instead of sleeping."},
    {FINDING_SELF_HELD, "SelfHeld", "A forked process waits for a lock that the forking thread itself held.",
     "Release the lock before fork(), or in a child handler of pthread_atfork. A recursive or "
     "error-checking lock knows its owner by TID, and the child has another one."},
    {FINDING_VANISHED_WAKER, "VanishedWaker",
     "A forked process waits for a thread to wake it that does not exist there.",
     "Conditions, semaphores, barriers, thread pools: whoever would have signalled is not in the child. "
     "Start the helper anew after fork(), or fork before it is used."},
    {FINDING_ATFORK_CHILD, "AtforkChild", "A child hangs inside fork(), in a handler of pthread_atfork.",
     "A child handler may only release or initialise what its prepare handler has taken."},
    {FINDING_ATFORK_DEADLOCK, "AtforkDeadlock", "fork() itself hangs in the parent, in a prepare handler.",
     "Prepare handlers take locks in an order of their own: the rest of the program must use the same."},
    {FINDING_INHERITED_PIPE, "InheritedPipe",
     "A reader never sees the end of a pipe that a forked process keeps open.",
     "Open descriptors with O_CLOEXEC, or close what the child does not need."},
    {FINDING_CROSS_PROCESS_WAIT, "CrossProcessWait", "A process waits for another one that is stuck.",
     "A consequence: the root cause is another result."},
    {FINDING_LOCK_CYCLE, "LockCycle", "Tasks wait for each other's locks.",
     "Take the locks in one order everywhere. fork() has no part in it."},
    {FINDING_TORN_DATA, "TornData",
     "A child crashed in data that a vanished thread was changing at the fork.",
     "The lock was made free in the child, but what it protects was half changed. Use posix_spawn."},
    {FINDING_SIGNAL_HANDLER, "SignalHandler",
     "A signal handler waits for a lock that the code it interrupted holds.",
     "Only set a flag or write to a pipe in a handler; what takes locks is not async-signal-safe."},
    {FINDING_DEAD_HOLDER, "DeadHolder",
     "A task waits for a lock whose holder was killed, or ended, without giving it back.",
     "A robust mutex (PTHREAD_MUTEX_ROBUST) tells the next one; rwlocks, semaphores and conditions have "
     "nothing like it: whoever starts the processes has to end them all and make the lock anew."},
    {FINDING_UNKNOWN_WAIT, "UnexplainedWait", "A task waits for ever; why is not known.", "See the stack."},
};

static size_t rule_of(const struct finding *f) {
    size_t i = 0, last = sizeof rules / sizeof *rules - 1;
    while (i < last && rules[i].kind != f->kind)
        i++;
    return i;
}

struct sarif {
    const struct verdict *v;
    const char *folder;
    bool failed;
};

// Adds a new value; a failure is remembered.
static void put(struct sarif *s, json_t *object, const char *key, json_t *value) {
    if (json_object_set_new(object, key, value)) s->failed = true;
}

static void append(struct sarif *s, json_t *array, json_t *value) {
    if (json_array_append_new(array, value)) s->failed = true;
}

static json_t *message(const char *text) {
    return json_pack("{s:o}", "text", report_json_text(text));
}

// ---- addresses of files
// RFC 3986: all but what is allowed in a path becomes %XX.
static void add_escaped(char *out, size_t size, const char *path) {
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/!$&'()*+,;=@";
    size_t used = strlen(out);
    for (; *path && used + 4 < size; path++) {
        if (strchr(plain, *path))
            out[used++] = *path;
        else
            used += (size_t)snprintf(out + used, size - used, "%%%02X", (unsigned char)*path);
    }
    out[used] = 0;
}

static json_t *artifact(struct sarif *s, const char *path) {
    char uri[3 * 4096] = "";
    size_t n = strlen(s->folder);
    json_t *o = json_object();
    bool below = !strncmp(path, s->folder, n) && path[n] == '/' && !strstr(path + n, "/../");
    if (path[0] == '/' && !below) snprintf(uri, sizeof uri, "file://");
    if (path[0] != '/' && strchr(path, ':')) snprintf(uri, sizeof uri, "./"); // else it would be a scheme
    add_escaped(uri, sizeof uri, below ? path + n + 1 : path);
    put(s, o, "uri", json_string(uri));
    if (below) put(s, o, "uriBaseId", json_string("CURRENT"));
    return o;
}

// ---- places
static json_t *frame_location(struct sarif *s, const struct frame *f, const char *what) {
    json_t *o = json_object();
    const char *path = f && f->file ? f->file : f && f->module ? f->module : s->v->program;
    json_t *physical = json_object();
    put(s, physical, "artifactLocation", artifact(s, path));
    if (f && f->file && f->line > 0) put(s, physical, "region", json_pack("{s:i}", "startLine", f->line));
    put(s, o, "physicalLocation", physical);
    if (f && f->function && *f->function)
        put(s, o, "logicalLocations",
            json_pack("[{s:o, s:o, s:s}]", "name", report_json_text(f->function), "fullyQualifiedName",
                      report_json_text(f->function), "kind", "function"));
    if (what) put(s, o, "message", message(what));
    return o;
}

// The place of the innermost frame of the program's own with a line, else of any of its own, else of the innermost.
static json_t *stack_location(struct sarif *s, const struct stack *stack, const char *what) {
    if (!stack->count) return frame_location(s, NULL, what);
    const struct frame f = script_focus(stack, true);
    return frame_location(s, &f, what);
}

static json_t *stack_json(struct sarif *s, const struct stack *stack, int tid, const char *what) {
    json_t *frames = json_array();
    struct stack shown = script_stack(stack);
    for (size_t i = 0; i < shown.count; i++) {
        const struct frame *f = &shown.frames[i];
        json_t *o = json_object();
        put(s, o, "location", frame_location(s, f, NULL));
        if (f->module) put(s, o, "module", report_json_text(f->module));
        if (tid) put(s, o, "threadId", json_integer(tid));
        append(s, frames, o);
    }
    free(shown.frames);
    return json_pack("{s:o, s:o}", "message", message(what), "frames", frames);
}

// ---- who and what, without the numbers of one run
static void name_task(char *out, size_t size, const struct finding_task *t) {
    if (!t->tid)
        snprintf(out, size, "another task");
    else if (t->tid == t->pid)
        snprintf(out, size, "the main thread%s%s%s", t->name[0] ? " '" : "", t->name, t->name[0] ? "'" : "");
    else
        snprintf(out, size, "thread '%s'%s%s", t->name, t->start_routine[0] ? " started in " : "",
                 t->start_routine);
}

// The program's function that made the lock, NULL if it is not known.
static const char *allocated_in(const struct finding_lock *l) {
    if (!l->allocated || !l->allocated->point.stack.count) return NULL;
    const struct frame f = script_focus(&l->allocated->point.stack, true);
    return f.function && strcmp(f.function, l->allocated->function) ? f.function : NULL;
}

static void name_lock(char *out, size_t size, const struct finding_lock *l) {
    const char *kind = l->kind[0] ? l->kind : "lock", *maker = allocated_in(l);
    if (l->symbol[0] && !l->of_this_run)
        snprintf(out, size, "%s", l->symbol);
    else if (maker)
        snprintf(out, size, "the %s allocated in %s", kind, maker);
    else
        snprintf(out, size, "a %s without a name", kind);
}

// "byte 24 of 64 bytes from calloc"
static void name_memory(char *out, size_t size, const struct lock_allocation *a) {
    snprintf(out, size, "byte %" PRIu64 " of %" PRIu64 " bytes from %s", a->offset, a->size, a->function);
}

// "A forked process waits for ... exist there. The main thread 'server' waits for log_mutex, held by thread 'worker'."
static json_t *result_message(const struct finding *f) {
    char text[2400], waiter[200], holder[240] = "", lock[300] = "", wanted[320] = "", memory[160];
    name_task(waiter, sizeof waiter, &f->waiter);
    waiter[0] = (char)toupper((unsigned char)waiter[0]);
    if (f->lock.address) {
        name_lock(lock, sizeof lock, &f->lock);
        snprintf(wanted, sizeof wanted, " for %s", lock);
    }
    if (f->holder_is_forker)
        snprintf(holder, sizeof holder, ", held by the forking thread");
    else if (f->holder.tid)
        name_task(holder, sizeof holder, &f->holder);
    bool named = f->holder.tid && !f->holder_is_forker;
    snprintf(text, sizeof text, "%s %s waits%s%s%s%s.", rules[rule_of(f)].what, waiter, wanted,
             named ? ", held by " : "", holder,
             named && f->holder.vanished ? ", which does not exist there" : "");
    if (f->lock.allocated) {
        size_t used = strlen(text);
        name_memory(memory, sizeof memory, f->lock.allocated);
        snprintf(text + used, sizeof text - used, " The lock is at %s.", memory);
    }
    return message(text);
}

// ---- flows: what each task did, in the order of events
enum step_kind { STEP_MEMORY, STEP_INITIALISE, STEP_ACQUIRE, STEP_FORK, STEP_WAIT };
struct step {
    const struct finding_point *point;
    const struct finding_task *task;
    enum step_kind kind;
    // Before which others of the same event: a lock may be allocated, initialised and taken in one.
    size_t added;
    char text[480];
};

enum { STEPS_MAX = 48 };

// `step` has no text and no number yet: its text is `what` and the lock's name. Returns the new count.
static size_t add_step(struct step *steps, size_t count, struct step step, const char *what,
                       const struct finding_lock *lock) {
    char name[300];
    if (count == STEPS_MAX || (!step.point->event && !step.point->stack.count)) return count;
    step.added = count;
    steps[count] = step;
    if (lock && lock->address) {
        name_lock(name, sizeof name, lock);
        snprintf(steps[count].text, sizeof steps[count].text, "%s %s", what, name);
    } else {
        snprintf(steps[count].text, sizeof steps[count].text, "%s", what);
    }
    return count + 1;
}

static size_t add_allocated(struct step *steps, size_t count, const struct finding_lock *lock) {
    char name[300], memory[160];
    if (!lock->allocated) return count;
    size_t more =
        add_step(steps, count, (struct step){&lock->allocated->point, .kind = STEP_MEMORY}, "", NULL);
    name_lock(name, sizeof name, lock);
    name_memory(memory, sizeof memory, lock->allocated);
    if (more > count) snprintf(steps[count].text, sizeof steps[count].text, "allocates %s: %s", name, memory);
    return more;
}

static int by_event(const void *a, const void *b) {
    const struct step *x = a, *y = b;
    if (x->point->event != y->point->event) return x->point->event < y->point->event ? -1 : 1;
    return x->added < y->added ? -1 : x->added > y->added;
}

static size_t steps_of(const struct finding *f, struct step *steps) {
    size_t n = add_allocated(steps, 0, &f->lock);
    for (size_t i = 0; i < f->edge_count; i++)
        n = add_allocated(steps, n, &f->edges[i].lock);
    n = add_step(steps, n, (struct step){&f->initialised, .kind = STEP_INITIALISE}, "initialises", &f->lock);
    n = add_step(steps, n, (struct step){&f->acquired, &f->holder, .kind = STEP_ACQUIRE}, "acquires",
                 &f->lock);
    n = add_step(steps, n, (struct step){&f->fork, .kind = STEP_FORK}, "forks", NULL);
    for (size_t i = 0; i < f->edge_count; i++) {
        const struct finding_edge *e = &f->edges[i];
        n = add_step(steps, n, (struct step){&e->acquired, &e->holder, .kind = STEP_ACQUIRE}, "acquires",
                     &e->lock);
        n = add_step(steps, n, (struct step){&e->waiting, &e->waiter, .kind = STEP_WAIT}, "waits for",
                     &e->lock);
    }
    n = add_step(steps, n, (struct step){&f->waiting, &f->waiter, .kind = STEP_WAIT},
                 f->lock.address ? "waits for ever for" : "waits for ever", &f->lock);
    qsort(steps, n, sizeof *steps, by_event);
    return n;
}

static int step_tid(const struct step *s) {
    return s->task && s->task->tid ? s->task->tid : s->point->tid;
}

static json_t *flow_location(struct sarif *s, const struct step *step) {
    json_t *o = json_object();
    put(s, o, "location", stack_location(s, &step->point->stack, step->text));
    put(s, o, "stack", stack_json(s, &step->point->stack, step_tid(step), step->text));
    static const char *const kinds[] = {[STEP_MEMORY] = "memory",
                                        [STEP_INITIALISE] = "initialise",
                                        [STEP_ACQUIRE] = "acquire",
                                        [STEP_FORK] = "fork",
                                        [STEP_WAIT] = "wait"};
    put(s, o, "kinds", json_pack("[s]", kinds[step->kind]));
    if (step->point->event) put(s, o, "executionOrder", json_integer((json_int_t)step->point->event));
    put(s, o, "importance", json_string("essential"));
    return o;
}

// A task that none of the steps names is who forked, or who only made the lock.
static void name_flow(char *out, size_t size, const struct step *steps, size_t count, int tid) {
    const char *what = "the thread that made the lock";
    for (size_t i = 0; i < count; i++) {
        if (step_tid(&steps[i]) != tid) continue;
        if (steps[i].task) {
            name_task(out, size, steps[i].task);
            return;
        }
        if (steps[i].kind == STEP_FORK) what = "the forking thread";
    }
    snprintf(out, size, "%s", what);
}

static json_t *code_flows(struct sarif *s, const struct step *steps, size_t count) {
    json_t *flows = json_array();
    for (size_t i = 0; i < count; i++) {
        int tid = step_tid(&steps[i]);
        bool first = true;
        for (size_t k = 0; k < i && first; k++)
            first = step_tid(&steps[k]) != tid;
        if (!first) continue;
        char id[32], name[220];
        json_t *locations = json_array(), *flow = json_object();
        for (size_t k = i; k < count; k++)
            if (step_tid(&steps[k]) == tid) append(s, locations, flow_location(s, &steps[k]));
        snprintf(id, sizeof id, "%d", tid);
        name_flow(name, sizeof name, steps, count, tid);
        put(s, flow, "id", json_string(id));
        put(s, flow, "message", message(name));
        put(s, flow, "locations", locations);
        append(s, flows, flow);
    }
    return json_pack("[{s:o}]", "threadFlows", flows);
}

static json_t *related(struct sarif *s, const struct step *steps, size_t count) {
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *location = stack_location(s, &steps[i].point->stack, steps[i].text);
        put(s, location, "id", json_integer((json_int_t)i + 1));
        append(s, array, location);
    }
    return array;
}

// ---- fingerprints
// The functions around a place: neither lines nor addresses, PIDs or events, so that another run of the program, and
// mostly the next version, has the same.
static void add_site(XXH3_state_t *state, const char *what, const struct stack *stack) {
    size_t first, last;
    XXH3_128bits_update(state, what, strlen(what) + 1);
    stack_own_part(stack, &first, &last);
    if (first) first--; // pthread_mutex_lock, fork, ...
    for (size_t i = first; i < last && i < first + SITE_FRAMES; i++) {
        const struct frame *f = &stack->frames[i];
        char place[64];
        const char *name = f->function;
        if (!name) {
            snprintf(place, sizeof place, "+0x%" PRIx64, f->module_offset);
            name = place;
        }
        XXH3_128bits_update(state, name, strlen(name) + 1);
        if (f->module) XXH3_128bits_update(state, f->module, strlen(f->module) + 1);
    }
}

static json_t *fingerprints(const struct finding *f) {
    XXH3_state_t *state = XXH3_createState();
    if (!state) return NULL;
    const char *kind = finding_kind_name(f->kind);
    XXH3_128bits_reset(state);
    XXH3_128bits_update(state, kind, strlen(kind) + 1);
    const char *symbol = f->lock.of_this_run ? "" : f->lock.symbol;
    XXH3_128bits_update(state, symbol, strlen(symbol) + 1);
    XXH3_128bits_update(state, f->lock.kind, strlen(f->lock.kind) + 1);
    add_site(state, "acquired", &f->acquired.stack);
    add_site(state, "fork", &f->fork.stack);
    add_site(state, "waiting", &f->waiting.stack);
    for (size_t i = 0; i < f->edge_count; i++) {
        add_site(state, "acquired", &f->edges[i].acquired.stack);
        add_site(state, "waiting", &f->edges[i].waiting.stack);
    }
    XXH128_hash_t hash = XXH3_128bits_digest(state);
    XXH3_freeState(state);
    char text[40];
    snprintf(text, sizeof text, "%016" PRIx64 "%016" PRIx64, hash.high64, hash.low64);
    return json_pack("{s:s}", "reforkSites/v1", text);
}

// ---- results
static const char *level_of(const struct finding *f) {
    if (f->kind == FINDING_CROSS_PROCESS_WAIT && f->caused_by) return "note";
    return f->confidence == CONFIDENCE_PROVED ? "error" : "warning";
}

static json_t *result_json(struct sarif *s, const struct finding *f) {
    struct step *steps = calloc(STEPS_MAX, sizeof *steps);
    if (!steps) return NULL;
    size_t count = steps_of(f, steps);
    json_t *o = json_object();
    put(s, o, "ruleId", json_string(finding_kind_name(rules[rule_of(f)].kind)));
    put(s, o, "ruleIndex", json_integer((json_int_t)rule_of(f)));
    put(s, o, "kind", json_string("fail"));
    put(s, o, "level", json_string(level_of(f)));
    put(s, o, "message", result_message(f));
    put(s, o, "locations", json_pack("[o]", stack_location(s, &f->waiting.stack, NULL)));
    put(s, o, "relatedLocations", related(s, steps, count));
    put(s, o, "codeFlows", code_flows(s, steps, count));
    put(s, o, "stacks", json_pack("[o]", stack_json(s, &f->waiting.stack, f->waiting.tid, "what is stuck")));
    put(s, o, "partialFingerprints", fingerprints(f));
    put(s, o, "properties",
        json_pack("{s:s, s:o, s:o}", "confidence", confidence_name(f->confidence), "reason",
                  report_json_text(f->reason), "advice", report_json_text(f->advice)));
    free(steps);
    return o;
}

static json_t *rule_json(const struct rule *rule) {
    return json_pack("{s:s, s:s, s:{s:s}, s:{s:s}, s:{s:s}, s:{s:[s, s, s]}}", "id",
                     finding_kind_name(rule->kind), "name", rule->name, "shortDescription", "text",
                     rule->what, "help", "text", rule->help, "defaultConfiguration", "level",
                     rule->kind == FINDING_CROSS_PROCESS_WAIT ? "note" : "error", "properties", "tags",
                     "fork", "deadlock", "concurrency");
}

json_t *report_sarif_run(const struct verdict *v, const char *path, const char *folder) {
    struct sarif s = {.v = v, .folder = folder};
    json_t *run = json_object(), *list = json_array(), *results = json_array();
    char base[3 * 4096] = "file://";
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        append(&s, list, rule_json(&rules[i]));
    for (size_t i = 0; i < v->count; i++)
        append(&s, results, result_json(&s, &v->findings[i]));
    add_escaped(base, sizeof base - 1, folder);
    strcat(base, "/");
    put(&s, run, "tool",
        json_pack("{s:{s:s, s:s, s:s, s:o}}", "driver", "name", "refork", "version", REFORK_VERSION,
                  "semanticVersion", REFORK_VERSION, "rules", list));
    put(&s, run, "invocations", json_pack("[{s:b}]", "executionSuccessful", 1));
    put(&s, run, "originalUriBaseIds", json_pack("{s:{s:s}}", "CURRENT", "uri", base));
    put(&s, run, "columnKind", json_string("utf16CodeUnits"));
    put(&s, run, "properties",
        json_pack("{s:o, s:o, s:I, s:o}", "trace", report_json_text(path), "program",
                  report_json_text(v->program), "events", (json_int_t)v->events, "end",
                  report_json_text(v->end_reason)));
    put(&s, run, "results", results);
    if (!s.failed) return run;
    json_decref(run);
    return NULL;
}

json_t *report_sarif_log(json_t *runs) {
    if (!runs) return NULL;
    return json_pack("{s:s, s:s, s:o}", "$schema", "https://json.schemastore.org/sarif-2.1.0.json", "version",
                     "2.1.0", "runs", runs);
}
