// test_unwind.c: deep stacks, frames of signals, and functions that are inlined into each other; argv[1] says how it stops.
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEEP __attribute__((noinline, noclone))
#define INTO static inline __attribute__((always_inline))
volatile int sink;
void (*volatile nowhere)(void);
KEEP void trap(void) {
    __asm__ volatile("int3\n\tnop" ::: "memory"); // mark trap
    sink++;
}

INTO void innermost(void) {
    trap(); // mark innermost
    sink++;
}

INTO void middle(int n) {
    if (n) innermost(); // mark middle
    sink++;
}

KEEP void outer(int n) {
    middle(n); // mark outer
    sink++;
}

KEEP void recurse(int n) {
    char pad[200];
    pad[n] = 1;
    if (n)
        recurse(n - 1);
    else
        outer(1);
    sink += pad[n];
}

KEEP void handler(int s) {
    (void)s;
    trap();
    sink++;
}

KEEP void null_caller(void) {
    nowhere(); // mark null
    sink++;
}

static void *worker(void *p) {
    recurse(3);
    return p;
}

static int compare(const void *a, const void *b) {
    return *(const int *)a - *(const int *)b;
}

KEEP void work(void) {
    int v[8] = {5, 3, 8, 1, 9, 2, 7, 4};
    qsort(v, 8, sizeof *v, compare);
    char *p = malloc(3000);
    snprintf(p, 3000, "%d %s %f", v[0], "text", 1.5);
    setenv("A_NAME", p, 1);
    raise(SIGUSR2);
    free(p);
    sink += (int)strlen(getenv("A_NAME"));
    trap();
}

static void quiet(int s) {
    sink += s;
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "";
    if (!strcmp(mode, "inline")) recurse(40);
    if (!strcmp(mode, "signal")) {
        signal(SIGUSR1, handler);
        raise(SIGUSR1);
    }
    if (!strcmp(mode, "altstack")) {
        stack_t s = {.ss_sp = malloc(65536), .ss_size = 65536};
        struct sigaction a = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
        sigaltstack(&s, 0);
        sigaction(SIGUSR1, &a, 0);
        raise(SIGUSR1);
    }
    if (!strcmp(mode, "null")) null_caller();
    if (!strcmp(mode, "thread")) {
        pthread_t t;
        pthread_create(&t, 0, worker, 0);
        pthread_join(t, 0);
    }
    if (!strcmp(mode, "work")) {
        signal(SIGUSR2, quiet);
        trap();
        work();
    }
    return sink & 1;
}
