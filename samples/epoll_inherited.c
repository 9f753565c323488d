// An event loop in the child waits for commands, from a pipe and a socket whose other ends main has closed. But the child
// inherited copies of them, so it never learns that nobody will come any more.
//
// expect: inherited-pipe lockkind=socket waker=epoll_inherited waiting=run_loop/epoll_wait
// expect: cross-process-wait cause=inherited-pipe waiting=main
// status: 120
#include "samples/stage.h"

#include <sys/epoll.h>
#include <sys/socket.h>

static void run_loop(int pipe_end, int socket_end) {
    int set = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    if (set < 0 || epoll_ctl(set, EPOLL_CTL_ADD, pipe_end, &event) ||
        epoll_ctl(set, EPOLL_CTL_ADD, socket_end, &event))
        abort();
    epoll_wait(set, &event, 1, -1);
}

int main(void) {
    int commands[2], connection[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, connection) || pipe(commands)) return 1;
    pid_t child = fork();
    if (child == 0) {
        run_loop(commands[0], connection[0]);
        _exit(0);
    }
    close(commands[1]);
    close(connection[1]);
    return reap(child);
}
