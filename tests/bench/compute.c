// Two threads that compute, without syscalls or library calls.
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>

static void *compute(void *seed) {
    uint64_t x = (uintptr_t)seed;
    for (long i = 0; i < 250000000; i++)
        x = x * 6364136223846793005 + 1442695040888963407;
    return (void *)(uintptr_t)x;
}

int main(void) {
    pthread_t threads[2];
    uintptr_t sum = 0;
    for (uintptr_t i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, compute, (void *)(i + 1));
    for (int i = 0; i < 2; i++) {
        void *x;
        pthread_join(threads[i], &x);
        sum += (uintptr_t)x;
    }
    printf("%lx\n", (unsigned long)sum);
    return 0;
}
