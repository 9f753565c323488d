#include "recorder/stop.h"
#include "recorder/outside.h"
#include "recorder/preempt.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

bool wait_stop(struct recorder *r, struct task *t, int *status) {
    for (;;) {
        pid_t got = waitpid(t->tid, status, __WALL);
        if (got == t->tid) return true;
        if (got < 0 && errno == EINTR) {
            int sig = outside_terminate();
            if (sig) kill(t->process->pid, sig);
            if (t->state == TASK_RUNNING && !t->call.inside) preempt_tick(r, t);
            continue;
        }
        return false; // ECHILD: gone
    }
}

bool run_until_stop(struct recorder *r, struct task *t, int request, int signal, int *status) {
    if (ptrace(request, t->tid, 0, signal) < 0 && errno != ESRCH) {
        recorder_fail(r, "cannot resume task %d: %s", t->tid, strerror(errno));
        return false;
    }
    t->in_signal_stop = false;
    // ESRCH: killed meanwhile; its exit stop is on the way.
    return wait_stop(r, t, status);
}

void take_stop(struct task *t, int status) {
    t->stop = status;
    t->stop_pending = true;
    t->state = TASK_RETURNED;
}

// Only of tasks that are not running: the running one's stop belongs to wait_stop.
void collect_stops(struct recorder *r) {
    for (struct task *t = r->tasks; t; t = t->next) {
        int status;
        if (t->state != TASK_IN_KERNEL && t->state != TASK_JOB_STOPPED) continue;
        if (waitpid(t->tid, &status, __WALL | WNOHANG) == t->tid) take_stop(t, status);
    }
}
