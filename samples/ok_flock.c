// The child waits for the lock of a file, which main still holds, lets go, and then waits for the child. refork must stay
// silent.
//
// expect: none
// status: 0
#include "samples/stage.h"

#include <sys/file.h>

int main(void) {
    char path[] = "/tmp/refork-sample-XXXXXX";
    int file = mkstemp(path);
    if (file < 0 || flock(file, LOCK_EX)) return 1;
    pid_t child = fork();
    if (child == 0) {
        int own = open(path, O_RDWR);
        if (own < 0 || flock(own, LOCK_EX)) _exit(1);
        say("child: locked");
        _exit(0);
    }
    usleep(400000);
    flock(file, LOCK_UN);
    int status = reap(child);
    unlink(path);
    return status;
}
