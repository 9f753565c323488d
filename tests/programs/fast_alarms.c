// Timers whose next signal has come when a recorder has delivered the last one. What the program does is the same however many
// come, and it ends, as it does alone. And each tells what its timer gave it.
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

// ---- what a signal carries, when another one of the same thread is pending

static volatile sig_atomic_t carried;

static void expect_value(int sig, siginfo_t *info, void *context) {
    (void)context;
    CHECK(info->si_code == SI_TIMER && info->si_value.sival_int == 3 * sig);
    carried++;
}

static void carry_values(void) {
    const int signals[] = {SIGUSR1, SIGUSR2, SIGRTMIN + 2, SIGRTMIN + 5};
    enum { SIGNALS = sizeof signals / sizeof *signals };
    struct sigaction handler = {.sa_sigaction = expect_value, .sa_flags = SA_SIGINFO};
    timer_t timers[SIGNALS];
    for (int i = 0; i < SIGNALS; i++) {
        struct sigevent e = {.sigev_notify = SIGEV_THREAD_ID,
                             .sigev_signo = signals[i],
                             .sigev_value.sival_int = 3 * signals[i]};
        const struct itimerspec often = {{0, 500000}, {0, 500000 + i * 30000}};
        e._sigev_un._tid = gettid_now();
        CHECK(sigaction(signals[i], &handler, NULL) == 0 &&
              timer_create(CLOCK_MONOTONIC, &e, &timers[i]) == 0);
        CHECK(timer_settime(timers[i], 0, &often, NULL) == 0);
    }
    setitimer(ITIMER_REAL, &(const struct itimerval){{0, 700}, {0, 700}}, NULL);
    char from[PAGE] = "", to[PAGE];
    for (unsigned long x = 1; carried < 300; x += (unsigned long)syscall(SYS_getppid)) {
        for (int i = 0; i < 50; i++)
            x = x * 7 + (unsigned long)i;
        void *source = from, *target = to;
        unsigned long left = PAGE;
        __asm__ volatile("rep movsb" : "+S"(source), "+D"(target), "+c"(left) : : "memory");
    }
    setitimer(ITIMER_REAL, &(const struct itimerval){{0, 0}, {0, 0}}, NULL);
    for (int i = 0; i < SIGNALS; i++)
        CHECK(timer_delete(timers[i]) == 0 && signal(signals[i], SIG_IGN) != SIG_ERR);
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
    carry_values();
    return 0;
}
