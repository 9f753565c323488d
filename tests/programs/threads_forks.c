// Eight threads under a timer's signals; four of them fork at the same moment. Every child prints and ends
// with a status of its own.
#include "program.h"

#include <sys/time.h>

static pthread_barrier_t barrier;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static uint64_t sum;
static atomic_int alarms;

static void on_alarm(int signal) {
    (void)signal;
    atomic_fetch_add(&alarms, 1);
}

static uint32_t work(uint32_t x, int turns) {
    for (int i = 0; i < turns; i++)
        x = x * 1664525 + 1013904223;
    return x;
}

static void *run(void *argument) {
    int index = (int)(intptr_t)argument;
    char name[16];
    snprintf(name, sizeof name, "thread-%d", index);
    pthread_setname_np(pthread_self(), name);
    pthread_barrier_wait(&barrier);
    for (int round = 0; round < 3; round++) {
        if (index < 4) {
            pid_t child = fork();
            CHECK(child >= 0);
            if (child == 0) {
                char line[96];
                int n = snprintf(line, sizeof line, "child of %s: pid %d, round %d\n", name, getpid(), round);
                CHECK(write(STDOUT_FILENO, line, (size_t)n) == n);
                _exit(10 + index);
            }
            CHECK(reap(child) == 10 + index);
        }
        uint32_t x = work((uint32_t)index, 300000);
        for (int i = 0; i < 2000; i++) {
            pthread_mutex_lock(&mutex);
            sum += x % 7 + (uint32_t)i;
            pthread_mutex_unlock(&mutex);
        }
    }
    printf("%s: tid %d ends at %lld\n", name, gettid_now(), now_ns());
    return NULL;
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    struct itimerval every = {{0, 3000}, {0, 3000}};
    CHECK(setitimer(ITIMER_REAL, &every, NULL) == 0);
    pthread_barrier_init(&barrier, NULL, 8);
    pthread_t threads[8];
    for (intptr_t i = 0; i < 8; i++)
        CHECK(pthread_create(&threads[i], NULL, run, (void *)i) == 0);
    for (int i = 0; i < 8; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    while (!atomic_load(&alarms))
        sleep_ms(1);
    struct itimerval off = {0};
    CHECK(setitimer(ITIMER_REAL, &off, NULL) == 0);
    printf("sum %llu, %d alarms\n", (unsigned long long)sum, alarms);
    return 0;
}
