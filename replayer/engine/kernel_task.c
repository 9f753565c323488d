#include "replayer/engine/kernel_task.h"

#include "core/abi.h"
#include "core/annex.h"
#include "core/tracee.h"

#include <asm/prctl.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OPTIONS = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL };

// Only the calls that the replayer injects, and only from its page. Code of the recording never gets as far
// as this filter, since SYSEMU takes its calls before; the filter is the second wall.
static int install_filter(void) {
    static const int allowed[] = {SYS_mmap,    SYS_munmap, SYS_mprotect,  SYS_mremap,
                                  SYS_madvise, SYS_clone,  SYS_modify_ldt};
    enum { N = sizeof allowed / sizeof *allowed };
    struct sock_filter f[32];
    unsigned n = 0;
    // seccomp_data: nr 0, arch 4, instruction_pointer 8 (low word), 12 (high word)
    f[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
    f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    f[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 12);
    // The vsyscall page: the kernel emulates it beside SYSEMU. Its calls are not made, SIGSYS tells of them.
    f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(VSYSCALL_PAGE >> 32), 0, 4);
    f[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 8);
    f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (uint32_t)VSYSCALL_PAGE, 0, 1);
    f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP);
    f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(REPLAY_PAGE >> 32), 1, 0);
    f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    f[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 8);
    f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)REPLAY_PAGE + 2, 1, 0);
    f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    f[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (int i = 0; i < N; i++)
        f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)allowed[i],
                                              (uint8_t)(N - i), 0);
    f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog p = {(unsigned short)n, f};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return -1;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p);
}

static void template_main(int go, pid_t parent) {
    char byte;
    // Until it is attached (PTRACE_O_EXITKILL), it must not outlive who made it; the pipe does not tell: its other end is its own, too.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(103);
    while (read(go, &byte, 1) < 0 && errno == EINTR)
        continue;
    prctl(PR_SET_PDEATHSIG, 0);
    personality(ADDR_NO_RANDOMIZE);
    prctl(PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0);
    syscall(SYS_arch_prctl, 0x1012 /* ARCH_SET_CPUID */, 0);
    // The kernel writes to the registered rseq area at each preemption: with the area unmapped that is a
    // SIGSEGV.
    if (__rseq_size)
        syscall(SYS_rseq, (char *)__builtin_thread_pointer() + __rseq_offset, 32, 1 /* UNREGISTER */,
                RSEQ_SIG);
    syscall(SYS_set_robust_list, NULL, 24);
    syscall(SYS_set_tid_address, NULL);
    // A handler would run in memory that is no longer there; and nothing from outside shall kill it quietly.
    for (int s = 1; s < 65; s++)
        signal(s, SIG_DFL);
    unsigned char *page = mmap((void *)REPLAY_PAGE, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (page != (void *)REPLAY_PAGE) _exit(101);
    page[0] = 0x0f;
    page[1] = 0x05;
    page[2] = 0xcc;
    mprotect(page, 4096, PROT_READ | PROT_EXEC);
    if (install_filter() < 0) _exit(102);
    __asm__ volatile("int3");
    __builtin_trap();
}

static pid_t wait_listening(pid_t pid, int *status) {
    sigset_t alarm, before;
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    sigprocmask(SIG_UNBLOCK, &alarm, &before);
    pid_t got = waitpid(pid, status, __WALL);
    int why = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    errno = why;
    return got;
}

bool kernel_task_wait_asking(pid_t pid, int *status, bool (*ask)(void *context), void *context,
                             bool *stopped) {
    *stopped = false;
    for (;;) {
        pid_t got = ask ? wait_listening(pid, status) : waitpid(pid, status, __WALL);
        if (got == pid) return WIFSTOPPED(*status);
        if (got < 0 && errno != EINTR) return false;
        // What stops it first is met: an own stop, and then this one later, or this one.
        if (ask && !*stopped && ask(context)) *stopped = ptrace(PTRACE_INTERRUPT, pid, 0, 0) == 0;
    }
}

bool kernel_task_wait(pid_t pid, int *status) {
    bool stopped;
    return kernel_task_wait_asking(pid, status, NULL, NULL, &stopped);
}

long kernel_task_call(pid_t pid, long nr, const uint64_t args[6]) {
    struct user_regs_struct regs;
    int status;
    if (!tracee_get_regs(pid, &regs)) return -ESRCH;
    regs.rip = REPLAY_PAGE;
    regs.rax = (uint64_t)nr;
    regs.orig_rax = ~0ull;
    for (int i = 0; i < 6; i++)
        *abi_argument(&regs, i) = args[i];
    if (!tracee_set_regs(pid, &regs)) return -ESRCH;
    for (int stops = 0; stops < 64; stops++) {
        if (ptrace(PTRACE_CONT, pid, 0, 0) < 0 || !kernel_task_wait(pid, &status)) return -ESRCH;
        if (status >> 16) continue; // the fork event of a clone
        if (!tracee_get_regs(pid, &regs)) return -ESRCH;
        if (WSTOPSIG(status) == SIGTRAP && regs.rip == REPLAY_PAGE + 3) return (long)regs.rax;
        // A signal from outside (SIGTERM to the group): not for the recording.
        if (regs.rip < REPLAY_PAGE || regs.rip > REPLAY_PAGE + 3) return -EFAULT;
    }
    return -EFAULT;
}

pid_t kernel_task_fork(pid_t from, struct rf_error *err) {
    // CLONE_FILES: the replayer's descriptors (blobs as memfds) are the task's, so that mmap can name them.
    // CLONE_PARENT: a child of the replayer, which reaps it; the task that it is forked from gets no SIGCHLD.
    long pid = KERNEL_TASK_CALL(from, SYS_clone, CLONE_FILES | CLONE_PARENT);
    int status;
    if (pid <= 0 || !kernel_task_wait((pid_t)pid, &status)) {
        errno = pid < 0 ? (int)-pid : ECHILD;
        return rf_fail_errno(err, RF_CANNOT, "cannot fork a replay task");
    }
    return (pid_t)pid;
}

void kernel_task_kill(pid_t pid) {
    if (pid <= 0) return;
    int status;
    kill(pid, SIGKILL);
    for (;;) {
        pid_t got = waitpid(pid, &status, __WALL);
        if (got != pid && errno == EINTR) continue;
        if (got != pid || !WIFSTOPPED(status)) return;
    }
}

int kernel_task_template(pid_t *out, struct rf_error *err) {
    int go[2], status;
    if (pipe2(go, O_CLOEXEC) < 0) return rf_fail_errno(err, RF_CANNOT, "cannot make a pipe");
    // The table of descriptors grows now, for those that fd_raise makes: once it is shared, the kernel waits for a grace
    // period when it grows (expand_fdtable, synchronize_rcu: 8 to 16 ms here).
    int grown = fcntl(go[0], F_DUPFD_CLOEXEC, 1000);
    if (grown >= 0) close(grown);
    fflush(NULL);
    const pid_t parent = getpid();
    long pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid < 0) return rf_fail_errno(err, RF_CANNOT, "cannot fork");
    if (!pid) template_main(go[0], parent);
    tracee_quiet_stops();
    int result = 0;
    if (ptrace(PTRACE_SEIZE, (pid_t)pid, 0, OPTIONS) < 0)
        result = rf_fail_errno(err, RF_CANNOT, "the kernel refused ptrace (run 'refork doctor')");
    ssize_t ignored = write(go[1], "", 1);
    (void)ignored;
    if (!result && (!kernel_task_wait((pid_t)pid, &status) || WSTOPSIG(status) != SIGTRAP))
        result = rf_fail(err, RF_CANNOT,
                         "cannot set up a replay task (wait status 0x%x; run 'refork doctor')", status);
    close(go[0]);
    close(go[1]);
    if (result < 0) {
        kernel_task_kill((pid_t)pid);
        return -1;
    }
    *out = (pid_t)pid;
    long low = kernel_task_unmap(*out, 0, REPLAY_PAGE);
    long high = kernel_task_unmap(*out, REPLAY_PAGE + PAGE, USER_END - REPLAY_PAGE - PAGE);
    if (low || high)
        return rf_fail(err, RF_CANNOT, "cannot empty a replay task (munmap: %ld, %ld)", low, high);
    return 0;
}
