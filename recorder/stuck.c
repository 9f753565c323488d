// Who waits for ever? A task is stuck when nothing outside and no task that is not stuck itself can end its
// wait: the greatest set of waiting tasks that is closed under "who could end it".
#include "recorder/loop.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static bool loops(const struct task *t) {
    return t->loop && t->loop->kind != WAIT_OUTSIDE;
}

static enum wait_kind wait_of(struct recorder *r, struct task *t) {
    if (loops(t)) return loop_current(r, t) && !loop_disturbed(t) ? t->loop->kind : WAIT_OUTSIDE;
    if (t->state != TASK_IN_KERNEL || !t->in_syscall) return WAIT_OUTSIDE;
    if (task_state_letter(t->tid) != 'S') return WAIT_OUTSIDE;
    switch (t->nr) {
    case SYS_futex: {
        int op = (int)t->args[1] & FUTEX_CMD_MASK;
        bool waits =
            op == FUTEX_WAIT || op == FUTEX_WAIT_BITSET || op == FUTEX_LOCK_PI || op == FUTEX_LOCK_PI2;
        return waits && !t->args[3] ? WAIT_FUTEX : WAIT_OUTSIDE; // args[3]: the timeout
    }
    case SYS_wait4:
        return t->args[2] & WNOHANG ? WAIT_OUTSIDE : WAIT_CHILD;
    case SYS_waitid:
        return t->args[3] & WNOHANG ? WAIT_OUTSIDE : WAIT_CHILD;
    default:
        return WAIT_OUTSIDE;
    }
}

// Is the futex word in memory that another address space can reach as well?
static bool word_is_shared(struct task *t) {
    if ((int)t->args[1] & FUTEX_PRIVATE_FLAG) return false;
    char path[64], line[4400];
    snprintf(path, sizeof path, "/proc/%d/maps", t->tid);
    FILE *f = fopen(path, "re");
    bool shared = true;
    while (f && fgets(line, sizeof line, f)) {
        uint64_t start, end;
        char prot[8];
        if (sscanf(line, "%lx-%lx %7s", &start, &end, prot) == 3 && t->args[0] >= start && t->args[0] < end)
            shared = prot[3] == 's';
    }
    if (f) fclose(f);
    return shared;
}

static bool child_matches(const struct task *t, const struct process *child) {
    if (child->parent_pid != t->process->pid) return false;
    if (t->nr == SYS_wait4) {
        int want = (int)t->args[0];
        return want > 0 ? child->pid == want : true; // a process group: any child might be in it
    }
    return t->args[0] == P_PID ? child->pid == (int)t->args[1] : true;
}

struct candidate {
    struct task *task;
    enum wait_kind kind;
    bool stuck, shared;
};

static bool process_moves(struct recorder *r, const struct process *p, struct candidate *all, size_t n) {
    for (struct task *t = r->tasks; t; t = t->next) {
        if (t->process != p) continue;
        bool stuck = false;
        for (size_t i = 0; i < n; i++)
            stuck |= all[i].task == t && all[i].stuck;
        if (!stuck) return true;
    }
    return false;
}

static bool can_be_woken(struct recorder *r, struct candidate *c, struct candidate *all, size_t n) {
    if (c->kind == WAIT_CHILD) {
        bool any = false;
        for (struct process *p = r->processes; p; p = p->next) {
            if (!child_matches(c->task, p)) continue;
            any = true;
            if (process_moves(r, p, all, n)) return true;
        }
        return !any; // no such child: the call is about to fail
    }
    for (struct task *t = r->tasks; t; t = t->next) {
        if (t == c->task || (t->mm != c->task->mm && !c->shared)) continue;
        bool stuck = false;
        for (size_t i = 0; i < n; i++)
            stuck |= all[i].task == t && all[i].stuck;
        if (!stuck) return true;
    }
    return false;
}

// A handler for an asynchronous signal could run in the middle of the wait and end it (sem_post in a SIGTERM
// handler).
static bool signal_could_help(const struct process *p) {
    for (int s = 1; s < 65; s++) {
        if (s == SIGSEGV || s == SIGBUS || s == SIGFPE || s == SIGILL || s == SIGTRAP || s == SIGABRT ||
            s == SIGSYS)
            continue;
        // glibc's own: cancellation and setxid, sent by threads of the process only.
        if (s == 32 || s == 33) continue;
        if (p->sighand->handler[s] > 1) return true;
    }
    return false;
}

// lll_lock and pthread mutexes wait with FUTEX_WAIT for a value that means "held"; semaphores, conditions,
// rwlocks and barriers with FUTEX_WAIT_BITSET (glibc's futex-internal.h), semaphores for 0.
static bool waits_for_mutex(const struct task *t) {
    int op = (int)t->args[1] & FUTEX_CMD_MASK;
    return t->nr == SYS_futex &&
           (op == FUTEX_LOCK_PI || op == FUTEX_LOCK_PI2 || (op == FUTEX_WAIT && t->args[2]));
}

// Does it wait as nobody does who idles until a process that still moves ends him?
static bool waits_for_lock(const struct task *t) {
    const struct process *p = t->process;
    if (!loops(t)) return waits_for_mutex(t);
    // Without a handler, a process that a fork left without its parent's threads has nobody who could write the word.
    return t->loop->locks || (p->child_of_threaded && !signal_could_help(p));
}

static void word_piece(struct batch *b, struct task *t, uint64_t address, size_t size, bool atomic) {
    uint64_t value = 0;
    if (!tracee_read(t->tid, t->mm->mem_fd, address, &value, size)) return;
    batch_piece(b, PIECE_VALUE, 0);
    memcpy(batch_last(b)->v, (uint64_t[]){address, value, size, atomic}, 4 * sizeof(uint64_t));
}

// The child that a wait4 or waitid waits for, 0: any of several.
static uint64_t awaited(const struct task *t) {
    if (t->nr == SYS_wait4) return (int)t->args[0] > 0 ? t->args[0] : 0;
    return t->args[0] == P_PID ? t->args[1] : 0;
}

static void log_stuck(struct recorder *r, const struct candidate *c, bool main, bool proved) {
    struct task *t = c->task;
    struct batch b;
    batch_init(&b, EV_STUCK, t);
    b.e.nr = c->kind == WAIT_SPIN ? -1 : (int32_t)t->nr;
    b.e.aux = main;
    if (proved) b.e.flags |= EVF_PROVED;
    batch_piece(&b, PIECE_WAIT, 0);
    struct piece *p = batch_last(&b);
    p->v[0] = c->kind;
    p->v[1] = c->kind == WAIT_CHILD                            ? awaited(t)
              : c->kind == WAIT_FUTEX || c->kind == WAIT_TIMED ? t->args[0]
                                                               : 0;
    if (c->kind == WAIT_FUTEX) word_piece(&b, t, t->args[0], 4, false);
    if (loops(t)) {
        const struct loop *l = t->loop;
        p->v[3] = l->seen;
        for (int i = 0; i < l->word_count; i++)
            word_piece(&b, t, l->words[i].address, l->words[i].size, l->words[i].atomic);
    }
    batch_log(r, t, &b);
}

static void found(struct recorder *r, struct candidate *all, size_t n) {
    // The one to name: a child that was forked by a threaded process, before a parent that only waits for its
    // child.
    struct candidate *best = NULL;
    bool proved = true;
    for (size_t i = 0; i < n; i++) {
        if (!all[i].stuck) continue;
        if (!best || (best->kind == WAIT_CHILD && all[i].kind != WAIT_CHILD) ||
            (!best->task->process->child_of_threaded && all[i].task->process->child_of_threaded))
            best = &all[i];
    }
    for (size_t i = 0; i < n; i++)
        if (all[i].stuck && all[i].task->process == best->task->process &&
            (signal_could_help(all[i].task->process) || (loops(all[i].task) && !all[i].task->loop->fixed)))
            proved = false;
    bool others_move = false;
    for (struct task *t = r->tasks; t; t = t->next) {
        bool stuck = false;
        for (size_t i = 0; i < n; i++)
            stuck |= all[i].task == t && all[i].stuck;
        others_move |= !stuck;
    }
    // Somebody may wait on a semaphore or a condition until a process that still moves kills it: that is no
    // deadlock. Nobody waits so on a mutex. Without a handler a signal could only end the process, not its
    // wait: proved all the same.
    if (others_move && !waits_for_lock(best->task)) return;
    // With a handler a signal from outside might be what is waited for; said, as *likely*, only of a child that a fork left
    // without threads that its parent had.
    if (!proved && !best->task->process->child_of_threaded) return;
    if (r->unlogged) log_unlogged_entry(r);
    for (size_t i = 0; i < n; i++) {
        if (!all[i].stuck || all[i].task->stuck_logged) continue;
        all[i].task->stuck_logged = true;
        log_stuck(r, &all[i], &all[i] == best, proved);
    }
    r->result->stuck = true;
    r->result->proved = proved;
    r->result->stuck_pid = best->task->process->pid;
    r->result->stuck_tid = best->task->tid;
    if (!r->options->keep_going) r->stop_all = true;
}

// A process with a task that does anything but sleep in such a call is not stuck: the cheap test that comes first.
static bool whole_process_waits(struct recorder *r, const struct process *p) {
    for (struct task *t = r->tasks; t; t = t->next) {
        if (t->process != p) continue;
        bool waits = t->nr == SYS_futex || t->nr == SYS_wait4 || t->nr == SYS_waitid;
        bool asleep = t->state == TASK_IN_KERNEL && t->in_syscall && waits;
        if ((!asleep && !loops(t)) || t->stuck_logged) return false;
    }
    return true;
}

void stuck_check(struct recorder *r, struct task *asleep) {
    if (asleep && !whole_process_waits(r, asleep->process)) return;
    size_t count = 0, waiting = 0;
    for (struct task *t = r->tasks; t; t = t->next) {
        count++;
        bool calls = t->nr == SYS_futex || t->nr == SYS_wait4 || t->nr == SYS_waitid;
        waiting += !t->stuck_logged && (loops(t) || (t->state == TASK_IN_KERNEL && t->in_syscall && calls));
    }
    if (!waiting) return;
    struct candidate *all = calloc(count, sizeof *all);
    size_t n = 0;
    for (struct task *t = r->tasks; t; t = t->next) {
        enum wait_kind k = wait_of(r, t);
        if (k != WAIT_OUTSIDE)
            all[n++] = (struct candidate){t, k, true,
                                          loops(t) ? t->loop->shared : k == WAIT_FUTEX && word_is_shared(t)};
    }
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < n; i++)
            if (all[i].stuck && can_be_woken(r, &all[i], all, n)) {
                all[i].stuck = false;
                changed = true;
            }
    }
    bool any = false;
    for (size_t i = 0; i < n; i++)
        any |= all[i].stuck && all[i].kind != WAIT_CHILD;
    if (any) found(r, all, n);
    free(all);
}
