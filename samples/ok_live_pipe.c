// The child waits for a parent that takes its time and then writes. refork must stay silent.
//
// expect: none
// status: 0
#include "samples/stage.h"

int main(void) {
    int fd[2];
    char line[64];
    if (pipe(fd)) return 1;
    say("main: fork");
    pid_t child = fork();
    if (child == 0) {
        close(fd[1]);
        while (read(fd[0], line, sizeof line) > 0)
            say("child: a line");
        _exit(0);
    }
    close(fd[0]);
    for (int i = 0; i < 3; i++) {
        usleep(50000);
        if (write(fd[1], "data\n", 5) != 5) return 1;
    }
    close(fd[1]);
    return reap(child);
}
