#include "replayer/report/text.h"

#include "core/fill.h"
#include "core/calls/syscalls.h"
#include "replayer/names/script.h"
#include "replayer/report/lines.h"

#include <stdlib.h>
#include <string.h>

#define FRAMES_MAX   24 // of a stack; the JSON has all
#define VANISHED_MAX 12

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

// What a verdict made of memory alone cannot have.
static void print_unknown(struct report *r) {
    report_wrap(r->out, 4, "only a recording can tell: refork hunt -- %s", r->verdict->program);
}

// A function of a library's header: std::lock_guard's constructor, and what it calls.
static bool is_header(const struct frame *f) {
    return f->file && !f->of_system && !f->of_script && !stack_is_own(f);
}

// Innermost frames of libc are one line (its outermost: the function that the program called), and so are those of headers one behind
// the other; what ran before main is left out, the line that it is about is quoted, or the next one whose source is here.
static void print_frames(struct report *r, const struct stack *s) {
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
    size_t focus = script_focus_index(s->frames, s->count, true);
    for (size_t i = first; i < last; i++) {
        if (shown++ == FRAMES_MAX) {
            fprintf(r->out, "    (%zu more frames; all are in --json)\n", last - i);
            break;
        }
        size_t hidden = 0;
        for (; i != focus && i + 1 < last && is_header(&s->frames[i]) && is_header(&s->frames[i + 1]); i++)
            hidden++;
        report_frame(r->out, &s->frames[i], i, hidden);
        if (!quoted && i >= focus) quoted = quote(r, &s->frames[i]);
    }
}

static void print_stack(struct report *r, const struct stack *s) {
    struct stack shown = script_stack(s);
    print_frames(r, &shown);
    free(shown.frames);
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
    heading(r, l->is_data ? "Which data" : "Which lock", 0);
    if (!l->address) {
        report_wrap(r->out, 4, "none is known");
        return;
    }
    const bool kind = l->kind[0] && !l->is_data;
    report_wrap(r->out, 4, "%s%s%s, at 0x%lx%s%s", name, kind ? ", a " : "", kind ? l->kind : "",
                (long)l->address, l->declared[0] ? ", declared at " : "", l->declared);
}

static void print_allocated(struct report *r, const struct finding_lock *l) {
    const struct lock_allocation *a = l->allocated;
    if (!a) return;
    heading(r, "Where it was allocated", a->point.event);
    report_wrap(r->out, 4, "by %s, %lu bytes; it is at byte %lu of them", a->function, (long)a->size,
                (long)a->offset);
    print_stack(r, &a->point.stack);
}

static void print_parties(struct report *r, const struct finding_party *parties, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const struct finding_party *p = &parties[i];
        char task[160], event[40] = "";
        describe_task(task, sizeof task, &p->task);
        if (p->point.event) snprintf(event, sizeof event, " (event %lu)", (long)p->point.event);
        report_wrap(r->out, 4, "%s%s%s: %s%s", task, p->task.start_routine[0] ? ", started in " : "",
                    p->task.start_routine, p->what, event);
        if (p->point.stack.count) print_stack(r, &p->point.stack);
    }
}

static void describe_end(char *out, size_t size, const struct finding_end *e) {
    const char *name = e->how == END_KILLED ? sigabbrev_np(e->value) : NULL;
    if (e->how == END_KILLED)
        snprintf(out, size, "was killed by signal %d (SIG%s)", e->value, name ? name : "?");
    else if (e->how == END_EXITED)
        snprintf(out, size, "ended with status %d", e->value);
    else
        snprintf(out, size, e->how == END_EXEC ? "became another program" : "ended");
}

static void print_end(struct report *r, const struct finding *f) {
    const struct finding_end *e = &f->end;
    char ended[64], by[160];
    if (!e->event) return;
    describe_end(ended, sizeof ended, e);
    describe_task(by, sizeof by, &e->by);
    heading(r, "How that ended", e->event);
    if (e->how != END_KILLED)
        report_wrap(r->out, 4, "it %s", ended);
    else if (!e->by.tid)
        report_wrap(r->out, 4,
                    "it %s; nobody in the recording sent that: somebody outside of it did, or the kernel",
                    ended);
    else
        report_wrap(r->out, 4, "it %s, sent by %s (event %lu)", ended, by, (long)e->by_event);
}

static void print_holder(struct report *r, const struct finding *f) {
    char holder[160];
    describe_task(holder, sizeof holder, &f->holder);
    heading(r, f->lock.is_data ? "Who was changing it" : "Who held it", 0);
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
    else if (f->holder.vanished && f->kind == FINDING_TORN_DATA)
        report_wrap(r->out, 4,
                    "It vanished at the fork, and the child has the data as it was at that moment.");
    else if (f->holder.vanished)
        report_wrap(
            r->out, 4,
            "It vanished at the fork: a child has only the thread that called fork, so nobody in process %d "
            "can release the lock.",
            f->waiter.pid);
    print_parties(r, f->holders, f->holder_count);
}

static void print_waiting(struct report *r, const struct finding_task *waiter,
                          const struct finding_lock *lock, const struct finding_point *waiting,
                          const char *verb) {
    char task[160], name[300];
    describe_task(task, sizeof task, waiter);
    describe_lock(name, sizeof name, lock);
    if (lock->address || lock->symbol[0])
        report_wrap(r->out, 4, "%s %s %s", task, verb, name);
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
        print_waiting(r, &e->waiter, &e->lock, &e->waiting, "waits for");
        print_lock(r, &e->lock);
        print_allocated(r, &e->lock);
        if (r->verdict->from_memory) continue;
        heading(r, "Where that lock was taken", e->acquired.event);
        print_stack(r, &e->acquired.stack);
    }
}

static size_t number_of(const struct verdict *v, const struct finding *f) {
    return f >= v->findings && f < v->findings + v->count ? (size_t)(f - v->findings) + 1 : 0;
}

static void print_stuck(struct report *r, const struct finding *f) {
    if (f->kind != FINDING_TORN_DATA) {
        heading(r, "What is stuck, and where", f->waiting.event);
        print_waiting(r, &f->waiter, &f->lock, &f->waiting,
                      f->kind == FINDING_ORPHANED_SPIN ? "polls" : "waits for");
        return;
    }
    char task[160];
    const char *name = sigabbrev_np(f->signal);
    describe_task(task, sizeof task, &f->waiter);
    heading(r, "What crashed, and where", f->waiting.event);
    report_wrap(r->out, 4, "%s, by signal %d (SIG%s)", task, f->signal, name ? name : "?");
    print_stack(r, &f->waiting.stack);
}

static void print_killed(struct report *r, const struct finding *f) {
    const struct finding_killed *k = &f->killed;
    char how[320], by[160];
    finding_killed_text(f, how, sizeof how);
    if (!*how) return;
    heading(r, "How that wait ended", k->end.event);
    report_wrap(r->out, 4, "process %d was %s", f->waiter.pid, how);
    if (!k->end.by.tid) return;
    describe_task(by, sizeof by, &k->end.by);
    const char *name = sigabbrev_np(k->signal);
    report_wrap(r->out, 4, "signal %d (SIG%s), sent by %s", k->signal, name ? name : "?", by);
}

static void print_cause(struct report *r, const struct finding *f) {
    const struct verdict *v = r->verdict;
    if (f->kind == FINDING_CROSS_PROCESS_WAIT && f->caused_by)
        report_wrap(r->out, 4, "This is only a consequence. The root cause is finding %zu: %s in process %d.",
                    number_of(v, f->caused_by), finding_kind_name(f->caused_by->kind),
                    f->caused_by->waiter.pid);
    else if (f->kind == FINDING_CROSS_PROCESS_WAIT && !f->reason[0])
        report_wrap(r->out, 4, "This is only a consequence: it waits for another process that is stuck.");
    if (f->reason[0]) report_wrap(r->out, 4, "%s", f->reason);
}

// "in the malloc cache 7 blocks, 624 bytes"
static void print_vanished_thread(struct report *r, const struct vanished_thread *t) {
    char task[160], left[400] = "";
    size_t used = 0;
    describe_task(task, sizeof task, &t->task);
    if (t->stack_bytes)
        used += (size_t)snprintf(left + used, sizeof left - used, "; %lu KiB of stack and TLS stay mapped",
                                 (long)(t->stack_bytes / 1024));
    if (t->destructors > 0)
        used +=
            (size_t)snprintf(left + used, sizeof left - used, "; %d thread_local destructor%s will never run",
                             t->destructors, t->destructors == 1 ? "" : "s");
    if (t->keys > 0)
        used +=
            (size_t)snprintf(left + used, sizeof left - used, "; %d pthread key destructor%s will never run",
                             t->keys, t->keys == 1 ? "" : "s");
    if (t->cache_blocks > 0)
        snprintf(left + used, sizeof left - used,
                 "; %ld free block%s (%ld bytes) %s lost in its malloc cache", (long)t->cache_blocks,
                 t->cache_blocks == 1 ? "" : "s", (long)t->cache_bytes, t->cache_blocks == 1 ? "is" : "are");
    report_wrap(r->out, 4, "%s%s%s%s", task, t->task.start_routine[0] ? ", started in " : "",
                t->task.start_routine, left);
    for (size_t i = 0; i < t->local_count; i++) {
        const struct thread_local_data *d = &t->locals[i];
        char target[64] = "";
        if (d->target) snprintf(target, sizeof target, ", which points to 0x%lx", (long)d->target);
        report_wrap(r->out, 6, "its thread_local %s%s%s (%lu bytes at 0x%lx)%s",
                    d->name[0] ? d->name : "data", d->module[0] ? " of " : "", d->module, (long)d->size,
                    (long)d->address, target);
    }
    if (t->local_total > t->local_count)
        report_wrap(r->out, 6, "and %zu more", t->local_total - t->local_count);
}

static void print_vanished(struct report *r, const struct finding *f) {
    if (!f->vanished_count) return;
    heading(r, "What vanished at the fork", 0);
    for (size_t i = 0; i < f->vanished_count; i++) {
        if (i == VANISHED_MAX) {
            fprintf(r->out, "    (%zu more threads; all are in --json)\n", f->vanished_count - i);
            break;
        }
        print_vanished_thread(r, &f->vanished[i]);
    }
}

static void print_finding(struct report *r, const struct finding *f) {
    const struct verdict *v = r->verdict;
    fprintf(r->out, "\nFinding %zu of %zu: %s (%s)\n", number_of(v, f), v->count, finding_kind_name(f->kind),
            confidence_name(f->confidence));
    print_stuck(r, f);
    print_killed(r, f);
    if (f->reason[0] || f->kind == FINDING_CROSS_PROCESS_WAIT) {
        heading(r, "Why", 0);
        print_cause(r, f);
    }
    if (f->lock.address || f->holder.tid) {
        bool holder = f->holder.tid || (!f->waker_count && f->kind != FINDING_VANISHED_WAKER);
        if (f->edge_count) print_cycle(r, f);
        if (f->lock.address) print_lock(r, &f->lock);
        print_allocated(r, &f->lock);
        if (f->initialised.event) {
            heading(r, "Where it was initialised", f->initialised.event);
            print_stack(r, &f->initialised.stack);
        }
        if (holder && (f->holder.tid || f->kind != FINDING_CROSS_PROCESS_WAIT)) print_holder(r, f);
        if (f->holder.tid || (v->from_memory && f->kind == FINDING_ORPHANED_LOCK)) {
            heading(r, f->lock.is_data ? "Where it was changed" : "Where it was taken", f->acquired.event);
            if (v->from_memory)
                print_unknown(r);
            else
                print_stack(r, &f->acquired.stack);
        }
        if (f->edge_count) print_edges(r, f);
    }
    if (f->holder.tid) print_end(r, f);
    if (f->waker_count) {
        heading(r, f->kind == FINDING_INHERITED_PIPE ? "Who keeps it open" : "Who is missing", 0);
        print_parties(r, f->wakers, f->waker_count);
        if (!f->holder.tid) print_end(r, f);
    }
    if (f->fork.event || f->fork.stack.count) {
        heading(r, "Where the fork was", f->fork.event);
        print_stack(r, &f->fork.stack);
    } else if (v->from_memory && f->kind == FINDING_ORPHANED_LOCK) {
        heading(r, "Where the fork was", 0);
        print_unknown(r);
    }
    print_vanished(r, f);
    if (f->advice[0]) {
        heading(r, "What to do", 0);
        report_wrap(r->out, 4, "%s", f->advice);
    }
}

// What the waiter does. {lock}: what it waits for; {holder}: who has it, or else who is missing; {ended}: how that ended.
static const char *predicate_of(const struct finding *f, bool from_memory) {
    const bool known = f->holder.tid, someone = known || f->waker_count;
    switch (f->kind) {
    case FINDING_ORPHANED_LOCK:
        if (known && !f->holder.vanished && !f->fork.event && !from_memory)
            return "waits for {lock}, which {holder} took and did not give back before it ended";
        return "waits for {lock}, which {holder} held at the fork; that thread does not exist in the child";
    case FINDING_ORPHANED_SPIN:
        return someone
                   ? "polls {lock}, which {holder} held at the fork; that thread does not exist in the child"
                   : "polls {lock}; who would change it does not exist in the child";
    case FINDING_SELF_HELD:
        return "waits for {lock}, which the forking thread itself held when it forked";
    case FINDING_VANISHED_WAKER:
        return f->waker_count ? "waits for {lock}; who would end that, {holder}, does not exist in the child"
                              : "waits for {lock}; who would end that, a thread of its parent, does not "
                                "exist in the child";
    case FINDING_ATFORK_CHILD:
        return known ? "hangs inside fork(), in a fork handler, and waits for {lock}, held by {holder}"
                     : "hangs inside fork(), in a fork handler, and waits for {lock}";
    case FINDING_ATFORK_DEADLOCK:
        return known ? "hangs inside fork() and waits for {lock}, held by {holder}"
                     : "hangs inside fork() and waits for {lock}";
    case FINDING_INHERITED_PIPE:
        return "waits for the end of {lock}, which {holder} keeps open";
    case FINDING_TORN_DATA:
        return "crashed in what {holder} was changing at the fork";
    case FINDING_LOCK_CYCLE:
        return f->edge_count ? "waits for {lock}, held by {holder}, which waits in turn"
                             : "waits for {lock}, held by {holder}, itself";
    case FINDING_SIGNAL_HANDLER:
        return "waits in a signal handler for {lock}, which it held when the signal came";
    case FINDING_CROSS_PROCESS_WAIT:
        return f->lock.symbol[0] ? "waits for {lock}, and so for a process that waits in turn"
                                 : "waits for another process, and so for a process that waits in turn";
    case FINDING_DEAD_HOLDER:
        return known ? "waits for {lock}, which {holder} held when it {ended}"
                     : "waits for {lock}; {holder}, which would end that, {ended}";
    case FINDING_UNKNOWN_WAIT:
        break;
    }
    return "waits for ever";
}

// The text of a name in braces, of a finding.
static void word_of(const void *context, const char *name, char *out, size_t size) {
    const struct finding *f = context;
    if (!strcmp(name, "lock"))
        describe_lock(out, size, &f->lock);
    else if (!strcmp(name, "holder"))
        describe_task(out, size, f->holder.tid || !f->waker_count ? &f->holder : &f->wakers[0].task);
    else if (!strcmp(name, "ended"))
        describe_end(out, size, &f->end);
}

// The one line that a bug report begins with.
static void print_summary(FILE *out, const struct verdict *v) {
    const struct finding *f = v->findings;
    while (f < v->findings + v->count - 1 && f->caused_by)
        f++;
    char waiter[160], killed[320], what[900] = "";
    fill_text(what, sizeof what, predicate_of(f, v->from_memory), word_of, f);
    describe_task(waiter, sizeof waiter, &f->waiter);
    finding_killed_text(f, killed, sizeof killed);
    report_wrap(out, 0, "%s: %s: %s %s%s%s", v->deadlock ? "deadlock" : "suspicious", v->program, waiter,
                what, *killed ? "; it was " : "", killed);
}

// Beside the locks of the findings: what else nobody in the child could release.
static void print_held(struct report *r) {
    const struct verdict *v = r->verdict;
    bool any = false;
    for (size_t i = 0; i < v->held_count; i++) {
        const struct held_lock *l = &v->held_at_fork[i];
        if (l->wanted) continue;
        if (!any) fprintf(r->out, "\nOther locks that were held at a fork\n");
        any = true;
        char holder[160], lock[300];
        describe_task(holder, sizeof holder, &l->holder);
        describe_lock(lock, sizeof lock, &l->lock);
        report_wrap(r->out, 2, "%s%s%s, held by %s since event %lu, at the fork of process %d (event %lu)",
                    lock, l->lock.kind[0] ? ", a " : "", l->lock.kind, holder, (long)l->acquired.event,
                    l->child, (long)l->fork);
    }
}

// Whoever had not come back from its call: that nothing was found is no proof that it would have.
static void print_still_waiting(FILE *out, const struct verdict *v) {
    if (!v->waiting_count) return;
    fprintf(out, "\nWho still waited when the recording ended\n");
    for (size_t i = 0; i < v->waiting_count; i++) {
        const struct waiting_task *w = &v->waiting[i];
        char task[160];
        describe_task(task, sizeof task, &(struct finding_task){.pid = w->pid, .tid = w->tid});
        report_wrap(out, 2, "%s: in %s since event %lu", task, syscall_name(w->nr), (long)w->since);
    }
}

static void print_notes(FILE *out, const struct verdict *v) {
    if (!v->note_count) return;
    fprintf(out, "\nWhat else was seen\n");
    for (size_t i = 0; i < v->note_count; i++)
        report_wrap(out, 2, "%s", v->notes[i]);
}

// The program may have gone another way than it does without refork.
static void print_refused(FILE *out, const struct verdict *v) {
    if (!v->refused_count) return;
    fprintf(out, "\nWhat refork refused, so that the program may have gone another way than it does alone\n");
    for (size_t i = 0; i < v->refused_count; i++)
        report_wrap(out, 2, "%s", v->refused[i]);
}

void report_stack_text(FILE *out, const struct stack *s, source_line line, void *context) {
    struct report r = {.out = out, .line = line, .context = context};
    print_stack(&r, s);
}

void report_finding_text(FILE *out, const struct verdict *v, const struct finding *f, source_line line,
                         void *context) {
    struct report r = {out, v, line, context};
    print_finding(&r, f);
}

void report_text(FILE *out, const struct verdict *v, source_line line, void *context) {
    struct report r = {out, v, line, context};
    if (v->from_memory && !v->count) {
        report_wrap(out, 0, "nothing is stuck for certain: %s: %s", v->program, v->end_reason);
        print_notes(out, v);
        return;
    }
    if (v->cut && !v->count) {
        report_wrap(out, 0, "not known: %s: after %lu events the recording ends %s",
                    v->program[0] ? v->program : "no program", (long)v->events, v->end_reason);
        print_still_waiting(out, v);
        print_refused(out, v);
        return;
    }
    if (!v->count && !v->deadlock) {
        report_wrap(out, 0, "no deadlock: %s: %lu events, %s", v->program, (long)v->events, v->end_reason);
        print_held(&r);
        print_still_waiting(out, v);
        print_refused(out, v);
        return;
    }
    if (v->count)
        print_summary(out, v);
    else
        report_wrap(out, 0, "deadlock: %s: its cause was not found", v->program);
    if (v->from_memory)
        report_wrap(out, 0, "%s", v->end_reason);
    else
        report_wrap(out, 0, "%lu events recorded; the recording ended: %s", (long)v->events, v->end_reason);
    for (size_t i = 0; i < v->count; i++)
        print_finding(&r, &v->findings[i]);
    print_held(&r);
    if (!v->deadlock) print_still_waiting(out, v);
    print_notes(out, v);
    print_refused(out, v);
}
