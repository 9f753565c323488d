// Signals that a program sends to its process group, which refork is in as well: the recording goes on, and who is asked to end
// ends. SIGKILL to the group is the last.
#include "program.h"

#include <stdbool.h>

static volatile sig_atomic_t came;

static void on(int sig) {
    came = sig;
}

int main(int argc, char **argv) {
    static const int signals[] = {SIGHUP,  SIGINT,    SIGQUIT, SIGUSR1, SIGSEGV, SIGUSR2,
                                  SIGPIPE, SIGALRM,   SIGTERM, SIGTRAP, SIGTSTP, SIGTTIN,
                                  SIGPROF, SIGSTKFLT, SIGXCPU, SIGPWR,  SIGSYS,  60};
    // "group": it and refork are the only ones in it (setsid). Else others of the group are not to be disturbed.
    bool alone = argc > 1 && !strcmp(argv[1], "group");
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        CHECK(signal(signals[i], on) != SIG_ERR);
        came = 0;
        CHECK((alone ? kill(0, signals[i]) : raise(signals[i])) == 0);
        CHECK(came == signals[i]);
    }
    fflush(stdout);
    CHECK(signal(SIGUSR1, SIG_DFL) != SIG_ERR);
    pid_t child = fork();
    if (!child) {
        for (;;)
            pause();
    }
    CHECK(signal(SIGUSR1, on) != SIG_ERR);
    CHECK((alone ? kill(0, SIGUSR1) : kill(child, SIGUSR1)) == 0);
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1);
    printf("came through: %d\n", getpid());
    fflush(stdout);
    if (alone) kill(0, SIGKILL);
    raise(SIGKILL);
    return 98;
}
