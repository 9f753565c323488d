#include "recorder/end/keeper.h"

#include "core/abi.h"
#include "core/annex.h"
#include "core/clock.h"
#include "recorder/engine.h"
#include "recorder/hooks.h"
#include "recorder/inject.h"
#include "recorder/mask.h"
#include "recorder/plt_clock.h"
#include "recorder/run.h"
#include "recorder/task.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// How a task stands, for who attaches to it. Between the two tracers it runs in a loop of one instruction in the annex, with all
// signals blocked, and makes no call.
struct standing {
    struct user_regs_struct regs;
    uint64_t mask;
    bool here;
};

enum { PATIENCE_US = 1000000, WAIT_US = 500 };

static size_t count_tasks(const struct recorder *r) {
    size_t n = 0;
    for (struct task *t = r->tasks; t; t = t->next)
        n++;
    return n;
}

// ---- the recorder: every task at a stop

// A call that was interrupted for nothing is made again. The kernel does so by itself with its restart codes, but not of
// those that end with EINTR (epoll_wait, sigtimedwait, reading from inotify: signal(7)).
static void make_again(struct task *t) {
    struct user_regs_struct regs;
    if (t->state != TASK_RETURNED || t->stop >> 8 != (SIGTRAP | 0x80) || !t->call.inside) return;
    if (!tracee_get_regs(t->tid, &regs) || (int64_t)regs.rax != -EINTR) return;
    for (int i = 0; i < t->call.redirect_count; i++)
        *abi_argument(&regs, t->call.redirects[i].arg) = t->call.redirects[i].real;
    t->call.redirect_count = 0;
    t->call.inside = false;
    regs.rax = (unsigned long)t->call.nr;
    regs.orig_rax = ~0ull;
    regs.rip -= 2;
    tracee_set_regs(t->tid, &regs);
    t->state = TASK_READY;
}

// A signal on its way is kept for later.
static void keep_signal(struct task *t) {
    bool came = t->state == TASK_RETURNED && WIFSTOPPED(t->stop) && !(t->stop >> 16) &&
                WSTOPSIG(t->stop) != (SIGTRAP | 0x80);
    bool stopped = t->state == TASK_RETURNED && t->stop >> 16 == PTRACE_EVENT_STOP && !t->call.inside;
    if (stopped) t->state = TASK_READY; // it was asked to
    if (came || t->inject_signal) {
        signal_hold(t);
        if (came) t->state = TASK_READY;
    }
    t->inject_signal = 0;
    t->in_signal_stop = false;
}

static bool sleeps(const struct task *t) {
    return t->state == TASK_IN_KERNEL || t->state == TASK_JOB_STOPPED;
}

static bool stop_all_tasks(struct recorder *r) {
    for (struct task *t = r->tasks; t; t = t->next)
        if (sleeps(t)) ptrace(PTRACE_INTERRUPT, t->tid, 0, 0);
    bool all = false;
    for (uint64_t since = clock_us(CLOCK_MONOTONIC);
         !all && clock_us(CLOCK_MONOTONIC) - since < PATIENCE_US;) {
        collect_stops(r);
        all = true;
        for (struct task *t = r->tasks; t; t = t->next)
            all &= !sleeps(t);
        if (!all) usleep(WAIT_US);
    }
    return all;
}

// ---- both

// A process of an ordinary user may be traced by its ancestors only, where yama says so, and by whom it names.
static bool must_be_named(void) {
    int scope = 0;
    FILE *f = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
    if (!f) return false;
    if (fscanf(f, "%d", &scope) != 1) scope = 0;
    fclose(f);
    return scope == 1;
}

static bool dies(const struct task *t) {
    return t->state == TASK_RETURNED && (!WIFSTOPPED(t->stop) || t->stop >> 16 == PTRACE_EVENT_EXIT);
}

static void park(struct recorder *r, struct task *t, const struct standing *s, pid_t keeper, bool name) {
    const uint64_t tracer[6] = {PR_SET_PTRACER, (uint64_t)keeper}, all = ~0ull;
    if (s->here) {
        if (name) inject(r, t, SYS_prctl, tracer);
        struct user_regs_struct regs = s->regs;
        regs.rip = ANNEX_PARKED;
        regs.orig_rax = ~0ull;
        tracee_write(t->mm->mem_fd, ANNEX_PARKED, "\xeb\xfe", 2);
        ptrace(PTRACE_SETSIGMASK, t->tid, sizeof all, &all);
        tracee_set_regs(t->tid, &regs);
    }
    ptrace(PTRACE_DETACH, t->tid, 0, 0);
}

// ---- the keeper

// The memory of the tasks is all that it has open: a pipe that the program's caller reads must end.
static void close_others(const struct recorder *r, int a, int b) {
    tracee_close_files();
    DIR *all = opendir("/proc/self/fd");
    for (struct dirent *d; all && (d = readdir(all));) {
        int fd = atoi(d->d_name);
        bool mine = d->d_name[0] == '.' || fd == dirfd(all) || fd == a || fd == b;
        for (struct task *t = r->tasks; t && !mine; t = t->next)
            mine = t->mm->mem_fd == fd;
        if (!mine) close(fd);
    }
    if (all) closedir(all);
    for (int fd; (fd = open("/dev/null", O_RDWR)) >= 0;)
        if (fd > 2) {
            close(fd);
            break;
        }
}

static bool attach(struct task *t) {
    return ptrace(PTRACE_SEIZE, t->tid, 0, TRACE_OPTIONS) == 0 && ptrace(PTRACE_INTERRUPT, t->tid, 0, 0) == 0;
}

// t is attached to: it stops, and stands as it stood.
static void stand(struct task *t, const struct standing *s) {
    int status;
    if (!wait_undisturbed(t, &status)) return;
    if (!WIFSTOPPED(status) || status >> 16 == PTRACE_EVENT_EXIT) {
        leave_stop(t, status);
        return;
    }
    tracee_set_regs(t->tid, &s->regs);
    ptrace(PTRACE_SETSIGMASK, t->tid, sizeof s->mask, &s->mask);
    if (WSTOPSIG(status) != SIGTRAP) { // stopped by job control
        t->state = TASK_JOB_STOPPED;
        ptrace(PTRACE_LISTEN, t->tid, 0, 0);
    }
}

static void keep(struct recorder *r, const struct standing *all, int go, int ready) {
    char byte;
    setsid();
    close_others(r, go, ready);
    if (chdir("/") < 0 || read(go, &byte, 1) != 0) _exit(0); // the recorder closes it when it has let go
    struct rf_error ignored;
    struct record_options options = *r->options;
    options.chaos = false;
    options.paranoid_every = 0;
    options.log = NULL;
    options.name_pc = NULL;
    r->options = &options;
    r->trace_lost = r->kept = true;
    r->stop_all = r->let_go = false;
    r->deferred = r->next = r->current = NULL;
    hooks_keep_lasting(r); // nothing is searched for any more
    size_t i = 0;
    for (struct task *t = r->tasks, *next; t; t = next, i++) {
        enum task_state was = t->state;
        next = t->next;
        calls_forbid(t->mm);
        t->mm->calls.on = false;
        if (all[i].here && attach(t)) {
            stand(t, &all[i]);
            if (was == TASK_RETURNED && t->state == TASK_READY) t->state = was;
            continue;
        }
        if (all[i].here) kill(t->process->pid, SIGKILL); // it cannot live without a tracer
        task_ended(r, t, 0);
    }
    tasks_reap(r);
    byte = 1;
    ssize_t n = write(ready, &byte, 1);
    (void)n;
    close(go);
    close(ready);
    engine_run(r, &ignored);
    _exit(0);
}

bool keeper_takes_over(struct recorder *r) {
    int go[2], ready[2];
    if (r->next || !stop_all_tasks(r)) return false;
    if (pipe2(go, O_CLOEXEC) < 0) return false;
    if (pipe2(ready, O_CLOEXEC) < 0) {
        close(go[0]), close(go[1]);
        return false;
    }
    struct standing *all = calloc(count_tasks(r) + 1, sizeof *all);
    rf_assert(all);
    size_t i = 0;
    for (struct task *t = r->tasks; t; t = t->next, i++) {
        mask_close_trap(t);
        keep_signal(t);
        make_again(t);
        mask_changed(t);
        all[i] = (struct standing){.mask = t->mask};
        all[i].here = !dies(t) && t->mm->annex && tracee_get_regs(t->tid, &all[i].regs);
    }
    fflush(stdout);
    pid_t keeper = fork();
    if (keeper == 0) {
        close(go[1]), close(ready[0]);
        keep(r, all, go[0], ready[1]);
    }
    close(go[0]), close(ready[1]);
    bool name = must_be_named();
    i = 0;
    for (struct task *t = r->tasks; keeper > 0 && t; t = t->next, i++)
        park(r, t, &all[i], keeper, name);
    close(go[1]);
    char byte;
    while (keeper > 0 && read(ready[0], &byte, 1) < 0 && errno == EINTR)
        continue;
    close(ready[0]);
    free(all);
    while (keeper > 0 && r->tasks)
        task_ended(r, r->tasks, 0);
    tasks_reap(r);
    return keeper > 0;
}
