// Busy with nothing but arithmetic: no call, no syscall, a loop of several blocks.
#include "busy.h"

static void busy(int index) {
    uint32_t x = (uint32_t)index + 7;
    uint64_t mine = 0;
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        for (int i = 0; i < 1000; i++) {
            x = x * 1664525 + 1013904223;
            if (x & 0x100) x ^= x >> 7;
        }
        mine += 1 + (x & 1);
        atomic_store_explicit(&turns[index], mine, memory_order_relaxed);
    }
}
