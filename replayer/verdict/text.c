#include "replayer/verdict/text.h"

#include "replayer/names/member.h"
#include "replayer/names/python_lock.h"

#include "replayer/locks/name.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// ---- the lock

// Is `space` the one of the reader, or one that it is a copy of?
static bool is_ancestor(const struct history *h, size_t of, size_t space) {
    while (of != NONE && of != space)
        of = h->spaces[of].parent;
    return of == space;
}

// The thread on whose stack the address is: of those in the same mapping, the one whose stack pointer is next
// below it. The stacks of vanished threads are still there in the child.
static bool on_a_stack(struct timeline *t, const struct history *h, int tid, const struct view_map *map,
                       const struct lock_ref *ref, struct finding_lock *out) {
    uint64_t address = ref->base;
    struct replay *r = timeline_replay(t);
    uint64_t now = timeline_position(t), nearest = 0;
    size_t mine = history_life(h, tid, now);
    const struct replay_task *owner = NULL;
    for (size_t i = 0; i < replay_task_count(r); i++) {
        const struct replay_task *task = replay_task_at(r, i);
        size_t life = history_life(h, task->tid, now);
        if (mine == NONE || life == NONE || !is_ancestor(h, h->lives[mine].space, h->lives[life].space))
            continue;
        uint64_t sp = task->regs.rsp;
        if (sp < map->start || sp > address || sp < nearest) continue;
        nearest = sp;
        owner = task;
    }
    if (!owner) return false;
    snprintf(out->symbol, sizeof out->symbol, "%s of thread %d '%s'",
             ref->kind == KIND_GSCOPE ? "the look-up flag" : "a local variable", owner->tid, owner->name);
    return true;
}

// Its address says less than what it is in. It stays unnamed: in no variable.
static void name_member(struct timeline *t, int tid, uint64_t address, struct finding_lock *out) {
    struct view view;
    struct rf_error ignored;
    struct user_regs_struct regs;
    char name[sizeof out->symbol];
    if (replay_task_regs(timeline_replay(t), tid, &regs, &ignored) < 0 ||
        replay_view(timeline_replay(t), tid, &view, &ignored) < 0)
        return;
    timeline_foreign(t, true);
    struct symbols *s = timeline_symbols(t);
    bool found = python_lock_name(s, &view, &regs, address, name, sizeof name) ||
                 member_name(s, &view, &regs, address, name, sizeof name);
    timeline_foreign(t, false);
    if (!found) return;
    // A plain variable of a function that is on a stack: "lock, a local variable of thread 12 'worker'".
    size_t used = strlen(name);
    if (out->of_this_run && !out->unnamed && !strstr(name, "::"))
        snprintf(name + used, sizeof name - used, ", %.200s", out->symbol);
    memcpy(out->symbol, name, sizeof name);
    out->of_this_run = false;
}

static void name_lock(struct timeline *t, const struct history *h, int tid, const struct lock_ref *ref,
                      struct finding_lock *out) {
    struct view view = {.map_count = 0};
    struct rf_error err;
    if (replay_view(timeline_replay(t), tid, &view, &err) < 0) {
        *out = (struct finding_lock){.address = ref->base};
        snprintf(out->kind, sizeof out->kind, "%s", lock_kind_name(ref->kind));
        return;
    }
    size_t life = history_life(h, tid, timeline_position(t));
    bool shared = life != NONE && history_shared(h, h->lives[life].space, ref->base, timeline_position(t));
    lock_name(timeline_symbols(t), &view, lock_kind_name(ref->kind), ref->base, shared, out);
    const struct view_map *map = out->unnamed ? view_find(&view, ref->base) : NULL;
    if (!map) return;
    if (on_a_stack(t, h, tid, map, ref, out)) {
        out->unnamed = false;
        out->of_this_run = true;
    }
    name_member(t, tid, ref->base, out);
}

void text_lock(struct timeline *t, const struct history *h, int tid, const struct lock_ref *ref,
               struct finding_lock *out) {
    name_lock(t, h, tid, ref, out);
    out->is_data = ref->kind == KIND_DATA;
}

// ---- the reason

const char *text_the_lock(const struct finding *f) {
    return f->lock.symbol[0] && !f->lock.of_this_run ? f->lock.symbol : "the lock";
}

void text_reason_waker(struct finding *f, const struct lock_ref *ref) {
    static const char *const reasons[] = {
        [WANTS_COND] =
            "It waits for a signal of a condition. The threads that could send one are not in this "
            "process.",
        [WANTS_COND_LEAVE] =
            "Threads were waiting on the condition at the fork. The child's copy still counts "
            "them, and waits until they have left: but they are not in this process.",
        [WANTS_BARRIER] =
            "It waits until enough threads have come to the barrier. Some of those are not in this "
            "process.",
        [WANTS_POST] = "It waits for a post of the semaphore. Who would do that is not in this process.",
        [WANTS_ONCE] = "Another thread had begun this initialisation at the fork. In this process nobody can "
                       "finish it.",
        [WANTS_VALUE] = "It waits until another thread changes the word. That thread is not in this process.",
        [WANTS_TEAM] =
            "libgomp keeps its threads in a pool after the first parallel region. The child has a copy "
            "of the pool's bookkeeping, but not of its threads, and waits for them.",
        [WANTS_AIO] = "glibc carries out asynchronous I/O with helper threads. The child has a copy of their "
                      "bookkeeping, but not of the threads.",
        [WANTS_PARK] =
            "The thread sleeps until another one wakes it (a channel, a condition, a parked thread). "
            "The other threads are not in this process.",
        [WANTS_GO] =
            "The runtime's other threads vanished: a Go program can not go on in a child of fork, only "
            "exec.",
    };
    if (ref->kind == KIND_RCU) {
        snprintf(f->reason, sizeof f->reason,
                 "synchronize_rcu waits until each registered reader has left the section that it is in. A "
                 "reader that "
                 "vanished at the fork is still in the child's list, and never leaves.");
        return;
    }
    const char *reason = ref->wants < sizeof reasons / sizeof *reasons ? reasons[ref->wants] : NULL;
    if (reason) snprintf(f->reason, sizeof f->reason, "%s", reason);
}

void text_reason_child_handler(struct finding *f) {
    snprintf(
        f->reason, sizeof f->reason,
        "Process %d hangs inside the fork() that made it, in a handler for the child: it never came to what "
        "the program does after the fork.",
        f->waiter.pid);
}

void text_reason_cycle(struct finding *f, int child) {
    if (child)
        snprintf(f->reason, sizeof f->reason,
                 "All of these locks were taken in process %d, after the fork that made it. The fork is not "
                 "the cause: its threads would hang like this in any process.",
                 child);
    else
        snprintf(f->reason, sizeof f->reason,
                 "Nothing of this crosses a fork: the locks' holders are alive, and wait for each other.");
}

void text_reason_handler(struct finding *f, int signal, const struct lock_ref *ref) {
    const struct frame *handler = NULL, *interrupted = NULL;
    char which[32] = "a signal", own[160] = "";
    if (signal && sigabbrev_np(signal)) snprintf(which, sizeof which, "SIG%s", sigabbrev_np(signal));
    bool known = stack_in_handler(&f->waiting.stack, &handler, &interrupted);
    // The interrupted function is often the library's: who of the program had called it?
    const struct frame *last = f->waiting.stack.frames + f->waiting.stack.count, *caller = interrupted;
    while (known && caller < last && (stack_is_libc(caller) || !caller->function))
        caller++;
    if (known && caller < last && caller != interrupted)
        snprintf(own, sizeof own, ", called by %s", caller->function);
    const char *what = known && interrupted->function ? interrupted->function : "code of this thread";
    const char *name = known && handler->function ? handler->function : "";
    const char *call = ref->in_fork    ? "fork with handlers that take locks"
                       : ref->function ? ref->function
                                       : "what takes it";
    snprintf(f->reason, sizeof f->reason,
             "%s interrupted %s%s, which holds %s. Its handler%s%s comes to take that as well, in the same "
             "thread: the code that would release it goes on when the handler has returned, and not before. "
             "Not async-signal-safe: %s.",
             which, what, own, text_the_lock(f), *name ? " " : "", name, call);
}

void text_reason_fiber(struct finding *f) {
    char fiber[128];
    stack_start_routine(&f->acquired.stack, fiber, sizeof fiber);
    snprintf(
        f->reason, sizeof f->reason,
        "The lock was taken on a stack that is not the thread's own: by a fiber%s%s, which thread %d '%s' "
        "was running then. The fiber's stack is copied into the child, but the thread that ran it is not "
        "there.",
        fiber[0] ? " that begins in " : "", fiber, f->holder.tid, f->holder.name);
}

void text_reason_gscope(struct finding *f) {
    snprintf(f->reason, sizeof f->reason,
             "dlclose waits until no thread looks up a symbol. Each thread says by a flag beside its stack "
             "whether "
             "it does (glibc's gscope), and thread %d '%s' did at the fork, where it vanished. fork() does "
             "not clear "
             "its flag. The child gave the stack, with the flag, to a thread of its own. A look-up of that "
             "one clears "
             "it, but wakes nobody who waits already.",
             f->holder.tid, f->holder.name);
}

void text_reason_gil(struct finding *f) {
    snprintf(
        f->reason, sizeof f->reason,
        "%s is CPython's interpreter lock (GIL). The child was made by a fork that CPython does not know "
        "of, called from C (ctypes, an extension) while the GIL was given back: thread %d '%s' took it "
        "then, to run Python code. The child's only thread tries for ever to get it back, in turns of a few "
        "milliseconds.",
        text_the_lock(f), f->holder.tid, f->holder.name);
}

void text_reason_torn(struct finding *f) {
    snprintf(
        f->reason, sizeof f->reason,
        "%s was held at the fork by a thread that vanished there. In the child it was made free again, but "
        "the data under it is as that thread left it, in the middle of a change; process %d took the lock "
        "and crashed. (Likely, not proved: the crash may have another cause.)",
        text_the_lock(f), f->waiter.pid);
}

void text_reason_torn_data(struct finding *f, uint64_t again) {
    snprintf(f->reason, sizeof f->reason,
             "Process %d crashed through a pointer that it had read from %s. Thread %d '%s' had put it "
             "there shortly before the fork, and was still in the function that did it; in the parent it "
             "put something else there after the fork (event %lu). No lock was held over the change. "
             "(Likely, not proved: the crash may have another cause.)",
             f->waiter.pid, f->lock.symbol[0] ? f->lock.symbol : "memory", f->holder.tid, f->holder.name,
             (long)again);
}

void text_reason_pipe(struct finding *f, int fd, bool socket) {
    snprintf(
        f->reason, sizeof f->reason,
        "Process %d reads from fd %d until the %s ends. It does not end, because a copy of its %s end is "
        "still open, in a process that got it by fork and does not use it.",
        f->waiter.pid, fd, socket ? "connection" : "pipe", socket ? "other" : "write");
}

void text_reason_left(struct finding *f, bool file) {
    snprintf(
        f->reason, sizeof f->reason,
        file ? "Task %d took the lock and ended. A lock of flock is not that task's but the open file's, "
               "and process %d has a copy of that file since a fork: it waits for itself."
             : "Task %d took the lock and ended without giving it back. Nobody is left who could: process %d "
               "waits for ever.",
        f->holder.tid, f->waiter.pid);
}

static const char *end_text(char *out, size_t size, const struct finding *f) {
    const struct finding_end *e = &f->end;
    const char *name = e->how == END_KILLED ? sigabbrev_np(e->value) : NULL;
    char by[160] = "";
    if (!e->event) {
        snprintf(out, size, "ended");
        return out;
    }
    if (e->how == END_KILLED && e->by.tid && e->by.pid == f->holder.pid)
        snprintf(by, sizeof by, ", which it sent itself,");
    else if (e->how == END_KILLED && e->by.tid)
        snprintf(by, sizeof by, ", which process %d '%s' sent,", e->by.pid, e->by.name);
    else if (e->how == END_KILLED)
        snprintf(by, sizeof by, ", which came from outside of the recording or from the kernel,");
    if (e->how == END_KILLED)
        snprintf(out, size, "was killed by SIG%s%s", name ? name : "?", by);
    else if (e->how == END_EXITED)
        snprintf(out, size, "ended with status %d", e->value);
    else
        snprintf(out, size, e->how == END_EXEC ? "became another program (exec)" : "ended");
    return out;
}

void text_reason_dead(struct finding *f, const struct lock_ref *ref) {
    char ended[320];
    bool thread = f->end.how == END_THREAD && f->end.event;
    const char *where = ref->shared                  ? "The lock is in memory that processes share"
                        : ref->kind == KIND_SYSV_SEM ? "A semaphore of System V outlives processes"
                                                     : "The memory that it is in lives on";
    snprintf(
        f->reason, sizeof f->reason,
        "%s %d '%s' took it, and %s without giving it back (event %lu). %s, so it stays held, and nobody "
        "who is left releases what another one took: process %d waits for ever.",
        thread ? "Thread" : "Process", thread ? f->holder.tid : f->holder.pid, f->holder.name,
        end_text(ended, sizeof ended, f), (long)f->end.event, where, f->waiter.pid);
}

void text_reason_dead_waker(struct finding *f, const struct lock_ref *ref) {
    char ended[320];
    const struct finding_task *t = &f->wakers[0].task;
    const char *did = ref->wants == WANTS_POST         ? "post it"
                      : ref->wants == WANTS_COND       ? "signal it"
                      : ref->wants == WANTS_COND_LEAVE ? "leave it"
                      : ref->wants == WANTS_BARRIER    ? "come to it"
                                                       : "change it";
    snprintf(f->reason, sizeof f->reason,
             "Nobody holds %s: another process that has the same memory would have to %s. Process %d '%s', "
             "which %s, %s at event %lu. All others that are left wait. (Likely, not proved: another one may "
             "have been meant to do it.)",
             text_the_lock(f), did, t->pid, t->name, f->wakers[0].what, end_text(ended, sizeof ended, f),
             (long)f->end.event);
}

void text_reason_ended_thread(struct finding *f) {
    char ended[320];
    const struct finding_task *t = &f->wakers[0].task;
    snprintf(f->reason, sizeof f->reason,
             "Nobody else changes %s any more: thread %d '%s'%s%s, which changed it last, %s at event %lu. "
             "(Likely, not proved: another one may have been meant to do it.)",
             text_the_lock(f), t->tid, t->name, t->start_routine[0] ? ", started in " : "", t->start_routine,
             end_text(ended, sizeof ended, f), (long)f->end.event);
}

void text_reason_joined(struct finding *f, const struct finding_task *by) {
    size_t used = strlen(f->reason);
    snprintf(f->reason + used, sizeof f->reason - used,
             "%sThread %d '%s' of the process waits for this one to end (pthread_join): that is only a "
             "consequence.",
             used ? " " : "", by->tid, by->name);
}

void text_reason_mutual(struct finding *f, int other) {
    const char *what = f->lock.symbol[0] ? f->lock.symbol : "something that another process could do";
    snprintf(
        f->reason, sizeof f->reason,
        "Process %d waits for %s. Only another process can do that, and the one that is left, process %d, "
        "waits in turn, and so for process %d: neither can go on.",
        f->waiter.pid, what, other, f->waiter.pid);
}
