// The classic beginner's mistake: the child reads until the end of the pipe, and holds the write end
// itself.
//
// expect: inherited-pipe lockkind=pipe waker=pipe_own_end waiting=main/read
// expect: cross-process-wait cause=inherited-pipe
// status: 120
#include "samples/stage.h"

int main(void) {
    int fd[2];
    char line[64];
    if (pipe(fd)) return 1;
    say("main: fork");
    pid_t child = fork();
    if (child == 0) {
        while (read(fd[0], line, sizeof line) > 0) // close(fd[1]) is missing
            continue;
        _exit(0);
    }
    if (write(fd[1], "data\n", 5) != 5) return 1;
    close(fd[1]);
    return reap(child);
}
