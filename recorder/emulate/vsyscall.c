#include "recorder/emulate/vsyscall.h"

#include "core/abi.h"
#include "recorder/cpus.h"
#include "recorder/hooks.h"
#include "recorder/log.h"
#include "recorder/mask.h"
#include "recorder/run.h"
#include "recorder/syscall.h"

#include <errno.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// What the call writes: at most two places.
struct answer {
    int64_t result;
    struct {
        uint64_t address;
        size_t size;
        union {
            struct timeval time;
            struct timezone zone;
            time_t seconds;
            uint32_t number;
        } value;
    } out[2];
};

static void answer_of(const struct recorder *r, const struct task *t, struct answer *a) {
    const uint64_t *args = t->call.args;
    memset(a, 0, sizeof *a);
    a->out[0].address = args[0];
    switch (t->call.nr) { // by real calls: refork's own rdtsc traps, and the vDSO uses it
    case SYS_gettimeofday:
        a->out[1].address = args[1];
        a->out[0].size = sizeof a->out[0].value.time;
        a->out[1].size = sizeof a->out[1].value.zone;
        syscall(SYS_gettimeofday, &a->out[0].value.time, &a->out[1].value.zone);
        return;
    case SYS_time:
        a->out[0].size = sizeof a->out[0].value.seconds;
        syscall(SYS_time, &a->out[0].value.seconds);
        a->result = a->out[0].value.seconds;
        return;
    default: // getcpu
        a->out[1].address = args[1];
        a->out[0].size = a->out[1].size = sizeof a->out[0].value.number;
        a->out[0].value.number = cpus_here(r, t);
        a->out[1].value.number = cpus_node(a->out[0].value.number);
        return;
    }
}

// Behind the stop the kernel returns to the caller, if the call is skipped and rip is as it was. An interrupt stops the task there,
// before it executes anything.
static bool to_caller(struct recorder *r, struct task *t, struct user_regs_struct *regs, int64_t result) {
    int status;
    regs->rax = (uint64_t)result;
    regs->orig_rax = ~0ull;
    tracee_set_regs(t->tid, regs);
    ptrace(PTRACE_INTERRUPT, t->tid, 0, 0);
    if (!run_undisturbed(r, t, PTRACE_CONT, 0, &status)) return false;
    if (!WIFSTOPPED(status) || status >> 16 == PTRACE_EVENT_EXIT) {
        leave_stop(t, status);
        return false;
    }
    if (!(status >> 16)) signal_hold(t); // one came first
    if (!tracee_get_regs(t->tid, regs)) return false;
    canonical_regs(regs);
    return true;
}

static bool in_page(uint64_t rip) {
    return rip >= VSYSCALL_PAGE && rip < VSYSCALL_PAGE + PAGE;
}

static bool answered(struct recorder *r, struct task *t, struct user_regs_struct *regs) {
    struct answer a;
    struct batch b;
    if (!in_page(regs->rip)) return false;
    answer_of(r, t, &a);
    batch_entry(r, &b, EV_SYSCALL, t);
    for (int i = 0; i < 2; i++) {
        if (!a.out[i].address || !a.out[i].size) continue;
        if (!task_can_write(t, a.out[i].address, a.out[i].size)) {
            a.result = -EFAULT;
            continue;
        }
        batch_write(r, &b, t, a.out[i].address, &a.out[i].value, a.out[i].size);
    }
    b.e.ret = a.result;
    if (!to_caller(r, t, regs, a.result)) return true;
    batch_regs(&b, regs);
    set_landmark(t, regs);
    batch_log(r, t, &b);
    return true;
}

static const struct recorder_hooks vsyscall_hooks = {.lasting = true, .answer = answered};

void vsyscall_begin(struct recorder *r) {
    hooks_add(r, &vsyscall_hooks);
}
