// The child waits in epoll for an eventfd and a socket that main uses after a while. refork must stay silent.
//
// expect: none
// status: 0
#include "samples/stage.h"

#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

static void wait_for(int set, const char *what) {
    struct epoll_event event;
    if (epoll_wait(set, &event, 1, -1) != 1) _exit(1);
    say(what);
}

int main(void) {
    int event = eventfd(0, 0), fd[2];
    if (event < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, fd)) return 1;
    pid_t child = fork();
    if (child == 0) {
        int set = epoll_create1(0);
        struct epoll_event in = {.events = EPOLLIN | EPOLLET};
        close(fd[1]);
        if (set < 0 || epoll_ctl(set, EPOLL_CTL_ADD, event, &in) || epoll_ctl(set, EPOLL_CTL_ADD, fd[0], &in))
            _exit(1);
        wait_for(set, "child: the event");
        wait_for(set, "child: the end of the connection");
        _exit(0);
    }
    close(fd[0]);
    usleep(400000);
    if (write(event, &(uint64_t){1}, sizeof(uint64_t)) != sizeof(uint64_t)) return 1;
    usleep(400000);
    close(fd[1]);
    return reap(child);
}
