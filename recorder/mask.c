#include "recorder/mask.h"

#include "core/error.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <unistd.h>

#define SIGNAL_BIT(sig) (1ull << ((sig)-1))

// The kernel keeps one pending instance of a standard signal, and one of each timer's.
static bool is_one(const siginfo_t *held, const siginfo_t *info) {
    if (held->si_signo != info->si_signo) return false;
    return info->si_signo < 32 ||
           (info->si_code == SI_TIMER && held->si_code == SI_TIMER && held->si_timerid == info->si_timerid);
}

void signal_as_sent(struct task *t, siginfo_t *info) {
    struct process *p = t->process;
    if (p->given.si_signo != info->si_signo || info->si_code != SI_TKILL ||
        info->si_pid != (t->names.depth ? 0 : getpid()))
        return;
    if (ptrace(PTRACE_SETSIGINFO, t->tid, 0, &p->given) == 0) *info = p->given;
    p->given.si_signo = 0;
}

void signal_hold(struct task *t) {
    struct held_signal *s = calloc(1, sizeof *s), **link = &t->signals;
    rf_assert(s);
    if (ptrace(PTRACE_GETSIGINFO, t->tid, 0, &s->info) < 0) {
        free(s);
        return;
    }
    signal_as_sent(t, &s->info);
    for (; *link; link = &(*link)->next)
        if (is_one(&(*link)->info, &s->info)) {
            free(s);
            return;
        }
    *link = s;
}

void signal_keep(struct task *t, const siginfo_t *info) {
    struct held_signal *s = calloc(1, sizeof *s);
    rf_assert(s);
    s->info = *info;
    s->next = t->signals;
    t->signals = s;
}

void mask_changed(struct task *t) {
    ptrace(PTRACE_GETSIGMASK, t->tid, sizeof t->mask, &t->mask);
}

static void set_mask(struct task *t, uint64_t mask) {
    ptrace(PTRACE_SETSIGMASK, t->tid, sizeof mask, &mask);
}

bool mask_blocks(const struct task *t, int sig) {
    return t->mask & SIGNAL_BIT(sig);
}

void mask_restore(struct task *t) {
    set_mask(t, t->mask);
}

void mask_open_trap(struct task *t) {
    if (t->trap_open || !mask_blocks(t, SIGTRAP)) return;
    set_mask(t, t->mask & ~SIGNAL_BIT(SIGTRAP));
    t->trap_open = true;
}

void mask_hold_off(struct task *t) {
    const uint64_t by_instructions = SIGNAL_BIT(SIGILL) | SIGNAL_BIT(SIGTRAP) | SIGNAL_BIT(SIGBUS) |
                                     SIGNAL_BIT(SIGFPE) | SIGNAL_BIT(SIGSEGV) | SIGNAL_BIT(SIGSYS);
    set_mask(t, (t->mask | ~by_instructions) & ~SIGNAL_BIT(SIGTRAP));
    t->trap_open = true;
}

void mask_close_trap(struct task *t) {
    if (!t->trap_open) return;
    t->trap_open = false;
    set_mask(t, t->mask);
}
