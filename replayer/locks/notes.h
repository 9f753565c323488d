// What a probe on a lock site notes, so that the history made of it is the one that stops at the site would give.
#ifndef REFORK_REPLAYER_LOCKS_NOTES_H
#define REFORK_REPLAYER_LOCKS_NOTES_H

#include "replayer/engine/breakpoints.h"
#include "replayer/locks/modules.h"

struct lock_note {
    struct break_probe probe; // size 0: the site has to stop
    uint8_t operation;        // enum atomic_operation
    int32_t displacement; // of the operand from the register that points to it, where no registers are noted
};

// That of m->sites[i].
struct lock_note lock_note_of(const struct lock_module *m, size_t i);
// The registers behind an entry (core/probe.h).
void lock_note_registers(struct user_regs_struct *out, const uint64_t *registers);

#endif
