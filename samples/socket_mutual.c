// Main waits for an answer before it has sent all of its question: the child waits for the rest. Neither can go on, and
// no fork is to blame.
//
// expect: cross-process-wait lockkind=socket waiting=ask/recv
// expect: cross-process-wait lockkind=socket cause=cross-process-wait waiting=answer/recv
// status: 120
#include "samples/stage.h"

#include <sys/socket.h>

static void answer(int fd) {
    char question[64];
    for (size_t got = 0; got < sizeof question;) {
        ssize_t n = recv(fd, question + got, sizeof question - got, 0);
        if (n <= 0) _exit(1);
        got += (size_t)n;
    }
    if (send(fd, "yes", 3, 0) != 3) _exit(1);
    _exit(0);
}

static void ask(int fd) {
    char line[8];
    if (send(fd, "is it?", 6, 0) != 6) abort();
    if (recv(fd, line, sizeof line, 0) < 0) abort();
}

int main(void) {
    int fd[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd)) return 1;
    pid_t child = fork();
    if (child == 0) {
        close(fd[1]);
        answer(fd[0]);
    }
    close(fd[0]);
    ask(fd[1]);
    return reap(child);
}
