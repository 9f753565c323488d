// Time by a real syscall. The threads that drive tracees trap rdtsc (recorder/engine.c says why), which the
// vDSO's clock_gettime executes: every clock reading in core, recorder and replayer goes through here.
#ifndef REFORK_CORE_CLOCK_H
#define REFORK_CORE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static inline uint64_t clock_ns(clockid_t id) {
    struct timespec t = {0};
    syscall(SYS_clock_gettime, id, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static inline uint64_t clock_us(clockid_t id) {
    return clock_ns(id) / 1000;
}

// Makes rdtsc trap in this thread (on) or work again. Not under AddressSanitizer, whose allocator asks the
// vDSO for the time.
static inline void clock_trap_tsc(bool on) {
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
    return;
#endif
#elif defined(__SANITIZE_ADDRESS__)
    return;
#endif
    prctl(PR_SET_TSC, on ? PR_TSC_SIGSEGV : PR_TSC_ENABLE, 0, 0, 0);
}

#endif
