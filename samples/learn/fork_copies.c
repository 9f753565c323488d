// The child gets a copy of all memory: also of what waits in a stream's buffer.
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int files = 3;

int main(void) {
    printf("main: %d files found\n", files); // into a pipe or a file: it waits in stdout's buffer
    pid_t child = fork();
    if (child == 0) {
        files++;
        printf("child: now it counts %d\n", files);
        exit(0); // writes what is in the buffer
    }
    waitpid(child, NULL, 0);
    printf("main: still counts %d\n", files);
    return 0;
}
