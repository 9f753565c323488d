// libc_syslog, repaired: between fork and exec or _exit the child makes only calls that are safe in a signal handler.
#include "samples/stage.h"

#include <fcntl.h>
#include <syslog.h>

static char text[16384];
static int terminal[2];

static void *log_much(void *unused) {
    (void)unused;
    thread_name("worker");
    syslog(LOG_INFO, "%s", text);
    return NULL;
}

static void run_child(void) {
    gate_wait(&settled);
    say("child: hello");
    say("child: done");
    _exit(0);
}

int main(void) {
    memset(text, 'x', sizeof text - 1);
    if (pipe(terminal) || fcntl(terminal[1], F_SETPIPE_SZ, 4096) < 0 || dup2(terminal[1], STDERR_FILENO) < 0)
        return 1;
    openlog("sample", LOG_PERROR, LOG_USER);
    pthread_t worker = thread_start(log_much);
    if (read(terminal[0], text, 1) != 1) return 1; // the worker is in the middle of its line
    say("main: fork");
    pid_t child = fork();
    if (child == 0) run_child();
    for (size_t left = sizeof text - 1; left > 0;) { // and "sample: " and a newline, which fit
        ssize_t got = read(terminal[0], text, sizeof text);
        left -= got < (ssize_t)left ? (size_t)got : left;
    }
    pthread_join(worker, NULL);
    gate_open(&settled);
    return reap(child);
}
