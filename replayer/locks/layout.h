// What the state word of a lock says: one reading of it for both witnesses, the watchpoint and the lock history.
#ifndef REFORK_REPLAYER_LOCKS_LAYOUT_H
#define REFORK_REPLAYER_LOCKS_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

// How to read who holds it out of the changes of its state word: the rows of kinds.def.
enum lock_rule {
#define LAYOUT(rule, held)                                   RULE_##rule,
#define RWLAYOUT(rule, writer, claimed, readers, registered) RULE_##rule,
#include "replayer/locks/kinds.def"
    LOCK_RULES
};

// Is this value of the state word one that somebody holds the lock with?
bool lock_is_held(enum lock_rule rule, uint32_t value);

// Of a lock that several may hold at once:
struct lock_sharing {
    bool writer;         // one holds it
    bool claimed;        // one has come, and has it as soon as the readers are out
    uint32_t readers;    // so many hold it
    uint32_t registered; // so many have come: `readers`, or those that wait for the writer
};
// False for other rules.
bool lock_sharing(enum lock_rule rule, uint32_t value, struct lock_sharing *out);

#endif
