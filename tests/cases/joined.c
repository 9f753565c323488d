// A forked worker joins a thread of its own that waits for ever itself: that thread's wait is told of first. First argument: what the
// joined thread does.
//
// case lock: orphaned-lock confidence=proved lock=log_lock holder=writer name=logger
// case poll: orphaned-* lock=log_lock holder=writer name=logger
// case twice: lock-cycle confidence=proved lock=own_lock name=logger
// case chain: orphaned-lock confidence=proved lock=log_lock holder=writer name=logger
// case late: none
#include "samples/stage.h"

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER, own_lock = PTHREAD_MUTEX_INITIALIZER;
static const char *what = "";

static void *write_log(void *nothing) {
    thread_name("writer");
    pthread_mutex_lock(&log_lock);
    hold_over_fork();
    pthread_mutex_unlock(&log_lock);
    return nothing;
}

static void *log_line(void *nothing) {
    thread_name("logger");
    if (!strcmp(what, "poll")) {
        while (pthread_mutex_trylock(&log_lock))
            usleep(1000);
    } else if (!strcmp(what, "twice")) {
        pthread_mutex_lock(&own_lock);
        pthread_mutex_lock(&own_lock);
    } else if (!strcmp(what, "late")) {
        usleep(300000);
    } else {
        pthread_mutex_lock(&log_lock);
    }
    return nothing;
}

static void *join_logger(void *logger) {
    thread_name("joiner");
    pthread_join(*(pthread_t *)logger, NULL);
    return NULL;
}

static void run_child(void) {
    pthread_t logger = thread_start(log_line), joiner;
    if (strcmp(what, "chain")) {
        pthread_join(logger, NULL);
        return;
    }
    if (pthread_create(&joiner, NULL, join_logger, &logger)) abort();
    pthread_join(joiner, NULL);
}

int main(int argc, char **argv) {
    if (argc > 1) what = argv[1];
    thread_start(write_log);
    gate_wait(&held);
    pid_t child = fork();
    if (!child) {
        run_child();
        _exit(0);
    }
    gate_open(&forked);
    return reap(child);
}
