#include "cli/ends.h"

#include "core/printable.h"

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

int cli_print_error(const struct rf_error *err) {
    print_clean(stderr, "refork: %s\n",
                err->text[0] ? err->text : "failed without saying why; please report this");
    return err->status ? err->status : RF_CANNOT;
}

void cli_end_like(bool signaled, int status) {
    bool lost = fflush(stdout) != 0;
    fflush(stderr);
    if (!signaled) _exit(status == 0 && lost ? RF_CANNOT : status);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    signal(status, SIG_DFL);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, status);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    kill(getpid(), status);
    _exit(128 + status); // a signal that does not end a process, as pid 1 of a namespace
}
