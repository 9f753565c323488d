// A diagnosis: which processes are looked at, and the verdict on them.
#include "replayer/diagnose/diagnose.h"

#include "core/array.h"
#include "core/calls/syscalls.h"
#include "replayer/diagnose/core_file.h"
#include "replayer/diagnose/findings.h"
#include "replayer/diagnose/live.h"
#include "replayer/diagnose/proc.h"
#include "replayer/diagnose/spin.h"
#include "replayer/diagnose/wait.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PARTIES_MAX = 64, THREADS_TOLD = 32 };

struct diagnosis *diagnosis_new(void) {
    struct diagnosis *d = calloc(1, sizeof *d);
    rf_assert(d);
    d->files = file_store_new();
    d->symbols = symbols_new();
    d->verdict = calloc(1, sizeof *d->verdict);
    rf_assert(d->symbols && d->verdict);
    return d;
}

void diagnosis_free(struct diagnosis *d) {
    if (!d) return;
    verdict_free(d->verdict);
    for (size_t i = 0; i < d->party_count; i++)
        party_release(&d->parties[i]);
    free(d->parties);
    symbols_free(d->symbols);
    file_store_free(d->files);
    free(d->source_line);
    free(d);
}

const struct verdict *diagnosis_verdict(const struct diagnosis *d) {
    return d->verdict;
}

const char *diagnosis_source_line(void *diagnosis, const char *file, int line) {
    struct diagnosis *d = diagnosis;
    if (!file || file[0] != '/' || line < 1) return NULL;
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;
    FILE *f = fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode) ? fdopen(fd, "r") : NULL;
    if (!f) {
        if (fd >= 0) close(fd);
        return NULL;
    }
    ssize_t len = 0;
    for (int i = 0; i < line && len >= 0; i++)
        len = getline(&d->source_line, &d->source_size, f);
    fclose(f);
    if (len < 0) return NULL;
    if (len && d->source_line[len - 1] == '\n') d->source_line[len - 1] = 0;
    return d->source_line;
}

// ---- notes

static void describe_wait(const struct party *p, size_t i, char *out, size_t size) {
    const struct snapshot_thread *t = &p->snapshot->threads[i];
    const struct wait *w = &p->waits[i];
    int child;
    if (w->spins) {
        snprintf(out, size, "spins on %s", w->lock.symbol);
    } else if (w->in_futex) {
        int n = snprintf(out, size, "waits for %s%s%s%s", w->lock.symbol[0] ? w->lock.symbol : "a futex",
                         w->lock.kind[0] ? ", a " : "", w->lock.kind, w->timed ? ", for a limited time" : "");
        if (n >= 0 && (size_t)n < size && w->owner_thread != NO_THREAD)
            snprintf(out + n, size - (size_t)n, ", which thread %d holds",
                     p->snapshot->threads[w->owner_thread].tid);
        else if (n >= 0 && (size_t)n < size && w->shared)
            snprintf(out + n, size - (size_t)n, ", in memory that other processes share");
    } else if (waits_for_child(t, &child) && child) {
        snprintf(out, size, "waits for its child %d to end", child);
    } else if (t->in_call && t->nr == SYS_restart_syscall) { // what a stop makes of such a call
        snprintf(out, size, "is in a sleep, or a wait for a limited time");
    } else if (t->in_call) {
        snprintf(out, size, "is in %s", syscall_name(t->nr));
    } else if (t->stopped || t->regs.rsp) {
        snprintf(out, size, p->snapshot->core ? "was running" : "was not asleep in a call");
    } else {
        snprintf(out, size, "runs");
    }
}

static void tell_vanished(struct diagnosis *d, const struct party *p) {
    if (!p->vanished) return;
    char names[512] = "";
    for (size_t i = 0; i < p->tcb_count; i++) {
        const struct tcb *t = &p->tcbs[i];
        struct frame start;
        if (t->tid || t->exiting || !t->start) continue;
        symbols_pc(d->symbols, &p->snapshot->view, t->start, &start);
        size_t used = strlen(names);
        if (start.function)
            snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "", start.function);
    }
    verdict_note(
        d->verdict,
        "process %d is the child of a fork that left %zu thread%s behind%s%s; the stacks are still mapped",
        p->snapshot->pid, p->vanished, p->vanished == 1 ? "" : "s", names[0] ? ", started in " : "", names);
}

static void add_notes(struct diagnosis *d) {
    for (size_t i = 0; i < d->party_count; i++) {
        const struct party *p = &d->parties[i];
        const struct snapshot *s = p->snapshot;
        tell_vanished(d, p);
        for (size_t k = 0; k < s->thread_count && k < THREADS_TOLD; k++) {
            char text[512], name[48] = "";
            describe_wait(p, k, text, sizeof text);
            if (s->threads[k].name[0]) snprintf(name, sizeof name, " '%s'", s->threads[k].name);
            verdict_note(d->verdict, "thread %d%s of process %d %s", s->threads[k].tid, name, s->pid, text);
        }
        if (s->thread_count > THREADS_TOLD)
            verdict_note(d->verdict, "%zu more threads of process %d", s->thread_count - THREADS_TOLD,
                         s->pid);
        for (size_t k = 0; k < s->note_count; k++)
            verdict_note(d->verdict, "%s", s->notes[k]);
    }
}

// ---- the processes

static bool has(const struct diagnosis *d, int pid) {
    for (size_t i = 0; i < d->party_count; i++)
        if (d->parties[i].snapshot->pid == pid) return true;
    return false;
}

static int add_live(struct diagnosis *d, int pid, struct rf_error *err) {
    struct snapshot *s;
    if (snapshot_live(pid, d->files, &s, err)) return -1;
    array_push(d->parties, d->party_count, (struct party){.snapshot = s});
    return 0;
}

// A relative that cannot be looked at is a note, not an error.
static void add_relative(struct diagnosis *d, int pid) {
    struct rf_error err = {0};
    struct proc_task t;
    if (has(d, pid) || d->party_count == PARTIES_MAX || pid == getpid()) return;
    if (!proc_task(pid, &t) || t.state == 'Z' || t.kernel) return;
    if (add_live(d, pid, &err)) verdict_note(d->verdict, "%s", err.text);
}

static bool in_wait_for(int parent, int child) {
    size_t count;
    struct proc_task t;
    if (!proc_task(child, &t)) return false;
    int *tids = proc_threads(parent, &count);
    bool found = false;
    for (size_t i = 0; i < count; i++) {
        struct proc_call call;
        struct snapshot_thread waiter = {.in_call = true};
        int wanted;
        proc_call(tids[i], &call);
        waiter.nr = call.nr;
        memcpy(waiter.args, call.args, sizeof waiter.args);
        found |= call.where == PROC_IN_CALL && waits_for_child(&waiter, &wanted) &&
                 (!wanted || wanted == t.inside);
    }
    free(tids);
    return found;
}

// All descendants; and ancestors that wait for the process, if they are of the same program: a shell that waits for
// it is no news.
static void add_family(struct diagnosis *d) {
    struct proc_task t;
    for (size_t i = 0; i < d->party_count; i++) {
        size_t count;
        int *children = proc_children(d->parties[i].snapshot->pid, &count);
        for (size_t k = 0; k < count; k++)
            add_relative(d, children[k]);
        free(children);
    }
    int child = d->parties[0].snapshot->pid, parent = d->parties[0].snapshot->parent;
    while (parent > 1 && proc_same_program(parent, child) && in_wait_for(parent, child) &&
           proc_task(parent, &t)) {
        add_relative(d, parent);
        child = parent;
        parent = t.parent;
    }
}

static void conclude(struct diagnosis *d) {
    struct verdict *v = d->verdict;
    v->from_memory = true;
    snprintf(v->program, sizeof v->program, "%s", d->parties[0].snapshot->program);
    for (size_t i = 0; i < d->party_count; i++) {
        party_look(d, &d->parties[i]);
        if (!d->parties[i].snapshot->core) spin_diagnose(d, &d->parties[i]);
        party_close(&d->parties[i]);
    }
    diagnose_findings(d);
    add_notes(d);
}

int diagnose_process(int pid, struct diagnosis **out, struct rf_error *err) {
    struct diagnosis *d = diagnosis_new();
    if (add_live(d, pid, err)) {
        diagnosis_free(d);
        return -1;
    }
    add_family(d);
    conclude(d);
    const struct snapshot *s = d->parties[0].snapshot;
    char more[64] = "";
    if (d->party_count > 1) snprintf(more, sizeof more, " and %zu of its family", d->party_count - 1);
    snprintf(d->verdict->end_reason, sizeof d->verdict->end_reason, "process %d%s, as it is now", s->pid,
             more);
    *out = d;
    return 0;
}

int diagnose_core(const char *path, struct diagnosis **out, struct rf_error *err) {
    struct diagnosis *d = diagnosis_new();
    struct snapshot *s;
    if (snapshot_core(path, d->files, &s, err)) {
        diagnosis_free(d);
        return -1;
    }
    d->parties = calloc(1, sizeof *d->parties);
    rf_assert(d->parties);
    d->parties[d->party_count++] = (struct party){.snapshot = s};
    conclude(d);
    snprintf(d->verdict->end_reason, sizeof d->verdict->end_reason, "process %d, as its core file shows it",
             s->pid);
    *out = d;
    return 0;
}
