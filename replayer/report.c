#include "replayer/report.h"

#include "replayer/report_frames.h"
#include "replayer/report_lines.h"

#include <stdlib.h>
#include <string.h>

#define FRAMES_MAX 24 // of a stack; the JSON has all

struct report {
    FILE *out;
    const struct verdict *verdict;
    source_line line;
    void *context;
};

static bool quote(struct report *r, const struct frame *f) {
    const char *text = f->file && f->line > 0 && r->line ? r->line(r->context, f->file, f->line) : NULL;
    if (text) report_source(r->out, f->line, text);
    return text;
}

// Innermost frames of libc are one line (its outermost: the function that the program called), what ran
// before main is left out, the first line of the program's own source is quoted.
static void print_stack(struct report *r, const struct stack *s) {
    if (!s->count) {
        fprintf(r->out, "    (no stack)\n");
        return;
    }
    size_t first, last, shown = 0;
    stack_own_part(s, &first, &last);
    if (first == s->count) { // nothing but libc
        first = 0;
        last = s->count;
    } else if (first) {
        report_frame(r->out, &s->frames[first - 1], first - 1, first - 1);
    }
    bool quoted = false;
    for (size_t i = first; i < last; i++) {
        if (shown++ == FRAMES_MAX) {
            fprintf(r->out, "    (%zu more frames; all are in --json)\n", last - i);
            break;
        }
        report_frame(r->out, &s->frames[i], i, 0);
        if (!quoted) quoted = quote(r, &s->frames[i]);
    }
}

static void heading(struct report *r, const char *title, uint64_t event) {
    fprintf(r->out, "\n  %s", title);
    if (event) fprintf(r->out, " (event %lu)", (long)event);
    fputc('\n', r->out);
}

// "thread 1234 'worker' of process 1233"
static void describe_task(char *out, size_t size, const struct finding_task *t) {
    if (!t->tid) {
        snprintf(out, size, "an unknown task");
        return;
    }
    char name[64] = "";
    if (t->name[0]) snprintf(name, sizeof name, " '%s'", t->name);
    if (t->tid == t->pid)
        snprintf(out, size, "the main thread%s of process %d", name, t->pid);
    else if (t->pid)
        snprintf(out, size, "thread %d%s of process %d", t->tid, name, t->pid);
    else
        snprintf(out, size, "thread %d%s", t->tid, name);
}

static void describe_lock(char *out, size_t size, const struct finding_lock *l) {
    if (l->symbol[0])
        snprintf(out, size, "%s", l->symbol);
    else if (l->address)
        snprintf(out, size, "the lock at 0x%lx", (long)l->address);
    else
        snprintf(out, size, "something that is not known");
}

static void print_lock(struct report *r, const struct finding_lock *l) {
    char name[300];
    describe_lock(name, sizeof name, l);
    heading(r, "Which lock", 0);
    if (!l->address) {
        report_wrap(r->out, 4, "none is known");
        return;
    }
    report_wrap(r->out, 4, "%s%s%s, at 0x%lx%s%s", name, l->kind[0] ? ", a " : "", l->kind, (long)l->address,
                l->declared[0] ? ", declared at " : "", l->declared);
}

static void print_holder(struct report *r, const struct finding *f) {
    char holder[160];
    describe_task(holder, sizeof holder, &f->holder);
    heading(r, "Who held it", 0);
    if (!f->holder.tid) {
        report_wrap(r->out, 4, "not known");
        return;
    }
    report_wrap(r->out, 4, "%s%s%s", holder, f->holder.start_routine[0] ? ", started in " : "",
                f->holder.start_routine);
    if (f->holder_is_forker)
        report_wrap(
            r->out, 4,
            "It is the thread that forked. In the child it has another identity, so the lock is not its own "
            "there.");
    else if (f->holder.vanished)
        report_wrap(
            r->out, 4,
            "It vanished at the fork: a child has only the thread that called fork, so nobody in process %d "
            "can "
            "release the lock.",
            f->waiter.pid);
}

static void print_waiting(struct report *r, const struct finding_task *waiter,
                          const struct finding_lock *lock, const struct finding_point *waiting) {
    char task[160], name[300];
    describe_task(task, sizeof task, waiter);
    describe_lock(name, sizeof name, lock);
    if (lock->address)
        report_wrap(r->out, 4, "%s waits for %s", task, name);
    else
        report_wrap(r->out, 4, "%s waits", task);
    print_stack(r, &waiting->stack);
}

static void print_cycle(struct report *r, const struct finding *f) {
    heading(r, "The cycle", 0);
    for (size_t i = 0; i <= f->edge_count; i++) {
        const struct finding_task *waiter = i ? &f->edges[i - 1].waiter : &f->waiter;
        const struct finding_task *holder = i ? &f->edges[i - 1].holder : &f->holder;
        const struct finding_lock *lock = i ? &f->edges[i - 1].lock : &f->lock;
        char a[160], b[160], name[300];
        describe_task(a, sizeof a, waiter);
        describe_task(b, sizeof b, holder);
        describe_lock(name, sizeof name, lock);
        report_wrap(r->out, 4, "%s waits for %s, held by %s", a, name, b);
    }
}

static void print_edges(struct report *r, const struct finding *f) {
    for (size_t i = 0; i < f->edge_count; i++) {
        const struct finding_edge *e = &f->edges[i];
        heading(r, "The other side: where it waits", e->waiting.event);
        print_waiting(r, &e->waiter, &e->lock, &e->waiting);
        print_lock(r, &e->lock);
        heading(r, "Where that lock was taken", e->acquired.event);
        print_stack(r, &e->acquired.stack);
    }
}

static size_t number_of(const struct verdict *v, const struct finding *f) {
    return f >= v->findings && f < v->findings + v->count ? (size_t)(f - v->findings) + 1 : 0;
}

static void print_finding(struct report *r, const struct finding *f) {
    const struct verdict *v = r->verdict;
    fprintf(r->out, "\nFinding %zu of %zu: %s (%s)\n", number_of(v, f), v->count, finding_kind_name(f->kind),
            confidence_name(f->confidence));
    heading(r, "What is stuck, and where", f->waiting.event);
    print_waiting(r, &f->waiter, &f->lock, &f->waiting);
    if (f->kind == FINDING_CROSS_PROCESS_WAIT) {
        heading(r, "Why", 0);
        if (f->caused_by)
            report_wrap(
                r->out, 4, "This is only a consequence. The root cause is finding %zu: %s in process %d.",
                number_of(v, f->caused_by), finding_kind_name(f->caused_by->kind), f->caused_by->waiter.pid);
        else
            report_wrap(r->out, 4, "This is only a consequence: it waits for another process that is stuck.");
    } else if (f->lock.address || f->holder.tid) {
        if (f->edge_count) print_cycle(r, f);
        print_lock(r, &f->lock);
        print_holder(r, f);
        heading(r, "Where it was taken", f->acquired.event);
        print_stack(r, &f->acquired.stack);
        if (f->edge_count) print_edges(r, f);
    }
    if (f->fork.event || f->fork.stack.count) {
        heading(r, "Where the fork was", f->fork.event);
        print_stack(r, &f->fork.stack);
    }
    if (f->advice[0]) {
        heading(r, "What to do", 0);
        report_wrap(r->out, 4, "%s", f->advice);
    }
}

static void print_summary(FILE *out, const struct verdict *v) {
    const struct finding *f = v->findings;
    while (f < v->findings + v->count - 1 && f->kind == FINDING_CROSS_PROCESS_WAIT)
        f++;
    char waiter[160], holder[160], lock[300];
    describe_task(waiter, sizeof waiter, &f->waiter);
    describe_task(holder, sizeof holder, &f->holder);
    describe_lock(lock, sizeof lock, &f->lock);
    const char *verb = v->deadlock ? "deadlock" : "suspicious";
    if (f->kind == FINDING_ORPHANED_LOCK && f->holder_is_forker)
        report_wrap(out, 0, "%s: %s: %s waits for %s, which the forking thread itself held when it forked",
                    verb, v->program, waiter, lock);
    else if (f->kind == FINDING_ORPHANED_LOCK)
        report_wrap(
            out, 0,
            "%s: %s: %s waits for %s, which %s held at the fork; that thread does not exist in the child",
            verb, v->program, waiter, lock, holder);
    else if (f->edge_count)
        report_wrap(out, 0, "%s: %s: %s waits for %s, held by %s, which waits in turn", verb, v->program,
                    waiter, lock, holder);
    else
        report_wrap(out, 0, "%s: %s: %s waits for ever", verb, v->program, waiter);
}

void report_finding_text(FILE *out, const struct verdict *v, const struct finding *f, source_line line,
                         void *context) {
    struct report r = {out, v, line, context};
    print_finding(&r, f);
}

void report_text(FILE *out, const struct verdict *v, source_line line, void *context) {
    struct report r = {out, v, line, context};
    if (!v->count && !v->deadlock) {
        report_wrap(out, 0, "no deadlock: %s: %lu events, %s", v->program, (long)v->events, v->end_reason);
        return;
    }
    if (v->count)
        print_summary(out, v);
    else
        report_wrap(out, 0, "deadlock: %s: its cause was not found", v->program);
    report_wrap(out, 0, "%lu events recorded; the recording ended: %s", (long)v->events, v->end_reason);
    for (size_t i = 0; i < v->count; i++)
        print_finding(&r, &v->findings[i]);
}
