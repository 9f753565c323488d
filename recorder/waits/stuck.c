// Who waits for ever? A task is stuck when nothing outside and no task that is not stuck itself can end its
// wait: the greatest set of waiting tasks that is closed under "who could end it".
#include "recorder/waits/stuck.h"

#include "core/array.h"
#include "core/elf/elf_module.h"
#include "core/futex.h"
#include "core/proc_maps.h"
#include "core/calls/syscalls.h"
#include "recorder/log.h"
#include "recorder/hooks.h"
#include "recorder/end/served.h"
#include "recorder/waits/file_waits.h"
#include "recorder/waits/second_look.h"
#include "recorder/waits/shared_memory.h"
#include "recorder/waits/state.h"
#include "recorder/waits/wait_loop.h"
#include "recorder/waits/word_owner.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// It has been told of.
static bool said(const struct task *t) {
    return t->loop && t->loop->stuck_logged;
}

static enum wait_kind wait_of(struct recorder *r, struct task *t) {
    if (loop_known(t)) return loop_current(r, t) && !loop_disturbed(t) ? t->loop->kind : WAIT_OUTSIDE;
    if (t->state != TASK_IN_KERNEL || !t->call.inside) return WAIT_OUTSIDE;
    if (task_state_letter(t->tid) != 'S') return WAIT_OUTSIDE;
    switch (syscall_wait(t->call.nr)) {
    case WAITS_FUTEX:
        return futex_waits_endlessly(t->call.args) ? WAIT_FUTEX : WAIT_OUTSIDE;
    case WAITS_CHILD:
        return syscall_may_block(t->call.nr, t->call.args) ? WAIT_CHILD : WAIT_OUTSIDE;
    default:
        return WAIT_OUTSIDE;
    }
}

static enum reach word_reach(struct recorder *r, const struct task *t) {
    if ((int)t->call.args[1] & FUTEX_PRIVATE_FLAG) return REACH_OWN;
    return shared_memory_reach(r, t->tid, t->call.args[0]);
}

// The process id of the child that t waits for; 0: any.
static int awaited_child(struct recorder *r, const struct task *t) {
    int want = loop_known(t) ? t->loop->child : syscall_awaited_child(t->call.nr, t->call.args);
    const struct task *named = want && t->names.depth ? task_called(r, t, want) : NULL;
    return named ? named->process->pid : want;
}

static bool attached_to(struct recorder *r, const struct task *t, const struct process *p) {
    for (const struct task *o = r->tasks; o && r->any_traced; o = o->next)
        if (o->process == p && o->traced.by == t->process->pid) return true;
    return false;
}

static bool child_matches(struct recorder *r, const struct task *t, const struct process *child) {
    if (child->parent_pid != t->process->pid && !attached_to(r, t, child)) return false;
    int want = awaited_child(r, t);
    return !want || child->pid == want; // (of a process group any child might be)
}

struct candidate {
    struct task *task;
    enum wait_kind kind;
    bool stuck, shared, named; // named: anybody could map the memory that its word is in, though nobody has
    bool idle;                 // it sleeps for nobody: never told of, but nobody is helped by it either
    struct file_wait *files;   // in stuck_set.waits
};

// The tasks that may wait for ever.
struct stuck_set {
    struct candidate *all;
    size_t count;
    struct file_wait *waits;
    struct file_ends ends;
};

static const struct candidate *stuck_one(const struct stuck_set *s, const struct task *t) {
    for (size_t i = 0; i < s->count; i++)
        if (s->all[i].task == t && s->all[i].stuck) return &s->all[i];
    return NULL;
}

// (A timer's signal ends it at last, or runs a handler.)
static bool process_moves(struct recorder *r, const struct process *p, const struct stuck_set *s) {
    if (p->timers) return true;
    for (struct task *t = r->tasks; t; t = t->next)
        if (t->process == p && !stuck_one(s, t)) return true;
    return false;
}

static bool child_moves(struct recorder *r, const struct task *t, const struct stuck_set *s) {
    bool any = false;
    for (struct process *p = r->processes; p; p = p->next) {
        if (!child_matches(r, t, p)) continue;
        any = true;
        if (process_moves(r, p, s)) return true;
    }
    return !any; // no such child: the call is about to fail
}

static bool anybody_moves(struct recorder *r, const struct stuck_set *s) {
    for (struct task *t = r->tasks; t; t = t->next)
        if (!stuck_one(s, t)) return true;
    return false;
}

// Somebody has an fd with which to write, read, unlock, close or end.
static bool files_move(struct recorder *r, const struct file_wait *w, const struct stuck_set *s) {
    for (int i = 0; i < w->count; i++) {
        bool any = false;
        for (size_t k = 0; k < s->ends.count; k++) {
            const struct file_end *e = &s->ends.all[k];
            if (e->file != &w->all[i]) continue;
            any |= e->far;
            if (!e->process || process_moves(r, e->process, s)) return true;
        }
        // A number is all that it takes to use these.
        if (w->all[i].kind == FILE_SYSV) any = !anybody_moves(r, s);
        if (!any) return true; // closed meanwhile: the call is about to return
    }
    return false;
}

static bool can_be_woken(struct recorder *r, const struct candidate *c, const struct stuck_set *s) {
    if (second_look_says(c->task)) return false;
    if (c->idle) return syscall_wait(c->task->call.nr) == WAITS_EPOLL && anybody_moves(r, s);
    if (c->kind == WAIT_CHILD && child_moves(r, c->task, s)) return true;
    if (c->kind == WAIT_CHILD && !loop_known(c->task)) return false;
    if (c->files) return files_move(r, c->files, s);
    for (struct task *t = r->tasks; t; t = t->next)
        if (t != c->task && (t->mm == c->task->mm || c->shared) && !stuck_one(s, t)) return true;
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

// Does t sleep without anything that it sleeps for? A signal alone could end that; without a handler it ends the process instead. Who
// has an empty set of epoll may add a file to it.
static bool idles(struct recorder *r, const struct task *t, bool files) {
    if (t->state != TASK_IN_KERNEL || !t->call.inside || loop_known(t) || t->process->timers) return false;
    const bool by_signal = t->call.nr == SYS_pause || t->call.nr == SYS_rt_sigsuspend;
    const bool empty_set = files && !r->waits->fds_passed && syscall_wait(t->call.nr) == WAITS_EPOLL;
    if (!by_signal && (syscall_has_timeout(t->call.nr, t->call.args) ||
                       (!empty_set && !syscall_only_sleeps(t->call.nr, t->call.args))))
        return false;
    if (signal_could_help(t->process) || task_state_letter(t->tid) != 'S') return false;
    return !empty_set || file_wait_of_no_file(t);
}

// lll_lock and pthread mutexes wait with FUTEX_WAIT for a value that means "held"; semaphores, conditions,
// rwlocks and barriers with FUTEX_WAIT_BITSET (glibc's futex-internal.h), semaphores for 0.
static bool waits_for_mutex(const struct task *t) {
    int op = futex_operation(t->call.args);
    if (t->call.nr != SYS_futex) return false;
    return futex_takes_lock(t->call.args) || (op == FUTEX_WAIT && t->call.args[2]) ||
           (op == FUTEX_WAIT_BITSET && word_of_rwlock(t));
}

// ---- Go

static bool is_go_program(int pid) {
    char path[64];
    struct stat st;
    bool yes = false;
    snprintf(path, sizeof path, "/proc/%d/exe", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    void *image = MAP_FAILED;
    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0)
        image = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (fd >= 0) close(fd);
    if (image == MAP_FAILED) return false;
    struct elf_module *m = elf_module_parse(image, (size_t)st.st_size);
    if (m) {
        yes = elf_module_is_go(m);
        elf_module_free(m);
    }
    munmap(image, (size_t)st.st_size);
    return yes;
}

static bool made_by_go(struct recorder *r, const struct task *t) {
    struct waits *w = r->waits;
    for (size_t i = w->go_count; i-- > 0;)
        if (w->go[i].mm == t->mm->id) return w->go[i].yes;
    bool yes = is_go_program(t->process->pid);
    array_push(w->go, w->go_count, (struct go_program){t->mm->id, yes});
    return yes;
}

// In the program's own code, not in a C library.
static bool in_own_program(struct task *t) {
    char path[64], exe[4096];
    struct proc_maps maps;
    struct proc_map map;
    snprintf(path, sizeof path, "/proc/%d/exe", t->tid);
    ssize_t n = readlink(path, exe, sizeof exe - 1);
    if (n <= 0) return false;
    exe[n] = 0;
    bool own = false;
    proc_maps_open(&maps, t->tid);
    while (!own && proc_maps_next(&maps, &map))
        own = t->call.regs.rip >= map.start && t->call.regs.rip < map.end && !strcmp(map.name, exe);
    proc_maps_close(&maps);
    return own;
}

// Go's runtime parks its threads in futex calls, and needs them all: a child that a fork left without them does nothing
// on purpose but to call exec. When its last thread is parked as well, nobody is left to hand work to it.
static bool parked_by_go(struct recorder *r, struct task *t) {
    return t->process->child_of_threaded && t->call.nr == SYS_futex && made_by_go(r, t) && in_own_program(t);
}

// Does it wait as nobody does who idles until a process that still moves ends him?
static bool waits_for_lock(struct recorder *r, struct task *t) {
    const struct process *p = t->process;
    if (hooks_lock_is_lost(r, t)) return true;
    enum syscall_wait wait = syscall_wait(t->call.nr);
    if (!loop_known(t))
        return waits_for_mutex(t) || wait == WAITS_FLOCK || wait == WAITS_FCNTL || parked_by_go(r, t);
    // Without a handler, a process that a fork left without its parent's threads has nobody who could write the word.
    return t->loop->locks || (p->child_of_threaded && !signal_could_help(p));
}

static void word_piece(struct batch *b, struct task *t, uint64_t address, size_t size, bool atomic) {
    uint64_t value = 0;
    if (!tracee_read(t->tid, t->mm->mem_fd, address, &value, size)) return;
    batch_piece(b, PIECE_WORD, 0);
    batch_last(b)->word = (struct piece_word){address, value, size, atomic};
}

static enum wait_kind wait_of_file(const struct awaited_file *f) {
    static const enum wait_kind kinds[] = {
        [FILE_PIPE] = WAIT_PIPE_READ, [FILE_SOCKET] = WAIT_SOCKET,  [FILE_EVENTFD] = WAIT_EVENTFD,
        [FILE_EPOLL] = WAIT_OUTSIDE,  [FILE_LOCK] = WAIT_FILE_LOCK, [FILE_SYSV] = WAIT_SYSV};
    return f->kind == FILE_PIPE && f->write ? WAIT_PIPE_WRITE : kinds[f->kind];
}

// Of several files, the first one.
static void file_pieces(struct batch *b, const struct stuck_set *s, const struct file_wait *w,
                        struct piece *wait) {
    wait->wait.object = (uint64_t)w->all[0].fd;
    wait->wait.id = w->all[0].id;
    for (size_t i = 0; i < s->ends.count; i++) {
        const struct file_end *e = &s->ends.all[i];
        if (e->file != &w->all[0] || !e->far || !e->process) continue;
        batch_piece(b, PIECE_PEER, 0);
        batch_last(b)->peer = (struct piece_peer){(uint64_t)e->process->pid, (uint64_t)e->fd};
    }
}

static void log_stuck(struct recorder *r, const struct stuck_set *s, const struct candidate *c, bool main,
                      bool proved) {
    struct task *t = c->task;
    struct batch b;
    batch_init(r, &b, EV_STUCK, t);
    b.e.nr = c->kind == WAIT_SPIN ? -1 : (int32_t)t->call.nr;
    b.e.aux = main;
    if (proved) b.e.flags |= EVF_PROVED;
    batch_piece(&b, PIECE_WAIT, 0);
    struct piece *p = batch_last(&b); // until the next piece
    p->wait.kind = c->kind;
    if (c->kind == WAIT_CHILD) p->wait.object = (uint64_t)awaited_child(r, t);
    if (c->kind == WAIT_FUTEX || c->kind == WAIT_TIMED) p->wait.object = t->call.args[0];
    if (loop_known(t)) p->wait.seen = t->loop->seen;
    if (c->kind == WAIT_FUTEX) word_piece(&b, t, t->call.args[0], 4, false);
    if (c->files) file_pieces(&b, s, c->files, p);
    for (int i = 0; loop_known(t) && i < t->loop->word_count; i++)
        word_piece(&b, t, t->loop->words[i].address, t->loop->words[i].size, t->loop->words[i].atomic);
    batch_log(r, t, &b);
}

// Who is named first: a waiter for a lock, whoever a fork left without its parent's threads, a reader of a pipe, and
// last a thread that may well have been idle. Whoever only waits for a child is never the cause.
static int rank_of(struct recorder *r, const struct candidate *c) {
    bool left_alone = c->task->process->child_of_threaded;
    if (second_look_says(c->task)) return 8;
    if (waits_for_lock(r, c->task)) return 6 + left_alone;
    if (c->files) return 3 + left_alone;
    return left_alone ? 5 : 1;
}

static const struct candidate *main_one(struct recorder *r, const struct stuck_set *s) {
    const struct candidate *best = NULL;
    int best_rank = 0;
    for (size_t i = 0; i < s->count; i++) {
        const struct candidate *c = &s->all[i];
        if (!c->stuck || c->idle || c->kind == WAIT_CHILD || said(c->task)) continue;
        if (rank_of(r, c) <= best_rank) continue;
        best = c;
        best_rank = rank_of(r, c);
    }
    return best;
}

static bool counts_on_idle(const struct stuck_set *s) {
    bool any = false;
    for (size_t i = 0; i < s->count; i++)
        any |= s->all[i].stuck && s->all[i].idle;
    return any;
}

// Threads that idle until somebody ends the program are no deadlock, and those that wait for work beside them neither. But for the thread
// that a fork left alone somebody waits, who never gets an answer.
static bool is_awaited_child(struct recorder *r, const struct stuck_set *s, const struct task *t) {
    bool awaited = false;
    for (size_t i = 0; i < s->count; i++)
        awaited |=
            s->all[i].stuck && s->all[i].kind == WAIT_CHILD && child_matches(r, s->all[i].task, t->process);
    return awaited && t->process->child_of_threaded && t->tid == t->process->pid;
}

// Whether to say it, and whether as proved.
static bool certain_enough(struct recorder *r, const struct stuck_set *s, const struct candidate *best,
                           bool *proved) {
    const struct process *p = best->task->process;
    bool counts = false, handler = signal_could_help(p), others_move = false, others_handle = false;
    for (struct task *t = r->tasks; t; t = t->next) {
        others_handle |= t->process != p && signal_could_help(t->process);
        // What a loop was seen to do is less certain than a call that sleeps: beside it whoever idles counts as one who goes on.
        const struct candidate *c = stuck_one(s, t);
        others_move |= !c || (c->idle && loop_known(best->task));
        counts |= t->process == p && loop_known(t) && !t->loop->fixed;
    }
    // A supervisor that waits for its child may tell it to stop when it is told so itself.
    // Its lock's holder proves it, whatever others do. A handler may release what somebody else holds.
    enum judged judged = second_look_says(best->task);
    if (judged) {
        *proved = judged == JUDGED_PROVED;
        return true;
    }
    *proved = !counts && !handler && (!others_handle || waits_for_lock(r, best->task));
    // Somebody may wait on a semaphore or a condition until a process that still moves kills it: that is no
    // deadlock. Nobody waits so on a mutex. Without a handler a signal could only end the process, not its
    // wait: proved all the same.
    if (others_move && !waits_for_lock(r, best->task)) return false;
    if (counts_on_idle(s) && !waits_for_lock(r, best->task)) {
        if (!is_awaited_child(r, s, best->task)) return false;
        *proved = false;
    }
    if (others_move && loop_known(best->task) && !best->task->loop->locks) *proved = false;
    // Nobody maps a file in order to unlock somebody else's mutex; a semaphore in it is there to be posted by others.
    if (best->named && !waits_for_lock(r, best->task)) *proved = false;
    // With a handler a signal from outside might be what is waited for; said, as *likely*, only of a child that a fork left
    // without threads that its parent had. The same goes for a loop that counts, but of one that takes a lock.
    if (handler || (counts && loop_known(best->task) && !best->task->loop->locks))
        return p->child_of_threaded;
    return true;
}

// All of them wait for each other, for nobody or for children, and it was not said: a handler might end that.
static void ask_about_handlers(struct recorder *r, const struct stuck_set *s, const struct candidate *best) {
    if (!signal_could_help(best->task->process)) return;
    for (struct task *t = r->tasks; t; t = t->next) {
        const struct candidate *c = stuck_one(s, t);
        if (t->process->timers) return; // a handler is about to run
        if (!c || loop_known(t) || (c->kind != WAIT_FUTEX && c->kind != WAIT_CHILD)) return;
    }
    for (size_t i = 0; i < s->count; i++)
        if (!s->all[i].idle) second_look_alone(s->all[i].task);
}

// ---- when to say it

// A task that waits for ever is told of together with those that come to wait for it: a parent on its way to waitpid.
// They get a moment, and on a machine that has no time for the recorder some rounds; who goes on working or polling does
// not hold it up for longer.
enum { SETTLE_US = 200000, SETTLE_ROUNDS = 16, SETTLE_MOST_US = 2000000, LOOK_AGAIN_US = 2000, LOOKS = 50 };

// Asleep in a call without a timeout, stopped, or held by the fork gate: that may last.
static bool stays_where_it_is(const struct recorder *r, const struct task *t) {
    if (t->state == TASK_JOB_STOPPED || hooks_hold(r, t)) return true;
    if (t->state != TASK_IN_KERNEL || !t->call.inside || task_state_letter(t->tid) != 'S') return false;
    return syscall_wait(t->call.nr) != WAITS_VFORK && !syscall_has_timeout(t->call.nr, t->call.args);
}

bool stuck_due(const struct recorder *r) {
    uint64_t waited = r->clock_us - r->waits->stuck_since_us;
    return r->waits->stuck_since_us &&
           ((waited >= SETTLE_US && r->waits->rounds >= SETTLE_ROUNDS) ||
            served_since(r, r->clock_us, r->waits->stuck_served_us) >= SETTLE_MOST_US);
}

static bool settled(struct recorder *r, const struct stuck_set *s) {
    if (!r->waits->stuck_since_us) {
        r->waits->stuck_since_us = r->clock_us ? r->clock_us : 1;
        r->waits->stuck_served_us = served_us(r, r->clock_us);
        r->waits->looks = r->waits->rounds = 0;
    }
    if (stuck_due(r)) return true;
    for (struct task *t = r->tasks; t; t = t->next)
        if (!stuck_one(s, t) && !said(t) && !stays_where_it_is(r, t)) return false;
    return true;
}

// It was due, and nobody is stuck just now. What loops may only be between two of its iterations.
static void not_now(struct recorder *r) {
    r->waits->stuck_since_us = r->waits->looks++ < LOOKS ? r->clock_us - SETTLE_US + LOOK_AGAIN_US : 0;
    r->waits->rounds = SETTLE_ROUNDS;
}

static void report(struct recorder *r, const struct stuck_set *s, const struct candidate *best, bool proved) {
    proved &= !r->refusals.count; // with an answer the program may go another way
    // The holder that the gate keeps has not shown how it frees the lock: of a word that is polled (a ticket's) only who
    // writes it later tells who is missed. The spin is looked at again at its next landmark.
    if (best->kind == WAIT_SPIN && hooks_release(r)) return;
    snprintf(r->result->stuck_for, sizeof r->result->stuck_for, "%s", word_owner_tells(r, best->task));
    if (r->deferred) log_deferred_entry(r);
    for (size_t i = 0; i < s->count; i++) {
        if (!s->all[i].stuck || s->all[i].idle || said(s->all[i].task)) continue;
        loop_of(s->all[i].task)->stuck_logged = true;
        log_stuck(r, s, &s->all[i], &s->all[i] == best, proved);
    }
    r->waits->stuck_since_us = 0;
    r->result->stuck = true;
    r->result->proved = proved;
    r->result->stuck_pid = best->task->process->pid;
    r->result->stuck_tid = best->task->tid;
    if (!r->options->keep_going) r->stop_all = true;
}

static bool sleeps_in_wait(const struct task *t) {
    enum syscall_wait wait = syscall_wait(t->call.nr);
    return t->state == TASK_IN_KERNEL && t->call.inside && (wait == WAITS_FUTEX || wait == WAITS_CHILD);
}

// A process with a task that does anything but wait so is not stuck: the cheap test that comes first.
static bool whole_process_waits(struct recorder *r, const struct process *p) {
    for (struct task *t = r->tasks; t; t = t->next)
        if (t->process == p && ((!sleeps_in_wait(t) && !loop_known(t) && !idles(r, t, true)) || said(t)))
            return false;
    return true;
}

static bool waits_for_files(struct recorder *r, struct task *t, struct file_wait *w) {
    bool asleep = t->state == TASK_IN_KERNEL && t->call.inside && task_state_letter(t->tid) == 'S';
    return asleep && file_wait_of(r, t, w);
}

// The greatest set. `files`: with waits for files, which cost a walk through /proc.
static void find(struct recorder *r, bool files, struct stuck_set *s) {
    size_t count = 0, waits = 0;
    for (struct task *t = r->tasks; t; t = t->next)
        count++;
    *s = (struct stuck_set){.all = calloc(count, sizeof *s->all),
                            .waits = files ? calloc(count, sizeof *s->waits) : NULL};
    for (struct task *t = r->tasks; t; t = t->next) {
        struct candidate c = {.task = t, .kind = wait_of(r, t), .stuck = true};
        if (files && c.kind == WAIT_OUTSIDE && !loop_known(t) && waits_for_files(r, t, &s->waits[waits])) {
            c.files = &s->waits[waits++];
            c.kind = wait_of_file(&c.files->all[0]);
            c.named = c.files->all[0].named;
        }
        enum reach reach = c.kind == WAIT_FUTEX ? word_reach(r, t) : REACH_OWN;
        if (reach == REACH_ANYBODY) c.kind = WAIT_OUTSIDE;
        // A timer's signal interrupts it, runs a handler or ends it; a wait for a lock goes on behind a handler.
        if (t->process->timers && !waits_for_lock(r, t) && !second_look_says(t)) c.kind = WAIT_OUTSIDE;
        c.shared = loop_known(t) ? t->loop->shared : reach == REACH_FAMILY || reach == REACH_NAMED;
        c.named |= reach == REACH_NAMED;
        c.idle = c.kind == WAIT_OUTSIDE && idles(r, t, files);
        if (c.kind != WAIT_OUTSIDE || c.idle) s->all[s->count++] = c;
    }
    if (waits) file_ends_find(r, s->waits, waits, &s->ends);
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < s->count; i++)
            if (s->all[i].stuck && can_be_woken(r, &s->all[i], s)) {
                s->all[i].stuck = false;
                changed = true;
            }
    }
}

static void set_free(struct stuck_set *s) {
    free(s->all);
    free(s->waits);
    file_ends_free(&s->ends);
}

// Files are worth the walk when it has been quiet for a while, then ever more rarely, and for a loop.
static bool look_at_files(const struct recorder *r, const struct task *t) {
    if (r->waits->fds_passed) return false;
    return t ? loop_known(t)
             : r->waits->idle_looks >= 4 && !(r->waits->idle_looks & (r->waits->idle_looks - 1));
}

void stuck_check(struct recorder *r, struct task *t) {
    if (t && !whole_process_waits(r, t->process)) return;
    bool due = stuck_due(r), files = due ? !r->waits->fds_passed : look_at_files(r, t),
         waiting = files || due;
    for (struct task *o = r->tasks; o && !waiting; o = o->next)
        waiting = !said(o) && (loop_known(o) || sleeps_in_wait(o));
    if (!waiting) return;
    struct stuck_set s;
    bool proved;
    find(r, files, &s);
    const struct candidate *best = main_one(r, &s);
    if (best && certain_enough(r, &s, best, &proved)) {
        if (!files && !r->waits->fds_passed) { // now that it is said: who waits on a file of theirs?
            set_free(&s);
            find(r, true, &s);
            best = main_one(r, &s);
            if (best && !certain_enough(r, &s, best, &proved)) best = NULL;
        }
        if (best && settled(r, &s)) report(r, &s, best, proved);
    } else {
        if (best) ask_about_handlers(r, &s, best);
        if (due) not_now(r);
    }
    set_free(&s);
}

bool stuck_possible(struct recorder *r) {
    struct stuck_set s;
    bool proved;
    find(r, !r->waits->fds_passed, &s);
    const struct candidate *best = main_one(r, &s);
    bool possible = best && certain_enough(r, &s, best, &proved);
    set_free(&s);
    return possible;
}
