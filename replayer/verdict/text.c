#include "replayer/verdict/text.h"

#include "replayer/names/member.h"

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
                       uint64_t address, struct finding_lock *out) {
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
    snprintf(out->symbol, sizeof out->symbol, "a local variable of thread %d '%s'", owner->tid, owner->name);
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
    bool found = member_name(timeline_symbols(t), &view, &regs, address, name, sizeof name);
    timeline_foreign(t, false);
    if (!found) return;
    memcpy(out->symbol, name, sizeof name);
    out->of_this_run = false;
}

void text_lock(struct timeline *t, const struct history *h, int tid, const struct lock_ref *ref,
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
    if (on_a_stack(t, h, tid, map, ref->base, out)) {
        out->unnamed = false;
        out->of_this_run = true;
        return;
    }
    name_member(t, tid, ref->base, out);
}

// ---- the reason

// In advice a name with an address in it says less.
static const char *the_lock(const struct finding *f) {
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
                 "the cause: "
                 "its threads would hang like this in any process.",
                 child);
    else
        snprintf(f->reason, sizeof f->reason,
                 "Nothing of this crosses a fork: the locks' holders are alive, and wait for each other.");
}

void text_reason_fiber(struct finding *f) {
    char fiber[128];
    stack_start_routine(&f->acquired.stack, fiber, sizeof fiber);
    snprintf(
        f->reason, sizeof f->reason,
        "The lock was taken on a stack that is not the thread's own: by a fiber%s%s, which thread %d '%s' "
        "was "
        "running then. The fiber's stack is copied into the child, but the thread that ran it is not there.",
        fiber[0] ? " that begins in " : "", fiber, f->holder.tid, f->holder.name);
}

void text_reason_gil(struct finding *f) {
    snprintf(
        f->reason, sizeof f->reason,
        "%s is CPython's interpreter lock (GIL). The child was made by a fork that CPython does not know of, "
        "called from C (ctypes, an extension) while the GIL was given back: thread %d '%s' took it then, to "
        "run "
        "Python code. The child's only thread tries for ever to get it back, in turns of a few milliseconds.",
        the_lock(f), f->holder.tid, f->holder.name);
}

void text_reason_torn(struct finding *f) {
    snprintf(
        f->reason, sizeof f->reason,
        "%s was held at the fork by a thread that vanished there. In the child it was made free again, but "
        "the "
        "data under it is as that thread left it, in the middle of a change; process %d took the lock and "
        "crashed. (Likely, not proved: the crash may have another cause.)",
        the_lock(f), f->waiter.pid);
}

void text_reason_torn_data(struct finding *f, uint64_t again) {
    snprintf(f->reason, sizeof f->reason,
             "Process %d crashed through a pointer that it had read from %s. Thread %d '%s' had put it there "
             "shortly "
             "before the fork, and was still in the function that did it; in the parent it put something "
             "else there "
             "after the fork (event %lu). No lock was held over the change. (Likely, not proved: the crash "
             "may have "
             "another cause.)",
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
        file ? "Task %d took the lock and ended. A lock of flock is not that task's but the open file's, and "
               "process %d has "
               "a copy of that file since a fork: it waits for itself."
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
             the_lock(f), did, t->pid, t->name, f->wakers[0].what, end_text(ended, sizeof ended, f),
             (long)f->end.event);
}

void text_reason_ended_thread(struct finding *f) {
    char ended[320];
    const struct finding_task *t = &f->wakers[0].task;
    snprintf(f->reason, sizeof f->reason,
             "Nobody else changes %s any more: thread %d '%s'%s%s, which changed it last, %s at event %lu. "
             "(Likely, not "
             "proved: another one may have been meant to do it.)",
             the_lock(f), t->tid, t->name, t->start_routine[0] ? ", started in " : "", t->start_routine,
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

// ---- advice

__attribute__((format(printf, 2, 3))) static void say(struct finding *f, const char *format, ...) {
    size_t used = strlen(f->advice);
    va_list ap;
    va_start(ap, format);
    vsnprintf(f->advice + used, sizeof f->advice - used, format, ap);
    va_end(ap);
}

// The innermost function that a user would know: not libc's, not libstdc++'s wrappers (std::, __gthread_). NULL: it has
// no name.
static const char *waiting_function(const struct finding *f) {
    for (size_t i = 0; i < f->waiting.stack.count; i++) {
        const struct frame *frame = &f->waiting.stack.frames[i];
        if (stack_is_libc(frame)) continue;
        if (!frame->function) break;
        if (frame->function[0] == '_' || !strncmp(frame->function, "std::", 5) ||
            !strncmp(frame->function, "void std::", 10))
            continue;
        return frame->function;
    }
    return NULL;
}

static void orphan_gil(struct finding *f) {
    say(f, "1. Fork with os.fork() or multiprocessing: CPython keeps the GIL over its own forks, and makes "
           "it anew in "
           "the child.\n"
           "2. Or start a new program or interpreter: subprocess, multiprocessing.get_context(\"spawn\").\n"
           "3. Or keep the GIL over the call (ctypes.PyDLL instead of CDLL; in an extension no "
           "Py_BEGIN_ALLOW_THREADS around it), with PyOS_BeforeFork() before and PyOS_AfterFork_Child() "
           "behind it.\n");
}

static void orphan(struct finding *f, const struct lock_ref *ref) {
    if (ref->kind == KIND_GIL) {
        orphan_gil(f);
        return;
    }
    const char *what = waiting_function(f);
    char thread[160] = "that thread";
    if (f->holder.start_routine[0]) snprintf(thread, sizeof thread, "'%s'", f->holder.start_routine);
    if (ref->in_libc) {
        say(f, "The lock is libc's own, and fork() does not reset it: after a fork in a threaded process, a "
               "child may "
               "only make async-signal-safe calls (signal-safety(7)) until it calls exec.\n");
        say(f, "1. Use posix_spawn, or fork and exec at once: a new program inherits no lock.\n");
        if (what)
            say(f, "2. Or do before the fork, in the parent, what '%s' does in the child.\n", what);
        else
            say(f, "2. Or do before the fork, in the parent, what the child does there.\n");
        say(f, "3. Or fork before %s is started.\n", thread);
        return;
    }
    say(f, "Any one of these removes the cause:\n");
    say(f, "1. Use posix_spawn, or fork and exec at once: a new program inherits no lock.\n");
    say(f,
        "2. Or register fork handlers: pthread_atfork(prepare, parent, child), where prepare locks %s and "
        "parent and child unlock it. Then nobody else can hold it at a fork.\n",
        the_lock(f));
    if (what && strcmp(what, "main") != 0)
        say(f, "3. Or keep '%s' out of the child: do it before the fork, or in the parent.\n", what);
    else
        say(f, "3. Or do not take %s in the child.\n", the_lock(f));
    say(f, "4. Or fork before %s is started.\n", thread);
}

static bool runs_python(const struct stack *s) {
    for (size_t i = 0; i < s->count; i++) {
        const char *module = s->frames[i].module;
        if (module && (!strncmp(module, "python3", 7) || !strncmp(module, "libpython3", 10))) return true;
    }
    return false;
}

static void dead(struct finding *f, const struct lock_ref *ref) {
    if (runs_python(&f->waiting.stack)) {
        say(f, "The locks of multiprocessing are semaphores: they do not notice that a process with a permit "
               "has died, "
               "and Pool only puts a new worker beside them.\n"
               "1. Do not kill workers (os.kill, Process.terminate) that use a Queue, a Pool or a Lock: let "
               "them end by "
               "themselves, told by a message or an Event.\n"
               "2. Use concurrent.futures.ProcessPoolExecutor: it notices that a worker has died "
               "(BrokenProcessPool).\n"
               "3. Or give up the whole pool when a worker has died: Pool.terminate(), and a new Pool.\n");
        return;
    }
    if (!f->holder.tid) {
        say(f, "1. Let whoever starts these processes notice that one has died (waitpid, SIGCHLD, a pidfd), "
               "and end the "
               "others' wait in its place, or end them.\n"
               "2. Or wait with a time limit, and look then whether the other one still lives.\n"
               "3. Or use a pipe or a socket: its end is seen when the other process dies.\n");
        return;
    }
    if (ref->kind == KIND_MUTEX)
        say(f,
            "1. Make %s robust: pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST). Then the next one "
            "who locks it "
            "gets EOWNERDEAD instead of waiting: it mends the data, and calls pthread_mutex_consistent.\n",
            the_lock(f));
    else if (ref->kind == KIND_SYSV_SEM)
        say(f, "1. Take it with SEM_UNDO: then the kernel gives it back when the process ends.\n");
    else
        say(f,
            "1. There is no robust %s. Use a robust mutex (PTHREAD_MUTEX_ROBUST), or a lock of a file "
            "(F_OFD_SETLKW, flock): the kernel frees that one when its holder ends.\n",
            ref->kind == KIND_SEM ? "semaphore" : lock_kind_name(ref->kind));
    if (f->end.how == END_KILLED)
        say(f,
            "2. Do not kill a process that may have it: ask it to end (a message, a signal that it looks at "
            "where it has no lock), and wait for it.\n");
    else
        say(f, "2. Give it back on every way out of the process, also those that end it early.\n");
    say(f, "3. Or let whoever starts the processes notice the death (waitpid), end the others as well, and "
           "make the "
           "lock and what it protects anew.\n");
}

void text_advice(struct finding *f, enum advice which, const struct lock_ref *ref, size_t waiters) {
    switch (which) {
    case ADVICE_ORPHAN:
        orphan(f, ref);
        break;
    case ADVICE_FORKER:
        say(f,
            "The forking thread had the lock when it forked. The child's only thread is a copy of it, with "
            "another "
            "thread id: for the child the lock belongs to somebody else.\n1. Unlock %s before the fork.\n2. "
            "Or "
            "unlock it in the child before it is used again; for a recursive or robust mutex that is not "
            "possible: "
            "initialise it anew there.\n",
            the_lock(f));
        break;
    case ADVICE_NOT_SEEN:
        say(f,
            "At the fork %s was held already, and nobody in the child can release it. Who took it was not "
            "seen. "
            "Until that is known: posix_spawn, or fork and exec at once, inherits no lock.\n",
            the_lock(f));
        break;
    case ADVICE_ENDED:
        say(f,
            "The thread that took %s ended without giving it back. Unlock it on every way out of '%s' "
            "(pthread_cleanup_push for cancellation), or make it a robust mutex.\n",
            the_lock(f), f->holder.start_routine[0] ? f->holder.start_routine : "the thread");
        break;
    case ADVICE_HELD:
        say(f,
            "The holder lives, but waits for ever itself, while it holds %s. Look at where it waits; do not "
            "hold a "
            "lock while waiting for something that needs it.\n",
            the_lock(f));
        break;
    case ADVICE_CYCLE:
        say(f, "Take these locks in the same order everywhere, or take the second one with "
               "pthread_mutex_trylock and "
               "give the first one back when that fails. This is not the fault of a fork.\n");
        break;
    case ADVICE_SELF:
        say(f,
            "One thread locks %s twice. Unlock it before the second call, or split the function into one "
            "that locks "
            "and one that expects the lock to be held.\n",
            the_lock(f));
        break;
    case ADVICE_ATFORK:
        say(f, "fork() itself hangs, in the parent: its handlers take locks in another order than the rest "
               "of the "
               "program. prepare handlers run in the reverse order of their pthread_atfork calls.\n1. Give "
               "the locks "
               "one order: every thread takes them as the prepare handlers do.\n2. Or register the handlers "
               "in the "
               "opposite order, or take all the locks in a single prepare handler.\n3. Or use posix_spawn, "
               "which runs "
               "no fork handlers.\n");
        break;
    case ADVICE_ATFORK_SELF:
        say(f,
            "fork() itself hangs, in the parent: the thread that forks has %s, and a prepare handler (or "
            "libc itself) "
            "wants it, too.\n"
            "1. Give %s back before the fork: do not call a callback, or anything that may fork, while it is "
            "held.\n"
            "2. Or let the prepare handler find out whether the forking thread has it, and leave it alone "
            "then.\n"
            "3. Or use posix_spawn, which runs no fork handlers.\n",
            the_lock(f), the_lock(f));
        break;
    case ADVICE_FORK_HELD:
        say(f,
            "fork() itself hangs, in the parent: it takes %s, as it takes all of libc's locks and those of "
            "fork "
            "handlers, and the holder does not give it back. (fflush(NULL) and exit() hold the list of "
            "streams while "
            "they wait for a stream that another thread is reading from.)\n"
            "1. Do not wait for input while a stream is locked: read(2) in the reader, or flush single "
            "streams.\n"
            "2. Or use posix_spawn, which takes none of these locks.\n",
            the_lock(f));
        break;
    case ADVICE_CROSS:
        say(f, "Nothing here: when the child no longer hangs, neither does this wait.\n");
        break;
    case ADVICE_SHARED:
        say(f, "The lock is in memory that several processes share, so a fork does not orphan it: another "
               "process can "
               "still release it. Look for a process that ended while it held the lock; a robust mutex "
               "(PTHREAD_MUTEX_ROBUST) tells the next one.\n");
        break;
    case ADVICE_WAKER:
        if (ref->wants == WANTS_GO) {
            say(f, "Go's runtime needs its threads (the garbage collector, the scheduler, timers), and fork "
                   "copies only "
                   "one of them.\n"
                   "1. Use os/exec, os.StartProcess or syscall.ForkExec, which call nothing of the runtime "
                   "between fork "
                   "and exec.\n"
                   "2. Or do in a goroutine what the child does.\n"
                   "3. Or start the program anew with another argument: os/exec with os.Args[0].\n");
            break;
        }
        say(f,
            "A child of fork has none of its parent's other threads: whatever they do (work, wake, answer) "
            "nobody does there.\n"
            "1. Use posix_spawn, or fork and exec at once.\n"
            "2. Or fork before those threads are started.\n"
            "3. Or start them anew in the child, with objects that are initialised anew there (a "
            "pthread_atfork child handler can do both); never use the copies of the parent's.\n");
        break;
    case ADVICE_CHILD_HANDLER:
        say(f,
            "The child has not come out of fork() yet: a handler that pthread_atfork registered for the "
            "child "
            "takes a lock that nobody there can release.\n"
            "1. Give that lock a prepare handler that takes it; then parent and child handler release it.\n"
            "2. Or let the child handler initialise the lock anew instead of taking it.\n"
            "3. Or use posix_spawn, which runs no fork handlers.\n");
        break;
    case ADVICE_TORN:
        say(f,
            "To make the lock free again in the child is not enough: what it protects is as the vanished "
            "thread left "
            "it.\n"
            "1. Take %s in a prepare handler (pthread_atfork): then nobody is in the middle of a change at a "
            "fork.\n"
            "2. Or let the child handler make the data anew as well, not only the lock.\n"
            "3. Or use posix_spawn, or fork and exec at once.\n",
            the_lock(f));
        break;
    case ADVICE_TORN_DATA:
        say(f,
            "The child has the data as the vanished thread left it, in the middle of a change, and nobody "
            "there ends "
            "it.\n"
            "1. Change %s with a lock held, and take that lock in a prepare handler (pthread_atfork): then "
            "nobody is in "
            "the middle of a change at a fork.\n"
            "2. Or do not use it in the child: posix_spawn, or fork and exec at once.\n",
            f->lock.symbol[0] ? f->lock.symbol : "the data");
        break;
    case ADVICE_PIPE:
        say(f,
            "A pipe ends when every copy of its write end is closed, and fork makes copies.\n"
            "1. Close the ends that a process does not use, in the parent and in each child, right after the "
            "fork.\n"
            "2. Or make pipes with pipe2(O_CLOEXEC) and start other programs with posix_spawn and its file "
            "actions: then no copy gets into them.\n");
        break;
    case ADVICE_FILE_LOCK:
        say(f,
            "A lock of fcntl belongs to a process, one of flock to an open file: who forks or opens the file "
            "anew is somebody else to it, and waits even for itself.\n"
            "1. Release the lock before the fork, or before the wait for the child.\n"
            "2. Or let the child use the descriptor that it inherited: flock's lock is the child's, too.\n"
            "3. Or ask with LOCK_NB or F_SETLK, and give up in the end.\n");
        break;
    case ADVICE_MUTUAL:
        say(f, "Each waits for the other. Before a process waits for another one to end, it has to give "
               "back, send "
               "or close what that one waits for.\n");
        break;
    case ADVICE_ENDED_THREAD:
        say(f, "1. Let a thread end only when nobody waits for its work any more: let it finish what was "
               "asked of it, or tell "
               "those who wait (set the word, broadcast the condition) before it ends.\n"
               "2. Or let the loop look whether that thread still runs, and give up.\n");
        break;
    case ADVICE_DEAD:
        dead(f, ref);
        break;
    case ADVICE_UNKNOWN:
        say(f,
            "Nobody who is left can wake this task. If it waits for something that another thread does (a "
            "condition, "
            "a semaphore, a barrier, a thread pool): in the child of a fork that thread does not exist.\n");
        break;
    }
    if (waiters == 1) say(f, "One more task waits for the same.\n");
    if (waiters > 1) say(f, "%zu more tasks wait for the same.\n", waiters);
}

void text_handlers(struct finding *f, const char *text, size_t count, size_t shown) {
    if (!strstr(f->advice, "atfork") && !strstr(f->advice, "handlers")) return;
    if (!count) {
        say(f, "No fork handlers are registered now.\n");
        return;
    }
    say(f,
        "Registered now, in this order (prepare, parent, child; prepare handlers run from the last to the "
        "first): %s",
        text);
    if (count > shown) say(f, " and %zu more", count - shown);
    say(f, ".\n");
}
