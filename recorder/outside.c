#include "recorder/outside.h"

#include <signal.h>
#include <stddef.h>
#include <sys/time.h>

enum { TICK_US = 4000 };

static volatile sig_atomic_t interrupts, terminate_signal, ticks;

unsigned outside_ticks(void) {
    return (unsigned)ticks;
}

unsigned outside_interrupts(void) {
    return (unsigned)interrupts;
}

int outside_terminate(void) {
    int sig = terminate_signal;
    if (sig) terminate_signal = 0;
    return sig;
}

static void on_signal(int sig) {
    if (sig == SIGALRM) { // breaks waits
        ticks++;
        return;
    }
    if (sig == SIGINT) // the program has it too: same terminal, same process group
        interrupts++;
    else
        terminate_signal = sig;
}

static void set_timer(long us) {
    struct itimerval tick = {{0, us}, {0, us}};
    setitimer(ITIMER_REAL, &tick, NULL);
}

void outside_listen(bool listen) {
    static const int signals[] = {SIGALRM, SIGINT, SIGTERM, SIGHUP};
    // The timer ends while its handler is still there, and begins when it is there already.
    if (!listen) set_timer(0);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct sigaction sa = {.sa_handler = listen ? on_signal : SIG_DFL};
        struct sigaction old;
        sigaction(signals[i], NULL, &old);
        if (signals[i] != SIGALRM && old.sa_handler == SIG_IGN) continue;
        sigaction(signals[i], &sa, NULL);
    }
    if (listen) set_timer(TICK_US);
}
