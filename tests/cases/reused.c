// The TID of a holder that vanished goes to a new thread of the child: a mutex names its owner by TID, and that one lives. (Whoever
// may not choose TIDs makes threads until one has it, for a while.) Argument: "held"; or "freed": the holder gave the mutex back before
// the fork, and a thread of the child with its TID has it for a while.
//
// case held: orphaned-lock confidence=proved lock=log_lock holder=holder
// case freed: none
#include "samples/stage.h"

#include <stdbool.h>
#include <sys/syscall.h>

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static bool is_held;
static int holder_tid, got;

static void *hold(void *nothing) {
    thread_name("holder");
    holder_tid = (int)syscall(SYS_gettid);
    pthread_mutex_lock(&log_lock);
    if (!is_held) pthread_mutex_unlock(&log_lock);
    hold_over_fork();
    if (is_held) pthread_mutex_unlock(&log_lock);
    return nothing;
}

static void *live(void *nothing) {
    thread_name("reuser");
    got = (int)syscall(SYS_gettid);
    if (!is_held) pthread_mutex_lock(&log_lock);
    gate_open(&settled);
    if (!is_held) {
        usleep(300000); // main waits meanwhile
        pthread_mutex_unlock(&log_lock);
    }
    for (;;)
        pause();
    return nothing;
}

// Only who may choose TIDs tries more than once.
static void reuse(void) {
    int file = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
    char text[16];
    int tries = is_held ? 50 : 1;
    do {
        snprintf(text, sizeof text, "%d", holder_tid - 1);
        if (file < 0 || write(file, text, strlen(text)) < 0) tries = 1;
        thread_start(live);
        gate_wait(&settled);
    } while (got != holder_tid && --tries > 0);
    if (got == holder_tid) say("reused");
}

int main(int argc, char **argv) {
    is_held = argc > 1 && !strcmp(argv[1], "held");
    pthread_t holder = thread_start(hold);
    gate_wait(&held);
    pid_t child = fork();
    if (!child) {
        gate_wait(&settled);
        reuse();
        pthread_mutex_lock(&log_lock);
        _exit(0);
    }
    gate_open(&forked);
    pthread_join(holder, NULL);
    gate_open(&settled);
    return reap(child);
}
