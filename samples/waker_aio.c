// POSIX aio of glibc works with a helper thread. It idles for a second in case of more work; the child
// believes that it is still there, leaves the request to it and waits.
//
// expect: vanished-waker lockkind=aio_request waker=waker_aio waiting=write_and_wait/aio_suspend64
//         fork=main/fork
// expect: cross-process-wait cause=vanished-waker
// status: 120
#include "samples/stage.h"

#include <aio.h>

static void write_and_wait(int fd) {
    struct aiocb request = {.aio_fildes = fd, .aio_buf = "data", .aio_nbytes = 4};
    if (aio_write(&request)) abort();
    aio_suspend(&(const struct aiocb *){&request}, 1, NULL);
}

int main(void) {
    char name[] = "/tmp/refork-aio-XXXXXX";
    int fd = mkstemp(name);
    if (fd < 0 || unlink(name)) return 1;
    write_and_wait(fd);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) {
        write_and_wait(fd);
        say("child: done"); // never comes
        _exit(0);
    }
    return reap(child);
}
