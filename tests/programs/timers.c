// Timers: setitimer while computing and while asleep, timer_create by signal and by thread, timerfd, alarm,
// an interrupted nanosleep, absolute sleeps.
#include "program.h"

#include <sys/time.h>
#include <sys/timerfd.h>

static atomic_int alarms, notified;

static void on_alarm(int signal) {
    (void)signal;
    alarms++;
}

static void notify(union sigval value) {
    notified += value.sival_int;
}

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0);
    struct sigaction action = {.sa_handler = on_alarm};
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    CHECK(sigaction(SIGRTMIN, &action, NULL) == 0);
    struct itimerval every = {{0, 4000}, {0, 4000}}, off = {0};
    CHECK(setitimer(ITIMER_REAL, &every, NULL) == 0);
    uint64_t computed = 0;
    while (alarms < 5)
        computed++; // no syscall in here
    for (int slept = 0; slept < 3;)
        slept += nanosleep(&(struct timespec){1, 0}, NULL) == -1 && errno == EINTR;
    CHECK(setitimer(ITIMER_REAL, &off, NULL) == 0);
    printf("setitimer: %d alarms, computed %llu\n", alarms, (unsigned long long)computed);

    alarms = 0;
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
    struct itimerspec spec = {{0, 5000000}, {0, 5000000}}, stop = {0};
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    CHECK(timer_settime(timer, 0, &spec, NULL) == 0);
    while (alarms < 3)
        pause();
    printf("timer_create: overrun %d\n", timer_getoverrun(timer));
    CHECK(timer_delete(timer) == 0);

    event = (struct sigevent){
        .sigev_notify = SIGEV_THREAD, .sigev_notify_function = notify, .sigev_value.sival_int = 3};
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    CHECK(timer_settime(timer, 0, &spec, NULL) == 0);
    while (notified < 6)
        sleep_ms(1);
    CHECK(timer_settime(timer, 0, &stop, NULL) == 0);
    CHECK(timer_delete(timer) == 0);
    puts("timer_create with a thread: good");

    int fd = timerfd_create(CLOCK_MONOTONIC, 0);
    uint64_t expirations;
    CHECK(fd >= 0 && timerfd_settime(fd, 0, &spec, NULL) == 0);
    CHECK(read(fd, &expirations, sizeof expirations) == sizeof expirations && expirations >= 1);
    printf("timerfd: %llu\n", (unsigned long long)expirations);
    close(fd);

    long long begin = now_ns();
    struct timespec until = {(begin + 10000000) / 1000000000, (begin + 10000000) % 1000000000};
    CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == 0);
    CHECK(now_ns() - begin >= 10000000);
    printf("slept %lld ns\n", now_ns() - begin);
    return 0;
}
