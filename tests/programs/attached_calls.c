// A tracer that lets its tracee go from call to call, changes calls, makes them itself, goes instruction by instruction, and is told
// of children, of the end, and of job control; as strace, a sandbox and a debugger do.
#include "program.h"

#include <elf.h>
#include <sched.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/user.h>

enum { CALL_STOP = SIGTRAP | 0x80 };

static long word = 5;

static pid_t trace(int (*body)(void), long options) {
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        CHECK(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
        raise(SIGSTOP);
        _exit(body());
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    CHECK(ptrace(PTRACE_SETOPTIONS, child, 0, options | PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) == 0);
    return child;
}

static int go(enum __ptrace_request request, pid_t child, int sig) {
    int status;
    CHECK(ptrace(request, child, 0, sig) == 0 && waitpid(child, &status, __WALL) == child);
    return status;
}

static void go_to_call(enum __ptrace_request request, pid_t child) {
    int status = go(request, child, 0);
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == CALL_STOP);
}

static struct user_regs_struct registers(pid_t child) {
    struct user_regs_struct regs;
    CHECK(ptrace(PTRACE_GETREGS, child, 0, &regs) == 0);
    return regs;
}

static void expect_end(pid_t child, int code) {
    int status = go(PTRACE_CONT, child, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == code);
}

// ---- calls

static int calls(void) {
    char text[4] = "abc";
    int pair[2];
    CHECK(syscall(SYS_getppid) > 1);
    CHECK(pipe(pair) == 0 && write(pair[1], text, 3) == 2); // shortened by the tracer
    CHECK(syscall(SYS_getuid) == 4321);                     // its result is the tracer's
    CHECK(syscall(SYS_getgid) == -1 && errno == EPERM);     // taken away
    CHECK(sched_yield() == 0);
    return 3;
}

static void go_from_call_to_call(void) {
    pid_t child = trace(calls, 0);
    int entries = 0, exits = 0;
    for (;;) {
        int status = go(PTRACE_SYSCALL, child, 0);
        if (WIFEXITED(status)) {
            CHECK(WEXITSTATUS(status) == 3);
            break;
        }
        CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == CALL_STOP);
        struct __ptrace_syscall_info info = {0};
        CHECK(ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof info, &info) > 0);
        struct user_regs_struct regs = registers(child);
        CHECK(info.instruction_pointer == regs.rip && info.stack_pointer == regs.rsp);
        if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
            CHECK(info.exit.rval == (long)regs.rax);
            exits++;
            if (regs.orig_rax == SYS_getuid)
                CHECK(ptrace(PTRACE_POKEUSER, child, offsetof(struct user, regs.rax), 4321) == 0);
            continue;
        }
        CHECK(info.op == PTRACE_SYSCALL_INFO_ENTRY && info.entry.nr == regs.orig_rax &&
              (long)regs.rax == -ENOSYS);
        entries++;
        if (regs.orig_rax == SYS_write) {
            regs.rdx = 2;
            CHECK(ptrace(PTRACE_SETREGS, child, 0, &regs) == 0);
        }
        if (regs.orig_rax == SYS_getgid) {
            regs.orig_rax = ~0ull;
            regs.rax = (unsigned long)-EPERM;
            CHECK(ptrace(PTRACE_SETREGS, child, 0, &regs) == 0);
        }
    }
    CHECK(entries == 7 && exits == 6); // the last one is exit_group
    printf("calls: %d %d\n", entries, exits);
}

static int emulated(void) {
    CHECK(syscall(SYS_getpid) == 77);
    CHECK(syscall(1000, 1) == 78);
    return 4;
}

static void emulate(void) {
    pid_t child = trace(emulated, 0);
    for (int i = 0; i < 2; i++) {
        go_to_call(PTRACE_SYSEMU, child);
        struct user_regs_struct regs = registers(child);
        CHECK(regs.orig_rax == (i ? 1000 : SYS_getpid));
        regs.rax = (unsigned long)(77 + i);
        CHECK(ptrace(PTRACE_SETREGS, child, 0, &regs) == 0);
    }
    expect_end(child, 4);
    printf("emulated\n");
}

// ---- instructions

static int stepped(void) {
    long n = 3;
    __asm__ volatile("1: dec %0\n jnz 1b" : "+r"(n));
    __asm__ volatile("rdtsc" ::: "rax", "rdx");
    return (int)syscall(SYS_getppid) > 1 ? 5 : 6;
}

static void go_stepwise(void) {
    pid_t child = trace(stepped, 0);
    long steps = 0, calls_made = 0, tsc = 0;
    for (int status; steps < 4000; steps++) {
        struct user_regs_struct regs = registers(child);
        errno = 0;
        unsigned long code = (unsigned long)ptrace(PTRACE_PEEKTEXT, child, regs.rip, 0);
        CHECK(!errno);
        tsc += (code & 0xffff) == 0x310f;
        calls_made += (code & 0xffff) == 0x050f;
        status = go(PTRACE_SINGLESTEP, child, 0);
        if (WIFEXITED(status)) {
            CHECK(WEXITSTATUS(status) == 5);
            break;
        }
        CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
        struct user_regs_struct now = registers(child);
        if ((code & 0xffff) == 0x310f || (code & 0xffff) == 0x050f) CHECK(now.rip == regs.rip + 2);
    }
    CHECK(tsc == 1 && calls_made >= 2);
    printf("steps: %ld, calls: %ld\n", steps, calls_made);
}

// Its tracer sees the alarms that it ignores. They come faster than a step is made under a recorder.
static int alarmed(void) {
    const struct itimerval often = {{0, 200}, {0, 200}};
    signal(SIGALRM, SIG_IGN);
    setitimer(ITIMER_REAL, &often, NULL);
    long n = 40;
    __asm__ volatile("1: dec %0\n jnz 1b" : "+r"(n));
    return 7;
}

static void go_stepwise_alarmed(void) {
    pid_t child = trace(alarmed, 0);
    long alarms = 0, steps = 0;
    int status;
    while (WIFSTOPPED(status = go(PTRACE_SINGLESTEP, child, 0))) {
        CHECK(WSTOPSIG(status) == SIGTRAP || WSTOPSIG(status) == SIGALRM);
        if (WSTOPSIG(status) == SIGALRM)
            alarms++;
        else
            steps++;
    }
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7 && steps > 80);
    printf("with alarms: %ld\n", alarms);
}

// ---- extended registers

static int uses_xmm(void) {
    double x = 1;
    __asm__ volatile("movsd %0, %%xmm7\n int3\n movsd %%xmm7, %0" : "+m"(x)::"xmm7");
    return x == 2.5 ? 7 : 8;
}

static void set_extended(void) {
    pid_t child = trace(uses_xmm, 0);
    int status = go(PTRACE_CONT, child, 0);
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
    struct user_fpregs_struct fp;
    struct user_regs_struct regs = registers(child);
    struct iovec set = {&regs, sizeof regs};
    double x = 2.5;
    CHECK(ptrace(PTRACE_GETFPREGS, child, 0, &fp) == 0);
    memcpy((char *)fp.xmm_space + 7 * 16, &x, sizeof x);
    CHECK(ptrace(PTRACE_SETFPREGS, child, 0, &fp) == 0);
    CHECK(ptrace(PTRACE_SETREGSET, child, NT_PRSTATUS, &set) == 0);
    expect_end(child, 7);
    printf("extended\n");
}

// ---- events

static int makes_children(void) {
    int status;
    pid_t child = fork();
    if (!child) _exit(1);
    CHECK(waitpid(child, &status, 0) == child);
    child = vfork();
    if (!child) _exit(2);
    CHECK(waitpid(child, &status, 0) == child);
    return 9;
}

static void follow_children(void) {
    pid_t child = trace(makes_children, PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEVFORKDONE |
                                            PTRACE_O_TRACEEXIT);
    unsigned long seen = 0;
    int ends = 0, status;
    CHECK(ptrace(PTRACE_CONT, child, 0, 0) == 0);
    while (ends < 3) {
        pid_t who = waitpid(-1, &status, __WALL);
        CHECK(who > 0);
        if (WIFEXITED(status)) {
            ends++;
            continue;
        }
        CHECK(WIFSTOPPED(status));
        unsigned long message = 0;
        int event = status >> 16, sig = WSTOPSIG(status);
        seen |= 1ul << event;
        if (event) CHECK(ptrace(PTRACE_GETEVENTMSG, who, 0, &message) == 0 && message != 0);
        if (event == PTRACE_EVENT_EXIT)
            CHECK(WEXITSTATUS((int)message) == (who == child ? 9 : (int)WEXITSTATUS((int)message)));
        if (event == PTRACE_EVENT_FORK) word = (long)message;
        CHECK(ptrace(PTRACE_CONT, who, 0, event || sig == SIGSTOP ? 0 : sig) == 0);
    }
    CHECK(seen == (1ul | 1ul << PTRACE_EVENT_FORK | 1ul << PTRACE_EVENT_VFORK |
                   1ul << PTRACE_EVENT_VFORK_DONE | 1ul << PTRACE_EVENT_EXIT));
    printf("events: %lx, child %ld\n", seen, word);
}

// ---- job control

static int sleeps(void) {
    while (word)
        pause();
    return 0;
}

static void stop_as_a_group(void) {
    int status;
    fflush(stdout);
    pid_t child = fork();
    if (!child) _exit(sleeps());
    CHECK(ptrace(PTRACE_SEIZE, child, 0, 0) == 0 && kill(child, SIGSTOP) == 0);
    CHECK(waitpid(child, &status, 0) == child && WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP &&
          !(status >> 16));
    status = go(PTRACE_CONT, child, SIGSTOP);
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP && status >> 16 == PTRACE_EVENT_STOP);
    CHECK(ptrace(PTRACE_LISTEN, child, 0, 0) == 0);
    CHECK(ptrace(PTRACE_CONT, child, 0, 0) == -1 && errno == ESRCH && kill(child, SIGCONT) == 0);
    CHECK(waitpid(child, &status, 0) == child && WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP &&
          status >> 16 == PTRACE_EVENT_STOP);
    status = go(PTRACE_CONT, child, 0);
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGCONT && !(status >> 16));
    CHECK(ptrace(PTRACE_LISTEN, child, 0, 0) == -1 && errno == EIO);
    CHECK(ptrace(PTRACE_CONT, child, 0, SIGCONT) == 0 && kill(child, SIGKILL) == 0);
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    printf("group\n");
}

// ---- pending signals

static int queues(void) {
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    for (int i = 0; i < 3; i++)
        CHECK(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 70 + i}) == 0);
    raise(SIGSTOP);
    return 0;
}

static void look_at_pending(void) {
    pid_t child = trace(queues, 0);
    siginfo_t found[4];
    struct __ptrace_peeksiginfo_args which = {.off = 1, .flags = PTRACE_PEEKSIGINFO_SHARED, .nr = 4};
    CHECK(WSTOPSIG(go(PTRACE_CONT, child, 0)) == SIGSTOP);
    CHECK(ptrace(PTRACE_PEEKSIGINFO, child, &which, found) == 2);
    CHECK(found[0].si_signo == SIGRTMIN && found[0].si_value.sival_int == 71 && found[1].si_pid == child);
    which.flags = 0;
    CHECK(ptrace(PTRACE_PEEKSIGINFO, child, &which, found) == 0);
    which.flags = 8;
    CHECK(ptrace(PTRACE_PEEKSIGINFO, child, &which, found) == -1 && errno == EINVAL);
    expect_end(child, 0);
}

// Who has become somebody else may not.
static void attach_to_root(void) {
    fflush(stdout);
    pid_t child = getuid() ? 0 : fork();
    if (child) {
        CHECK(reap(child) == EPERM);
    } else if (!getuid()) {
        CHECK(syscall(SYS_setresuid, 65534, 65534, 65534) == 0);
        _exit(ptrace(PTRACE_ATTACH, getppid(), 0, 0) == 0 ? 0 : errno);
    }
}

// A tracer that ends takes its tracee along, if that was asked for.
static void end_together(void) {
    int ends[2], status;
    char byte;
    CHECK(pipe(ends) == 0);
    fflush(stdout);
    pid_t tracer = fork();
    if (!tracer) {
        close(ends[0]);
        trace(sleeps, 0);
        _exit(0);
    }
    close(ends[1]);
    CHECK(waitpid(tracer, &status, 0) == tracer && status == 0);
    CHECK(read(ends[0], &byte, 1) == 0); // nobody has it open any more
    printf("together\n");
}

int main(void) {
    go_from_call_to_call();
    emulate();
    go_stepwise();
    go_stepwise_alarmed();
    set_extended();
    follow_children();
    stop_as_a_group();
    look_at_pending();
    attach_to_root();
    end_together();
    return 0;
}
