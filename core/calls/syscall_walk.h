// Private to core/syscall_*.c: one evaluation of a call's ranges.
#ifndef REFORK_CORE_CALLS_SYSCALL_WALK_H
#define REFORK_CORE_CALLS_SYSCALL_WALK_H

#include "core/abi.h"
#include "core/calls/syscall_ranges.h"

// One syscall_ranges() in progress.
struct walk {
    long nr;
    const uint64_t *args;
    const int64_t *result; // NULL at entry
    tracee_reader read;
    void *context;
    struct syscall_range *out;
    int count; // ranges so far; -1, -2: the answer of syscall_ranges()
};

// A signal ended the call: EINTR, or ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND, ERESTART_RESTARTBLOCK as a
// tracer sees them.
static inline bool result_interrupted(int64_t result) {
    return result == -4 || (result <= -512 && result >= -516);
}

// At entry, or at the exit of a call that succeeded.
static inline bool walk_ok(const struct walk *w) {
    return !w->result || !is_error(*w->result);
}

// The kernel moves at most so many bytes in one call.
#define MAX_RW_COUNT 0x7ffff000ull

// Appends a range; nothing for address 0 or size 0. Adjoining ranges reached through memory become one.
void walk_add(struct walk *w, int dir, int arg, uint64_t address, uint64_t size);
// The same, for a range of which an unknown part at the end may not even be mapped: cut to what can be read.
void walk_add_readable(struct walk *w, int dir, int arg, uint64_t address, uint64_t size);
// The ranges of an iovec of `count` entries, `limit` bytes in total.
void walk_iovec(struct walk *w, int dir, uint64_t address, uint64_t count, uint64_t limit);

// Reads a value of the tracee; false when it cannot be read.
static inline bool walk_read(const struct walk *w, uint64_t address, void *buffer, size_t len) {
    return address && w->read(w->context, address, buffer, len);
}

#endif
