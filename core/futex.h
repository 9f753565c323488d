// The arguments of a futex call, and what the kernel reads and writes in a futex's word (futex(2), linux/futex.h).
#ifndef REFORK_CORE_FUTEX_H
#define REFORK_CORE_FUTEX_H

#include <linux/futex.h>
#include <stdbool.h>
#include <stdint.h>

// Arguments: the word's address, operation and flags, a value, a timeout (of the operations that wait).

static inline int futex_operation(const uint64_t args[6]) {
    return (int)args[1] & FUTEX_CMD_MASK;
}

// It takes a lock whose word the kernel keeps: the TID of the holder.
static inline bool futex_takes_lock(const uint64_t args[6]) {
    int op = futex_operation(args);
    return op == FUTEX_LOCK_PI || op == FUTEX_LOCK_PI2;
}

static inline bool futex_waits(const uint64_t args[6]) {
    int op = futex_operation(args);
    return op == FUTEX_WAIT || op == FUTEX_WAIT_BITSET || futex_takes_lock(args);
}

// It waits, and no timeout ends that.
static inline bool futex_waits_endlessly(const uint64_t args[6]) {
    return futex_waits(args) && !args[3];
}

static inline bool futex_wakes(const uint64_t args[6]) {
    int op = futex_operation(args);
    return op == FUTEX_WAKE || op == FUTEX_WAKE_BITSET;
}

// Would a call that waits go to sleep with `word` in memory? (A lock: when somebody holds it.)
static inline bool futex_would_sleep(const uint64_t args[6], uint32_t word) {
    int op = futex_operation(args);
    if (op == FUTEX_WAIT || op == FUTEX_WAIT_BITSET) return word == (uint32_t)args[2];
    return word & FUTEX_TID_MASK;
}

// What the kernel makes of the word of a robust lock whose holder ends (handle_futex_death).
static inline uint32_t futex_orphaned(uint32_t word) {
    return (word & FUTEX_WAITERS) | FUTEX_OWNER_DIED;
}

#endif
