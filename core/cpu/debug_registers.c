#include "core/cpu/debug_registers.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static bool work;

static void child(volatile int *word) {
    if (ptrace(PTRACE_TRACEME, 0, 0, 0) < 0) _exit(1);
    __asm__ volatile("int3");
    *word = 1;
    _exit(0);
}

static bool set(pid_t pid, size_t reg, uintptr_t value) {
    return ptrace(PTRACE_POKEUSER, pid, offsetof(struct user, u_debugreg) + 8 * reg, value) == 0;
}

// A timer of the caller must not end the wait: the child would be left behind with the caller's files, the lock of a trace
// that is being written among them.
static bool wait_for(pid_t pid, int *status) {
    pid_t got;
    do
        got = waitpid(pid, status, __WALL);
    while (got < 0 && errno == EINTR);
    return got == pid;
}

static void try(void) {
    enum { ON = 0xd0001 }; // register 0: a write (RW0 1) of 4 bytes (LEN0 3), Intel SDM vol. 3, 17.2.4
    static volatile int word;
    const char *said = getenv("REFORK_DEBUG_REGISTERS");
    if (said && !strcmp(said, "off")) return;
    pid_t pid = fork();
    if (pid < 0) return;
    if (!pid) child(&word);
    int status;
    siginfo_t info;
    bool stopped = wait_for(pid, &status) && WIFSTOPPED(status);
    work = stopped && set(pid, 0, (uintptr_t)&word) && set(pid, 7, ON) &&
           ptrace(PTRACE_CONT, pid, 0, 0) == 0 && wait_for(pid, &status) && WIFSTOPPED(status) &&
           WSTOPSIG(status) == SIGTRAP && ptrace(PTRACE_GETSIGINFO, pid, 0, &info) == 0 &&
           info.si_code == TRAP_HWBKPT;
    if (!stopped || !WIFSTOPPED(status)) return; // it has ended, and is reaped
    kill(pid, SIGKILL);
    while (wait_for(pid, &status) && WIFSTOPPED(status))
        continue;
}

bool debug_registers_work(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, try);
    return work;
}
