// Seccomp filters of the program's own, obeyed as by the kernel. Each case runs in a child of its own, so that its filter ends with
// it; which cases there are the argument says: all that need no privilege, or "privileged" for those that have no no_new_privs.
#include "program.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/ucontext.h>

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define ON(nr, action)                                                                                       \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 1), BPF_STMT(BPF_RET | BPF_K, (uint32_t)(action))
#define ELSE(action) BPF_STMT(BPF_RET | BPF_K, (uint32_t)(action))
#define INSTALL(flags, ...)                                                                                  \
    ({                                                                                                       \
        struct sock_filter code[] = {__VA_ARGS__};                                                           \
        struct sock_fprog program = {sizeof code / sizeof *code, code};                                      \
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, (flags), &program);                                    \
    })

static void no_new_privileges(void) {
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
}

// An errno, a success that is none, and more than one filter.
static void errors(void) {
    int pair[2];
    CHECK(prctl(PR_GET_SECCOMP) == 0);
    CHECK(INSTALL(0, LOAD(nr), ON(SYS_getppid, SECCOMP_RET_ERRNO | EPERM), ON(SYS_pipe2, SECCOMP_RET_ERRNO),
                  ON(SYS_getuid, SECCOMP_RET_ERRNO | 5000), ON(SYS_munmap, SECCOMP_RET_ERRNO),
                  ON(SYS_close, SECCOMP_RET_ERRNO | ENOTTY), ON(SYS_getgid, SECCOMP_RET_TRACE),
                  ELSE(SECCOMP_RET_ALLOW)) == 0);
    CHECK(prctl(PR_GET_SECCOMP) == 2);
    CHECK(syscall(SYS_getppid) == -1 && errno == EPERM);
    CHECK(syscall(SYS_getuid) == -1 && errno == 4095);
    CHECK(syscall(SYS_getgid) == -1 && errno == ENOSYS);
    pair[0] = pair[1] = 77;
    CHECK(pipe2(pair, 0) == 0 && pair[0] == 77 && pair[1] == 77); // not made
    CHECK(close(1) == -1 && errno == ENOTTY);
    char *page = aligned_alloc(4096, 4096);
    *page = 'x';
    CHECK(syscall(SYS_munmap, page, 4096) == 0 && *page == 'x'); // still there
    // The second one: the action that goes before the other.
    CHECK(INSTALL(0, LOAD(nr), ON(SYS_getppid, SECCOMP_RET_ALLOW), ON(SYS_getuid, SECCOMP_RET_ERRNO | ERANGE),
                  ON(SYS_getegid, SECCOMP_RET_LOG), ELSE(SECCOMP_RET_ALLOW)) == 0);
    CHECK(syscall(SYS_getppid) == -1 && errno == EPERM);
    CHECK(syscall(SYS_getuid) == -1 && errno == ERANGE); // the newer one's, as both are of one kind
    CHECK(syscall(SYS_getegid) >= 0);
    printf("errors: still here, %d\n", getpid());
}

static volatile int trapped, trapped_nr, trapped_errno;
static void *trapped_at;

static void on_sigsys(int sig, siginfo_t *info, void *context) {
    ucontext_t *c = context;
    CHECK(sig == SIGSYS && info->si_code == 1 && info->si_arch == AUDIT_ARCH_X86_64);
    trapped++;
    trapped_nr = info->si_syscall;
    trapped_errno = info->si_errno;
    trapped_at = info->si_call_addr;
    CHECK((void *)c->uc_mcontext.gregs[REG_RIP] == trapped_at);
    CHECK(c->uc_mcontext.gregs[REG_RAX] == info->si_syscall);
    c->uc_mcontext.gregs[REG_RAX] = 4711; // what the call returns: a broker's answer
}

static void traps(void) {
    struct sigaction a = {.sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO};
    CHECK(sigaction(SIGSYS, &a, NULL) == 0);
    CHECK(INSTALL(0, LOAD(nr), ON(SYS_getpriority, SECCOMP_RET_TRAP | 33), ELSE(SECCOMP_RET_ALLOW)) == 0);
    for (int i = 1; i <= 3; i++) {
        CHECK(syscall(SYS_getpriority, 0, 0) == 4711);
        CHECK(trapped == i && trapped_nr == SYS_getpriority && trapped_errno == 33);
    }
    printf("traps: at %p\n", trapped_at);
}

// By arguments and by the place of the call.
static void arguments(void) {
    uint64_t wanted = 0x1234567800000003ull;
    CHECK(INSTALL(0, LOAD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_lseek, 0, 5), LOAD(args[1]),
                  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)wanted, 0, 3),
                  BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1]) + 4),
                  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(wanted >> 32), 0, 1),
                  ELSE(SECCOMP_RET_ERRNO | EXDEV), ELSE(SECCOMP_RET_ALLOW)) == 0);
    CHECK(lseek(1000, (off_t)wanted, SEEK_SET) == -1 && errno == EXDEV);
    CHECK(lseek(1000, (off_t)wanted + 1, SEEK_SET) == -1 && errno == EBADF);
    CHECK(INSTALL(0, LOAD(arch), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
                  ELSE(SECCOMP_RET_KILL_PROCESS), ELSE(SECCOMP_RET_ALLOW)) == 0);
    printf("arguments: %ld\n", (long)time(NULL));
}

// Filters go over to children and new programs.
static void inherited(void) {
    int status;
    CHECK(INSTALL(0, LOAD(nr), ON(SYS_getppid, SECCOMP_RET_ERRNO | EXDEV), ELSE(SECCOMP_RET_ALLOW)) == 0);
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        CHECK(syscall(SYS_getppid) == -1 && errno == EXDEV);
        execl("/proc/self/exe", "seccomp", "executed", (char *)NULL);
        _exit(1);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 5 << 8);
}

static atomic_int step, seen;

static void *synchronised(void *unused) {
    step = 1;
    while (step != 2)
        usleep(1000);
    seen = syscall(SYS_getppid) == -1 ? errno : -1;
    return unused;
}

static void threads(void) {
    pthread_t t;
    CHECK(pthread_create(&t, NULL, synchronised, NULL) == 0);
    while (step != 1)
        usleep(1000);
    CHECK(INSTALL(SECCOMP_FILTER_FLAG_TSYNC, LOAD(nr), ON(SYS_getppid, SECCOMP_RET_ERRNO | EDOM),
                  ELSE(SECCOMP_RET_ALLOW)) == 0);
    step = 2;
    CHECK(pthread_join(t, NULL) == 0 && seen == EDOM);
    // One that is not synchronised is out of step: its TID is the answer.
    step = seen = 0;
    CHECK(pthread_create(&t, NULL, synchronised, NULL) == 0);
    while (step != 1)
        usleep(1000);
    CHECK(INSTALL(0, LOAD(nr), ON(SYS_getuid, SECCOMP_RET_ERRNO | EDOM), ELSE(SECCOMP_RET_ALLOW)) == 0);
    step = 2;
    CHECK(pthread_join(t, NULL) == 0 && seen == EDOM); // of the older filter
    printf("threads: well\n");
}

static void *alone(void *unused) {
    seen = 1;
    syscall(SYS_getppid);
    seen = 2; // not reached
    return unused;
}

static void thread_ends(void) {
    pthread_t t;
    CHECK(INSTALL(0, LOAD(nr), ON(SYS_getppid, SECCOMP_RET_KILL_THREAD), ELSE(SECCOMP_RET_ALLOW)) == 0);
    seen = 0;
    CHECK(pthread_create(&t, NULL, alone, NULL) == 0 && pthread_join(t, NULL) == 0 && seen == 1);
    printf("thread_ends: the rest goes on\n");
}

static void end_by_thread(void) {
    CHECK(INSTALL(0, LOAD(nr), ON(SYS_getppid, SECCOMP_RET_KILL_THREAD), ELSE(SECCOMP_RET_ALLOW)) == 0);
    syscall(SYS_getppid);
    CHECK(!"reached");
}

static void end(void) {
    signal(SIGSYS, SIG_IGN); // does not help
    CHECK(INSTALL(0, LOAD(nr), ON(SYS_getppid, SECCOMP_RET_KILL_PROCESS), ELSE(SECCOMP_RET_ALLOW)) == 0);
    syscall(SYS_getppid);
    CHECK(!"reached");
}

static void end_by_trap(void) {
    CHECK(INSTALL(0, LOAD(nr), ON(SYS_getppid, SECCOMP_RET_TRAP), ELSE(SECCOMP_RET_ALLOW)) == 0);
    syscall(SYS_getppid);
    CHECK(!"reached");
}

static void strict_end(void) {
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0);
    CHECK(write(1, "strict\n", 7) == 7);
    syscall(SYS_getppid);
    write(1, "reached\n", 8);
}

static void strict_exit(void) {
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0);
    syscall(SYS_exit, 3);
}

// Of /proc/self/status, read in parts of `size` bytes.
static long status_of(const char *line, size_t size) {
    char text[8192] = "";
    size_t length = 0;
    FILE *f = fopen("/proc/self/status", "r");
    CHECK(f);
    for (ssize_t n; (n = read(fileno(f), text + length, size)) > 0;)
        length += (size_t)n;
    fclose(f);
    const char *at = strstr(text, line);
    CHECK(at);
    return strtol(at + strlen(line), NULL, 10);
}

static void status(void) {
    for (size_t size = 1024; size <= 4096; size *= 4) {
        CHECK(status_of("\nTracerPid:", size) == 0);
        CHECK(status_of("\nNoNewPrivs:", size) == 1);
        CHECK(status_of("\nSeccomp:", size) == (size == 1024 ? 0 : 2));
        CHECK(status_of("\nSeccomp_filters:", size) == (size == 1024 ? 0 : 2));
        CHECK(INSTALL(0, ELSE(SECCOMP_RET_ALLOW)) == 0 && INSTALL(0, ELSE(SECCOMP_RET_ALLOW)) == 0);
        CHECK(status_of("\nnonvoluntary_ctxt_switches:", size) >= 0); // the last line is whole
    }
}

// What the kernel does not take.
static void bad(void) {
    struct sock_filter ends[] = {ELSE(SECCOMP_RET_ALLOW)};
    struct sock_fprog none = {0, ends}, nowhere = {1, (void *)8};
    uint32_t action = SECCOMP_RET_TRAP, unknown = 0x12340000;
    CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, NULL) == -1 && errno == EFAULT);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL) == -1 && errno == EFAULT);
    CHECK(prctl(PR_SET_SECCOMP, 9, NULL) == -1 && errno == EINVAL);
    CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &none) == -1 && errno == EINVAL);
    CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &nowhere) == -1 && errno == EFAULT);
    CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 1, NULL) == -1 && errno == EINVAL);
    CHECK(syscall(SYS_seccomp, 99, 0, NULL) == -1 && errno == EINVAL);
    CHECK(INSTALL(1 << 20, ELSE(SECCOMP_RET_ALLOW)) == -1 && errno == EINVAL);
    CHECK(INSTALL(0, LOAD(nr)) == -1 && errno == EINVAL); // no return
    CHECK(INSTALL(0, BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0), ELSE(0)) == -1 && errno == EINVAL);
    CHECK(INSTALL(0, BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 62), ELSE(0)) == -1 && errno == EINVAL);
    CHECK(INSTALL(0, BPF_STMT(BPF_LD | BPF_MEM, 3), ELSE(0)) == -1 && errno == EINVAL);
    CHECK(INSTALL(0, BPF_STMT(BPF_JMP | BPF_JA, 1), ELSE(0)) == -1 && errno == EINVAL);
    CHECK(INSTALL(0, BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, 1), ELSE(0)) == -1 && errno == EINVAL);
    CHECK(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0);
    CHECK(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &unknown) == -1 && errno == EOPNOTSUPP);
    CHECK(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, NULL) == -1 && errno == EFAULT);
    printf("bad: all refused\n");
}

static const struct {
    void (*run)(void);
    int status; // as wait tells it, without the bit for a core
} cases[] = {
    {errors, 0},
    {traps, 0},
    {arguments, 0},
    {inherited, 0},
    {threads, 0},
    {thread_ends, 0},
    {bad, 0},
    {status, 0},
    {end_by_thread, SIGSYS},
    {end, SIGSYS},
    {end_by_trap, SIGSYS},
    {strict_end, SIGKILL},
    {strict_exit, 3 << 8},
};

int main(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "executed"))
        return syscall(SYS_getppid) == -1 && errno == EXDEV && prctl(PR_GET_SECCOMP) == 2 ? 5 : 6;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int status;
        fflush(stdout);
        pid_t child = fork();
        if (!child) {
            no_new_privileges();
            cases[i].run();
            exit(0);
        }
        CHECK(waitpid(child, &status, 0) == child);
        if ((status & ~0x80) != cases[i].status) fprintf(stderr, "case %zu: status %x\n", i, status);
        CHECK((status & ~0x80) == cases[i].status);
    }
    printf("all came out as they should\n");
    return 0;
}
