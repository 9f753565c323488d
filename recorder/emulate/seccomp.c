#include "recorder/emulate/seccomp.h"

#include "recorder/answers.h"
#include "recorder/emulate/filters.h"
#include "recorder/hooks.h"
#include "recorder/log.h"
#include "recorder/run.h"
#include "recorder/signals.h"
#include "recorder/syscall.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

enum {
    FLAGS = SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW |
            SECCOMP_FILTER_FLAG_TSYNC_ESRCH
};

// ---- what is asked for

static int64_t strict(struct task *t, uint64_t flags, uint64_t args) {
    if (flags || args || t->seccomp.mode == SECCOMP_MODE_FILTER) return -EINVAL;
    t->seccomp.mode = SECCOMP_MODE_STRICT;
    t->tsc_forbidden = true;
    return 0;
}

// Who may install a filter: whose programs gain nothing by an exec, or who may do all. The kernel's no_new_privs says nothing
// here, since refork has set it for an ordinary user.
static bool may_install(const struct task *t) {
    char path[64], line[256];
    unsigned long long effective = 0;
    if (t->seccomp.no_new_privileges) return true;
    snprintf(path, sizeof path, "/proc/%d/status", t->tid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "CapEff: %llx", &effective) == 1) break;
    if (f) fclose(f);
    return effective >> CAP_SYS_ADMIN & 1;
}

// The filter that t gives, checked. NULL: *error says why not.
static struct sock_filter *read_filter(struct task *t, uint64_t address, size_t *length, int64_t *error) {
    struct {
        uint16_t length;
        uint64_t code;
    } given;
    *error = -EFAULT;
    if (!task_read(t, address, &given, sizeof given)) return NULL;
    *error = -EINVAL;
    if (!given.length || given.length > BPF_MAXINSNS) return NULL;
    *error = -EACCES;
    if (!may_install(t)) return NULL;
    struct sock_filter *code = malloc(given.length * sizeof *code);
    rf_assert(code);
    *error = task_read(t, given.code, code, given.length * sizeof *code) ? -EINVAL : -EFAULT;
    if (*error == -EINVAL && bpf_check(code, given.length)) {
        *length = given.length;
        return code;
    }
    free(code);
    return NULL;
}

// SECCOMP_FILTER_FLAG_TSYNC: the first thread that has other filters, whose TID is the answer; NULL: none.
static const struct task *out_of_step(const struct recorder *r, const struct task *t) {
    for (const struct task *o = r->tasks; o; o = o->next) {
        if (o == t || o->process != t->process || !o->seccomp.mode) continue;
        if (o->seccomp.mode != SECCOMP_MODE_FILTER ||
            !filters_include(t->seccomp.filters, o->seccomp.filters))
            return o;
    }
    return NULL;
}

static void seccomp_copy(struct task *to, const struct task *from) {
    struct filters *before = to->seccomp.filters;
    bool privileges = to->seccomp.no_new_privileges;
    to->seccomp = from->seccomp;
    to->seccomp.no_new_privileges |= privileges;
    filters_ref(to->seccomp.filters);
    filters_unref(before);
}

static int64_t filter(struct recorder *r, struct task *t, uint64_t flags, uint64_t args) {
    size_t length;
    int64_t error;
    if (flags & ~(uint64_t)FLAGS) return -EINVAL;
    struct sock_filter *code = read_filter(t, args, &length, &error);
    if (!code) return error;
    const struct task *other = flags & SECCOMP_FILTER_FLAG_TSYNC ? out_of_step(r, t) : NULL;
    if (t->seccomp.mode == SECCOMP_MODE_STRICT)
        error = -EINVAL;
    else if (other)
        error = flags & SECCOMP_FILTER_FLAG_TSYNC_ESRCH ? -ESRCH : other->tid;
    else
        error = 0;
    struct filters *all = error ? NULL : filters_add(t->seccomp.filters, code, length);
    free(code);
    if (!all) return error ? error : -ENOMEM;
    t->seccomp.filters = all;
    t->seccomp.mode = SECCOMP_MODE_FILTER;
    for (struct task *o = r->tasks; o && flags & SECCOMP_FILTER_FLAG_TSYNC; o = o->next)
        if (o != t && o->process == t->process) seccomp_copy(o, t);
    return 0;
}

static int64_t available(struct task *t, uint64_t flags, uint64_t args) {
    uint32_t action;
    if (flags) return -EINVAL;
    if (!task_read(t, args, &action, sizeof action)) return -EFAULT;
    switch (action) {
    case SECCOMP_RET_KILL_PROCESS:
    case SECCOMP_RET_KILL_THREAD:
    case SECCOMP_RET_TRAP:
    case SECCOMP_RET_ERRNO:
    case SECCOMP_RET_TRACE:
    case SECCOMP_RET_LOG:
    case SECCOMP_RET_ALLOW:
        return 0;
    default: // SECCOMP_RET_USER_NOTIF, too: a listener is refused
        return -EOPNOTSUPP;
    }
}

// t is at the entry of a call that installs or asks for filters (seccomp, prctl). False: it is none of those, or one that is refused.
static bool by_prctl(struct recorder *r, struct task *t, struct own_answer *a) {
    const uint64_t *args = t->call.args;
    switch ((uint32_t)args[0]) {
    case PR_GET_SECCOMP:
        a->result = t->seccomp.mode;
        return true;
    case PR_SET_SECCOMP:
        a->result = args[1] == SECCOMP_MODE_STRICT   ? strict(t, 0, 0)
                    : args[1] == SECCOMP_MODE_FILTER ? filter(r, t, 0, args[2])
                                                     : -EINVAL;
        return true;
    case PR_GET_NO_NEW_PRIVS:
        a->result = args[1] | args[2] | args[3] | args[4] ? -EINVAL : t->seccomp.no_new_privileges;
        return true;
    default:
        return false;
    }
}

static bool asked(struct recorder *r, struct task *t, struct own_answer *a) {
    const uint64_t *args = t->call.args;
    memset(a, 0, sizeof *a);
    if (t->call.nr == SYS_prctl) return by_prctl(r, t, a);
    if (t->call.nr != SYS_seccomp) return false;
    switch ((uint32_t)args[0]) {
    case SECCOMP_SET_MODE_STRICT:
        a->result = strict(t, args[1], args[2]);
        return true;
    case SECCOMP_SET_MODE_FILTER:
        if (args[1] & SECCOMP_FILTER_FLAG_NEW_LISTENER) {
            a->result = -EINVAL;
            return !args[2]; // libseccomp asks so whether there are listeners
        }
        a->result = filter(r, t, args[1], args[2]);
        return true;
    case SECCOMP_GET_ACTION_AVAIL:
        a->result = available(t, args[1], args[2]);
        return true;
    default: // SECCOMP_GET_NOTIF_SIZES belongs to listeners
        a->result = -EINVAL;
        return true;
    }
}

// ---- what its filters say

enum verdict_on_call {
    CALL_ALLOWED,
    CALL_ANSWERED, // *answer is its result
    CALL_SIGNALS,  // it is not made; SIGSYS with *info comes instead
    CALL_ENDS,     // the process ends by signal *answer
    CALL_ENDS_TASK // the task alone ends so
};

static enum verdict_on_call in_strict_mode(const struct task *t, int64_t *answer) {
    bool allowed = t->call.nr == SYS_read || t->call.nr == SYS_write || t->call.nr == SYS_exit ||
                   t->call.nr == SYS_rt_sigreturn;
    *answer = SIGKILL;
    return allowed && !t->call.legacy ? CALL_ALLOWED : CALL_ENDS_TASK;
}

static enum verdict_on_call look_at_call(const struct task *t, int64_t *answer, siginfo_t *info) {
    enum { MOST = 4095 }; // MAX_ERRNO
    if (!t->seccomp.mode) return CALL_ALLOWED;
    if (t->seccomp.mode == SECCOMP_MODE_STRICT) return in_strict_mode(t, answer);
    struct seccomp_data data = {.nr = (int)t->call.nr,
                                .arch = t->call.legacy ? AUDIT_ARCH_I386 : AUDIT_ARCH_X86_64,
                                .instruction_pointer = t->call.regs.rip};
    const struct user_regs_struct *regs = &t->call.regs;
    const uint64_t legacy[6] = {regs->rbx, regs->rcx, regs->rdx, regs->rsi, regs->rdi, regs->rbp};
    for (int i = 0; i < 6; i++)
        data.args[i] = t->call.legacy ? (uint32_t)legacy[i] : t->call.args[i];
    uint32_t action = filters_run(t->seccomp.filters, &data), value = action & SECCOMP_RET_DATA;
    switch (action & SECCOMP_RET_ACTION_FULL) {
    case SECCOMP_RET_ALLOW:
    case SECCOMP_RET_LOG:
        return CALL_ALLOWED;
    case SECCOMP_RET_ERRNO:
        *answer = -(int64_t)(value < MOST ? value : MOST);
        return CALL_ANSWERED;
    case SECCOMP_RET_TRACE:      // nobody traces it
    case SECCOMP_RET_USER_NOTIF: // nobody listens
        *answer = -ENOSYS;
        return CALL_ANSWERED;
    case SECCOMP_RET_TRAP:
        memset(info, 0, sizeof *info);
        info->si_signo = SIGSYS;
        info->si_code = 1; // SYS_SECCOMP of the kernel's siginfo.h
        info->si_errno = (int)value;
        info->si_call_addr = (void *)data.instruction_pointer;
        info->si_syscall = data.nr;
        info->si_arch = data.arch;
        return CALL_SIGNALS;
    case SECCOMP_RET_KILL_THREAD:
        *answer = SIGSYS;
        return CALL_ENDS_TASK;
    default:
        *answer = SIGSYS;
        return CALL_ENDS;
    }
}

// ---- what comes of it

// The call is not made. What it would have done must not be done in replay either: a success, and a close (which frees its
// descriptor whatever it returns), are logged as a call without a number.
static void not_made(struct recorder *r, struct task *t, struct user_regs_struct *regs, int64_t result) {
    if (result >= 0 || t->call.nr == SYS_close) t->call.nr = -1;
    syscall_answered(r, t, regs, &(struct own_answer){.result = result});
}

// Alone in its process it takes that along.
static void ends(struct recorder *r, struct task *t, int sig, bool alone) {
    struct user_regs_struct regs = t->call.regs;
    t->call.inside = true;
    t->call.redirect_count = 0;
    if (r->deferred) log_deferred_entry(r);
    r->deferred = t;
    log_deferred_entry(r);
    if (alone &&
        t->process->refs >
            1) { // exit takes the status for which the kernel takes the signal; nobody asks a thread for it
        t->call.nr = SYS_exit;
        regs.orig_rax = SYS_exit;
        regs.rdi = (uint64_t)sig;
        int status;
        tracee_set_regs(t->tid, &regs);
        if (run_undisturbed(r, t, PTRACE_CONT, 0, &status)) leave_stop(t, status);
        return;
    }
    signal_ends(r, t, sig);
}

static bool call_begins(struct recorder *r, struct task *t, struct user_regs_struct *regs) {
    struct own_answer own;
    int64_t answer = 0;
    siginfo_t info;
    switch (look_at_call(t, &answer, &info)) {
    case CALL_ALLOWED:
        break;
    case CALL_ANSWERED:
        not_made(r, t, regs, answer);
        return true;
    case CALL_SIGNALS:
        signal_instead(r, t, &info);
        return true;
    case CALL_ENDS:
        ends(r, t, (int)answer, false);
        return true;
    case CALL_ENDS_TASK:
        ends(r, t, (int)answer, true);
        return true;
    }
    if (!asked(r, t, &own)) return false;
    syscall_answered(r, t, regs, &own);
    return true;
}

static void returned(struct recorder *r, struct task *t, int64_t ret) {
    (void)r;
    if (t->call.nr == SYS_prctl && t->call.args[0] == PR_SET_NO_NEW_PRIVS && ret == 0)
        t->seccomp.no_new_privileges = true;
}

static void born(struct recorder *r, struct task *t, struct task *child) {
    (void)r;
    child->seccomp = t->seccomp;
    filters_ref(child->seccomp.filters);
}

static void ended(struct recorder *r, struct task *t, int status) {
    (void)r, (void)status;
    filters_unref(t->seccomp.filters);
    t->seccomp.filters = NULL;
}

static const struct recorder_hooks seccomp_hooks = {
    .lasting = true, .answer = call_begins, .returned = returned, .born = born, .ended = ended};

void seccomp_begin(struct recorder *r) {
    hooks_add(r, &seccomp_hooks);
}
