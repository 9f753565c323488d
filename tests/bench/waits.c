// A program that goes on, with waits that look endless: idle threads of a pool, a thread that sleeps with a mutex that another
// one wants, a mutex that one thread takes and another one gives back. `endless`: waits without a time limit, at which
// refork looks; `timed`: the same waits with one, at which it does not. The work beside them is the same.
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { IDLE = 4, ROUNDS = 6, HOLD_US = 450000, WORK = 40000 };

static pthread_mutex_t slow = PTHREAD_MUTEX_INITIALIZER, handed = PTHREAD_MUTEX_INITIALIZER,
                       queue = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t filled = PTHREAD_COND_INITIALIZER;
static int timed, over;
static volatile int wanted;

static const struct timespec *later(void) {
    static __thread struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += 3600;
    return &t;
}

static void take(pthread_mutex_t *m) {
    if (timed)
        pthread_mutex_timedlock(m, later());
    else
        pthread_mutex_lock(m);
}

static void *idle(void *nothing) {
    take(&queue);
    while (!over) {
        if (timed)
            pthread_cond_timedwait(&filled, &queue, later());
        else
            pthread_cond_wait(&filled, &queue);
    }
    pthread_mutex_unlock(&queue);
    return nothing;
}

static void *hold(void *nothing) {
    for (int i = 0; i < ROUNDS; i++) {
        take(&slow);
        usleep(HOLD_US);
        pthread_mutex_unlock(&slow);
        while (wanted <= i)
            usleep(1000);
        pthread_mutex_unlock(&handed); // of the thread that waits for it
    }
    return nothing;
}

static void *want(void *nothing) {
    take(&handed);
    for (int i = 0; i < ROUNDS; i++) {
        wanted++;
        take(&handed);
    }
    return nothing;
}

static void *want_slow(void *nothing) {
    for (int i = 0; i < ROUNDS; i++) {
        usleep(500);
        take(&slow);
        pthread_mutex_unlock(&slow);
    }
    return nothing;
}

static void *(*const routines[])(void *) = {hold, want, want_slow};

int main(int argc, char **argv) {
    enum { OTHERS = sizeof routines / sizeof *routines };
    pthread_t idlers[IDLE], others[OTHERS];
    unsigned long sum = 0;
    timed = argc > 1 && !strcmp(argv[1], "timed");
    for (int i = 0; i < IDLE; i++)
        pthread_create(&idlers[i], NULL, idle, NULL);
    for (int i = 0; i < OTHERS; i++)
        pthread_create(&others[i], NULL, routines[i], NULL);
    for (int i = 0; i < WORK; i++) {
        for (int k = 0; k < 2000; k++)
            sum = sum * 31 + (unsigned long)k;
        if (i % 8 == 0) (void)getppid();
    }
    for (int i = 0; i < OTHERS; i++)
        pthread_join(others[i], NULL);
    pthread_mutex_lock(&queue);
    over = 1;
    pthread_cond_broadcast(&filled);
    pthread_mutex_unlock(&queue);
    for (int i = 0; i < IDLE; i++)
        pthread_join(idlers[i], NULL);
    printf("%lu\n", sum);
    return 0;
}
