// lio_listio(LIO_WAIT) in a child: the helper thread that glibc believes to be idle is not there.
//
// expect: vanished-waker lockkind=aio_request waker=waker_lio waiting=write_both/lio_listio_internal
//         fork=main/fork
// expect: cross-process-wait cause=vanished-waker
// status: 120
#include "samples/stage.h"

#include <aio.h>

static void write_both(int fd) {
    struct aiocb first = {.aio_fildes = fd, .aio_lio_opcode = LIO_WRITE, .aio_buf = "data", .aio_nbytes = 4};
    struct aiocb second = {
        .aio_fildes = fd, .aio_lio_opcode = LIO_WRITE, .aio_buf = "more", .aio_nbytes = 4, .aio_offset = 4};
    struct aiocb *const list[] = {&first, &second};
    if (lio_listio(LIO_WAIT, list, 2, NULL)) abort();
}

int main(void) {
    char name[] = "/tmp/refork-lio-XXXXXX";
    int fd = mkstemp(name);
    if (fd < 0 || unlink(name)) return 1;
    write_both(fd);
    say("main: fork");
    pid_t child = fork();
    if (child == 0) {
        write_both(fd);
        say("child: done"); // never comes
        _exit(0);
    }
    return reap(child);
}
