#include "recorder/outside.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/time.h>

// What the signal handler counts. A process has one action per signal and one timer, so there is one of each.
static volatile sig_atomic_t interrupts, asked, ticks, expected;
static bool ignored_interrupts; // as the shell does for what runs in the background
static uint64_t listened;       // bit per signal with a handler of ours

unsigned outside_ticks(void) {
    return (unsigned)ticks;
}

unsigned outside_interrupts(void) {
    return (unsigned)interrupts;
}

int outside_asked(void) {
    int sig = asked;
    if (sig) asked = 0;
    return sig;
}

void outside_expect(int sig) {
    expected = sig;
}

// Its default action: the end mostly, also a stop.
static void by_default(int sig) {
    sigset_t only;
    if (sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU) {
        raise(SIGSTOP);
        return;
    }
    signal(sig, SIG_DFL);
    sigemptyset(&only);
    sigaddset(&only, sig);
    sigprocmask(SIG_UNBLOCK, &only, NULL);
    raise(sig);
}

static void from_outside(int sig, bool terminal) {
    switch (sig) {
    case SIGALRM:
        break;
    case SIGINT:
    case SIGQUIT:
        if (!terminal)
            asked = sig;
        else if (!ignored_interrupts)
            interrupts++;
        break;
    case SIGTERM:
    case SIGHUP:
    case SIGUSR1:
    case SIGUSR2:
        asked = sig;
        break;
    default:
        by_default(sig);
    }
}

static void on_signal(int sig, siginfo_t *info, void *context) {
    (void)context;
    int error = errno;
    if (sig == SIGALRM && info->si_code == SI_KERNEL) // breaks waits
        ticks++;
    else if (sig != expected)
        from_outside(sig, info->si_code == SI_KERNEL);
    errno = error;
}

static void set_timer(long us) {
    struct itimerval tick = {{0, us}, {0, us}};
    setitimer(ITIMER_REAL, &tick, NULL);
}

void outside_timer(bool on) {
    set_timer(on ? TICK_US : 0);
}

void outside_tick_in(long us) {
    struct itimerval tick = {{0, TICK_US}, {0, us}};
    setitimer(ITIMER_REAL, &tick, NULL);
}

// Every signal that the program could send to its process group, which is refork's as well.
void outside_listen(bool listen) {
    // The timer ends while its handler is still there, and begins when it is there already.
    if (!listen) set_timer(0);
    for (int sig = 1; sig < 65; sig++) {
        bool ignored = sig == SIGCHLD || sig == SIGCONT || sig == SIGURG || sig == SIGWINCH; // by default
        if (sig == SIGKILL || sig == SIGSTOP || ignored || sig == 32 ||
            sig == 33) // the latter are glibc's own
            continue;
        bool fault = sig == SIGSEGV || sig == SIGBUS || sig == SIGILL || sig == SIGFPE || sig == SIGABRT;
        struct sigaction sa = {.sa_handler = SIG_DFL}, old;
        const uint64_t bit = 1ull << (sig - 1);
        if (!listen && !(listened & bit)) continue;
        if (listen) {
            sa.sa_sigaction = on_signal;
            sa.sa_flags = SA_SIGINFO;
        }
        listened &= ~bit;
        // Ignored Ctrl-C stays so, but whoever sends the signal to refork means it.
        bool interrupt = sig == SIGINT || sig == SIGQUIT;
        if (interrupt && !listen && ignored_interrupts) sa.sa_handler = SIG_IGN;
        sigaction(sig, &sa, &old);
        if (!listen) continue;
        if (interrupt) ignored_interrupts = old.sa_handler == SIG_IGN;
        bool ignores = sig != SIGALRM && !interrupt && old.sa_handler == SIG_IGN;
        bool sanitizer = fault && old.sa_handler != SIG_DFL && old.sa_sigaction != on_signal;
        if (ignores || sanitizer)
            sigaction(sig, &old, NULL);
        else
            listened |= bit;
    }
    if (listen) set_timer(TICK_US);
}
