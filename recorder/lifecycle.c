#include "recorder/lifecycle.h"

#include "core/array.h"
#include "core/futex.h"
#include "recorder/answers.h"
#include "recorder/cpus.h"
#include "recorder/log.h"
#include "recorder/mappings.h"
#include "recorder/hooks.h"
#include "recorder/signals.h"
#include "recorder/run.h"

#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef CLONE_CLEAR_SIGHAND
#define CLONE_CLEAR_SIGHAND 0x100000000ull
#endif

// ---- clone, clone3, fork, vfork

struct clone_request {
    uint64_t flags, parent_tid, child_tid, pidfd;
};

static struct clone_request clone_request(struct task *t) {
    struct clone_request q = {0};
    switch (t->call.nr) {
    case SYS_fork:
        break;
    case SYS_vfork:
        q.flags = CLONE_VM | CLONE_VFORK;
        break;
    case SYS_clone: // x86-64: flags, stack, parent_tid, child_tid, tls
        q.flags = t->call.args[0];
        q.parent_tid = q.pidfd = t->call.args[2];
        q.child_tid = t->call.args[3];
        break;
    case SYS_clone3: {
        struct clone_args a = {0};
        size_t size = t->call.args[1] < sizeof a ? t->call.args[1] : sizeof a;
        tracee_read(t->tid, t->mm->mem_fd, t->call.args[0], &a, size);
        q.flags = a.flags;
        q.parent_tid = a.parent_tid;
        q.child_tid = a.child_tid;
        q.pidfd = a.pidfd;
        break;
    }
    }
    return q;
}

uint64_t task_birth_flags(struct task *t) {
    struct clone_args a = {0};
    if (t->call.nr == SYS_fork) return SIGCHLD;
    if (t->call.nr == SYS_vfork) return CLONE_VM | CLONE_VFORK | SIGCHLD;
    if (t->call.nr == SYS_clone) return t->call.args[0];
    if (t->call.nr != SYS_clone3) return 0;
    size_t size = t->call.args[1] < sizeof a ? t->call.args[1] : sizeof a;
    tracee_read(t->tid, t->mm->mem_fd, t->call.args[0], &a, size);
    return a.flags | (a.exit_signal & CSIGNAL) | (t->untraced_poked ? CLONE_UNTRACED : 0);
}

bool task_forks(struct task *t) {
    return !(clone_request(t).flags & CLONE_VM);
}

static int tasks_of(struct recorder *r, struct process *p) {
    int n = 0;
    for (struct task *t = r->tasks; t; t = t->next)
        n += t->process == p;
    return n;
}

static struct process *process_for(struct recorder *r, struct task *parent, int tid,
                                   const struct clone_request *q) {
    if (q->flags & CLONE_THREAD) return parent->process;
    struct process *p = calloc(1, sizeof *p);
    rf_assert(p);
    p->pid = tid;
    p->parent_pid = q->flags & CLONE_PARENT ? parent->process->parent_pid : parent->process->pid;
    p->child_of_threaded = !(q->flags & CLONE_VM) && tasks_of(r, parent->process) > 1;
    p->next = r->processes;
    r->processes = p;
    if (q->flags & CLONE_SIGHAND) {
        p->sighand = parent->process->sighand;
        p->sighand->refs++;
        return p;
    }
    p->sighand = malloc(sizeof *p->sighand);
    *p->sighand = *parent->process->sighand;
    p->sighand->refs = 1;
    if (q->flags & CLONE_CLEAR_SIGHAND)
        for (int s = 1; s < 65; s++)
            if (p->sighand->handler[s] > 1) p->sighand->handler[s] = 0;
    return p;
}

static void remember_forker(struct task *c, const struct task *forker) {
    c->was = calloc(forker->was_count + 1, sizeof *c->was);
    rf_assert(c->was);
    c->was_count = forker->was_count + 1;
    if (forker->was_count) memcpy(c->was, forker->was, forker->was_count * sizeof *c->was);
    c->was[forker->was_count] = forker->tid;
}

// t is at its PTRACE_EVENT_CLONE, FORK or VFORK stop: waits for the child's first stop and logs its birth.
static void born(struct recorder *r, struct task *t) {
    unsigned long tid = 0;
    ptrace(PTRACE_GETEVENTMSG, t->tid, 0, &tid);
    int status;
    while (waitpid((pid_t)tid, &status, __WALL) < 0)
        if (errno != EINTR) return; // ECHILD: killed before it began, and reaped: nobody will ever know it
    struct clone_request q = clone_request(t);
    struct process *p = process_for(r, t, (int)tid, &q);
    struct mm *mm = t->mm;
    if (q.flags & CLONE_VM)
        mm->refs++;
    else {
        mm = mm_new(r, (int)tid);
        mm_fork(mm, t->mm);
    }
    struct task *c = task_new(r, (int)tid, p, mm);
    c->fds = q.flags & CLONE_FILES ? fdtable_ref(t->fds) : fdtable_clone(t->fds);
    memcpy(c->name, t->name, sizeof c->name);
    c->own_cpus = t->own_cpus;
    cpus_inherit_policy(t, c);
    memcpy(c->cpus, t->cpus, sizeof c->cpus);
    c->mask = t->mask;
    c->tsc_forbidden = t->tsc_forbidden;
    c->addresses = t->addresses;
    if (q.flags & CLONE_NEWPID) r->pid_namespaces = true;
    if (r->pid_namespaces) task_read_names(c);
    if (!(q.flags & CLONE_THREAD)) p->first_of_namespace = c->names.depth && task_tid_for(c, c) == 1;
    hooks_born(r, t, c);
    if (!(q.flags & CLONE_VM)) clone3_as_it_was(t, c);
    if (!(q.flags & CLONE_VM) && t->process->refs > 1) r->result->threaded_fork = true;
    if (!(q.flags & CLONE_THREAD)) remember_forker(c, t);
    if (q.flags & CLONE_CHILD_CLEARTID) c->clear_tid = q.child_tid;
    // Killed before its first instruction: born and dead all the same.
    if (!WIFSTOPPED(status) || status >> 16 != PTRACE_EVENT_STOP) leave_stop(c, status);
    struct batch b;
    batch_init(r, &b, EV_BIRTH, t);
    b.e.ret = (int64_t)tid;
    b.e.aux = (uint64_t)p->pid;
    if (q.flags & CLONE_VM) b.e.flags |= EVF_VM;
    if (q.flags & CLONE_THREAD) b.e.flags |= EVF_THREAD;
    struct user_regs_struct regs;
    if (!tracee_get_regs(c->tid, &regs)) {
        regs = t->call.regs;
        regs.rax = 0;
    }
    batch_regs(&b, &regs);
    set_landmark(c, &regs);
    if (c->names.depth) {
        batch_piece(&b, PIECE_INSIDE, 0);
        batch_last(&b)->inside.tid = (uint64_t)task_tid_for(c, c);
    }
    if (q.flags & CLONE_PARENT_SETTID) batch_mem(&b, t, PIECE_MEM, q.parent_tid, 4);
    if (q.flags & CLONE_PIDFD) batch_mem(&b, t, PIECE_MEM, q.pidfd, 4);
    if (q.flags & CLONE_CHILD_SETTID) batch_mem(&b, c, PIECE_CHILDMEM, q.child_tid, 4);
    batch_log(r, t, &b);
    if (!(q.flags & CLONE_VM)) hooks_forked(r, t, c);
}

void task_hold_at_entry(struct recorder *r, struct task *t) {
    log_deferred_entry(r);
    t->state = TASK_READY;
    t->at_landmark = t->held_at_entry = true;
}

void task_clone(struct recorder *r, struct task *t) {
    t->held_at_entry = false;
    if (r->deferred == t) log_deferred_entry(r);
    int status;
    if (!run_undisturbed(r, t, PTRACE_SYSCALL, 0, &status)) return;
    int event = status >> 16;
    if (event != PTRACE_EVENT_CLONE && event != PTRACE_EVENT_FORK && event != PTRACE_EVENT_VFORK) {
        leave_stop(t, status); // refused (EAGAIN), or killed
        return;
    }
    born(r, t);
    if (clone_request(t).flags & CLONE_VFORK) { // asleep until the child execs or ends
        t->state = TASK_IN_KERNEL;
        ptrace(PTRACE_SYSCALL, t->tid, 0, 0);
        return;
    }
    if (run_undisturbed(r, t, PTRACE_SYSCALL, 0, &status)) leave_stop(t, status);
}

// ---- exec

static void exec_text(struct batch *b, struct task *t) {
    char path[64], text[4096];
    snprintf(path, sizeof path, "/proc/%d/exe", t->tid);
    ssize_t n = readlink(path, text, sizeof text);
    if (n > 0) batch_text(b, TEXT_PATH, text, (size_t)n);
    snprintf(path, sizeof path, "/proc/%d/comm", t->tid);
    FILE *f = fopen(path, "re");
    memset(t->name, 0, sizeof t->name);
    if (f && fgets(text, sizeof text, f)) {
        text[strcspn(text, "\n")] = 0;
        memcpy(t->name, text, strnlen(text, sizeof t->name - 1));
        batch_text(b, TEXT_NAME, t->name, strlen(t->name));
    }
    if (f) fclose(f);
    snprintf(path, sizeof path, "/proc/%d/cmdline", t->tid);
    f = fopen(path, "re");
    char *arg = NULL;
    size_t size = 0;
    while (f && (n = getdelim(&arg, &size, 0, f)) > 0)
        batch_text(b, TEXT_ARG, arg, strnlen(arg, (size_t)n));
    free(arg);
    if (f) fclose(f);
}

void exec_image(struct recorder *r, struct task *t) {
    // Before the exit stop of execve the kernel would still overwrite rax.
    int status;
    bool stopped = run_undisturbed(r, t, PTRACE_SYSCALL, 0, &status);
    t->call.inside = false;
    if (!stopped) return;
    if (WIFSTOPPED(status) && status >> 16 == PTRACE_EVENT_EXIT) {
        leave_stop(t, status);
        return;
    }
    struct batch b;
    batch_init(r, &b, EV_EXEC, t);
    struct user_regs_struct regs;
    if (!tracee_get_regs(t->tid, &regs)) return;
    canonical_regs(&regs);
    exec_text(&b, t);
    annex_map(r, t, &b);
    image_exec_maps(r, t, &b);
    struct rlimit stack = {8 << 20, 8 << 20};
    prlimit(t->tid, RLIMIT_STACK, NULL, &stack);
    batch_piece(&b, PIECE_LIMIT, 0);
    batch_last(&b)->limit.stack = stack.rlim_cur;
    batch_regs(&b, &regs);
    batch_xstate(r, &b, t);
    b.e.nr = SYS_execve;
    b.e.aux = (uint64_t)t->former_tid;
    set_landmark(t, &regs);
    batch_log(r, t, &b);
    hooks_exec(r, t);
}

static struct task *exec_done(struct recorder *r, struct task *t) {
    // A thread that is not the leader takes over the leader's TID; all others are gone.
    struct process *p = t->process;
    unsigned long former = 0;
    ptrace(PTRACE_GETEVENTMSG, p->pid, 0, &former);
    t->former_tid = (int)former;
    for (struct task *o = r->tasks, *next; o; o = next) {
        next = o->next;
        if (o->process == p && o != t) task_ended(r, o, 0);
    }
    t->tid = p->pid;
    scratch_release(t);
    struct mm *before = t->mm;
    t->mm = mm_new(r, t->tid);
    mdwe_inherit(t->mm, before);
    mm_unref(before);
    t->clear_tid = t->robust_list = 0;
    t->call.redirect_count = 0;
    t->fds = fdtable_exec(t->fds);
    p->child_of_threaded = false;        // a new program misses nobody
    p->timers &= ~(unsigned)TIMER_POSIX; // exec keeps the others
    sighand_exec(t);
    return t;
}

void task_exec(struct recorder *r, struct task *t) {
    log_deferred_entry(r);
    if (!resume(r, t, PTRACE_SYSCALL, 0)) return;
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, __WALL);
        if (pid < 0 && errno == EINTR) continue;
        if (pid < 0) {
            task_ended(r, t, 0);
            return;
        }
        if (WIFSTOPPED(status) && status >> 16 == PTRACE_EVENT_EXEC && pid == t->process->pid) {
            exec_done(r, t);
            exec_image(r, t);
            return;
        }
        if (pid == t->tid &&
            !(WIFSTOPPED(status) && status >> 16 == PTRACE_EVENT_EXIT && pid != t->process->pid)) {
            leave_stop(t, status); // the call failed, or a signal ended it
            return;
        }
        struct task *o = task_find(r, pid);
        if (!o) continue;
        if (o->process != t->process || (WIFSTOPPED(status) && status >> 16 != PTRACE_EVENT_EXIT)) {
            leave_stop(o, status); // a sibling's return as well: the call may fail, and then it goes on
        } else if (WIFSTOPPED(status)) {
            ptrace(PTRACE_CONT, pid, 0, 0); // a sibling on its way out
        } else if (o != t) {
            task_ended(r, o, status);
        }
    }
}

// ---- the end of a task

// The words of a robust list that the kernel may mark OWNER_DIED (kernel/futex/core.c, exit_robust_list): at
// most 2048 entries, plus the pending one.
static size_t robust_words(struct task *t, uint64_t *out, size_t max) {
    struct robust_list_head head;
    size_t n = 0;
    if (!t->robust_list || !tracee_read(t->tid, t->mm->mem_fd, t->robust_list, &head, sizeof head)) return 0;
    uint64_t at = (uint64_t)head.list.next & ~1ull;
    for (int i = 0; i < 2048 && at != t->robust_list && n < max; i++) {
        out[n++] = at + (uint64_t)head.futex_offset;
        if (!tracee_read(t->tid, t->mm->mem_fd, at, &at, 8)) break;
        at &= ~1ull; // bit 0: PI
    }
    uint64_t pending = (uint64_t)head.list_op_pending & ~1ull;
    if (pending && n < max) out[n++] = pending + (uint64_t)head.futex_offset;
    return n;
}

// Lets t die from its exit stop and waits until it is gone (a leader whose threads live on becomes a zombie
// that waitpid does not tell of).
static int bury(struct task *t, bool threads_left) {
    int status = 0;
    ptrace(PTRACE_CONT, t->tid, 0, 0);
    bool leader = t->tid == t->process->pid;
    for (;;) {
        pid_t got = waitpid(t->tid, &status, __WALL | (leader && threads_left ? WNOHANG : 0));
        if (got == t->tid) {
            if (!WIFSTOPPED(status)) return status;
            ptrace(PTRACE_CONT, t->tid, 0, 0);
            continue;
        }
        if (got < 0 && errno != EINTR) return status;
        if (got == 0) {
            if (task_state_letter(t->tid) == 'Z') return status;
            sched_yield();
        }
    }
}

// The last user of an address space takes it along, so what the kernel makes of robust mutexes, which may lie
// in memory shared with other processes, is worked out beforehand (handle_futex_death: only words with this
// TID; WAITERS stays, OWNER_DIED is set).
static void foresee(struct task *t) {
    uint64_t words[2049];
    size_t n = robust_words(t, words, 2048);
    t->dying_count = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t word;
        if (!tracee_read(t->tid, t->mm->mem_fd, words[i], &word, 4)) continue;
        if ((word & FUTEX_TID_MASK) != (uint32_t)task_tid_for(t, t)) continue;
        array_push(t->dying, t->dying_count, (struct dying_word){words[i], futex_orphaned(word)});
    }
}

static void dying_pieces(const struct task *t, struct batch *b) {
    for (size_t i = 0; i < t->dying_count; i++) {
        memcpy(batch_piece(b, PIECE_MEM, 4), &t->dying[i].value, 4);
        batch_last(b)->mem.address = t->dying[i].address;
    }
}

// Nobody else runs until the signal has been sent, so what is read now is what the kernel will find.
void tasks_foresee_ends(struct recorder *r, const struct task *killer) {
    for (struct task *o = r->tasks; o; o = o->next)
        if (o->process != killer->process && o->robust_list) foresee(o);
}

void task_ended_unseen(struct recorder *r, struct task *t, int status) {
    struct batch b;
    batch_init(r, &b, EV_DEATH, t);
    b.e.ret = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
    if (WIFSIGNALED(status)) b.e.flags |= EVF_KILLED;
    if (t->process->refs == 1) b.e.flags |= EVF_LAST;
    dying_pieces(t, &b);
    if (r->deferred == t) r->deferred = NULL;
    batch_log(r, t, &b);
    task_ended(r, t, status);
}

static void log_death(struct recorder *r, struct task *t, int code, const uint64_t *words, size_t n,
                      struct batch *given) {
    struct batch b;
    if (given)
        b = *given;
    else
        batch_init(r, &b, EV_DEATH, t);
    b.e.ret = WIFSIGNALED(code) ? WTERMSIG(code) : WEXITSTATUS(code);
    if (WIFSIGNALED(code)) b.e.flags |= EVF_KILLED;
    if (t->process->refs == 1) b.e.flags |= EVF_LAST;
    for (size_t i = 0; i < n; i++)
        batch_mem(&b, t, PIECE_MEM, words[i], 4);
    if (r->deferred == t) log_deferred_entry(r);
    batch_log(r, t, &b);
}

static bool goes_along(const struct task *first, const struct task *t) {
    if (t->process == first->process || t->names.depth < first->names.depth) return false;
    return t->names.depth > first->names.depth || t->names.own == first->names.own;
}

static bool any_goes_along(const struct recorder *r, const struct task *first) {
    for (const struct task *o = r->tasks; o; o = o->next)
        if (goes_along(first, o)) return true;
    return false;
}

// The first process of a PID namespace takes all others along: the kernel kills them when the last thread of it ends, and that
// end waits for theirs (zap_pid_ns_processes). `first` and its threads are on their way out.
static void bury_namespace(struct recorder *r, const struct task *first) {
    for (const struct task *o = r->tasks; o; o = o->next)
        if (o->process == first->process) ptrace(PTRACE_CONT, o->tid, 0, 0);
    while (any_goes_along(r, first)) {
        int status;
        pid_t pid = waitpid(-1, &status, __WALL);
        if (pid < 0 && errno == EINTR) continue;
        if (pid < 0) return;
        struct task *o = task_find(r, pid);
        if (!o) continue;
        bool along = goes_along(first, o);
        if (along && !WIFSTOPPED(status)) {
            log_death(r, o, status, NULL, 0, NULL);
            task_ended(r, o, status);
        } else if (along || o->process == first->process) {
            ptrace(PTRACE_CONT, pid, 0, 0);
        } else {
            leave_stop(o, status);
        }
    }
}

// The kernel shields such a process from signals without a handler, and lifts that at a fault only where nobody traces it
// (force_sig_info_to_task): traced, it would come to the same fault for ever.
void task_fault_ends(struct recorder *r, struct task *t) {
    int sig = t->inject_signal;
    t->inject_signal = 0;
    if (t->process->refs > 1) { // its threads are traced: another signal, for which that does not matter
        kill(t->process->pid, SIGKILL);
        return;
    }
    ptrace(PTRACE_DETACH, t->tid, 0, 0);
    bury_namespace(r, t);
    for (char state; (state = task_state_letter(t->tid)) && state != 'Z';)
        sched_yield();
    log_death(r, t, sig, NULL, 0, NULL);
    task_ended(r, t, sig);
}

void task_exit_stop(struct recorder *r, struct task *t) {
    struct process *p = t->process;
    unsigned long code = 0;
    ptrace(PTRACE_GETEVENTMSG, t->tid, 0, &code);
    bool alone = t->call.inside && t->call.nr == SYS_exit && p->refs > 1;
    uint64_t words[2049];
    size_t n = t->mm->refs > 1 ? robust_words(t, words, 2048) : 0;
    if (t->mm->refs > 1 && t->clear_tid) words[n++] = t->clear_tid;
    if (alone) {
        bury(t, true);
        log_death(r, t, (int)code, words, n, NULL);
        // A dead leader stays waitable until its threads are gone; nobody asks for it again.
        task_ended(r, t, (int)code);
        return;
    }
    struct batch b;
    batch_init(r, &b, EV_DEATH, t);
    for (struct task *o = r->tasks; o; o = o->next)
        if (o->process == p && o->robust_list) {
            foresee(o);
            dying_pieces(o, &b);
        }
    // The whole process ends. Its other threads have been killed and stop on their way out, wherever they
    // were; the leader is told of last.
    ptrace(PTRACE_CONT, t->tid, 0, 0);
    if (p->first_of_namespace) bury_namespace(r, t);
    for (struct task *o = r->tasks, *next; o; o = next) {
        next = o->next;
        if (o->process != p || o == t || o->tid == p->pid) continue;
        bury(o, false);
        log_death(r, o, (int)code, NULL, 0, NULL);
        task_ended(r, o, (int)code);
        next = r->tasks;
    }
    int status = (int)code;
    if (t->tid != p->pid) {
        bury(t, false);
        struct task *leader = task_find(r, p->pid);
        log_death(r, t, (int)code, words, n, &b);
        task_ended(r, t, status);
        if (!leader) {
            while (waitpid(p->pid, &status, __WALL) < 0 && errno == EINTR)
                continue;
            return;
        }
        status = bury(leader, false);
        log_death(r, leader, status, NULL, 0, NULL);
        task_ended(r, leader, status);
        return;
    }
    status = bury(t, false);
    log_death(r, t, status, words, n, &b);
    task_ended(r, t, status);
}
