// What a process wrote to shared memory between its last call and the fault that ends it is seen by its parent;
// then the parent faults itself. Ends with signal 11.
#include "program.h"

#include <sys/mman.h>
#include <sys/resource.h>

static volatile int *shared;

static int ends_by(void (*die)(void)) {
    int status;
    shared[0] = 0;
    pid_t child = fork();
    CHECK(child >= 0);
    if (!child) {
        for (int i = 0; i < 1000; i++)
            shared[1 + i % 100] += i;
        shared[0] = 7;
        die();
        _exit(98);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) && shared[0] == 7);
    CHECK(shared[100] == 10 * 99 + 4500); // 99 + 199 + ... + 999
    for (int i = 1; i <= 100; i++)
        shared[i] = 0;
    printf("child %d: signal %d\n", child, WTERMSIG(status));
    return WTERMSIG(status);
}

static void null_pointer(void) {
    volatile int *volatile nowhere = (volatile int *)8;
    *nowhere = 1;
}

static void bad_instruction(void) {
    __asm__ volatile("ud2");
}

static void divide(void) {
    __asm__ volatile("xor %%ecx, %%ecx\n\tdiv %%ecx" : : "a"(1), "d"(0) : "ecx", "cc");
}

static void break_point(void) {
    __asm__ volatile("int3");
}

static void no_page(void) {
    int *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED && mprotect(p, 4096, PROT_NONE) == 0);
    *(volatile int *)p = 1;
}

int main(void) {
    struct rlimit none = {0, 0};
    CHECK(setrlimit(RLIMIT_CORE, &none) == 0);
    shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    CHECK(ends_by(null_pointer) == SIGSEGV);
    CHECK(ends_by(bad_instruction) == SIGILL);
    CHECK(ends_by(divide) == SIGFPE);
    CHECK(ends_by(break_point) == SIGTRAP);
    CHECK(ends_by(no_page) == SIGSEGV);
    fflush(stdout);
    shared[0] = 8;
    null_pointer();
    return 0;
}
