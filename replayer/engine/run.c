#include "replayer/engine/run.h"

#include "core/annex.h"
#include "replayer/engine/break_hits.h"
#include "replayer/engine/break_sites.h"
#include "replayer/engine/engine.h"
#include "replayer/engine/memory.h"
#include "replayer/engine/probes.h"
#include "replayer/engine/resume.h"
#include "replayer/engine/watchpoint.h"

#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

int vtask_run(struct replay *r, struct vtask *v, int *status, struct rf_error *err) {
    struct space *s = v->space;
    for (;;) {
        if (vtask_resume(r, v, false, status, err) < 0) return -1;
        siginfo_t info;
        if (s->ring) {
            int passed = probes_stopped(r, v, *status, err);
            if (passed < 0) return -1;
            if (passed) continue;
        }
        if (WSTOPSIG(*status) == (SIGTRAP | 0x80)) return 0;
        bool trap = WSTOPSIG(*status) == SIGTRAP && ptrace(PTRACE_GETSIGINFO, s->pid, 0, &info) == 0;
        if (s->stop_at && s->stopped_at) return 0;
        if (trap && s->watched && info.si_code == (s->watch_pages ? TRAP_TRACE : TRAP_HWBKPT)) {
            watch_hit_now(r, v);
            continue;
        }
        // The program traces itself. Instructions of refork are none of its own.
        if (trap && info.si_code == TRAP_TRACE && annex_contains(v->pub.regs.rip)) continue;
        if (trap && info.si_code == SI_KERNEL && planted_at(s, v->pub.regs.rip - 1, false)) {
            v->pub.regs.rip--;
            int done = breaks_hit(r, v, status, err);
            if (done < 0) return -1;
            if (done) continue;
            if (WSTOPSIG(*status) == (SIGTRAP | 0x80)) return 0;
        }
        // Sent from outside to our process group (a terminal's Ctrl-C): not for the recording.
        if (!(*status >> 16) && WSTOPSIG(*status) != SIGTRAP &&
            ptrace(PTRACE_GETSIGINFO, s->pid, 0, &info) == 0 && info.si_code <= 0)
            continue;
        if (*status >> 16) continue;
        return 0;
    }
}

int vtask_single_step(struct replay *r, struct vtask *v, struct rf_error *err) {
    struct space *s = v->space;
    int status = 0;
    break_sites_cross(s, &v->pub.regs.rip);
    if (planted_at(s, v->pub.regs.rip, true)) return breaks_hit(r, v, &status, err) < 0 ? -1 : 0;
    probes_make_way(s, v->pub.regs.rip);
    for (siginfo_t info;;) {
        if (vtask_resume(r, v, true, &status, err) < 0) return -1;
        if (status >> 16) continue;
        if (WSTOPSIG(status) == SIGTRAP || WSTOPSIG(status) == (SIGTRAP | 0x80)) break;
        // Sent from outside to our process group (a terminal's Ctrl-C): not for the recording.
        if (ptrace(PTRACE_GETSIGINFO, s->pid, 0, &info) == 0 && info.si_code <= 0) continue;
        return rf_fail(err, RF_DIVERGED, "replay diverged: the instruction at pc 0x%llx raised SIG%s",
                       v->pub.regs.rip, sigabbrev_np(WSTOPSIG(status)));
    }
    if (s->watched) watch_hit_now(r, v);
    return 0;
}
