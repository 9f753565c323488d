// The main thread leaves by pthread_exit; a busy loop, one that sleeps and a fork go on behind the zombie leader.
#include "program.h"

static volatile int stop;
static volatile unsigned long turns;
static pthread_t busy_thread;

static void *busy(void *arg) {
    unsigned long n = 0;
    while (!stop)
        n++;
    turns = n;
    return arg;
}

static void *slow(void *leader) {
    CHECK(pthread_join(*(pthread_t *)leader, NULL) == 0);
    for (int i = 0; i < 5; i++) {
        sleep_ms(10);
        printf("nap %d of %d at %lld\n", i, gettid_now(), now_ns());
    }
    pid_t child = fork();
    CHECK(child >= 0);
    if (!child) _exit(5);
    CHECK(reap(child) == 5);
    stop = 1;
    CHECK(pthread_join(busy_thread, NULL) == 0);
    CHECK(turns > 0);
    printf("%lu turns\n", turns);
    return NULL;
}

int main(void) {
    static pthread_t self, sleeper;
    self = pthread_self();
    CHECK(pthread_create(&busy_thread, NULL, busy, NULL) == 0);
    CHECK(pthread_create(&sleeper, NULL, slow, &self) == 0);
    pthread_exit(NULL);
}
