// Timers whose next signal has come when a recorder has delivered the last one. What the program does is the same however many
// come, and it ends, as it does alone.
#include "program.h"

#include <signal.h>
#include <sys/time.h>

enum { INTERVAL_NS = 20000 };

static volatile sig_atomic_t alarms;
static timer_t once;

static void count(int sig) {
    (void)sig;
    alarms++;
}

static void set_once(void) {
    const struct itimerspec next = {.it_value.tv_nsec = INTERVAL_NS};
    timer_settime(once, 0, &next, NULL);
}

static void count_and_set(int sig) {
    (void)sig;
    alarms++;
    set_once();
}

static unsigned long work(unsigned long x) {
    for (long i = 0; i < 2000000; i++)
        x = x * 6364136223846793005 + 1;
    for (int i = 0; i < 2000; i++)
        x += syscall(SYS_getppid) > 0;
    for (int i = 0; i < 60; i++)
        x += (unsigned long)syscall(SYS_umask, 022);
    for (int i = 0; i < 100000; i++)
        x += (unsigned long)abs((int)x);
    return x;
}

static timer_t make_timer(int sig) {
    timer_t t;
    struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = sig};
    CHECK(timer_create(CLOCK_MONOTONIC, &e, &t) == 0);
    return t;
}

int main(void) {
    const struct itimerval real = {{0, INTERVAL_NS / 1000}, {0, INTERVAL_NS / 1000}}, none = {{0, 0}, {0, 0}},
                           slow = {{0, 2000}, {0, 2000}};
    const struct itimerspec again = {{0, INTERVAL_NS}, {0, INTERVAL_NS}};
    struct sigaction handler = {.sa_handler = count}, setter = {.sa_handler = count_and_set};
    CHECK(sigaction(SIGALRM, &handler, NULL) == 0 && sigaction(SIGRTMIN + 1, &handler, NULL) == 0);
    CHECK(sigaction(SIGUSR1, &setter, NULL) == 0);
    setitimer(ITIMER_REAL, &real, NULL);
    printf("%lx\n", work(1));
    setitimer(ITIMER_REAL, &none, NULL);
    timer_t t = make_timer(SIGRTMIN + 1);
    timer_settime(t, 0, &again, NULL);
    printf("%lx\n", work(2));
    timer_delete(t);
    once = make_timer(SIGUSR1); // set again by its handler each time
    set_once();
    printf("%lx\n", work(3));
    signal(SIGUSR1, SIG_IGN);
    timer_delete(once);
    // Who sleeps is woken by each.
    setitimer(ITIMER_REAL, &slow, NULL);
    for (int i = 0; i < 20; i++)
        pause();
    setitimer(ITIMER_REAL, &none, NULL);
    CHECK(alarms > 20);
    return 0;
}
