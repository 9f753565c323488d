#include "recorder/answers.h"

#include "recorder/outside.h"
#include "core/calls/syscalls.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

// ---- answers

static bool fd_is_open(const struct task *t, uint64_t fd) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd/%d", t->tid, (int)fd);
    return faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

// Whether the process can be dumped is a door of its own to /proc/PID, which the recorder needs open: remembered, not done.
static bool dumpable(struct task *t, struct own_answer *a) {
    switch (t->call.args[0]) {
    case PR_SET_DUMPABLE:
        a->result = t->call.args[1] > 1 ? -EINVAL : 0;
        if (!a->result) t->mm->dumpable = t->call.args[1] ? DUMPABLE_YES : DUMPABLE_NO;
        return true;
    case PR_GET_DUMPABLE:
        if (t->mm->dumpable == DUMPABLE_UNSAID) return false;
        a->result = t->mm->dumpable == DUMPABLE_YES;
        return true;
    default:
        return false;
    }
}

// rdtsc traps for the recorder; a program that wants it to trap gets its SIGSEGV (trapped_find). Where it does not trap, it does not for
// the program either.
static bool tsc(struct task *t, struct own_answer *a) {
    switch (t->call.args[0]) {
    case PR_SET_TSC:
        a->result = t->call.args[1] == PR_TSC_ENABLE || t->call.args[1] == PR_TSC_SIGSEGV ? 0 : -EINVAL;
        if (!a->result) t->tsc_forbidden = t->call.args[1] == PR_TSC_SIGSEGV;
        return true;
    case PR_GET_TSC:
        a->address = t->call.args[1];
        a->size = 4;
        a->bytes[0] = t->tsc_forbidden ? PR_TSC_SIGSEGV : PR_TSC_ENABLE;
        return true;
    default:
        return false;
    }
}

bool pages_from_pipe(const struct task *t) {
    char path[64], line[64];
    unsigned flags = O_WRONLY;
    if (t->call.nr != SYS_vmsplice) return false;
    snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", t->tid, (int)t->call.args[0]);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "flags: %o", &flags) == 1) break;
    if (f) fclose(f);
    return (flags & O_ACCMODE) == O_RDONLY;
}

bool own_answer(struct task *t, struct own_answer *a) {
    memset(a, 0, sizeof *a);
    if (t->call.nr == SYS_prctl) return dumpable(t, a) || tsc(t, a);
    // What nobody described is answered as if the kernel lacked it, but a bad descriptor is a bad descriptor.
    int64_t unused;
    bool say = false;
    if ((t->call.nr == SYS_ioctl || t->call.nr == SYS_fcntl) &&
        syscall_answer(t->call.nr, t->call.args, &unused, &say) && !fd_is_open(t, t->call.args[0])) {
        a->result = -EBADF;
        return true;
    }
    return false;
}

// ---- signals to a process group that refork is in as well

static bool in_group(int pid, int group) {
    return group == 1 || getpgid(pid) == group;
}

// SIGKILL and SIGSTOP cannot be ignored: the others of the group get theirs one by one, from here, and the caller its own by
// its call.
static bool spares_recorder(const struct task *t, struct user_regs_struct *regs) {
    int to = (int)t->call.args[0], sig = (int)t->call.args[1];
    if (t->call.nr != SYS_kill || to > 0) return false;
    if (t->names.depth && to) return false; // refork is not to be seen in its namespace
    int group = to == 0 ? getpgid(t->process->pid) : -to;
    if (!in_group(getpid(), group)) return false;
    if (sig != SIGKILL && sig != SIGSTOP) {
        outside_expect(sig);
        return false;
    }
    DIR *all = opendir("/proc");
    for (struct dirent *d; all && (d = readdir(all));) {
        int pid = atoi(d->d_name);
        if (pid <= 1 || pid == getpid() || pid == t->process->pid || !in_group(pid, group)) continue;
        kill(pid, sig);
    }
    if (all) closedir(all);
    regs->rdi = (uint64_t)(t->names.depth ? t->names.tids[t->names.depth] : t->process->pid);
    return true;
}

// ---- births that the tracer would not see

static void make_traced(struct task *t, struct user_regs_struct *regs, bool *changed) {
    uint64_t flags = t->call.args[0];
    if (t->call.nr == SYS_clone && flags & CLONE_UNTRACED) {
        regs->rdi = flags & ~(uint64_t)CLONE_UNTRACED;
        *changed = true;
    }
    if (t->call.nr == SYS_clone3 && tracee_read(t->tid, t->mm->mem_fd, t->call.args[0], &flags, 8) &&
        flags & CLONE_UNTRACED) {
        flags &= ~(uint64_t)CLONE_UNTRACED;
        tracee_poke(t->tid, t->mm->mem_fd, t->call.args[0], &flags, 8);
        t->untraced_poked = true;
    }
}

void clone3_as_it_was(const struct task *t, const struct task *in) {
    uint64_t flags;
    if (!t->untraced_poked || !tracee_read(in->tid, in->mm->mem_fd, t->call.args[0], &flags, 8)) return;
    flags |= CLONE_UNTRACED;
    tracee_poke(in->tid, in->mm->mem_fd, t->call.args[0], &flags, 8);
}

// ---- personality

// Addresses are not randomised, unless --aslr. The program sees, and inherits, what it would have without refork.
static bool same_addresses(struct task *t, struct user_regs_struct *regs) {
    const uint64_t wanted = t->call.args[0];
    if (t->call.nr != SYS_personality || (uint32_t)wanted == UINT32_MAX) return false;
    if (t->addresses == ADDRESSES_RANDOM || wanted & ADDR_NO_RANDOMIZE) return false;
    regs->rdi = wanted | ADDR_NO_RANDOMIZE;
    return true;
}

int64_t personality_told(struct task *t, int64_t ret) {
    if (t->call.nr != SYS_personality || ret < 0) return ret;
    const uint64_t wanted = t->call.args[0];
    const int64_t told = t->addresses == ADDRESSES_HELD ? ret & ~(int64_t)ADDR_NO_RANDOMIZE : ret;
    if ((uint32_t)wanted != UINT32_MAX && t->addresses != ADDRESSES_RANDOM)
        t->addresses = wanted & ADDR_NO_RANDOMIZE ? ADDRESSES_FIXED : ADDRESSES_HELD;
    return told;
}

void call_changed_back(const struct task *t) {
    if (t->call.nr == SYS_kill) outside_expect(0);
    clone3_as_it_was(t, t);
}

void change_call(struct task *t, struct user_regs_struct *regs) {
    bool changed = spares_recorder(t, regs) || same_addresses(t, regs);
    t->untraced_poked = false;
    make_traced(t, regs, &changed);
    if (!changed) return;
    tracee_set_regs(t->tid, regs);
    t->call.redirects[t->call.redirect_count++] = (struct redirect){.arg = 0, .real = t->call.args[0]};
}
