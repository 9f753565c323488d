// fork() in a program without threads: nobody vanishes, and what was locked is unlocked by who locked it,
// in the parent and in the child. refork must stay silent.
//
// expect: none
// status: 0
#include "samples/stage.h"

static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;

static void log_line(const char *line) {
    pthread_mutex_lock(&log_mutex);
    say(line);
    pthread_mutex_unlock(&log_mutex);
}

int main(void) {
    log_line("main: fork");
    pid_t child = fork();
    if (child == 0) {
        log_line("child: hello");
        _exit(0);
    }
    return reap(child);
}
