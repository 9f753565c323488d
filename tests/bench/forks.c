// A thousand forks, one after the other.
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void) {
    int sum = 0;
    for (int i = 0; i < 1000; i++) {
        pid_t child = fork();
        if (child == 0) _exit(i % 7);
        int status;
        if (waitpid(child, &status, 0) == child) sum += WEXITSTATUS(status);
    }
    printf("%d\n", sum);
    return 0;
}
