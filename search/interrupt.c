#include "search/interrupt.h"

#include <signal.h>
#include <stddef.h>

enum { SIGNALS = 3 };
static const int signals[SIGNALS] = {SIGINT, SIGTERM, SIGHUP};
static struct sigaction before[SIGNALS];
static unsigned depth[SIGNALS], deepest;
static volatile sig_atomic_t came;

static void on_signal(int signal) {
    came = signal;
}

static size_t count(enum interrupts which) {
    return which == INTERRUPT_ALL ? SIGNALS : 1;
}

void interrupt_begin(enum interrupts which) {
    if (!deepest++) came = 0;
    for (size_t i = 0; i < count(which); i++) {
        if (depth[i]++) continue;
        sigaction(signals[i], NULL, &before[i]);
        if (before[i].sa_handler != SIG_IGN)
            sigaction(signals[i], &(struct sigaction){.sa_handler = on_signal}, NULL);
    }
}

void interrupt_end(enum interrupts which) {
    deepest--;
    for (size_t i = 0; i < count(which); i++)
        if (!--depth[i]) sigaction(signals[i], &before[i], NULL);
}

int interrupted(void) {
    return came;
}

void interrupt_restore(void) {
    for (size_t i = 0; i < SIGNALS; i++)
        if (depth[i]) sigaction(signals[i], &before[i], NULL);
}
