#include "search/second_look.h"

#include "core/tracee.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { POLITE = 5 };

// Between fork and exec of a process with threads: nothing but calls.
static void become(char *const argv[], const cpu_set_t *cpus, int out, int null) {
    sigset_t none;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (sched_setaffinity(0, sizeof *cpus, cpus) < 0) setpriority(PRIO_PROCESS, 0, POLITE);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setpgid(0, 0); // Ctrl-C is the program's
    dup2(null, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    execv("/proc/self/exe", argv);
    _exit(127);
}

int second_look_start(const char *trace, const int *tids, size_t count, bool alone, int cpu, pid_t *pid) {
    int ends[2], null = open("/dev/null", O_RDWR | O_CLOEXEC);
    char list[1024];
    size_t used = (size_t)snprintf(list, sizeof list, "%s", alone ? "all:" : "");
    cpu_set_t others;
    for (size_t i = 0; i < count && used + 16 < sizeof list; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%d", i ? "," : "", tids[i]);
    char *const argv[] = {"refork", "explain", "--waiting", list, (char *)trace, NULL};
    CPU_ZERO(&others);
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (i != cpu) CPU_SET(i, &others);
    if (null < 0 || pipe2(ends, O_CLOEXEC) < 0) {
        if (null >= 0) close(null);
        return -1;
    }
    *pid = fork();
    if (!*pid) become(argv, &others, ends[1], null);
    close(ends[1]);
    close(null);
    if (*pid > 0) return fd_raise(ends[0]);
    close(ends[0]);
    return -1;
}
