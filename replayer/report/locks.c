#include "replayer/report/locks.h"

#include "core/array.h"
#include "core/printable.h"
#include "core/path.h"
#include "core/calls/syscalls.h"
#include "replayer/locks/rows.h"
#include "replayer/names/script.h"
#include "replayer/report/json.h"
#include "replayer/verdict/allocation.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    HELD_MAX = 4096,
    HELD_ASKED = 40, // of those that --at shows: who took them is looked up
    STILL_SHOWN = 5, // holders of one lock at the end
    ALLOCATION_US = 10000000
};

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

static void add_calls(struct lock *sum, const struct lock *l) {
    enum { KINDS = sizeof l->calls / sizeof *l->calls };
    for (size_t i = 0; i < KINDS && l->calls[i].count; i++) {
        size_t k = 0;
        while (k < KINDS && sum->calls[k].count && sum->calls[k].nr != l->calls[i].nr)
            k++;
        if (k == KINDS) return; // the first kinds are enough
        sum->calls[k].nr = l->calls[i].nr;
        sum->calls[k].count += l->calls[i].count;
    }
}

static const char *caller_of(const struct lock_history *h, const struct lock_holder *holder) {
    return holder->caller > 0 ? lock_history_string(h, holder->caller) : "";
}

// Where it was taken: the program's line when it was asked for, else the lock function.
static const char *where_of(const struct lock_history *h, const struct lock_holder *holder) {
    const char *caller = caller_of(h, holder);
    return *caller ? caller : function_of(h, holder->pc);
}

static void row_name(const struct lock_history *h, const struct lock_row *row, char *out, size_t size) {
    if (row->name >= 0)
        snprintf(out, size, "%s", lock_history_string(h, row->name));
    else
        name_of(h, row->copies[0], out, size);
}

// "process 12", "processes 12 and 13", "41 processes, the first is 12"
static void processes_text(const struct lock_history *h, const struct lock_row *row, char *out, size_t size) {
    int first = space_of(h, row->copies[0])->pid;
    if (row->count == 1)
        snprintf(out, size, "process %d", first);
    else if (row->count == 2)
        snprintf(out, size, "processes %d and %d", first, space_of(h, row->copies[1])->pid);
    else
        snprintf(out, size, "%zu processes, the first is %d", row->count, first);
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

// Who holds it at the end, in which copies: those that were taken at one time are one line.
static void print_still(FILE *out, const struct lock_history *h, const struct lock_row *row) {
    size_t shown = 0;
    for (size_t i = 0; i < row->count; i++) {
        const struct lock *l = row->copies[i];
        size_t same = 0, before = 0;
        char task[64], in[64] = "";
        if (!l->still_held) continue;
        for (size_t k = 0; k < row->count; k++) {
            const struct lock *o = row->copies[k];
            bool is = o->still_held && o->still.event == l->still.event && o->still.tid == l->still.tid &&
                      o->still.inherited == l->still.inherited;
            same += is;
            before += is && k < i;
        }
        if (before) continue; // told already
        if (shown++ == STILL_SHOWN) {
            fputs("    still held by others, too: --json has all\n", out);
            return;
        }
        if (row->count > 1 && same == 1)
            snprintf(in, sizeof in, " in process %d", space_of(h, l)->pid);
        else if (same > 1)
            snprintf(in, sizeof in, " in %zu processes", same);
        task_name(h, l->still.tid, task, sizeof task);
        const char *where = where_of(h, &l->still);
        print_clean(out, "    still held%s: since event %" PRIu64 " by %s%s%s%s\n", in, l->still.event, task,
                    l->still.inherited ? ", from before the fork" : "", *where ? ", in " : "", where);
    }
}

static void print_longest(FILE *out, const struct lock_history *h, const struct lock_row *row) {
    char hold[32], wait[32], task[64];
    if (row->held) {
        const struct lock_span *s = &row->held->longest;
        uint64_t events = s->to - s->holder.event;
        duration(row->held->longest_us, hold, sizeof hold);
        task_name(h, s->holder.tid, task, sizeof task);
        const char *where = where_of(h, &s->holder);
        print_clean(out,
                    "    longest hold: %" PRIu64 " event%s%s, events %" PRIu64 " to %" PRIu64 " by %s%s%s\n",
                    events, plural(events), hold, s->holder.event, s->to, task, *where ? ", in " : "", where);
    } else if (!row->still) {
        const char *where = where_of(h, &row->copies[0]->taken);
        if (*where) print_clean(out, "    taken in %s\n", where);
    }
    if (!row->waited) return;
    const struct lock *l = row->waited;
    duration(l->longest_wait_us, wait, sizeof wait);
    task_name(h, l->longest_waiter, task, sizeof task);
    print_clean(out, "    longest wait: %" PRIu64 " event%s%s, from event %" PRIu64 " by %s\n",
                l->longest_wait, plural(l->longest_wait), wait, l->longest_wait_from, task);
}

static void print_calls(FILE *out, const struct lock_row *row) {
    char calls[200];
    struct lock all = {.family = 0};
    for (size_t i = 0; i < row->count; i++)
        add_calls(&all, row->copies[i]);
    calls_text(&all, calls, sizeof calls);
    if (*calls) print_clean(out, "    syscalls while held: %s\n", calls);
}

static int print_row_stack(FILE *out, struct timeline *t, const struct lock_row *row,
                           const struct lock_report_options *o, struct rf_error *err) {
    const struct lock *l = row->still ? row->still : row->held;
    if (!o->stacks || !l) return 0;
    struct stack stack;
    const struct lock_holder *held = row->still ? &l->still : &l->longest.holder;
    if (lock_history_stack(t, l, lock_asked_at(held), o->functions, &stack, err) < 0) return -1;
    print_stack(out, &stack);
    free(stack.frames);
    return 0;
}

static int print_row(FILE *out, struct timeline *t, const struct lock_history *h, const struct lock_row *row,
                     const struct lock_report_options *o, struct rf_error *err) {
    char name[300], processes[80];
    row_name(h, row, name, sizeof name);
    processes_text(h, row, processes, sizeof processes);
    print_clean(out, "%s (%s, %s)\n", name, lock_family_name(row->copies[0]->family), processes);
    fputs("    ", out);
    print_counts(out, "waited for", row->acquired, row->waits);
    if (row->waiters) print_clean(out, " by %" PRIu64 " task%s", row->waiters, plural(row->waiters));
    print_failed(out, row->failed);
    print_longest(out, h, row);
    print_still(out, h, row);
    print_calls(out, row);
    return print_row_stack(out, t, row, o, err);
}

static size_t rows_shown(const struct lock_report_options *o, size_t count) {
    return o->all || count < LOCK_ROWS_FIRST ? count : LOCK_ROWS_FIRST;
}

static int print_locks(FILE *out, struct timeline *t, struct lock_history *h,
                       const struct lock_report_options *o, struct rf_error *err) {
    size_t count;
    struct lock_row *rows = lock_rows(h, &count);
    size_t shown = rows_shown(o, count);
    int failed = lock_rows_ask(t, h, o->functions, rows, shown, err);
    for (size_t i = 0; i < shown && !failed; i++)
        failed = print_row(out, t, h, &rows[i], o, err);
    if (!failed && count > shown) fprintf(out, "and %zu more: --all shows them\n", count - shown);
    if (!failed && !count) fputs("no lock was taken\n", out);
    lock_rows_free(rows, count);
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

// Who holds what right after `event`, from malloc; of the first ones it is looked up where they were taken.
static int held_at(struct timeline *t, struct lock_history *h, const struct lock_report_options *o,
                   struct lock_span **out, size_t *count, struct rf_error *err) {
    struct lock_taker takers[HELD_ASKED];
    struct lock_span *held = calloc(HELD_MAX, sizeof *held);
    rf_assert(held);
    size_t n = lock_history_held(h, o->at, 0, held, HELD_MAX), asked = n < HELD_ASKED ? n : HELD_ASKED;
    for (size_t i = 0; i < asked; i++)
        takers[i] = (struct lock_taker){held[i].lock, &held[i].holder};
    *out = held;
    *count = n < HELD_MAX ? n : HELD_MAX;
    int failed = lock_history_takers(t, h, o->functions, takers, asked, err);
    if (failed) free(held);
    return failed;
}

static int print_held(FILE *out, struct timeline *t, struct lock_history *h,
                      const struct lock_report_options *o, struct rf_error *err) {
    struct lock_span *held;
    size_t n;
    if (held_at(t, h, o, &held, &n, err) < 0) return -1;
    print_clean(out, "held at event %" PRIu64 ":%s\n", o->at, n ? "" : " nothing");
    for (size_t i = 0; i < n; i++) {
        const struct lock *l = &h->words.locks[held[i].lock];
        char name[300], task[64];
        name_of(h, l, name, sizeof name);
        task_name(h, held[i].holder.tid, task, sizeof task);
        print_clean(out, "  %s (%s, process %d) by %s%s%s", name, lock_family_name(l->family),
                    space_of(h, l)->pid, task, held[i].holder.reader ? " as a reader" : "",
                    held[i].holder.inherited ? ", from before the fork" : "");
        const char *where = where_of(h, &held[i].holder);
        if (held[i].holder.tid)
            print_clean(out, ", since event %" PRIu64 "%s%s", held[i].holder.event, *where ? " in " : "",
                        where);
        fputc('\n', out);
    }
    free(held);
    return 0;
}

// What --lock asks for: an address as it is written, or a name.
static bool is_asked(const struct lock_history *h, const struct lock_row *row, const char *what) {
    char name[300], *end;
    row_name(h, row, name, sizeof name);
    uint64_t address = strtoull(what, &end, 0);
    if (!strcmp(name, what)) return true;
    for (size_t i = 0; i < row->count; i++)
        if (!*end && *what && row->copies[i]->last_address == address) return true;
    return false;
}

// The rows that --lock asks for come first: so many are they. A lock in no variable gets its name from who took it: they are
// asked when nothing is called so.
static int find_asked(struct timeline *t, struct lock_history *h, const struct lock_report_options *o,
                      struct lock_row *rows, size_t count, size_t *found, struct rf_error *err) {
    *found = 0;
    for (int asked = 0; asked < 2 && !*found; asked++) {
        if (asked && lock_rows_ask(t, h, o->functions, rows, count, err) < 0) return -1;
        for (size_t i = 0; i < count; i++) {
            struct lock_row row = rows[i];
            if (!is_asked(h, &row, o->lock)) continue;
            memmove(&rows[*found + 1], &rows[*found], (i - *found) * sizeof row);
            rows[(*found)++] = row;
        }
    }
    return lock_rows_ask(t, h, o->functions, rows, *found, err);
}

// Of a lock in no variable: NULL when it is not known, or was not found in time.
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
    if ((l->name >= 0 && !l->by_stack) || !tid || !event) return 0;
    int failed = history_read(t, &history, err);
    size_t life = failed ? NONE : history_life(&history, tid, event - 1);
    timeline_set_budget(t, ALLOCATION_US);
    if (life != NONE)
        failed = allocation_find(t, &history,
                                 &(const struct allocated){.space = history.lives[life].space,
                                                           .address = l->last_address,
                                                           .until = event},
                                 out, err);
    if (timeline_set_budget(t, 0)) failed = 0;
    history_release(&history);
    return failed;
}

static void print_op(FILE *out, const struct lock_history *h, const struct lock_op *o) {
    static const char *const verbs[] = {[LOCK_OP_ACQUIRE] = "takes",
                                        [LOCK_OP_TRY_FAILED] = "fails to take",
                                        [LOCK_OP_WAIT] = "waits",
                                        [LOCK_OP_RELEASE] = "frees",
                                        [LOCK_OP_MARK] = "marks"};
    char task[64];
    task_name(h, o->tid, task, sizeof task);
    print_clean(out, "%10" PRIu64 "  %-24s %s", o->event, task, verbs[o->kind]);
    if (o->before != o->after) fprintf(out, " 0x%" PRIx64 " -> 0x%" PRIx64, o->before, o->after);
    const char *function = function_of(h, o->pc);
    print_clean(out, "%s%s%s\n", *function ? " in " : "", function,
                o->between ? " (no atomic instruction)" : "");
}

static bool is_copy(const struct lock_row *row, const struct lock *l) {
    for (size_t i = 0; i < row->count; i++)
        if (row->copies[i] == l) return true;
    return false;
}

static int print_row_history(FILE *out, struct timeline *t, const struct lock_history *h,
                             const struct lock_row *row, struct rf_error *err) {
    char name[300], processes[80];
    row_name(h, row, name, sizeof name);
    processes_text(h, row, processes, sizeof processes);
    print_clean(out, "%s (%s, %s)\n", name, lock_family_name(row->copies[0]->family), processes);
    struct lock_allocation *a;
    if (find_allocation(t, h, row->copies[0], &a, err) < 0) return -1;
    if (a) {
        print_clean(out, "    at byte %lu of %lu bytes from %s, event %lu\n", (long)a->offset, (long)a->size,
                    a->function, (long)a->point.event);
        print_stack(out, &a->point.stack);
    }
    allocation_free(a);
    for (size_t k = 0; k < h->words.op_count; k++) {
        const struct lock_op *o = &h->words.ops[k];
        if (o->kind <= LOCK_OP_MARK && is_copy(row, &h->words.locks[o->lock])) print_op(out, h, o);
    }
    return 0;
}

static int print_history(FILE *out, struct timeline *t, struct lock_history *h,
                         const struct lock_report_options *o, struct rf_error *err) {
    size_t count, found;
    struct lock_row *rows = lock_rows(h, &count);
    int failed = find_asked(t, h, o, rows, count, &found, err);
    for (size_t i = 0; !failed && i < found; i++)
        failed = print_row_history(out, t, h, &rows[i], err);
    if (!failed && !found)
        failed = rf_fail(err, RF_CANNOT,
                         "no lock is called '%s' in these events: 'refork locks --all' lists them", o->lock);
    lock_rows_free(rows, count);
    return failed;
}

int lock_report_text(FILE *out, struct timeline *t, struct lock_history *h,
                     const struct lock_report_options *o, struct rf_error *err) {
    if (o->lock) return print_history(out, t, h, o, err);
    if (o->at && print_held(out, t, h, o, err) < 0) return -1;
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

static json_t *caller_json(const struct lock_history *h, const struct lock_holder *holder) {
    const char *caller = caller_of(h, holder);
    return *caller ? report_json_text(caller) : json_null();
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
    put(o, "caller", caller_json(h, &s->holder), ok);
    return o;
}

static void put_calls(json_t *o, const struct lock *l, bool *ok) {
    json_t *calls = json_object();
    for (size_t i = 0; i < sizeof l->calls / sizeof *l->calls && l->calls[i].count; i++) {
        const struct syscall_row *row = syscall_row(l->calls[i].nr);
        put(calls, row && row->name ? row->name : "?", number(l->calls[i].count), ok);
    }
    put(o, "syscalls", calls, ok);
}

// Of one process. What is looked up only for the rows that are shown stands there alone.
static json_t *copy_json(const struct lock_history *h, const struct lock *l, bool *ok) {
    json_t *o = json_object();
    put(o, "pid", json_integer(space_of(h, l)->pid), ok);
    put(o, "address", address_json(l->last_address), ok);
    put(o, "acquired", number(l->acquired), ok);
    put(o, "failed", number(l->failed), ok);
    put(o, "waits", number(l->waits), ok);
    put(o, "waiters", number(l->waiter_count), ok);
    put(o, "longest_hold", l->longest.to ? span_json(h, &l->longest, ok) : json_null(), ok);
    put(o, "longest_hold_us", number(l->longest_us), ok);
    put(o, "longest_wait", number(l->longest_wait), ok);
    put(o, "longest_wait_us", number(l->longest_wait_us), ok);
    put(o, "still_held", json_boolean(l->still_held), ok);
    put(o, "still_held_by", l->still_held ? task_json(h, l->still.tid, ok) : json_null(), ok);
    put(o, "inherited", json_boolean(l->still_held && l->still.inherited), ok);
    put_calls(o, l, ok);
    return o;
}

static json_t *row_json(const struct lock_history *h, const struct lock_row *row, bool *ok) {
    char name[300];
    row_name(h, row, name, sizeof name);
    const struct lock *first = row->copies[0];
    json_t *o = json_object(), *copies = json_array();
    struct lock all = {.family = 0};
    put(o, "address", address_json(first->last_address), ok);
    put(o, "symbol", row->name >= 0 ? report_json_text(name) : json_null(), ok);
    put(o, "kind", json_string(lock_family_name(first->family)), ok);
    put(o, "pid", json_integer(space_of(h, first)->pid), ok);
    put(o, "shared", json_boolean(first->space == LOCK_SHARED), ok);
    put(o, "acquired", number(row->acquired), ok);
    put(o, "failed", number(row->failed), ok);
    put(o, "waits", number(row->waits), ok);
    put(o, "waiters", number(row->waiters), ok);
    put(o, "taken_in", row->held || row->still ? json_null() : caller_json(h, &first->taken), ok);
    put(o, "longest_hold", row->held ? span_json(h, &row->held->longest, ok) : json_null(), ok);
    put(o, "still_held", json_boolean(row->still), ok);
    put(o, "still_held_by", row->still ? task_json(h, row->still->still.tid, ok) : json_null(), ok);
    put(o, "still_held_caller", row->still ? caller_json(h, &row->still->still) : json_null(), ok);
    put(o, "longest_hold_us", number(row->held ? row->held->longest_us : 0), ok);
    put(o, "longest_wait", number(row->waited ? row->waited->longest_wait : 0), ok);
    put(o, "longest_wait_us", number(row->waited ? row->waited->longest_wait_us : 0), ok);
    for (size_t i = 0; i < row->count; i++) {
        add_calls(&all, row->copies[i]);
        if (json_array_append_new(copies, copy_json(h, row->copies[i], ok))) *ok = false;
    }
    put_calls(o, &all, ok);
    put(o, "processes", copies, ok);
    return o;
}

static int put_held(json_t *root, struct timeline *t, struct lock_history *h,
                    const struct lock_report_options *report, bool *ok, struct rf_error *err) {
    struct lock_span *held;
    size_t n;
    put(root, "at", report->at ? number(report->at) : json_null(), ok);
    if (!report->at) {
        put(root, "held", json_null(), ok);
        return 0;
    }
    if (held_at(t, h, report, &held, &n, err) < 0) return -1;
    json_t *array = json_array();
    for (size_t i = 0; i < n; i++) {
        const struct lock *l = &h->words.locks[held[i].lock];
        json_t *o = span_json(h, &held[i], ok);
        put(o, "address", address_json(l->last_address), ok);
        put(o, "symbol", l->name >= 0 ? report_json_text(lock_history_string(h, l->name)) : json_null(), ok);
        put(o, "kind", json_string(lock_family_name(l->family)), ok);
        put(o, "pid", json_integer(space_of(h, l)->pid), ok);
        if (json_array_append_new(array, o)) *ok = false;
    }
    put(root, "held", array, ok);
    free(held);
    return 0;
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
static int asked_json(json_t *locks, struct timeline *t, const struct lock_history *h,
                      const struct lock_row *row, bool *ok, struct rf_error *err) {
    struct lock_allocation *a;
    if (find_allocation(t, h, row->copies[0], &a, err) < 0) return -1;
    json_t *o = row_json(h, row, ok);
    put(o, "allocated", report_json_allocation(a), ok);
    allocation_free(a);
    if (json_array_append_new(locks, o)) *ok = false;
    return 0;
}

static int put_locks(json_t *root, struct timeline *t, struct lock_history *h,
                     const struct lock_report_options *o, bool *ok, struct rf_error *err) {
    size_t count, found = 0;
    json_t *locks = json_array();
    struct lock_row *rows = lock_rows(h, &count);
    int failed = o->lock ? find_asked(t, h, o, rows, count, &found, err)
                         : lock_rows_ask(t, h, o->functions, rows, rows_shown(o, count), err);
    for (size_t i = 0; o->lock && i < found && !failed; i++)
        failed = asked_json(locks, t, h, &rows[i], ok, err);
    for (size_t i = 0; !o->lock && i < count && !failed; i++)
        if (json_array_append_new(locks, row_json(h, &rows[i], ok))) *ok = false;
    lock_rows_free(rows, count);
    put(root, "locks", locks, ok);
    return failed;
}

int lock_report_json(FILE *out, struct timeline *t, struct lock_history *h,
                     const struct lock_report_options *o, struct rf_error *err) {
    bool ok = true;
    json_t *root = json_object();
    put(root, "from", number(h->from), &ok);
    put(root, "to", number(h->to), &ok);
    put(root, "places", number(h->sites), &ok);
    put(root, "places_changed", number(h->uncovered), &ok);
    put(root, "stops", number(h->hits), &ok);
    put(root, "noted", number(h->noted), &ok);
    put(root, "steps", number(h->steps), &ok);
    put(root, "complete", json_boolean(!h->words.dropped), &ok);
    int failed = put_locks(root, t, h, o, &ok, err);
    put(root, "tasks", tasks_json(h, &ok), &ok);
    if (!failed) failed = put_held(root, t, h, o, &ok, err);
    if (!failed && ok)
        ok = json_dumpf(root, out, JSON_INDENT(2) | JSON_PRESERVE_ORDER) == 0 && fputc('\n', out) != EOF;
    json_decref(root);
    if (failed) return -1;
    return ok ? 0 : rf_fail(err, RF_CANNOT, "could not write the locks");
}
