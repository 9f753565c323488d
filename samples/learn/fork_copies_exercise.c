// To be repaired: one line of the output comes twice.
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void) {
    printf("main: begins\n");
    pid_t child = fork();
    if (child == 0) {
        printf("child: works\n");
        exit(0);
    }
    waitpid(child, NULL, 0);
    printf("main: ends\n");
    return 0;
}
