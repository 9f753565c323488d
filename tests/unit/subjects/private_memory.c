// test_timeline.c: what each process writes is its own.
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char text[9000];
static int f(int n) {
    memset(text, n, sizeof text);
    return text[n];
}

int main(void) {
    int sum = 0;
    for (int i = 0; i < 200; i++) {
        sum += f(i) + getppid();
        if (i % 50 == 7) {
            pid_t c = fork();
            if (!c) _exit(f(i));
            waitpid(c, 0, 0);
        }
    }
    printf("%d\n", sum);
    return 0;
}
