// What `refork doctor` shows: each feature of kernel, CPU and machine that refork uses, tried for real. Every
// trial runs in a child of its own, which ends by itself after a few seconds whatever happens; nothing here
// changes refork's own process.
#include "recorder/doctor/probe.h"

#include "core/abi.h"
#include "core/annex.h"
#include "core/cpu/machine.h"
#include "core/tracee.h"

#include <asm/prctl.h>
#include <cpuid.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <limits.h>
#include <link.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <locale.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/rseq.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#ifndef ARCH_SET_CPUID
#define ARCH_SET_CPUID 0x1012
#endif

enum {
    CHILD_SECONDS = 20,
    FAKE = 4711, // the result that a tracer gives to a skipped getppid
    TRACE_OPTIONS = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                    PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT | PTRACE_O_TRACESECCOMP | PTRACE_O_EXITKILL,
    STOP_OPTIONS = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACESECCOMP | PTRACE_O_EXITKILL,
};
#define DISK_ENOUGH (256ull << 20)

// What a probe has seen: sizeof feature.detail.
struct seen {
    char *text;
    size_t size;
};

__attribute__((format(printf, 2, 3))) static bool yes(struct seen s, const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    vsnprintf(s.text, s.size, format, ap);
    va_end(ap);
    return true;
}

__attribute__((format(printf, 2, 3))) static bool no(struct seen s, const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    vsnprintf(s.text, s.size, format, ap);
    va_end(ap);
    return false;
}

// ---- children

typedef void (*child_body)(void *argument);

// The child ends with what the body gives to _exit, 0 when it returns.
static pid_t child_start(child_body body, void *argument, int go) {
    pid_t pid = fork();
    if (pid) return pid;
    signal(SIGALRM, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    alarm(CHILD_SECONDS);
    char byte;
    if (go >= 0 && read(go, &byte, 1) != 1) _exit(99);
    body(argument);
    _exit(0);
}

static bool child_wait(pid_t pid, int *status) {
    for (;;) {
        pid_t got = waitpid(pid, status, __WALL);
        if (got == pid) return true;
        if (got < 0 && errno != EINTR) return false;
    }
}

// Exit status of a child that nobody traces; -1: it could not be made or was killed.
static int child_run(child_body body, void *argument) {
    pid_t pid = child_start(body, argument, -1);
    int status;
    if (pid < 0 || !child_wait(pid, &status)) return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

struct traced {
    pid_t pid;
    int status; // of the last stop
};

static void traced_end(struct traced *t) {
    int status;
    if (t->pid <= 0) return;
    kill(t->pid, SIGKILL);
    while (child_wait(t->pid, &status) && WIFSTOPPED(status))
        ptrace(PTRACE_CONT, t->pid, 0, 0);
    t->pid = 0;
}

static bool traced_next(struct traced *t, int request) {
    return ptrace(request, t->pid, 0, 0) == 0 && child_wait(t->pid, &t->status) && WIFSTOPPED(t->status);
}

// Lets it run to its end; true when it ended with status 0.
static bool traced_ends_well(struct traced *t) {
    if (ptrace(PTRACE_CONT, t->pid, 0, 0) < 0 || !child_wait(t->pid, &t->status)) return false;
    if (WIFSTOPPED(t->status)) return false;
    t->pid = 0;
    return WIFEXITED(t->status) && WEXITSTATUS(t->status) == 0;
}

// A seized child, at its first stop. 0, or errno.
static int traced_begin(struct traced *t, int options, child_body body, void *argument) {
    int go[2];
    *t = (struct traced){0};
    if (pipe2(go, O_CLOEXEC) < 0) return errno;
    t->pid = child_start(body, argument, go[0]);
    int failed = t->pid < 0 ? errno : 0;
    if (!failed && ptrace(PTRACE_SEIZE, t->pid, 0, options) < 0) failed = errno;
    if (!failed && write(go[1], "", 1) != 1) failed = errno;
    close(go[0]);
    close(go[1]);
    if (!failed && (!child_wait(t->pid, &t->status) || !WIFSTOPPED(t->status))) {
        t->pid = 0;
        failed = ECHILD;
    }
    if (failed) traced_end(t);
    return failed;
}

static bool at_breakpoint(const struct traced *t) {
    return t->status >> 8 == SIGTRAP;
}

// A child that stands at an int3, or the reason why not.
static bool traced_stopped(struct traced *t, child_body body, void *argument, struct seen s) {
    int e = traced_begin(t, STOP_OPTIONS, body, argument);
    if (e) return no(s, "no child to try it on: %s", strerror(e));
    if (at_breakpoint(t)) return true;
    traced_end(t);
    return no(s, "the child stopped otherwise than at its breakpoint");
}

static void body_stop(void *unused) {
    (void)unused;
    __asm__ volatile("int3");
}

static void body_getppid(void *unused) {
    (void)unused;
    __asm__ volatile("int3");
    _exit(syscall(SYS_getppid) == FAKE ? 0 : 1);
}

// ---- ptrace

static bool probe_seize(struct seen s) {
    struct traced t;
    int e = traced_begin(&t, TRACE_OPTIONS, body_stop, NULL);
    if (e) return no(s, "PTRACE_SEIZE of a child: %s", strerror(e));
    struct user_regs_struct regs;
    uint64_t mask;
    bool ok = at_breakpoint(&t) && tracee_get_regs(t.pid, &regs) && tracee_set_regs(t.pid, &regs) &&
              ptrace(PTRACE_GETSIGMASK, t.pid, sizeof mask, &mask) == 0;
    e = errno;
    traced_end(&t);
    return ok ? yes(s, "a child could be seized and its registers set")
              : no(s, "a seized child's registers: %s", strerror(e));
}

static void body_fork(void *unused) {
    (void)unused;
    if (fork() == 0) _exit(0);
}

static bool probe_births(struct seen s) {
    struct traced t;
    int e = traced_begin(&t, STOP_OPTIONS | PTRACE_O_TRACEFORK | PTRACE_O_TRACECLONE, body_fork, NULL);
    if (e) return no(s, "no child to try it on: %s", strerror(e));
    int event = t.status >> 16;
    unsigned long born = 0;
    bool told = (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_CLONE) &&
                ptrace(PTRACE_GETEVENTMSG, t.pid, 0, &born) == 0 && born;
    struct traced child = {.pid = (pid_t)born};
    bool attached = told && child_wait(child.pid, &child.status) && WIFSTOPPED(child.status);
    if (attached) traced_end(&child);
    traced_end(&t);
    return attached ? yes(s, "a traced child's child is traced from its birth")
                    : no(s, "ptrace event %d at a fork, child %lu", event, born);
}

static bool probe_sysemu(struct seen s) {
    struct traced t;
    struct user_regs_struct regs;
    if (!traced_stopped(&t, body_getppid, NULL, s)) return false;
    bool stopped = traced_next(&t, PTRACE_SYSEMU) && WSTOPSIG(t.status) == (SIGTRAP | 0x80) &&
                   tracee_get_regs(t.pid, &regs) && regs.orig_rax == SYS_getppid;
    if (!stopped) {
        int e = errno;
        traced_end(&t);
        return no(s, "no stop at a system call: %s", strerror(e));
    }
    regs.rax = FAKE;
    regs.orig_rax = ~0ull;
    bool ok = tracee_set_regs(t.pid, &regs) && traced_ends_well(&t);
    traced_end(&t);
    return ok ? yes(s, "a system call was skipped and answered")
              : no(s, "the child got another result than the tracer's");
}

static void body_filter(void *unused) {
    (void)unused;
    struct sock_filter f[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog p = {sizeof f / sizeof *f, f};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p) < 0)
        _exit(1);
    body_getppid(NULL);
}

static bool probe_seccomp(struct seen s) {
    struct traced t;
    struct user_regs_struct regs;
    if (!traced_stopped(&t, body_filter, NULL, s)) return no(s, "the kernel refused a seccomp filter");
    bool ok = traced_next(&t, PTRACE_CONT) && t.status >> 16 == PTRACE_EVENT_SECCOMP &&
              tracee_get_regs(t.pid, &regs);
    if (ok) {
        regs.rax = FAKE;
        regs.orig_rax = ~0ull;
        ok = tracee_set_regs(t.pid, &regs) && traced_ends_well(&t);
    }
    traced_end(&t);
    return ok ? yes(s, "a filter stopped a call, which was skipped and answered")
              : no(s, "a filter's RET_TRACE did not stop the call, or could not answer it");
}

static bool probe_step(struct seen s) {
    struct traced t;
    siginfo_t info = {0};
    if (!traced_stopped(&t, body_stop, NULL, s)) return false;
    bool ok = traced_next(&t, PTRACE_SINGLESTEP) && WSTOPSIG(t.status) == SIGTRAP &&
              ptrace(PTRACE_GETSIGINFO, t.pid, 0, &info) == 0 && info.si_code == TRAP_TRACE;
    traced_end(&t);
    return ok ? yes(s, "one instruction was stepped") : no(s, "no stop after one instruction");
}

static bool probe_xstate(struct seen s) {
    static char state[XSTATE_MAX];
    struct traced t;
    if (!traced_stopped(&t, body_stop, NULL, s)) return false;
    size_t n = tracee_get_xstate(t.pid, state, sizeof state);
    int e = errno;
    bool ok = n >= 512 && tracee_set_xstate(t.pid, state, n);
    if (n) e = errno;
    traced_end(&t);
    if (!ok) return no(s, "NT_X86_XSTATE: %s", strerror(e));
    return yes(s, "NT_X86_XSTATE has %zu bytes", n);
}

struct watched {
    volatile uint64_t *word;
};

static void body_write(void *argument) {
    struct watched *w = argument;
    __asm__ volatile("int3");
    *w->word = 1;
    *w->word = 2;
}

static bool probe_watchpoint(struct seen s) {
    static volatile uint64_t word;
    struct watched w = {&word};
    struct traced t;
    if (!traced_stopped(&t, body_write, &w, s)) return false;
    // DR7: enable breakpoint 0, RW0 (bits 16-17) 1 = write, LEN0 (18-19) 2 = 8 bytes (Intel SDM vol.
    // 3, 17.2.4)
    uint64_t seen = 0;
    siginfo_t info = {0};
    bool set = ptrace(PTRACE_POKEUSER, t.pid, offsetof(struct user, u_debugreg[0]), &word) == 0 &&
               ptrace(PTRACE_POKEUSER, t.pid, offsetof(struct user, u_debugreg[7]), 0x90001) == 0;
    int e = errno;
    bool hit = set && traced_next(&t, PTRACE_CONT) && WSTOPSIG(t.status) == SIGTRAP &&
               ptrace(PTRACE_GETSIGINFO, t.pid, 0, &info) == 0 && info.si_code == TRAP_HWBKPT &&
               tracee_read(t.pid, -1, (uint64_t)(uintptr_t)&word, &seen, sizeof seen) && seen == 1;
    traced_end(&t);
    if (!set) return no(s, "the debug registers cannot be set: %s", strerror(e));
    return hit ? yes(s, "a write to a watched word stopped the child")
               : no(s, "a write to a watched word stopped nobody");
}

// ---- memory of others

static void body_read_page(void *page) {
    __asm__ volatile("int3");
    _exit(*(volatile char *)page == 'x' ? 0 : 1);
}

static bool probe_mem_write(struct seen s) {
    void *page = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct traced t;
    if (page == MAP_FAILED) return no(s, "mmap: %s", strerror(errno));
    bool ok = false;
    int e = 0;
    if (traced_stopped(&t, body_read_page, page, s)) {
        int mem = tracee_open_mem(t.pid);
        ok = mem >= 0 && tracee_write(mem, (uint64_t)(uintptr_t)page, "x", 1);
        e = errno;
        if (mem >= 0) close(mem);
        ok = ok && traced_ends_well(&t);
        traced_end(&t);
        ok ? yes(s, "a read-only page of a child was written")
           : no(s, "writing a read-only page of a child: %s", strerror(e));
    }
    munmap(page, PAGE);
    return ok;
}

static bool probe_vm_readv(struct seen s) {
    static const char text[] = "refork";
    char copy[sizeof text] = "";
    struct traced t;
    if (!traced_stopped(&t, body_stop, NULL, s)) return false;
    struct iovec local = {copy, sizeof copy}, remote = {(void *)(uintptr_t)text, sizeof text};
    ssize_t n = process_vm_readv(t.pid, &local, 1, &remote, 1, 0);
    int e = errno;
    traced_end(&t);
    if (n != sizeof text) return no(s, "process_vm_readv: %s", n < 0 ? strerror(e) : "too short");
    return strcmp(copy, text) ? no(s, "process_vm_readv read something else")
                              : yes(s, "a child's memory was read");
}

static void body_touch(void *pages) {
    *(volatile char *)pages = 1;
    __asm__ volatile("int3");
}

static bool probe_pagemap(struct seen s) {
    char *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), path[64];
    struct traced t;
    if (pages == MAP_FAILED) return no(s, "mmap: %s", strerror(errno));
    madvise(pages, 2 * PAGE, MADV_NOHUGEPAGE); // a huge page would make both of them present
    bool ok = false;
    if (traced_stopped(&t, body_touch, pages, s)) {
        // Bit 63 present, 62 swapped, 61 file-backed or shared (Documentation/admin-guide/mm/pagemap.rst).
        uint64_t entry[2] = {0};
        snprintf(path, sizeof path, "/proc/%d/pagemap", t.pid);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = pread(fd, entry, sizeof entry, (off_t)((uintptr_t)pages / PAGE * 8));
        int e = errno;
        if (fd >= 0) close(fd);
        traced_end(&t);
        ok = n == sizeof entry && entry[0] >> 62 && !(entry[0] >> 61 & 1) && !(entry[1] >> 62);
        if (ok)
            yes(s, "it tells touched pages from untouched ones");
        else if (n < 0)
            no(s, "/proc/PID/pagemap: %s", strerror(e));
        else
            no(s, "a touched page shows as 0x%llx, an untouched one as 0x%llx", (unsigned long long)entry[0],
               (unsigned long long)entry[1]);
    }
    munmap(pages, 2 * PAGE);
    return ok;
}

static bool probe_pidfd(struct seen s) {
    struct traced t;
    if (!traced_stopped(&t, body_stop, NULL, s)) return false;
    int pidfd = (int)syscall(SYS_pidfd_open, t.pid, 0);
    int copy = pidfd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, STDERR_FILENO, 0);
    // Without a standard error there is nothing to copy, and that is an answer too.
    bool ok = copy >= 0 || (pidfd >= 0 && errno == EBADF);
    int e = errno;
    if (copy >= 0) close(copy);
    if (pidfd >= 0) close(pidfd);
    traced_end(&t);
    return ok ? yes(s, "a child's descriptor was copied") : no(s, "pidfd_getfd: %s", strerror(e));
}

static void body_annex(void *unused) {
    (void)unused;
    void *at = mmap((void *)ANNEX_BASE, ANNEX_END - ANNEX_BASE, PROT_READ | PROT_WRITE | PROT_EXEC,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_NORESERVE, -1, 0);
    if (at != (void *)ANNEX_BASE) _exit(at == MAP_FAILED && errno < 100 ? errno : 100);
}

static bool probe_annex(struct seen s) {
    int e = child_run(body_annex, NULL);
    if (!e) return yes(s, "%llu MiB at 0x%llx", (ANNEX_END - ANNEX_BASE) >> 20, ANNEX_BASE);
    return no(s, "mmap at 0x%llx: %s", ANNEX_BASE,
              e > 0 && e < 100 ? strerror(e) : "another place was given");
}

static void body_memfd(void *unused) {
    (void)unused;
    static const unsigned char code[] = {0xb8, 42, 0, 0, 0, 0xc3}; // mov $42,%eax; ret
    int fd = memfd_create("refork-probe", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) _exit(1);
    if (write(fd, code, sizeof code) != sizeof code) _exit(2);
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0) _exit(3);
    void *page = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    if (page == MAP_FAILED) _exit(4);
    int (*function)(void);
    memcpy(&function, &page, sizeof function);
    _exit(function());
}

static bool probe_memfd(struct seen s) {
    static const char *const steps[] = {"", "memfd_create", "write", "sealing", "mapping it executable"};
    int got = child_run(body_memfd, NULL);
    if (got == 42) return yes(s, "code in a sealed memory file was executed");
    return no(s, "%s failed", got > 0 && got < 5 ? steps[got] : "executing code in a memory file");
}

// ---- the process itself

static void body_personality(void *unused) {
    (void)unused;
    int old = personality(0xffffffff);
    if (old < 0 || personality((unsigned long)old | ADDR_NO_RANDOMIZE) < 0) _exit(1);
    if (!(personality(0xffffffff) & ADDR_NO_RANDOMIZE)) _exit(2);
}

static bool probe_personality(struct seen s) {
    return child_run(body_personality, NULL) == 0 ? yes(s, "personality(ADDR_NO_RANDOMIZE) is allowed")
                                                  : no(s, "personality(ADDR_NO_RANDOMIZE) is refused");
}

static void caught(int sig) {
    _exit(sig == SIGSEGV ? 42 : 43);
}

static void body_tsc(void *unused) {
    (void)unused;
    signal(SIGSEGV, caught);
    if (prctl(PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0) < 0) _exit(1);
    volatile uint64_t t = __rdtsc();
    (void)t;
}

static bool probe_tsc(struct seen s) {
    int got = child_run(body_tsc, NULL);
    if (got == 42 && cpu_tsc_traps()) return yes(s, "PR_SET_TSC made rdtsc fault");
    return no(s, got == 1 ? "PR_SET_TSC is refused" : "rdtsc did not fault after PR_SET_TSC");
}

static void body_cpuid(void *unused) {
    (void)unused;
    signal(SIGSEGV, caught);
    if (syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0) < 0) _exit(1);
    uint32_t a, b, c, d;
    __cpuid(0, a, b, c, d);
}

static bool probe_cpuid(struct seen s) {
    int got = child_run(body_cpuid, NULL);
    if (got == 42 && cpu_cpuid_faults()) return yes(s, "ARCH_SET_CPUID made cpuid fault");
    return no(s, got == 1 ? "the CPU, or the VM that it is in, has no CPUID faulting"
                          : "cpuid did not fault after ARCH_SET_CPUID");
}

static void body_rseq(void *unused) {
    (void)unused;
    if (syscall(SYS_rseq, (char *)__builtin_thread_pointer() + __rseq_offset, 32, 1 /* UNREGISTER */,
                RSEQ_SIG))
        _exit(1);
}

static bool probe_rseq(struct seen s) {
    if (!__rseq_size) return yes(s, "glibc has not registered any");
    return child_run(body_rseq, NULL) == 0 ? yes(s, "glibc's was unregistered")
                                           : no(s, "glibc's cannot be unregistered");
}

static void body_pin(void *argument) {
    cpu_set_t one, *allowed = argument;
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, allowed) && !CPU_COUNT(&one)) CPU_SET(i, &one);
    if (sched_setaffinity(0, sizeof one, &one) < 0) _exit(1);
}

static bool probe_pin(struct seen s) {
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) < 0)
        return no(s, "sched_getaffinity: %s", strerror(errno));
    return child_run(body_pin, &allowed) == 0 ? yes(s, "a child was pinned")
                                              : no(s, "sched_setaffinity is refused");
}

static bool probe_cpus(struct seen s) {
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) < 0)
        return no(s, "sched_getaffinity: %s", strerror(errno));
    int n = CPU_COUNT(&allowed);
    return n > 1 ? yes(s, "%d CPUs are allowed", n) : no(s, "only one CPU is allowed");
}

// ---- what surrounds refork

// The number behind "KEY:" in /proc/self/status; base 16 for capabilities. false: no such line.
static bool status_number(const char *key, int base, uint64_t *out) {
    char line[256];
    bool found = false;
    FILE *f = fopen("/proc/self/status", "re");
    size_t len = strlen(key);
    while (f && !found && fgets(line, sizeof line, f))
        if (!strncmp(line, key, len) && line[len] == ':') {
            *out = strtoull(line + len + 1, NULL, base);
            found = true;
        }
    if (f) fclose(f);
    return found;
}

static bool probe_yama(struct seen s) {
    FILE *f = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
    if (!f) return yes(s, "this kernel has no yama");
    int scope = -1;
    bool known = fscanf(f, "%d", &scope) == 1;
    fclose(f);
    uint64_t capabilities = 0;
    status_number("CapEff", 16, &capabilities);
    bool ok = known && (scope < 2 || (scope == 2 && capabilities >> CAP_SYS_PTRACE & 1));
    return ok ? yes(s, "ptrace_scope is %d: children may be traced", scope)
              : no(s, "ptrace_scope is %d: not even children may be traced", scope);
}

static bool probe_sandbox(struct seen s) {
    uint64_t mode = 0;
    const char *where = access("/.dockerenv", F_OK) == 0          ? " (Docker)"
                        : access("/run/.containerenv", F_OK) == 0 ? " (Podman)"
                                                                  : "";
    if (!status_number("Seccomp", 10, &mode))
        return yes(s, "/proc/self/status does not tell of any%s", where);
    return mode ? no(s, "a seccomp filter is around refork itself%s", where)
                : yes(s, "no seccomp filter%s", where);
}

static bool probe_disk(struct seen s) {
    struct statvfs v;
    char folder[PATH_MAX];
    if (!getcwd(folder, sizeof folder)) return no(s, "the current folder is gone");
    if (statvfs(".", &v) < 0) return no(s, "'%.80s': %s", folder, strerror(errno));
    unsigned long long room = (unsigned long long)v.f_bavail * v.f_frsize;
    if (access(".", W_OK) < 0) return no(s, "'%.100s' is not writable", folder);
    bool enough = room >= DISK_ENOUGH;
    (enough ? yes : no)(s, "%.1f GiB free in '%.100s'", (double)room / (1 << 30), folder);
    return enough;
}

static bool probe_locale(struct seen s) {
    locale_t l = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
    const char *const names[] = {getenv("LC_ALL"), getenv("LC_CTYPE"), getenv("LANG")};
    const char *name = "C";
    for (int i = 2; i >= 0; i--)
        if (names[i] && *names[i]) name = names[i];
    if (!l) return no(s, "the locale '%.60s' is not installed", name);
    char codeset[32];
    snprintf(codeset, sizeof codeset, "%s", nl_langinfo_l(CODESET, l));
    freelocale(l);
    bool utf8 = !strcmp(codeset, "UTF-8");
    (utf8 ? yes : no)(s, "'%.60s' has the character set %s", name, codeset);
    return utf8;
}

// Of terminfo. Not from <term.h>, which makes macros of a hundred common words.
extern int setupterm(const char *type, int fd, int *result);

static void body_terminal(void *unused) {
    (void)unused;
    int result = -1;
    if (setupterm(NULL, STDOUT_FILENO, &result) != 0 || result != 1) _exit(1);
}

static bool probe_terminal(struct seen s) {
    const char *type = getenv("TERM");
    if (!type || !*type) return no(s, "TERM is not set");
    if (!strcmp(type, "dumb")) return no(s, "TERM is 'dumb'");
    if (child_run(body_terminal, NULL) != 0) return no(s, "terminfo does not know the type '%.60s'", type);
    return yes(s, "'%.60s'%s", type,
               isatty(STDOUT_FILENO) ? "" : " (standard output is no terminal just now)");
}

static int libc_build_id(struct dl_phdr_info *info, size_t size, void *path) {
    (void)size;
    const char *name = strrchr(info->dlpi_name, '/');
    if (!name || (strncmp(name, "/libc.so", 8) && strncmp(name, "/libc-", 6))) return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
        if (ph->p_type != PT_NOTE) continue;
        const char *at = (const char *)(info->dlpi_addr + ph->p_vaddr), *end = at + ph->p_memsz;
        while ((size_t)(end - at) >= sizeof(ElfW(Nhdr))) {
            ElfW(Nhdr) note;
            memcpy(&note, at, sizeof note);
            const unsigned char *id = (const void *)(at + sizeof note + ((note.n_namesz + 3) & ~3u));
            if (note.n_type == NT_GNU_BUILD_ID && note.n_descsz > 1 && note.n_descsz <= 64) {
                char *out = path;
                out += sprintf(out, "/usr/lib/debug/.build-id/%02x/", id[0]);
                for (unsigned k = 1; k < note.n_descsz; k++)
                    out += sprintf(out, "%02x", id[k]);
                strcpy(out, ".debug");
                return 1;
            }
            at += sizeof note + ((note.n_namesz + 3) & ~3u) + ((note.n_descsz + 3) & ~3u);
        }
    }
    return 0;
}

static bool probe_libc_symbols(struct seen s) {
    char path[PATH_MAX];
    if (!dl_iterate_phdr(libc_build_id, path)) return no(s, "libc's build id is not to be found");
    return access(path, R_OK) == 0 ? yes(s, "'%.140s'", path) : no(s, "no '%.130s'", path);
}

// ---- all of it

#define CONTAINER_REMEDY "in a container: docker run --cap-add SYS_PTRACE --security-opt seccomp=unconfined"

static const struct probe {
    const char *name;
    bool required;
    bool (*run)(struct seen s);
    const char *lost, *remedy;
} probes[] = {
    {"ptrace", true, probe_seize, "recording and replaying", CONTAINER_REMEDY "; else look at yama below"},
    {"ptrace of new processes", true, probe_births, "recording programs that fork", CONTAINER_REMEDY},
    {"ptrace SYSEMU", true, probe_sysemu, "replaying",
     "use a Linux kernel for x86-64 without emulation (gVisor and qemu-user have no PTRACE_SYSEMU)"},
    {"ptrace single step", true, probe_step, "delivering signals, interrupting busy loops",
     "use a VM that passes the trap flag through"},
    {"ptrace extended registers", true, probe_xstate, "replaying anything that uses SSE or AVX",
     "use a kernel with NT_X86_XSTATE"},
    {"seccomp stops", true, probe_seccomp, "recording",
     CONTAINER_REMEDY "; the kernel needs CONFIG_SECCOMP_FILTER"},
    {"writing through /proc/PID/mem", true, probe_mem_write,
     "patching code (PLT clock, trapped instructions)",
     "mount /proc; boot without proc_mem.force_override=never (Linux 6.12 and later)"},
    {"refork's pages at their address", true, probe_annex, "recording",
     "allow writable and executable memory (SELinux: execmem) and 32 MiB of address space (ulimit -v)"},
    {"executable memory files", true, probe_memfd, "replaying", "sysctl vm.memfd_noexec=0"},
    {"rseq can be unregistered", true, probe_rseq, "replaying", "export GLIBC_TUNABLES=glibc.pthread.rseq=0"},
    {"pinning to one CPU", true, probe_pin, "recording", "allow sched_setaffinity (" CONTAINER_REMEDY ")"},
    {"pagemap", true, probe_pagemap, "programs with busy loops, --paranoid: memory digests need it",
     "use a kernel with CONFIG_PROC_PAGE_MONITOR"},
    {"process_vm_readv", false, probe_vm_readv, "some speed: /proc/PID/mem is read instead",
     CONTAINER_REMEDY},
    {"pidfd_getfd", false, probe_pidfd, "recording a program that maps a file which only its opener may read",
     "use Linux 5.6 or later"},
    {"hardware watchpoints", false, probe_watchpoint,
     "some speed: pages are protected instead, to find who wrote a lock's word",
     "nothing is needed; a VM that has debug registers is faster"},
    {"address randomisation can be off", false, probe_personality,
     "the same addresses in every recording (replay is exact all the same)",
     "in a container: docker run --security-opt seccomp=unconfined"},
    {"rdtsc traps", false, probe_tsc,
     "rdtsc in code generated at run time; in mapped files refork patches what it finds", CONTAINER_REMEDY},
    {"cpuid traps", false, probe_cpuid,
     "cpuid in code generated at run time, and with it hiding rdrand and rdseed from it; in mapped files "
     "refork patches what it finds",
     "nothing is needed for most programs; Intel CPUs since Ivy Bridge have it outside of VMs"},
    {"a second CPU", false, probe_cpus, "some speed: compression shares the program's CPU",
     "allow another one (taskset, cpuset of the container)"},
    {"yama", false, probe_yama, "recording and replaying", "as root: sysctl kernel.yama.ptrace_scope=1"},
    {"no sandbox around refork", false, probe_sandbox,
     "perhaps nothing: what the filter refuses is in the other lines",
     "if another line says no: docker run --cap-add SYS_PTRACE --security-opt seccomp=unconfined"},
    {"disk space", false, probe_disk, "long recordings: a full disk ends them (what was recorded stays good)",
     "record -o FILE somewhere else"},
    {"UTF-8 locale", false, probe_locale, "lines and symbols of the TUI: it draws with ASCII",
     "export LC_ALL=C.UTF-8"},
    {"terminal type", false, probe_terminal, "the TUI (replay --batch, explain and dump do without)",
     "export TERM=xterm-256color, or install ncurses-term"},
    {"debug symbols of libc", false, probe_libc_symbols,
     "names and lines of libc's internal functions in stacks (exported names are there)",
     "apt-get install libc6-dbg"},
};

int probe_features(struct feature *out, int max) {
    int n = 0;
    fflush(NULL); // the children must not write it again
    for (size_t i = 0; i < sizeof probes / sizeof *probes && n < max; i++) {
        const struct probe *p = &probes[i];
        struct feature *f = &out[n++];
        *f = (struct feature){.name = p->name, .required = p->required, .lost = p->lost, .remedy = p->remedy};
        f->available = p->run((struct seen){f->detail, sizeof f->detail});
    }
    return n;
}
