// Threads that free large blocks and end together: an allocator that gives memory back with a lock held makes them
// wait for one another's madvise.
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 8, BLOCKS = 24, SIZE = 1 << 20 };

static pthread_barrier_t together;

static void *work(void *unused) {
    void *blocks[BLOCKS];
    (void)unused;
    for (int i = 0; i < BLOCKS; i++)
        memset(blocks[i] = malloc(SIZE), i, SIZE);
    pthread_barrier_wait(&together);
    for (int i = 0; i < BLOCKS; i++)
        free(blocks[i]);
    return NULL;
}

int main(void) {
    pthread_t threads[THREADS];
    if (pthread_barrier_init(&together, NULL, THREADS)) return 1;
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, work, NULL)) return 1;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    return 0;
}
