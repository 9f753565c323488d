#include "recorder/emulate/dispatch.h"

#include "core/abi.h"
#include "recorder/answers.h"
#include "recorder/hooks.h"
#include "recorder/log.h"
#include "recorder/signals.h"
#include "recorder/syscall.h"

#include <errno.h>
#include <linux/audit.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#define PR_SYS_DISPATCH_OFF          0
#define PR_SYS_DISPATCH_ON           1
#endif

// ---- obeyed (kernel/entry/syscall_user_dispatch.c)

// What the selector says: true: the call is to be a signal. *ends: the signal that ends the process instead, 0: none.
static bool selected(struct task *t, int *ends) {
    enum { FILTER_ALLOW, FILTER_BLOCK };
    uint8_t says;
    if (!t->dispatch.selector) return true;
    if (!task_read(t, t->dispatch.selector, &says, 1))
        *ends = SIGSEGV;
    else if (says > FILTER_BLOCK)
        *ends = SIGSYS;
    return *ends || says != FILTER_ALLOW;
}

static bool dispatched(struct recorder *r, struct task *t, struct user_regs_struct *regs) {
    int ends = 0;
    (void)regs;
    if (!t->dispatch.on || t->call.regs.rip - t->dispatch.from < t->dispatch.length || !selected(t, &ends))
        return false;
    if (ends) {
        if (r->deferred) log_deferred_entry(r); // another task's
        r->deferred = t;
        log_deferred_entry(r);
        signal_ends(r, t, ends);
        return true;
    }
    siginfo_t info;
    memset(&info, 0, sizeof info);
    info.si_signo = SIGSYS;
    info.si_code = 2; // SYS_USER_DISPATCH of the kernel's siginfo.h
    info.si_call_addr = (void *)t->call.regs.rip;
    info.si_syscall = (int)t->call.nr;
    info.si_arch = t->call.legacy ? AUDIT_ARCH_I386 : AUDIT_ARCH_X86_64;
    signal_instead(r, t, &info);
    return true;
}

static void exec(struct recorder *r, struct task *t) {
    (void)r;
    t->dispatch.on = false; // (A child begins without it.)
}

static const struct recorder_hooks dispatch_hooks = {.lasting = true, .answer = dispatched, .exec = exec};

void dispatch_begin(struct recorder *r) {
    hooks_add(r, &dispatch_hooks);
}

// ---- set up

static int64_t set_up(struct task *t, const uint64_t *a) {
    switch (a[1]) {
    case PR_SYS_DISPATCH_OFF:
        if (a[2] | a[3] | a[4]) return -EINVAL;
        t->dispatch.on = false;
        return 0;
    case PR_SYS_DISPATCH_ON:
        if (a[2] && a[2] + a[3] <= a[2]) return -EINVAL;
        if (a[4] >= USER_END) return -EFAULT;
        t->dispatch.on = true;
        t->dispatch.from = a[2];
        t->dispatch.length = a[3];
        t->dispatch.selector = a[4];
        return 0;
    default:
        return -EINVAL;
    }
}

static bool asked(struct recorder *r, struct task *t, struct user_regs_struct *regs) {
    enum { INCLUSIVE_ON = 2 }; // since Linux 6.16: refused by name
    const uint64_t *a = t->call.args;
    if (t->call.nr != SYS_prctl || (uint32_t)a[0] != PR_SET_SYSCALL_USER_DISPATCH || a[1] == INCLUSIVE_ON)
        return false;
    syscall_answered(r, t, regs, &(struct own_answer){.result = set_up(t, a)});
    return true;
}

static const struct recorder_hooks settings_hooks = {.lasting = true, .answer = asked};

void dispatch_settings_begin(struct recorder *r) {
    hooks_add(r, &settings_hooks);
}
