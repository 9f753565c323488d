#include "recorder/run.h"

#include "recorder/outside.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

bool resume(struct recorder *r, struct task *t, int request, int signal) {
    // ESRCH: killed meanwhile; its exit stop is on the way.
    if (ptrace(request, t->tid, 0, signal) < 0 && errno != ESRCH) {
        recorder_fail(r, "cannot resume task %d: %s", t->tid, strerror(errno));
        return false;
    }
    t->in_signal_stop = false;
    t->state = TASK_RUNNING;
    return true;
}

bool died_unseen(const struct task *t) {
    return t->tid == t->process->pid && t->process->refs > 1 && task_state_letter(t->tid) == 'Z';
}

enum waited wait_stop(struct task *t, int *status) {
    pid_t got = waitpid(t->tid, status, __WALL);
    if (got == t->tid) return WAITED_STOP;
    if (got >= 0 || errno != EINTR) return WAITED_GONE; // ECHILD
    if (!died_unseen(t)) return WAITED_TICK;
    *status = SIGKILL;
    return WAITED_STOP;
}

bool wait_undisturbed(struct task *t, int *status) {
    enum waited end;
    while ((end = wait_stop(t, status)) == WAITED_TICK)
        continue;
    t->state = TASK_READY;
    return end == WAITED_STOP;
}

bool run_undisturbed(struct recorder *r, struct task *t, int request, int signal, int *status) {
    return resume(r, t, request, signal) && wait_undisturbed(t, status);
}

void leave_stop(struct task *t, int status) {
    t->stop = status;
    t->state = TASK_RETURNED;
}

void leave_stop_next(struct recorder *r, struct task *t, int status) {
    leave_stop(t, status);
    r->next = t;
}

// Only of tasks that are not running: the running one's stop belongs to wait_stop.
void collect_stops(struct recorder *r) {
    for (struct task *t = r->tasks; t; t = t->next) {
        int status;
        if (t->state != TASK_IN_KERNEL && t->state != TASK_JOB_STOPPED) continue;
        if (waitpid(t->tid, &status, __WALL | WNOHANG) == t->tid) leave_stop(t, status);
    }
}
