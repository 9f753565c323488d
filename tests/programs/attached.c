// A process attaches to another one's threads by ptrace, as a crash handler does: waits for them, reads registers and memory,
// writes a word, lets them go. And what else can be asked of a task that is attached to.
#include "program.h"

#include <dirent.h>
#include <elf.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

static volatile long told = 4711, spins;
static atomic_int word = 1, done;
static int pair[2];

static void *sleeps(void *unused) {
    struct timespec left, hour = {.tv_sec = 3600};
    while (!done)
        nanosleep(&hour, &left);
    return unused;
}

static void *waits(void *unused) {
    while (word == 1)
        syscall(SYS_futex, &word, 0, 1, NULL, NULL, 0);
    return unused;
}

static void *reads(void *unused) {
    char byte;
    CHECK(read(pair[0], &byte, 1) == 1);
    return unused;
}

static void *computes(void *unused) {
    while (!done)
        spins++;
    return unused;
}

static void on_usr1(int sig) {
    (void)sig;
}

// All that a crash handler asks of one task.
static void look(pid_t tid) {
    int status = 0;
    struct user_regs_struct regs, again;
    struct user_fpregs_struct fp;
    struct iovec set = {&again, sizeof again};
    siginfo_t info;
    CHECK(ptrace(PTRACE_ATTACH, tid, 0, 0) == 0);
    CHECK(waitpid(tid, &status, __WALL) == tid && WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    CHECK(ptrace(PTRACE_GETREGS, tid, 0, &regs) == 0 && regs.rip && regs.rsp);
    CHECK(ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &set) == 0 && set.iov_len == sizeof again);
    CHECK(!memcmp(&regs, &again, sizeof regs));
    CHECK(ptrace(PTRACE_GETFPREGS, tid, 0, &fp) == 0);
    errno = 0;
    CHECK(ptrace(PTRACE_PEEKUSER, tid, offsetof(struct user, regs.rsp), 0) == (long)regs.rsp && !errno);
    CHECK(ptrace(PTRACE_PEEKDATA, tid, &told, 0) == told && !errno);
    CHECK(ptrace(PTRACE_PEEKDATA, tid, 8, 0) == -1 && errno == EIO);
    CHECK(ptrace(PTRACE_GETSIGINFO, tid, 0, &info) == 0 && info.si_signo == SIGSTOP);
}

static int handler(pid_t of) {
    char path[64];
    pid_t tids[16];
    int n = 0;
    snprintf(path, sizeof path, "/proc/%d/task", of);
    DIR *all = opendir(path);
    for (struct dirent *d; all && (d = readdir(all));)
        if (d->d_name[0] != '.') tids[n++] = atoi(d->d_name);
    closedir(all);
    CHECK(n == 5);
    for (int i = 0; i < n; i++)
        look(tids[i]);
    CHECK(ptrace(PTRACE_ATTACH, tids[0], 0, 0) == -1 && errno == EPERM); // it is already
    CHECK(waitpid(tids[1], NULL, __WALL | WNOHANG) == 0);                // nothing new
    long before = ptrace(PTRACE_PEEKDATA, of, &spins, 0);
    for (int i = 0; i < 1000; i++)
        sched_yield();
    CHECK(ptrace(PTRACE_PEEKDATA, of, &spins, 0) == before); // all of them stand still
    CHECK(ptrace(PTRACE_POKEDATA, of, &told, 1234567890123) == 0);
    for (int i = 0; i < n; i++)
        CHECK(ptrace(PTRACE_DETACH, tids[i], 0, 0) == 0);
    CHECK(ptrace(PTRACE_PEEKDATA, of, &told, 0) == -1 && errno == ESRCH);
    return 0;
}

static void threads(void) {
    pthread_t t[4];
    int status;
    void *(*const all[4])(void *) = {sleeps, waits, reads, computes};
    CHECK(pipe(pair) == 0);
    struct sigaction a = {.sa_handler = on_usr1};
    sigaction(SIGUSR1, &a, NULL);
    for (int i = 0; i < 4; i++)
        CHECK(pthread_create(&t[i], NULL, all[i], NULL) == 0);
    fflush(stdout);
    pid_t parent = getpid(), child = fork();
    if (!child) _exit(handler(parent));
    prctl(PR_SET_PTRACER, child);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(told == 1234567890123);
    done = 1;
    word = 2;
    CHECK(syscall(SYS_futex, &word, 1, 1) >= 0 && write(pair[1], "x", 1) == 1);
    CHECK(pthread_kill(t[0], SIGUSR1) == 0);
    for (int i = 0; i < 4; i++)
        CHECK(pthread_join(t[i], NULL) == 0);
    printf("threads: told %ld\n", told);
}

// Seized, interrupted, and let go on with a signal that ends it, which its tracer is told of.
static void seized(void) {
    int status, sum = 0;
    pid_t child = fork();
    if (!child)
        for (;;)
            pause();
    CHECK(ptrace(PTRACE_SEIZE, child, 0, 0) == 0);
    CHECK(ptrace(PTRACE_CONT, child, 0, 0) == -1 && errno == ESRCH); // it does not stand
    for (int i = 0; i < 3; i++) {
        CHECK(ptrace(PTRACE_INTERRUPT, child, 0, 0) == 0);
        CHECK(waitpid(child, &status, 0) == child && status >> 16 == PTRACE_EVENT_STOP);
        CHECK(ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACESYSGOOD) == 0);
        sum += ptrace(PTRACE_PEEKDATA, child, &word, 0);
        CHECK(ptrace(PTRACE_CONT, child, 0, 0) == 0);
    }
    CHECK(kill(child, SIGKILL) == 0);
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    printf("seized: %d\n", sum);
}

// A tracer that is not the parent is told of the end as well.
static void of_a_stranger(void) {
    int status, ready[2], go[2];
    char byte;
    CHECK(pipe(ready) == 0 && pipe(go) == 0);
    fflush(stdout);
    pid_t traced = fork();
    if (!traced) {
        CHECK(read(go[0], &byte, 1) == 1);
        _exit(9);
    }
    pid_t tracer = fork();
    if (!tracer) {
        siginfo_t info = {0};
        CHECK(ptrace(PTRACE_SEIZE, traced, 0, 0) == 0 && write(ready[1], "x", 1) == 1);
        CHECK(waitid(P_PID, (id_t)traced, &info, WEXITED) == 0 && info.si_code == CLD_EXITED &&
              info.si_status == 9);
        CHECK(waitpid(-1, NULL, 0) == -1 && errno == ECHILD);
        _exit(0);
    }
    CHECK(read(ready[0], &byte, 1) == 1 && write(go[1], "x", 1) == 1);
    CHECK(waitpid(tracer, &status, 0) == tracer && status == 0);
    CHECK(waitpid(traced, &status, 0) == traced && status == 9 << 8);
    printf("of_a_stranger: %d\n", status >> 8);
}

static volatile long value = 33, usr1s;

static void count_usr1(int sig) {
    (void)sig;
    usr1s++;
}

static __attribute__((noinline)) long stop_here(long x) {
    __asm__ volatile("nop; nop; nop; nop");
    return x + 1;
}

static int debuggee(void) {
    long got;
    CHECK(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
    CHECK(ptrace(PTRACE_TRACEME, 0, 0, 0) == -1 && errno == EPERM);
    signal(SIGUSR1, count_usr1);
    signal(SIGUSR2, count_usr1);
    raise(SIGSTOP);
    CHECK(stop_here(4) == 5);
    raise(SIGUSR1);
    CHECK(usr1s == 1);
    raise(SIGUSR2); // its tracer keeps it
    CHECK(usr1s == 1);
    __asm__ volatile("movq (%1), %0" : "=c"(got) : "a"(8l)); // its tracer repairs rax
    CHECK(got == 33);
    execl("/proc/self/exe", "attached", "executed", (char *)NULL);
    return 1;
}

static void expect(pid_t child, int sig) {
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    if (!WIFSTOPPED(status) || WSTOPSIG(status) != sig)
        fprintf(stderr, "status %x, not signal %d\n", status, sig);
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == sig);
}

static void let(pid_t child, int sig) {
    CHECK(ptrace(PTRACE_CONT, child, 0, sig) == 0);
}

// A debugger: a breakpoint, signals passed on and kept, a fault that is repaired, a new program.
static void debugger(void) {
    int status;
    siginfo_t info;
    struct user_regs_struct regs;
    fflush(stdout);
    pid_t child = fork();
    if (!child) _exit(debuggee());
    expect(child, SIGSTOP);
    errno = 0;
    long code = ptrace(PTRACE_PEEKTEXT, child, stop_here, 0);
    CHECK(!errno && ptrace(PTRACE_POKETEXT, child, stop_here, (code & ~0xffl) | 0xcc) == 0);
    let(child, 0);
    expect(child, SIGTRAP);
    CHECK(ptrace(PTRACE_GETSIGINFO, child, 0, &info) == 0 && info.si_code == SI_KERNEL);
    CHECK(ptrace(PTRACE_GETREGS, child, 0, &regs) == 0 && regs.rip == (uintptr_t)stop_here + 1 &&
          regs.rdi == 4);
    CHECK(ptrace(PTRACE_POKETEXT, child, stop_here, code) == 0);
    regs.rip--;
    CHECK(ptrace(PTRACE_SETREGS, child, 0, &regs) == 0);
    let(child, 0);
    expect(child, SIGUSR1);
    let(child, SIGUSR1);
    expect(child, SIGUSR2);
    CHECK(ptrace(PTRACE_PEEKDATA, child, &usr1s, 0) == 1);
    let(child, 0);
    expect(child, SIGSEGV);
    CHECK(ptrace(PTRACE_GETSIGINFO, child, 0, &info) == 0 && info.si_addr == (void *)8);
    CHECK(ptrace(PTRACE_POKEUSER, child, offsetof(struct user, regs.rax), &value) == 0);
    let(child, 0);
    expect(child, SIGTRAP); // the new program
    let(child, 0);
    CHECK(waitpid(child, &status, 0) == child && status == 6 << 8);
    // A signal that ends it, once it is let to.
    if (!(child = fork())) {
        CHECK(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
        raise(SIGTERM);
        _exit(3);
    }
    expect(child, SIGTERM);
    let(child, SIGTERM);
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    printf("debugger: %lx\n", code);
}

static volatile int came;

static void on_another(int sig, siginfo_t *info, void *context) {
    (void)context;
    came = sig == SIGUSR2 && info->si_code == SI_QUEUE ? info->si_value.sival_int : -1;
}

// Another signal comes, with what the tracer has put into it. One that it lets go on with by number alone is the tracer's own.
static void another_signal(void) {
    int status;
    siginfo_t info;
    struct sigaction action = {.sa_sigaction = on_another, .sa_flags = SA_SIGINFO};
    CHECK(sigaction(SIGUSR2, &action, NULL) == 0);
    pid_t child = fork();
    if (!child) {
        CHECK(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
        raise(SIGUSR1);
        int first = came;
        raise(SIGUSR1);
        _exit(first == 77 && came == -1 ? 9 : 8);
    }
    expect(child, SIGUSR1);
    CHECK(ptrace(PTRACE_GETSIGINFO, child, 0, &info) == 0 && info.si_code == SI_TKILL);
    info.si_signo = SIGUSR2;
    info.si_code = SI_QUEUE;
    info.si_value.sival_int = 77;
    CHECK(ptrace(PTRACE_SETSIGINFO, child, 0, &info) == 0);
    CHECK(ptrace(PTRACE_SETSIGINFO, child, 0, 8) == -1 && errno == EFAULT);
    CHECK(ptrace(PTRACE_GETSIGINFO, child, 0, &info) == 0 && info.si_signo == SIGUSR2);
    let(child, SIGUSR2);
    expect(child, SIGUSR1);
    uint64_t mask = 0, kill = 1ull << (SIGKILL - 1), usr2 = 1ull << (SIGUSR2 - 1);
    CHECK(ptrace(PTRACE_GETSIGMASK, child, 8, &mask) == 0 && !(mask & usr2));
    CHECK(ptrace(PTRACE_GETSIGMASK, child, 4, &mask) == -1 && errno == EINVAL);
    kill |= mask | usr2;
    CHECK(ptrace(PTRACE_SETSIGMASK, child, 8, &kill) == 0);
    CHECK(ptrace(PTRACE_GETSIGMASK, child, 8, &kill) == 0 && kill == (mask | usr2));
    CHECK(ptrace(PTRACE_SETSIGMASK, child, 8, &mask) == 0);
    CHECK(ptrace(PTRACE_SETOPTIONS, child, 0, -1l) == -1 && errno == EINVAL);
    CHECK(ptrace(999, child, 0, 0) == -1 && errno == EIO);
    let(child, SIGUSR2);
    CHECK(waitpid(child, &status, 0) == child && status == 9 << 8);
}

int main(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "executed")) return 6;
    CHECK(ptrace(PTRACE_ATTACH, 0x7ffffff0, 0, 0) == -1 && errno == ESRCH);
    CHECK(ptrace(PTRACE_ATTACH, getpid(), 0, 0) == -1 && errno == EPERM);
    CHECK(ptrace(PTRACE_CONT, getppid(), 0, 0) == -1 && errno == ESRCH);
    debugger();
    another_signal();
    seized();
    of_a_stranger();
    threads();
    return 0;
}
