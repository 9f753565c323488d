// test_breaks.c: everything that breakpoints could disturb. Threads, forks, exec, code that is written out, moved, protected and
// unmapped, faults in locked instructions, own int3s, loops that are preempted in locked instructions, dlopen.
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static atomic_int words[4], spin;
static atomic_long total;
static sigjmp_buf back;
static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
static volatile int traps;
static void on(int s) {
    if (s == SIGTRAP) {
        traps++;
        return;
    }
    siglongjmp(back, 1);
}

__attribute__((noinline)) int bump(atomic_int *p) {
    return atomic_fetch_add(p, 3);
}

// Branches to the instructions behind short ones: they lie under the jump that a probe needs.
void under(atomic_int *p, int n);
__asm__(".text\nunder: lock incl (%rdi)\n1: dec %esi\njg 1b\nxor %eax,%eax\nxchg %eax,(%rdi)\n"
        "2: inc %eax\ncmp $150,%eax\njne 2b\nlock notl (%rdi)\nret\n");
// Slow turns, so that the test is not one of a hundred thousand stops.
#define SLOW(n) __asm__ volatile(".rept 400\nimul %0,%0\n.endr" : "+r"(n))
static void *busy(void *x) {
    long n = 1;
    while (!atomic_load(&spin)) {
        atomic_fetch_add(&total, 1);
        SLOW(n);
    }
    return x;
}

static void *wait_for(void *x) {
    long n = 1;
    while (atomic_exchange(&words[3], 1))
        SLOW(n);
    return x;
}

static void *work(void *x) {
    for (int i = 0; i < 50; i++) {
        char *p = malloc(3000 + i);
        memset(p, i, 9);
        pthread_mutex_lock(&m);
        bump(&words[0]);
        if (i % 10 == 0) usleep(10); // others find it locked
        pthread_mutex_unlock(&m);
        free(p);
    }
    return x;
}

int main(int argc, char **argv) {
    (void)argv;
    if (argc > 1) {
        bump(&words[1]);
        printf("exec %d\n", words[1]);
        return 0;
    }
    for (int i = 0; i < 3; i++)
        under(&words[2], 100);
    printf("%d\n", words[2]);
    signal(SIGTRAP, on);
    signal(SIGSEGV, on);
    signal(SIGBUS, on);
    setvbuf(stdout, 0, _IONBF, 0);
    if (write(1, (void *)bump, 64) != 64 || write(1, "\n", 1) != 1) return 1;
    __asm__ volatile("int3");
    printf("%d\n", traps);
    if (!sigsetjmp(back, 1))
        bump((void *)8);
    else
        printf("fault\n");
    char *ro = mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (!sigsetjmp(back, 1))
        bump((void *)ro);
    else
        printf("fault\n");
    pthread_t t[3];
    for (int i = 0; i < 3; i++)
        pthread_create(&t[i], 0, work, 0);
    for (int i = 0; i < 2; i++) {
        pid_t c = fork();
        if (!c) {
            for (int k = 0; k < 50; k++)
                bump(&words[1]);
            printf("%d\n", words[1]);
            if (i) execl("/proc/self/exe", "x", "y", (char *)0);
            _exit(0);
        }
        int s;
        waitpid(c, &s, 0);
    }
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], 0);
    words[3] = 1;
    pthread_create(&t[0], 0, wait_for, 0);
    pthread_create(&t[1], 0, busy, 0);
    while (atomic_load(&total) < 20000) // both have been preempted in their loops: there is one CPU
        sched_yield();
    atomic_store(&words[3], 0);
    atomic_store(&spin, 1);
    pthread_join(t[0], 0);
    pthread_join(t[1], 0);
    void *h = dlopen("libm.so.6", RTLD_NOW);
    if (h) dlclose(h);
    char *page = (char *)((unsigned long)bump & -4096ul);
    mprotect(page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC);
    bump(&words[0]);
    mprotect(page, 4096, PROT_READ | PROT_EXEC);
    bump(&words[0]);
    madvise(page, 4096, MADV_DONTNEED);
    bump(&words[0]);
    printf("%d %d\n", words[0], words[1]);
    return system("/bin/true");
}
