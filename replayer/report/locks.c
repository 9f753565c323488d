#include "replayer/report/locks.h"

#include "core/array.h"
#include "core/printable.h"
#include "core/path.h"
#include "core/calls/syscalls.h"
#include "replayer/names/script.h"
#include "replayer/report/json.h"
#include "replayer/verdict/allocation.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 20, HELD_MAX = 4096, ALLOCATION_US = 10000000 };

// ---- names

static const struct lock_space *space_of(const struct lock_history *h, const struct lock *l) {
    return &h->spaces[l->space == LOCK_SHARED ? l->last_space : l->space];
}

static void name_of(const struct lock_history *h, const struct lock *l, char *out, size_t size) {
    if (l->name >= 0)
        snprintf(out, size, "%s", lock_history_string(h, l->name));
    else
        snprintf(out, size, "0x%" PRIx64, l->last_address);
}

static void task_name(const struct lock_history *h, int tid, char *out, size_t size) {
    const char *name = lock_history_task_name(h, tid);
    if (!tid)
        snprintf(out, size, "not seen who");
    else
        snprintf(out, size, "%d%s%s", tid, *name ? " " : "", name);
}

static const char *function_of(const struct lock_history *h, uint32_t place) {
    if (place >= h->place_count) return "";
    const char *name = lock_history_string(h, h->places[place].function);
    return *name ? name : lock_history_string(h, h->places[place].module);
}

static void duration(uint64_t us, char *out, size_t size) {
    *out = 0;
    if (!us) return;
    if (us < 1000)
        snprintf(out, size, " (%" PRIu64 " us)", us);
    else if (us < 1000000)
        snprintf(out, size, " (%.1f ms)", (double)us / 1000);
    else
        snprintf(out, size, " (%.2f s)", (double)us / 1e6);
}

static void calls_text(const struct lock *l, char *out, size_t size) {
    size_t used = 0;
    *out = 0;
    for (size_t i = 0; i < sizeof l->calls / sizeof *l->calls && l->calls[i].count && used < size; i++) {
        const struct syscall_row *row = syscall_row(l->calls[i].nr);
        used += (size_t)snprintf(out + used, size - used, "%s%s %u", i ? ", " : "",
                                 row && row->name ? row->name : "?", l->calls[i].count);
    }
}

// ---- order

// The longest hold, in events; what is still held was so for all of its time.
static uint64_t longest_hold(const struct lock *l) {
    uint64_t longest = l->longest.to - l->longest.holder.event;
    uint64_t still = l->still_held ? l->last_event - l->still.event : 0;
    return still > longest ? still : longest;
}

static int compare_locks(const void *left, const void *right) {
    const struct lock *a = *(const struct lock *const *)left, *b = *(const struct lock *const *)right;
    if (a->waits != b->waits) return a->waits > b->waits ? -1 : 1;
    if (a->still_held != b->still_held) return a->still_held ? -1 : 1;
    uint64_t x = longest_hold(a), y = longest_hold(b);
    if (x != y) return x > y ? -1 : 1;
    if (a->acquired != b->acquired) return a->acquired > b->acquired ? -1 : 1;
    return a < b ? -1 : 1;
}

// Ranked, from malloc. What a child only inherited and never touched is left out.
static const struct lock **ranked(const struct lock_history *h, size_t *count) {
    const struct lock **v = malloc((h->words.count + 1) * sizeof *v);
    rf_assert(v);
    *count = 0;
    for (size_t i = 0; i < h->words.count; i++) {
        const struct lock *l = &h->words.locks[i];
        if (l->confirmed && (l->acquired || l->waits || l->failed)) v[(*count)++] = l;
    }
    qsort(v, *count, sizeof *v, compare_locks);
    return v;
}

// ---- text

static void print_stack(FILE *out, const struct stack *s) {
    struct stack shown = script_stack(s);
    for (size_t i = 0; i < shown.count && i < 12; i++) {
        const struct frame *f = &shown.frames[i];
        print_clean(out, "      #%-2zu %s", i, f->function ? f->function : f->module ? f->module : "?");
        if (f->file && f->line > 0) print_clean(out, " at %s:%d", base_name(f->file), f->line);
        fputc('\n', out);
    }
    free(shown.frames);
}

static const char *plural(uint64_t n) {
    return n == 1 ? "" : "s";
}

static void print_counts(FILE *out, const char *waited, uint64_t acquired, uint64_t waits) {
    fprintf(out, "acquired %" PRIu64 " time%s, %s %" PRIu64 " time%s", acquired, plural(acquired), waited,
            waits, plural(waits));
}

static void print_failed(FILE *out, uint64_t failed) {
    fprintf(out, ", %" PRIu64 " failed tr%s\n", failed, failed == 1 ? "y" : "ies");
}

static int print_lock(FILE *out, struct timeline *t, const struct lock_history *h, const struct lock *l,
                      const struct lock_report_options *o, struct rf_error *err) {
    char name[300], hold[32], wait[32], task[64], calls[200];
    name_of(h, l, name, sizeof name);
    print_clean(out, "%s (%s, process %d)\n", name, lock_family_name(l->family), space_of(h, l)->pid);
    fputs("    ", out);
    print_counts(out, "waited for", l->acquired, l->waits);
    if (l->waiter_count) print_clean(out, " by %u task%s", l->waiter_count, l->waiter_count == 1 ? "" : "s");
    print_failed(out, l->failed);
    if (l->longest.to > l->longest.holder.event) {
        duration(l->longest_us, hold, sizeof hold);
        task_name(h, l->longest.holder.tid, task, sizeof task);
        print_clean(out, "    longest hold: %" PRIu64 " event%s%s, events %" PRIu64 " to %" PRIu64 " by %s",
                    l->longest.to - l->longest.holder.event, plural(l->longest.to - l->longest.holder.event),
                    hold, l->longest.holder.event, l->longest.to, task);
        const char *function = function_of(h, l->longest.holder.pc);
        print_clean(out, "%s%s\n", *function ? ", in " : "", function);
    }
    if (l->longest_wait) {
        duration(l->longest_wait_us, wait, sizeof wait);
        task_name(h, l->longest_waiter, task, sizeof task);
        print_clean(out, "    longest wait: %" PRIu64 " events%s, from event %" PRIu64 " by %s\n",
                    l->longest_wait, wait, l->longest_wait_from, task);
    }
    if (l->still_held) {
        task_name(h, l->still.tid, task, sizeof task);
        print_clean(out, "    still held: since event %" PRIu64 " by %s%s\n", l->still.event, task,
                    l->still.inherited ? ", from before the fork" : "");
    }
    calls_text(l, calls, sizeof calls);
    if (*calls) print_clean(out, "    syscalls while held: %s\n", calls);
    const struct lock_holder *held = l->still_held ? &l->still : &l->longest.holder;
    if (!o->stacks || !held->event) return 0;
    struct stack stack;
    if (lock_history_stack(t, l, (struct access_at){held->event, held->ordinal}, o->functions, &stack, err) <
        0)
        return -1;
    print_stack(out, &stack);
    free(stack.frames);
    return 0;
}

static int print_locks(FILE *out, struct timeline *t, const struct lock_history *h,
                       const struct lock_report_options *o, struct rf_error *err) {
    size_t count;
    int failed = 0;
    const struct lock **v = ranked(h, &count);
    for (size_t i = 0; i < count && (o->all || i < ROWS) && !failed; i++)
        failed = print_lock(out, t, h, v[i], o, err);
    if (!failed && count > ROWS && !o->all) fprintf(out, "and %zu more: --all shows them\n", count - ROWS);
    if (!count) fputs("no lock was taken\n", out);
    free(v);
    return failed;
}

struct task_row {
    int tid;
    uint64_t acquired, failed, waits, released, longest, longest_at;
    uint32_t lock; // of the longest hold
    size_t held;   // at the end
};

static struct task_row *task_row(struct task_row **rows, size_t *count, int tid) {
    for (size_t i = 0; i < *count; i++)
        if ((*rows)[i].tid == tid) return &(*rows)[i];
    struct task_row *row = array_add(*rows, *count);
    row->tid = tid;
    return row;
}

static struct task_row *task_rows(const struct lock_history *h, size_t *count) {
    struct task_row *rows = NULL;
    *count = 0;
    for (size_t i = 0; i < h->words.op_count; i++) {
        const struct lock_op *o = &h->words.ops[i];
        struct task_row *row = task_row(&rows, count, o->tid);
        row->acquired += o->kind == LOCK_OP_ACQUIRE;
        row->failed += o->kind == LOCK_OP_TRY_FAILED;
        row->waits += o->kind == LOCK_OP_WAIT;
        row->released += o->kind == LOCK_OP_RELEASE;
    }
    for (size_t i = 0; i < h->words.span_count; i++) {
        const struct lock_span *s = &h->words.spans[i];
        struct task_row *row = task_row(&rows, count, s->holder.tid);
        row->held += !s->to && !s->holder.inherited;
        if (!s->to || s->to - s->holder.event <= row->longest) continue;
        row->longest = s->to - s->holder.event;
        row->longest_at = s->holder.event;
        row->lock = s->lock;
    }
    return rows;
}

static void print_tasks(FILE *out, const struct lock_history *h) {
    size_t count;
    struct task_row *rows = task_rows(h, &count);
    for (size_t i = 0; i < count; i++) {
        char task[64], name[300];
        task_name(h, rows[i].tid, task, sizeof task);
        print_clean(out, "%s\n", task);
        fputs("    ", out);
        print_counts(out, "waited", rows[i].acquired, rows[i].waits);
        print_failed(out, rows[i].failed);
        if (rows[i].longest) {
            name_of(h, &h->words.locks[rows[i].lock], name, sizeof name);
            print_clean(out, "    longest hold: %" PRIu64 " event%s, %s from event %" PRIu64 "\n",
                        rows[i].longest, plural(rows[i].longest), name, rows[i].longest_at);
        }
        if (rows[i].held)
            print_clean(out, "    holds %zu lock%s at the end\n", rows[i].held, rows[i].held == 1 ? "" : "s");
    }
    if (h->words.ops_dropped) fputs("(of the first two million operations)\n", out);
    free(rows);
}

static void print_held(FILE *out, const struct lock_history *h, uint64_t event) {
    struct lock_span *held = calloc(HELD_MAX, sizeof *held);
    rf_assert(held);
    size_t n = lock_history_held(h, event, 0, held, HELD_MAX);
    print_clean(out, "held at event %" PRIu64 ":%s\n", event, n ? "" : " nothing");
    for (size_t i = 0; i < n && i < HELD_MAX; i++) {
        const struct lock *l = &h->words.locks[held[i].lock];
        char name[300], task[64];
        name_of(h, l, name, sizeof name);
        task_name(h, held[i].holder.tid, task, sizeof task);
        print_clean(out, "  %s (%s, process %d) by %s%s%s", name, lock_family_name(l->family),
                    space_of(h, l)->pid, task, held[i].holder.reader ? " as a reader" : "",
                    held[i].holder.inherited ? ", from before the fork" : "");
        const char *function = function_of(h, held[i].holder.pc);
        if (held[i].holder.tid)
            print_clean(out, ", since event %" PRIu64 "%s%s", held[i].holder.event, *function ? " in " : "",
                        function);
        fputc('\n', out);
    }
    free(held);
}

static bool is_asked(const struct lock_history *h, const struct lock *l, const char *what) {
    char name[300], *end;
    name_of(h, l, name, sizeof name);
    uint64_t address = strtoull(what, &end, 0);
    return l->confirmed && (!strcmp(name, what) || (!*end && *what && l->last_address == address));
}

// Of a lock without a name: NULL when it is not known, or was not found in time.
static int find_allocation(struct timeline *t, const struct lock_history *h, const struct lock *l,
                           struct lock_allocation **out, struct rf_error *err) {
    const struct lock_op *first = NULL;
    struct history history;
    *out = NULL;
    for (size_t i = 0; i < h->words.op_count && !first; i++)
        if (&h->words.locks[h->words.ops[i].lock] == l && h->words.ops[i].kind == LOCK_OP_ACQUIRE)
            first = &h->words.ops[i];
    // What a forked process only has a copy of was its parent's.
    const struct lock_space *space = space_of(h, l);
    int tid = first ? first->tid : space->forker;
    uint64_t event = first ? first->event : space->begin;
    if (l->name >= 0 || !tid || !event) return 0;
    int failed = history_read(t, &history, err);
    size_t life = failed ? NONE : history_life(&history, tid, event - 1);
    timeline_set_deadline(t, ALLOCATION_US);
    if (life != NONE)
        failed = allocation_find(t, &history,
                                 &(const struct allocated){.space = history.lives[life].space,
                                                           .address = l->last_address,
                                                           .until = event},
                                 out, err);
    if (timeline_set_deadline(t, 0)) failed = 0;
    history_release(&history);
    return failed;
}

static int print_history(FILE *out, struct timeline *t, const struct lock_history *h, const char *what,
                         struct rf_error *err) {
    static const char *const verbs[] = {[LOCK_OP_ACQUIRE] = "takes",
                                        [LOCK_OP_TRY_FAILED] = "fails to take",
                                        [LOCK_OP_WAIT] = "waits",
                                        [LOCK_OP_RELEASE] = "frees",
                                        [LOCK_OP_MARK] = "marks"};
    bool any = false;
    for (size_t i = 0; i < h->words.count; i++) {
        const struct lock *l = &h->words.locks[i];
        if (!is_asked(h, l, what)) continue;
        any = true;
        char name[300];
        name_of(h, l, name, sizeof name);
        print_clean(out, "%s (%s, process %d)\n", name, lock_family_name(l->family), space_of(h, l)->pid);
        struct lock_allocation *a;
        if (find_allocation(t, h, l, &a, err) < 0) return -1;
        if (a) {
            print_clean(out, "    at byte %lu of %lu bytes from %s, event %lu\n", (long)a->offset,
                        (long)a->size, a->function, (long)a->point.event);
            print_stack(out, &a->point.stack);
        }
        allocation_free(a);
        for (size_t k = 0; k < h->words.op_count; k++) {
            const struct lock_op *o = &h->words.ops[k];
            if (o->lock != i || o->kind > LOCK_OP_MARK) continue;
            char task[64];
            task_name(h, o->tid, task, sizeof task);
            print_clean(out, "%10" PRIu64 "  %-24s %s", o->event, task, verbs[o->kind]);
            if (o->before != o->after) fprintf(out, " 0x%" PRIx64 " -> 0x%" PRIx64, o->before, o->after);
            const char *function = function_of(h, o->pc);
            print_clean(out, "%s%s%s\n", *function ? " in " : "", function,
                        o->between ? " (no atomic instruction)" : "");
        }
    }
    if (any) return 0;
    return rf_fail(err, RF_CANNOT, "no lock is called '%s' in these events: 'refork locks --all' lists them",
                   what);
}

int lock_report_text(FILE *out, struct timeline *t, const struct lock_history *h,
                     const struct lock_report_options *o, struct rf_error *err) {
    if (o->lock) return print_history(out, t, h, o->lock, err);
    if (o->at) print_held(out, h, o->at);
    if (o->by_task)
        print_tasks(out, h);
    else if (!o->at && print_locks(out, t, h, o, err) < 0)
        return -1;
    if (h->words.dropped) fputs("there are more locks than are kept: not all are shown\n", out);
    if (h->uncovered)
        fprintf(out, "%" PRIu64 " of %" PRIu64 " places could not be watched: their code was changed\n",
                h->uncovered, h->sites);
    return 0;
}

// ---- JSON

static void put(json_t *o, const char *key, json_t *value, bool *ok) {
    if (json_object_set_new(o, key, value)) *ok = false;
}

static json_t *number(uint64_t value) {
    return json_integer((json_int_t)value);
}

static json_t *address_json(uint64_t value) {
    char text[32];
    snprintf(text, sizeof text, "0x%" PRIx64, value);
    return json_string(text);
}

static json_t *task_json(const struct lock_history *h, int tid, bool *ok) {
    if (!tid) return json_null();
    json_t *o = json_object();
    put(o, "tid", json_integer(tid), ok);
    put(o, "name", report_json_text(lock_history_task_name(h, tid)), ok);
    return o;
}

static json_t *span_json(const struct lock_history *h, const struct lock_span *s, bool *ok) {
    json_t *o = json_object();
    put(o, "holder", task_json(h, s->holder.tid, ok), ok);
    put(o, "from", number(s->holder.event), ok);
    put(o, "to", s->to ? number(s->to) : json_null(), ok);
    put(o, "reader", json_boolean(s->holder.reader), ok);
    put(o, "inherited", json_boolean(s->holder.inherited), ok);
    put(o, "syscalls", number(s->holder.calls), ok);
    put(o, "function", report_json_text(function_of(h, s->holder.pc)), ok);
    return o;
}

static json_t *lock_json(const struct lock_history *h, const struct lock *l, bool *ok) {
    char name[300];
    name_of(h, l, name, sizeof name);
    json_t *o = json_object(), *calls = json_object();
    put(o, "address", address_json(l->last_address), ok);
    put(o, "symbol", l->name >= 0 ? report_json_text(name) : json_null(), ok);
    put(o, "kind", json_string(lock_family_name(l->family)), ok);
    put(o, "pid", json_integer(space_of(h, l)->pid), ok);
    put(o, "shared", json_boolean(l->space == LOCK_SHARED), ok);
    put(o, "acquired", number(l->acquired), ok);
    put(o, "failed", number(l->failed), ok);
    put(o, "waits", number(l->waits), ok);
    put(o, "waiters", number(l->waiter_count), ok);
    put(o, "longest_hold", l->longest.to ? span_json(h, &l->longest, ok) : json_null(), ok);
    put(o, "still_held", json_boolean(l->still_held), ok);
    put(o, "still_held_by", l->still_held ? task_json(h, l->still.tid, ok) : json_null(), ok);
    put(o, "longest_hold_us", number(l->longest_us), ok);
    put(o, "longest_wait", number(l->longest_wait), ok);
    put(o, "longest_wait_us", number(l->longest_wait_us), ok);
    for (size_t i = 0; i < sizeof l->calls / sizeof *l->calls && l->calls[i].count; i++) {
        const struct syscall_row *row = syscall_row(l->calls[i].nr);
        put(calls, row && row->name ? row->name : "?", number(l->calls[i].count), ok);
    }
    put(o, "syscalls", calls, ok);
    return o;
}

static json_t *held_json(const struct lock_history *h, uint64_t event, bool *ok) {
    struct lock_span *held = calloc(HELD_MAX, sizeof *held);
    rf_assert(held);
    size_t n = lock_history_held(h, event, 0, held, HELD_MAX);
    json_t *array = json_array();
    for (size_t i = 0; i < n && i < HELD_MAX; i++) {
        const struct lock *l = &h->words.locks[held[i].lock];
        json_t *o = span_json(h, &held[i], ok);
        put(o, "address", address_json(l->last_address), ok);
        put(o, "symbol", l->name >= 0 ? report_json_text(lock_history_string(h, l->name)) : json_null(), ok);
        put(o, "kind", json_string(lock_family_name(l->family)), ok);
        put(o, "pid", json_integer(space_of(h, l)->pid), ok);
        if (json_array_append_new(array, o)) *ok = false;
    }
    free(held);
    return array;
}

static json_t *tasks_json(const struct lock_history *h, bool *ok) {
    size_t count;
    struct task_row *rows = task_rows(h, &count);
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *o = json_object();
        put(o, "task", task_json(h, rows[i].tid, ok), ok);
        put(o, "acquired", number(rows[i].acquired), ok);
        put(o, "failed", number(rows[i].failed), ok);
        put(o, "waits", number(rows[i].waits), ok);
        put(o, "longest_hold", number(rows[i].longest), ok);
        put(o, "held", number(rows[i].held), ok);
        if (json_array_append_new(array, o)) *ok = false;
    }
    free(rows);
    return array;
}

// What --lock asks for, with the call that allocated it.
static int asked_json(json_t *locks, struct timeline *t, const struct lock_history *h, const struct lock *l,
                      bool *ok, struct rf_error *err) {
    struct lock_allocation *a;
    if (find_allocation(t, h, l, &a, err) < 0) return -1;
    json_t *o = lock_json(h, l, ok);
    put(o, "allocated", report_json_allocation(a), ok);
    allocation_free(a);
    if (json_array_append_new(locks, o)) *ok = false;
    return 0;
}

int lock_report_json(FILE *out, struct timeline *t, const struct lock_history *h,
                     const struct lock_report_options *o, struct rf_error *err) {
    bool ok = true;
    json_t *root = json_object(), *locks = json_array();
    put(root, "from", number(h->from), &ok);
    put(root, "to", number(h->to), &ok);
    put(root, "places", number(h->sites), &ok);
    put(root, "places_changed", number(h->uncovered), &ok);
    put(root, "stops", number(h->hits), &ok);
    put(root, "noted", number(h->noted), &ok);
    put(root, "steps", number(h->steps), &ok);
    put(root, "complete", json_boolean(!h->words.dropped), &ok);
    size_t count;
    const struct lock **v = ranked(h, &count);
    int failed = 0;
    for (size_t i = 0; i < count && !failed; i++) {
        if (o->lock && is_asked(h, v[i], o->lock))
            failed = asked_json(locks, t, h, v[i], &ok, err);
        else if (!o->lock && json_array_append_new(locks, lock_json(h, v[i], &ok)))
            ok = false;
    }
    free(v);
    if (failed) {
        json_decref(root);
        json_decref(locks);
        return -1;
    }
    put(root, "locks", locks, &ok);
    put(root, "tasks", tasks_json(h, &ok), &ok);
    put(root, "at", o->at ? number(o->at) : json_null(), &ok);
    put(root, "held", o->at ? held_json(h, o->at, &ok) : json_null(), &ok);
    if (ok) ok = json_dumpf(root, out, JSON_INDENT(2) | JSON_PRESERVE_ORDER) == 0 && fputc('\n', out) != EOF;
    json_decref(root);
    return ok ? 0 : rf_fail(err, RF_CANNOT, "could not write the locks");
}
