// One child has locked a range of a file when it hangs on a mutex that a thread of its parent holds. The other child
// waits for that range.
//
// expect: orphaned-lock lock=log_mutex holder=logger waiting=hang_locked/pthread_mutex_lock
// expect: cross-process-wait lockkind=file_lock cause=orphaned-lock acquired=lock_range waiting=lock_range
// expect: cross-process-wait cause=orphaned-lock waiting=main
// status: 120
#include "samples/stage.h"

static char path[] = "/tmp/refork-sample-XXXXXX";
static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;
static int file;

static void *log_lines(void *unused) {
    (void)unused;
    thread_name("logger");
    pthread_mutex_lock(&log_mutex);
    hold_over_fork();
    for (;;)
        gate_wait(&forked);
    return NULL;
}

static void lock_range(void) {
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 100, .l_len = 10};
    if (fcntl(file, F_SETLKW, &range)) abort();
}

static void hang_locked(void) {
    lock_range();
    gate_open(&settled);
    pthread_mutex_lock(&log_mutex);
    _exit(0);
}

int main(void) {
    file = mkstemp(path);
    if (file < 0) return 1;
    unlink(path);
    thread_start(log_lines);
    gate_wait(&held);
    pid_t first = fork();
    if (first == 0) hang_locked();
    gate_wait(&settled);
    pid_t second = fork();
    if (second == 0) {
        lock_range();
        _exit(0);
    }
    gate_open(&forked);
    return reap(first) + reap(second);
}
