// Spin loops without a syscall: while (!flag); with and without pause, a ticket lock, and a spin on a value
// that a child process writes into shared memory. Each is released by somebody who first sleeps.
#include "program.h"

#include <sys/mman.h>

static volatile int flag[2];
static pthread_spinlock_t lock;
static int guarded;

static void *release(void *unused) {
    (void)unused;
    sleep_ms(30);
    flag[0] = 1;
    sleep_ms(30);
    flag[1] = 1;
    return NULL;
}

static void *count_under_spinlock(void *unused) {
    (void)unused;
    for (int i = 0; i < 20000; i++) {
        pthread_spin_lock(&lock);
        guarded++;
        pthread_spin_unlock(&lock);
    }
    return NULL;
}

static void *hold_spinlock(void *unused) {
    (void)unused;
    pthread_spin_lock(&lock);
    sleep_ms(50);
    pthread_spin_unlock(&lock);
    return NULL;
}

int main(void) {
    pthread_t a, b;
    CHECK(pthread_create(&a, NULL, release, NULL) == 0);
    while (!flag[0])
        ;
    puts("released from the bare loop");
    while (!flag[1])
        __builtin_ia32_pause();
    puts("released from the loop with pause");
    CHECK(pthread_join(a, NULL) == 0);

    pthread_spin_init(&lock, PTHREAD_PROCESS_PRIVATE);
    CHECK(pthread_create(&a, NULL, count_under_spinlock, NULL) == 0);
    CHECK(pthread_create(&b, NULL, hold_spinlock, NULL) == 0);
    count_under_spinlock(NULL);
    CHECK(pthread_join(a, NULL) == 0 && pthread_join(b, NULL) == 0);
    CHECK(guarded == 40000);
    printf("counted to %d under a spin lock\n", guarded);

    volatile int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        sleep_ms(30);
        *shared = 1;
        _exit(0);
    }
    while (!*shared)
        ;
    puts("released by the child");
    CHECK(reap(child) == 0);
    return 0;
}
