// A thread locks a file, main forks, and the whole parent ends. The lock is not the thread's but the open file's, of which
// the child has a copy: when the child opens the file anew and wants the lock, it waits for itself.
//
// expect: orphaned-lock lockkind=file_lock holder=writer start=write_log acquired=write_log/flock waiting=run_child/flock
//     fork=main/fork
// status: 120
#include "samples/stage.h"

#include <sys/file.h>

static char path[] = "/tmp/refork-sample-XXXXXX";

static void *write_log(void *unused) {
    (void)unused;
    thread_name("writer");
    int fd = open(path, O_RDWR);
    if (fd < 0 || flock(fd, LOCK_EX)) abort();
    hold_over_fork();
    return NULL;
}

static void run_child(void) {
    gate_wait(&settled); // until the parent has ended: it alone could write
    int fd = open(path, O_RDWR);
    unlink(path);
    if (fd < 0 || flock(fd, LOCK_EX)) abort();
    _exit(0);
}

int main(void) {
    int made = mkstemp(path);
    if (made < 0) return 1;
    close(made);
    thread_start(write_log);
    gate_wait(&held);
    pid_t child = fork();
    if (child == 0) run_child();
    gate_open(&settled);
    return 0;
}
