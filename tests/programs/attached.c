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
        CHECK(ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_EXITKILL) == 0);
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

int main(void) {
    CHECK(ptrace(PTRACE_ATTACH, 0x7ffffff0, 0, 0) == -1 && errno == ESRCH);
    CHECK(ptrace(PTRACE_ATTACH, getpid(), 0, 0) == -1 && errno == EPERM);
    CHECK(ptrace(PTRACE_CONT, getppid(), 0, 0) == -1 && errno == ESRCH);
    seized();
    of_a_stranger();
    threads();
    return 0;
}
