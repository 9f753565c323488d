#include "recorder/step.h"

#include "core/code_operands.h"
#include "recorder/forced.h"
#include "recorder/log.h"
#include "recorder/mask.h"
#include "recorder/plt_clock.h"
#include "recorder/run.h"
#include "recorder/signals.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

// Stepping away from a syscall that was answered without being made, the kernel reports the step with TRAP_BRKPT
// and the next instruction is still to come (user_single_step_report).
static bool skipped_call(const siginfo_t *info, const struct user_regs_struct *before) {
    return info->si_code == TRAP_BRKPT && (uint64_t)info->si_addr == before->rip;
}

// A stop that is no step's end. True: one of no consequence, after which t goes on being stepped.
static bool passes(struct recorder *r, struct task *t, int status) {
    siginfo_t info;
    struct user_regs_struct regs;
    if (!WIFSTOPPED(status)) return false;
    if (status >> 16) return status >> 16 == PTRACE_EVENT_STOP && WSTOPSIG(status) == SIGTRAP; // an interrupt
    if (WSTOPSIG(status) == (SIGTRAP | 0x80) || ptrace(PTRACE_GETSIGINFO, t->tid, 0, &info) < 0 ||
        !tracee_get_regs(t->tid, &regs))
        return false;
    t->in_signal_stop = true;
    canonical_regs(&regs);
    return !signal_by_instruction(&info) && signal_fate(r, t, &info, &regs) != SIGNAL_NOW;
}

// The end of stepping before a call: `syscall` put the flags with TF into r11.
static void hide_trap_flag(struct task *t) {
    struct user_regs_struct now;
    if (!tracee_get_regs(t->tid, &now)) return;
    now.r11 &= ~EFLAGS_TF;
    now.eflags &= ~EFLAGS_TF;
    tracee_set_regs(t->tid, &now);
}

static void take_back_trap_flag(struct task *t, const struct user_regs_struct *before, const uint8_t *code,
                                int status) {
    struct user_regs_struct now;
    if (!WIFSTOPPED(status) || !tracee_get_regs(t->tid, &now) || !(now.eflags & EFLAGS_TF)) return;
    if (now.rip != before->rip && tracee_pops_trap_flag(t->tid, t->mm->mem_fd, before, code)) return;
    now.eflags &= ~EFLAGS_TF;
    tracee_set_regs(t->tid, &now);
}

// One step, of a string instruction that repeats as much as possible. `code`: the instruction at rip; `length`: its length if
// it is such a one.
static enum step_result step_once(struct recorder *r, struct task *t, struct user_regs_struct *regs,
                                  const uint8_t *code, int length) {
    int status, sig = t->inject_signal;
    t->inject_signal = 0;
    t->at_landmark = false;
    mask_open_trap(t);
    calls_forbid(t->mm);
    struct tracee_stop end;
    const uint64_t behind = regs->rip + (uint64_t)length;
    bool whole = length && tracee_stop_at(t->tid, t->mm->mem_fd, behind, &end);
    bool stopped = run_undisturbed(r, t, whole ? PTRACE_CONT : PTRACE_SINGLESTEP, sig, &status);
    bool ended = whole && tracee_stop_end(t->tid, t->mm->mem_fd, &end, stopped ? status : 0);
    if (!stopped) return STEP_GONE;
    const bool own = regs->eflags & EFLAGS_TF; // the program traces itself: the trap is its own
    if (!own) take_back_trap_flag(t, regs, code, status);
    siginfo_t info;
    bool trap = WIFSTOPPED(status) && !(status >> 16) && WSTOPSIG(status) == SIGTRAP &&
                ptrace(PTRACE_GETSIGINFO, t->tid, 0, &info) == 0;
    bool skipped = trap && skipped_call(&info, regs);
    if (!own && (skipped || (trap && (info.si_code == TRAP_TRACE || ended)))) {
        t->in_signal_stop = true;
        if (!tracee_get_regs(t->tid, regs)) return STEP_GONE;
        if (t->process->sighand->handler[SIGTRAP] == 1) forced_undo(r, t, SIGTRAP);
        if (skipped) return STEP_HELD; // no arrival at a breakpoint behind the call: that is where it started
        t->on_break = false;
        bool wide = code[0] == 0x66;
        if (code[wide] == 0x9c) { // pushf pushed our TF
            uint16_t flags;
            tracee_read(t->tid, t->mm->mem_fd, regs->rsp, &flags, 2);
            flags &= (uint16_t)~EFLAGS_TF;
            tracee_poke(t->tid, t->mm->mem_fd, regs->rsp, &flags, 2);
        }
        return STEP_DONE;
    }
    if (passes(r, t, status)) {
        if (!tracee_get_regs(t->tid, regs)) return STEP_GONE;
        // A signal that comes behind the instruction and before the int3 there: the step is made.
        if (!whole || regs->rip != behind) return STEP_HELD;
        t->on_break = false;
        return STEP_DONE;
    }
    if (!own && WIFSTOPPED(status) && status >> 16 == PTRACE_EVENT_SECCOMP) hide_trap_flag(t);
    leave_stop_next(r, t, status);
    return STEP_GONE;
}

// Behind a step over popf the kernel takes TF for the program's own as long as it is stepped (arch/x86/kernel/step.c,
// is_setting_trap_flag), and puts it into the frame of a signal. So popf is run to an int3 behind it.
static int popf_length(const uint8_t *code) {
    enum { POPF = 0x9d, OPERAND_SIZE = 0x66, REX = 0x40 };
    const bool prefix = code[0] == OPERAND_SIZE || (code[0] & 0xf0) == REX;
    return code[prefix] == POPF ? 1 + prefix : 0;
}

static enum step_result step_try(struct recorder *r, struct task *t, struct user_regs_struct *regs) {
    uint8_t code[CODE_LONGEST];
    uint64_t at = regs->rip;
    tracee_read_code(t->tid, t->mm->mem_fd, at, code);
    enum step_result stepped;
    int length = code_repeats(code, sizeof code);
    if (!length) length = popf_length(code);
    // A place within a string instruction is none that replay could find: on to its end.
    do
        stepped = step_once(r, t, regs, code, length);
    while (length && stepped == STEP_DONE && regs->rip == at);
    return stepped;
}

// A signal that comes meanwhile is held, and the instruction is still to come. Who looks for the iteration of a loop would
// else find the same pc again: a loop of one instruction, which had no place for a stub. Signals that come faster than
// steps wait in the kernel until the stepping ends.
enum step_result step_raw(struct recorder *r, struct task *t, struct user_regs_struct *regs) {
    enum { HELD_MOST = 8, TRIES = 256 };
    enum step_result stepped = step_try(r, t, regs);
    for (int held = 0; stepped == STEP_HELD && held < TRIES; held++) {
        if (held == HELD_MOST) mask_hold_off(t);
        stepped = step_try(r, t, regs);
    }
    return stepped;
}

void end_stepping(struct task *t) {
    t->stepping = false;
    mask_close_trap(t);
}
