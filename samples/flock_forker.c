// Main holds a lock file when it forks, and waits for the child. The child opens the file anew, and so is somebody else
// to flock: it waits for the lock of its own parent.
//
// expect: self-held lockkind=file_lock forker=true acquired=take_lock_file/flock waiting=take_lock_file/flock fork=main/fork
// expect: cross-process-wait cause=self-held waiting=main
// status: 120
#include "samples/stage.h"

#include <sys/file.h>

static char path[] = "/tmp/refork-sample-XXXXXX";

static void take_lock_file(void) {
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_EX)) abort();
}

int main(void) {
    int made = mkstemp(path);
    if (made < 0) return 1;
    close(made);
    take_lock_file();
    pid_t child = fork();
    if (child == 0) {
        take_lock_file();
        _exit(0);
    }
    return reap(child);
}
