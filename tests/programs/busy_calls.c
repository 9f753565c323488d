// Busy in a loop of library calls: the PLT clock ends its time slices.
#include "busy.h"

static void busy(int index) {
    unsigned seed = (unsigned)index + 1;
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        turns[index] += (unsigned)rand_r(&seed) % 3 + 1;
    }
}
