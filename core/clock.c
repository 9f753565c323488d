#include "core/clock.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/ucontext.h>
#include <x86intrin.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITHOUT_TRAPS 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define WITHOUT_TRAPS 1
#endif

// (Of the process, as a signal's action is: what SIGSEGV did before.)
static struct sigaction before;

static void on_fault(int signal, siginfo_t *info, void *context) {
    ucontext_t *u = context;
    greg_t *regs = u->uc_mcontext.gregs;
    const uint8_t *pc = (const uint8_t *)regs[REG_RIP];
    // A general protection fault, whose address is not said: an access to memory that is not there has SEGV_MAPERR.
    bool general = info->si_code == SI_KERNEL;
    bool tsc = general && pc[0] == 0x0f && pc[1] == 0x31;
    bool tscp = general && pc[0] == 0x0f && pc[1] == 0x01 && pc[2] == 0xf9;
    if (!tsc && !tscp) { // nothing of ours: handled as it would have been, when it happens again
        sigaction(signal, &before, NULL);
        if (info->si_code <= 0) raise(signal); // sent with kill: it does not happen again
        return;
    }
    uint32_t aux;
    prctl(PR_SET_TSC, PR_TSC_ENABLE, 0, 0, 0);
    uint64_t value = __rdtscp(&aux);
    prctl(PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0);
    regs[REG_RAX] = (uint32_t)value;
    regs[REG_RDX] = (greg_t)(value >> 32);
    if (tscp) regs[REG_RCX] = aux;
    regs[REG_RIP] += tsc ? 2 : 3;
}

void clock_trap_tsc(bool on) {
#ifdef WITHOUT_TRAPS
    (void)on;
    (void)on_fault;
    return;
#endif
    static bool handled;
    if (on && !handled) {
        struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
        sigaction(SIGSEGV, &action, &before);
        handled = true;
    }
    prctl(PR_SET_TSC, on ? PR_TSC_SIGSEGV : PR_TSC_ENABLE, 0, 0, 0);
}
