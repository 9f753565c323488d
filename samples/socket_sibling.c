// A connection ends when every copy of its other end is closed. The second child inherited main's end of the first one's
// connection and knows nothing of it; main closes its own and waits for the first child, which reads on for ever.
//
// expect: inherited-pipe lockkind=socket waker=socket_sibling waiting=serve/read
// expect: cross-process-wait cause=inherited-pipe waiting=main
// expect: cross-process-wait cause=cross-process-wait waiting=serve/read
// status: 120
#include "samples/stage.h"

#include <sys/socket.h>

static void serve(int fd) {
    char line[64];
    while (read(fd, line, sizeof line) > 0)
        continue;
    _exit(0);
}

static pid_t start_server(int *connection) {
    int fd[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd)) abort();
    pid_t child = fork();
    if (child == 0) {
        close(fd[1]);
        serve(fd[0]);
    }
    close(fd[0]);
    *connection = fd[1];
    return child;
}

int main(void) {
    int first_connection, second_connection;
    pid_t first = start_server(&first_connection);
    pid_t second = start_server(&second_connection); // has first_connection, too
    if (write(first_connection, "data\n", 5) != 5) return 1;
    close(first_connection);
    reap(first); // never returns
    close(second_connection);
    return reap(second);
}
