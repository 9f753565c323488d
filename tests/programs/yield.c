// Threads that hand over by sched_yield alone, as spinning code does: none may starve, and the order is the same again.
#include "program.h"

#include <sched.h>

enum { THREADS = 3, ROUNDS = 2000 };

static atomic_int turn;
static atomic_ulong yields;

static void *player(void *arg) {
    int me = (int)(intptr_t)arg;
    for (int i = 0; i < ROUNDS; i++) {
        while (atomic_load(&turn) != me) {
            CHECK(sched_yield() == 0);
            atomic_fetch_add(&yields, 1);
        }
        atomic_store(&turn, (me + 1) % THREADS);
    }
    return arg;
}

int main(void) {
    pthread_t t[THREADS];
    for (intptr_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&t[i], NULL, player, (void *)i) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(t[i], NULL) == 0);
    printf("%lu yields\n", atomic_load(&yields));
    return 0;
}
