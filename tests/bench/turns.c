// Four threads that spin for "another CPU" in turn, 300 times each, as pools do that wait actively (OMP_WAIT_POLICY=active).
// Natively a matter of microseconds. One task runs at a time: each turn costs the time until the spinner gives the CPU away.
#include <pthread.h>
#include <stdio.h>

enum { THREADS = 4, TURNS = 300 };

static volatile int turn;
static long count;

static void *spin(void *number) {
    const int me = (int)(long)number;
    for (int i = 0; i < TURNS; i++) {
        while (turn != me)
            __builtin_ia32_pause();
        count++;
        turn = (me + 1) % THREADS;
    }
    return NULL;
}

int main(void) {
    pthread_t threads[THREADS];
    for (long i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, spin, (void *)i)) return 1;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    printf("%ld turns\n", count);
    return count != THREADS * TURNS;
}
