// 20 million uncontended lock operations (10 million pairs) in four threads; with an argument so many pairs in each.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct guarded {
    _Alignas(64) pthread_mutex_t mutex;
    long value;
};

static struct guarded guarded[4];
static int pairs = 2500000;

static void *count(void *argument) {
    struct guarded *g = argument;
    for (int i = 0; i < pairs; i++) {
        pthread_mutex_lock(&g->mutex);
        g->value++;
        pthread_mutex_unlock(&g->mutex);
    }
    return NULL;
}

int main(int argc, char **argv) {
    if (argc > 1) pairs = atoi(argv[1]);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        pthread_mutex_init(&guarded[i].mutex, NULL);
        pthread_create(&threads[i], NULL, count, &guarded[i]);
    }
    long sum = 0;
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        sum += guarded[i].value;
    }
    printf("%ld\n", sum);
    return 0;
}
