// A pipe ends when the last writer closes it. The second child inherited the first one's pipe and knows
// nothing of it; main closes its own end and waits for the first child, which reads on for ever. The second
// waits for main.
//
// expect: inherited-pipe lockkind=pipe waker=pipe_sibling waiting=read_all/read
// expect: cross-process-wait cause=inherited-pipe waiting=main
// expect: cross-process-wait cause=cross-process-wait waiting=read_all/read
// status: 120
#include "samples/stage.h"

static void read_all(int fd) {
    char line[64];
    while (read(fd, line, sizeof line) > 0)
        continue;
    _exit(0);
}

static pid_t start_filter(int *writer) {
    int fd[2];
    if (pipe(fd)) abort();
    pid_t child = fork();
    if (child == 0) {
        close(fd[1]);
        read_all(fd[0]);
    }
    close(fd[0]);
    *writer = fd[1];
    return child;
}

int main(void) {
    int first_writer, second_writer;
    pid_t first = start_filter(&first_writer);
    pid_t second = start_filter(&second_writer); // has first_writer, too
    if (write(first_writer, "data\n", 5) != 5) return 1;
    close(first_writer);
    reap(first); // never returns
    close(second_writer);
    return reap(second);
}
