// Time by a real syscall. The threads that drive tracees trap rdtsc (recorder/engine.c says why), which the
// vDSO's clock_gettime executes: every clock reading in core, recorder and replayer goes through here.
#ifndef REFORK_CORE_CLOCK_H
#define REFORK_CORE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
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

// Makes rdtsc trap in this thread (on) or work again. What executes it all the same (an allocator preloaded into
// refork that asks the vDSO for the time, as mimalloc does) is carried out by a SIGSEGV handler, at some 10 us. Not
// under AddressSanitizer, which has a handler of its own.
void clock_trap_tsc(bool on);

#endif
