#include "replayer/engine/resume.h"

#include "core/abi.h"
#include "core/code_operands.h"
#include "core/tracee.h"
#include "replayer/engine/check.h"
#include "replayer/engine/engine.h"
#include "replayer/engine/kernel_task.h"
#include "replayer/engine/page_watch.h"
#include "replayer/engine/vtask.h"
#include "replayer/engine/watchpoint.h"

#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

// A call of the vsyscall page, which the filter of the replay task has turned into SIGSYS: the kernel has returned to the
// caller by then. It becomes the stop at the entry that the recorder saw.
static void note_vsyscall(const struct space *s, int *status, struct user_regs_struct *regs) {
    siginfo_t info;
    if (*status >> 16 || WSTOPSIG(*status) != SIGSYS || ptrace(PTRACE_GETSIGINFO, s->pid, 0, &info) < 0 ||
        (uint64_t)info.si_call_addr < VSYSCALL_PAGE)
        return;
    regs->rip = (uint64_t)info.si_call_addr;
    regs->rsp -= 8; // the return address
    regs->orig_rax = (unsigned long long)info.si_syscall;
    *status = (SIGTRAP | 0x80) << 8 | 0x7f;
}

// One stop. `end`: 0, or where a string instruction that repeats ends, which is what a single step of it is to reach.
static int resume(struct replay *r, struct vtask *v, bool one, uint64_t end, int *status,
                  struct rf_error *err) {
    struct space *s = v->space;
    struct user_regs_struct regs = v->pub.regs;
    const bool own_trap_flag = regs.eflags & EFLAGS_TF;
    struct tracee_stop stop = {0};
    uint64_t until = one ? end : s->stop_at;
    regs.orig_rax = ~0ull;
    const struct break_client *client = &r->breaks.client;
    bool given_up = false, set = tracee_set_regs(s->pid, &regs);
    bool whole = set && until && tracee_stop_at(s->pid, s->mem_fd, until, &stop);
    // SYSEMU_SINGLESTEP, so that a syscall instruction does not reach the kernel.
    bool stopped = set &&
                   ptrace(one && !whole ? PTRACE_SYSEMU_SINGLESTEP : PTRACE_SYSEMU, s->pid, 0, 0) == 0 &&
                   kernel_task_wait_asking(s->pid, status, client->asked, client->context, &given_up);
    s->stopped_at = tracee_stop_end(s->pid, s->mem_fd, &stop, stopped ? *status : 0);
    if (!stopped) {
        char how[64];
        describe_status(how, sizeof how, *status);
        return rf_fail(err, RF_DIVERGED, "replay diverged: the replay task of process %d %s", v->pub.pid,
                       how);
    }
    if (given_up) return rf_fail(err, RF_CANNOT, "interrupted");
    if (!tracee_get_regs(s->pid, &v->pub.regs))
        return rf_fail_errno(err, RF_CANNOT, "lost the replay task of process %d", v->pub.pid);
    v->stopped_by = *status;
    v->pub.regs.eflags &= ~EFLAGS_RF;
    if (one && !own_trap_flag && v->pub.regs.eflags & EFLAGS_TF) {
        uint8_t code[CODE_LONGEST];
        tracee_read_code(s->pid, s->mem_fd, regs.rip, code);
        if (v->pub.regs.rip == regs.rip || !tracee_pops_trap_flag(s->pid, s->mem_fd, &regs, code))
            v->pub.regs.eflags &= ~EFLAGS_TF;
    }
    note_vsyscall(s, status, &v->pub.regs);
    if (WSTOPSIG(*status) == (SIGTRAP | 0x80)) v->pub.regs.rax = v->pub.regs.orig_rax;
    return 0;
}

// The trap flag of a single step shows in what `pushf` pushes, and in r11 behind `syscall`.
static void hide_trap_flag(struct vtask *v, const uint8_t *code, int status) {
    enum { PUSHF = 0x9c, OPERAND_SIZE = 0x66 };
    struct space *s = v->space;
    if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
        v->pub.regs.r11 &= ~EFLAGS_TF;
        v->pub.regs.eflags &= ~EFLAGS_TF;
    }
    if (code[code[0] == OPERAND_SIZE] != PUSHF) return;
    uint16_t flags;
    if (!tracee_read(s->pid, s->mem_fd, v->pub.regs.rsp, &flags, sizeof flags)) return;
    flags &= (uint16_t)~EFLAGS_TF;
    tracee_poke(s->pid, s->mem_fd, v->pub.regs.rsp, &flags, sizeof flags);
}

// The instruction that met the protection of a watched word's page, by itself, a string instruction to its end if `whole`.
// *stepped: nothing else has happened.
static int step_lifted(struct replay *r, struct vtask *v, bool whole, int *status, bool *stepped,
                       struct rf_error *err) {
    struct space *s = v->space;
    uint8_t code[CODE_LONGEST];
    siginfo_t info;
    const bool own_trap_flag = v->pub.regs.eflags & EFLAGS_TF;
    page_watch_lift(s);
    tracee_read_code(s->pid, s->mem_fd, v->pub.regs.rip, code);
    uint64_t end = whole ? v->pub.regs.rip + (uint64_t)code_repeats(code, sizeof code) : 0;
    if (resume(r, v, true, end, status, err) < 0) return -1;
    if (!own_trap_flag) hide_trap_flag(v, code, *status);
    *stepped =
        s->stopped_at || (*status >> 8 == SIGTRAP && ptrace(PTRACE_GETSIGINFO, s->pid, 0, &info) == 0 &&
                          info.si_code == TRAP_TRACE);
    return 0;
}

// The same as resume; whatever meets the protection of a page without touching a watched word is no stop.
static int resume_watched(struct replay *r, struct vtask *v, bool one, uint64_t end, int *status,
                          struct rf_error *err) {
    struct space *s = v->space;
    uint64_t address;
    bool apart, stepped = true;
    vtask_load(v);
    page_watch_protect(s);
    s->watch_fired = 0;
    if (resume(r, v, one, end, status, err) < 0) return -1;
    while (page_watch_faulted(s, *status, &address)) {
        uint8_t fired = page_watch_touched(s, &v->pub.regs, address, &apart);
        if (step_lifted(r, v, apart, status, &stepped, err) < 0) return -1;
        s->watch_fired = fired;
        if (!fired) watch_beside(r, s);
        if (one || fired || !stepped) break;
        page_watch_protect(s);
        if (resume(r, v, false, 0, status, err) < 0) return -1;
    }
    return 0;
}

// A step of a string instruction, which the CPU makes one iteration a step, and a watchpoint stops behind each iteration.
static int step_string(struct replay *r, struct vtask *v, int length, int *status, struct rf_error *err) {
    uint64_t at = v->pub.regs.rip;
    for (siginfo_t info;;) {
        if (resume_watched(r, v, true, at + (uint64_t)length, status, err) < 0) return -1;
        bool within = v->pub.regs.rip == at && !(*status >> 16) && WSTOPSIG(*status) == SIGTRAP &&
                      ptrace(PTRACE_GETSIGINFO, v->space->pid, 0, &info) == 0 &&
                      (info.si_code == TRAP_TRACE || info.si_code == TRAP_HWBKPT);
        if (!within) return 0;
        if (v->space->watched) watch_hit_now(r, v);
    }
}

int vtask_resume(struct replay *r, struct vtask *v, bool one, int *status, struct rf_error *err) {
    uint8_t code[CODE_LONGEST];
    watch_before_run(r, v);
    if (!one && v->trap_due) {
        v->trap_due = false;
        *status = v->stopped_by = SIGTRAP << 8 | 0x7f;
        return 0;
    }
    if (!one) return resume_watched(r, v, false, 0, status, err);
    const bool own_trap_flag = v->pub.regs.eflags & EFLAGS_TF;
    tracee_read_code(v->space->pid, v->space->mem_fd, v->pub.regs.rip, code);
    int length = code_repeats(code, sizeof code);
    if ((length ? step_string(r, v, length, status, err) : resume_watched(r, v, true, 0, status, err)) < 0)
        return -1;
    if (!own_trap_flag) hide_trap_flag(v, code, *status);
    v->trap_due = own_trap_flag && *status == (SIGTRAP << 8 | 0x7f);
    return 0;
}
