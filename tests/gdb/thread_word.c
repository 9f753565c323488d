// Two threads, each with a word of its own, which is another number in each at its visit.
#include <pthread.h>
#include <stddef.h>

__thread int word = 7;
__thread long cleared;

static void visit(void) {
    cleared--;
}

static void *worker(void *unused) {
    (void)unused;
    word += 30;
    visit();
    return NULL;
}

int main(void) {
    pthread_t thread;
    word++;
    if (pthread_create(&thread, NULL, worker, NULL) || pthread_join(thread, NULL)) return 1;
    visit();
    return 0;
}
