#include "replayer/report/json.h"

#include "core/calls/syscalls.h"
#include "replayer/names/script.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

// NULL and "" are null. Names of the recorded program need not be UTF-8: then each byte above 127 becomes
// '?'.
json_t *report_json_text(const char *s) {
    if (!s || !*s) return json_null();
    json_t *value = json_string(s);
    if (value) return value;
    char *copy = strdup(s);
    if (!copy) return NULL;
    for (char *c = copy; *c; c++)
        if (*c & 0x80) *c = '?';
    value = json_string(copy);
    free(copy);
    return value;
}

static json_t *address(uint64_t value) {
    char buffer[32];
    if (!value) return json_null();
    snprintf(buffer, sizeof buffer, "0x%" PRIx64, value);
    return json_string(buffer);
}

static json_t *number(uint64_t value) {
    return value ? json_integer((json_int_t)value) : json_null();
}

// Adds a new value; a failure anywhere (out of memory) is remembered in *ok.
static void put(json_t *object, const char *key, json_t *value, bool *ok) {
    if (json_object_set_new(object, key, value)) *ok = false;
}

static void append(json_t *array, json_t *value, bool *ok) {
    if (json_array_append_new(array, value)) *ok = false;
}

static json_t *script_json(const struct frame *f, bool *ok) {
    json_t *array = json_array();
    for (size_t i = 0; i < f->script_count; i++) {
        const struct script_call *c = &f->script[i];
        json_t *o = json_object();
        put(o, "function", report_json_text(c->function), ok);
        put(o, "file", report_json_text(c->file), ok);
        put(o, "line", c->line > 0 ? json_integer(c->line) : json_null(), ok);
        append(array, o, ok);
    }
    return array;
}

static json_t *frames_json(const struct stack *s, bool *ok) {
    json_t *array = json_array();
    for (size_t i = 0; i < s->count; i++) {
        const struct frame *f = &s->frames[i];
        char offset[32];
        snprintf(offset, sizeof offset, "0x%" PRIx64, f->module_offset);
        json_t *o = json_object();
        put(o, "function", report_json_text(f->function), ok);
        put(o, "file", report_json_text(f->file), ok);
        put(o, "line", f->line > 0 ? json_integer(f->line) : json_null(), ok);
        put(o, "module", report_json_text(f->module), ok);
        put(o, "offset", f->module ? json_string(offset) : json_null(), ok);
        put(o, "pc", address(f->pc), ok);
        put(o, "inlined", json_boolean(f->inlined), ok);
        if (f->lambda) put(o, "lambda", report_json_text(f->lambda), ok);
        put(o, "scanned", json_boolean(f->scanned), ok);
        if (f->script_count) put(o, "script", script_json(f, ok), ok);
        append(array, o, ok);
    }
    return array;
}

// What the stack is about.
static json_t *focus_json(const struct stack *s, bool *ok) {
    if (!s->count) return json_null();
    const struct frame f = script_focus(s, true);
    json_t *o = json_object();
    put(o, "function", report_json_text(f.function), ok);
    put(o, "file", report_json_text(f.file), ok);
    put(o, "line", f.line > 0 ? json_integer(f.line) : json_null(), ok);
    return o;
}

static json_t *point_json(const struct finding_point *p, bool *ok) {
    if (!p->event && !p->stack.count) return json_null();
    json_t *o = json_object();
    put(o, "event", number(p->event), ok);
    put(o, "pid", number((uint64_t)p->pid), ok);
    put(o, "tid", number((uint64_t)p->tid), ok);
    put(o, "focus", focus_json(&p->stack, ok), ok);
    put(o, "frames", frames_json(&p->stack, ok), ok);
    return o;
}

static json_t *allocation_json(const struct lock_allocation *a, bool *ok) {
    if (!a) return json_null();
    json_t *o = point_json(&a->point, ok);
    put(o, "function", report_json_text(a->function), ok);
    put(o, "size", json_integer((json_int_t)a->size), ok);
    put(o, "offset", json_integer((json_int_t)a->offset), ok);
    return o;
}

static json_t *lock_json(const struct finding_lock *l, bool *ok) {
    if (!l->address && !l->kind[0]) return json_null();
    json_t *o = json_object();
    put(o, "address", address(l->address), ok);
    put(o, "kind", report_json_text(l->kind), ok);
    put(o, "symbol", report_json_text(l->symbol), ok);
    put(o, "declared", report_json_text(l->declared), ok);
    put(o, "allocated", allocation_json(l->allocated, ok), ok);
    return o;
}

static json_t *task_json(const struct finding_task *t, bool *ok) {
    if (!t->tid) return json_null();
    json_t *o = json_object();
    put(o, "pid", number((uint64_t)t->pid), ok);
    put(o, "tid", number((uint64_t)t->tid), ok);
    put(o, "name", report_json_text(t->name), ok);
    put(o, "start_routine", report_json_text(t->start_routine), ok);
    put(o, "vanished", json_boolean(t->vanished), ok);
    return o;
}

// The waiter is the point's task: one object says both.
static json_t *waiting_json(const struct finding_task *waiter, const struct finding_point *p, bool *ok) {
    if (!waiter->tid && !p->tid) return json_null();
    json_t *o = json_object();
    put(o, "pid", number((uint64_t)(waiter->tid ? waiter->pid : p->pid)), ok);
    put(o, "tid", number((uint64_t)(waiter->tid ? waiter->tid : p->tid)), ok);
    put(o, "name", report_json_text(waiter->name), ok);
    put(o, "start_routine", report_json_text(waiter->start_routine), ok);
    put(o, "event", number(p->event), ok);
    put(o, "focus", focus_json(&p->stack, ok), ok);
    put(o, "frames", frames_json(&p->stack, ok), ok);
    return o;
}

static json_t *edge_json(const struct finding_lock *lock, const struct finding_task *holder,
                         const struct finding_point *acquired, const struct finding_task *waiter,
                         const struct finding_point *waiting, bool *ok) {
    json_t *o = json_object();
    put(o, "lock", lock_json(lock, ok), ok);
    put(o, "holder", task_json(holder, ok), ok);
    put(o, "acquired", point_json(acquired, ok), ok);
    put(o, "waiting", waiting_json(waiter, waiting, ok), ok);
    return o;
}

static json_t *parties_json(const struct finding_party *parties, size_t count, bool *ok) {
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *o = json_object();
        put(o, "task", task_json(&parties[i].task, ok), ok);
        put(o, "what", report_json_text(parties[i].what), ok);
        put(o, "point", point_json(&parties[i].point, ok), ok);
        append(array, o, ok);
    }
    return array;
}

static json_t *amount(int64_t value) {
    return value < 0 ? json_null() : json_integer(value);
}

static json_t *vanished_json(const struct vanished_thread *t, bool *ok) {
    json_t *o = json_object();
    put(o, "task", task_json(&t->task, ok), ok);
    put(o, "point", point_json(&t->point, ok), ok);
    put(o, "stack_bytes", number(t->stack_bytes), ok);
    put(o, "destructors", amount(t->destructors), ok);
    put(o, "keys", amount(t->keys), ok);
    put(o, "cache_blocks", amount(t->cache_blocks), ok);
    put(o, "cache_bytes", amount(t->cache_bytes), ok);
    json_t *locals = json_array();
    for (size_t i = 0; i < t->local_count; i++) {
        const struct thread_local_data *d = &t->locals[i];
        json_t *local = json_object();
        put(local, "name", report_json_text(d->name), ok);
        put(local, "module", report_json_text(d->module), ok);
        put(local, "address", address(d->address), ok);
        put(local, "size", json_integer((json_int_t)d->size), ok);
        put(local, "target", address(d->target), ok);
        append(locals, local, ok);
    }
    put(o, "thread_locals", locals, ok);
    put(o, "thread_local_count", json_integer((json_int_t)t->local_total), ok);
    return o;
}

static json_t *held_json(const struct held_lock *l, bool *ok) {
    json_t *o = json_object();
    put(o, "lock", lock_json(&l->lock, ok), ok);
    put(o, "holder", task_json(&l->holder, ok), ok);
    put(o, "acquired", point_json(&l->acquired, ok), ok);
    put(o, "fork", number(l->fork), ok);
    put(o, "child", number((uint64_t)l->child), ok);
    put(o, "wanted", json_boolean(l->wanted), ok);
    return o;
}

static json_t *end_json(const struct finding_end *e, bool *ok) {
    static const char *const how[] = {
        [END_EXITED] = "exited", [END_KILLED] = "killed", [END_EXEC] = "exec", [END_THREAD] = "thread ended"};
    char name[32] = "";
    if (!e->event) return json_null();
    const char *signal = e->how == END_KILLED ? sigabbrev_np(e->value) : NULL;
    if (signal) snprintf(name, sizeof name, "SIG%s", signal);
    json_t *o = json_object();
    put(o, "event", number(e->event), ok);
    put(o, "how", json_string(how[e->how]), ok);
    put(o, "status", e->how == END_EXITED ? json_integer(e->value) : json_null(), ok);
    put(o, "signal", e->how == END_KILLED ? json_integer(e->value) : json_null(), ok);
    put(o, "signal_name", report_json_text(name), ok);
    put(o, "by", task_json(&e->by, ok), ok);
    put(o, "by_event", number(e->by_event), ok);
    return o;
}

static json_t *killed_json(const struct finding_killed *k, bool *ok) {
    json_t *o = end_json(&k->end, ok);
    const char *name = sigabbrev_np(k->signal);
    char signal[32];
    if (!k->end.event) return o;
    snprintf(signal, sizeof signal, "SIG%s", name ? name : "?");
    put(o, "signal", json_integer(k->signal), ok);
    put(o, "signal_name", report_json_text(signal), ok);
    put(o, "by_parent", json_boolean(k->by_parent), ok);
    put(o, "waited_us", number(k->waited_us), ok);
    put(o, "more", json_integer(k->more), ok);
    return o;
}

static json_t *finding_json(const struct verdict *v, const struct finding *f, bool *ok) {
    json_t *o = json_object(), *cycle = json_array(), *vanished = json_array();
    put(o, "kind", json_string(finding_kind_name(f->kind)), ok);
    put(o, "confidence", json_string(confidence_name(f->confidence)), ok);
    put(o, "lock", lock_json(&f->lock, ok), ok);
    put(o, "holder", task_json(&f->holder, ok), ok);
    put(o, "holder_is_forker", json_boolean(f->holder_is_forker), ok);
    put(o, "acquired", point_json(&f->acquired, ok), ok);
    put(o, "fork", point_json(&f->fork, ok), ok);
    put(o, "waiting", waiting_json(&f->waiter, &f->waiting, ok), ok);
    if (f->edge_count)
        append(cycle, edge_json(&f->lock, &f->holder, &f->acquired, &f->waiter, &f->waiting, ok), ok);
    for (size_t i = 0; i < f->edge_count; i++) {
        const struct finding_edge *e = &f->edges[i];
        append(cycle, edge_json(&e->lock, &e->holder, &e->acquired, &e->waiter, &e->waiting, ok), ok);
    }
    put(o, "cycle", cycle, ok);
    bool inside = f->caused_by >= v->findings && f->caused_by < v->findings + v->count;
    put(o, "caused_by", f->caused_by && inside ? json_integer(f->caused_by - v->findings) : json_null(), ok);
    put(o, "holders", parties_json(f->holders, f->holder_count, ok), ok);
    put(o, "wakers", parties_json(f->wakers, f->waker_count, ok), ok);
    for (size_t i = 0; i < f->vanished_count; i++)
        append(vanished, vanished_json(&f->vanished[i], ok), ok);
    put(o, "vanished", vanished, ok);
    put(o, "initialised", point_json(&f->initialised, ok), ok);
    put(o, "signal", number((uint64_t)f->signal), ok);
    put(o, "holder_end", end_json(&f->end, ok), ok);
    put(o, "waiter_end", killed_json(&f->killed, ok), ok);
    put(o, "reason", report_json_text(f->reason), ok);
    put(o, "advice", report_json_text(f->advice), ok);
    return o;
}

json_t *report_json_lock(const struct finding_lock *l) {
    bool ok = true;
    json_t *value = lock_json(l, &ok);
    if (ok) return value;
    json_decref(value);
    return NULL;
}

json_t *report_json_allocation(const struct lock_allocation *a) {
    bool ok = true;
    json_t *value = allocation_json(a, &ok);
    if (ok) return value;
    json_decref(value);
    return NULL;
}

json_t *report_json_point(const struct finding_point *p) {
    bool ok = true;
    json_t *value = point_json(p, &ok);
    if (ok) return value;
    json_decref(value);
    return NULL;
}

json_t *report_json_object(const struct verdict *v) {
    bool ok = true;
    json_t *root = json_object(), *findings = json_array(), *notes = json_array(), *held = json_array(),
           *waiting = json_array(), *refused = json_array();
    put(root, "deadlock", json_boolean(v->deadlock), &ok);
    put(root, "program", report_json_text(v->program), &ok);
    put(root, "events", json_integer((json_int_t)v->events), &ok);
    put(root, "end", report_json_text(v->end_reason), &ok);
    for (size_t i = 0; i < v->count; i++)
        append(findings, finding_json(v, &v->findings[i], &ok), &ok);
    put(root, "findings", findings, &ok);
    for (size_t i = 0; i < v->held_count; i++)
        append(held, held_json(&v->held_at_fork[i], &ok), &ok);
    put(root, "held_at_fork", held, &ok);
    for (size_t i = 0; i < v->waiting_count; i++) {
        const struct waiting_task *w = &v->waiting[i];
        append(waiting,
               json_pack("{s:i, s:i, s:s, s:I}", "pid", w->pid, "tid", w->tid, "call", syscall_name(w->nr),
                         "since", (json_int_t)w->since),
               &ok);
    }
    put(root, "waiting", waiting, &ok);
    put(root, "cut", json_boolean(v->cut), &ok);
    put(root, "from_memory", json_boolean(v->from_memory), &ok);
    for (size_t i = 0; i < v->note_count; i++)
        append(notes, report_json_text(v->notes[i]), &ok);
    put(root, "notes", notes, &ok);
    for (size_t i = 0; i < v->refused_count; i++)
        append(refused, report_json_text(v->refused[i]), &ok);
    put(root, "refused", refused, &ok);
    if (ok) return root;
    json_decref(root);
    return NULL;
}

int report_write_json(FILE *out, json_t *root) {
    int failed = !root || json_dumpf(root, out, JSON_INDENT(2)) || fputc('\n', out) == EOF;
    json_decref(root);
    return fflush(out) || failed ? -1 : 0;
}

int report_json(FILE *out, const struct verdict *v) {
    return report_write_json(out, report_json_object(v));
}
