#include "replayer/locks/layout.h"

#include <linux/futex.h>

bool lock_sharing(enum lock_rule rule, uint32_t value, struct lock_sharing *out) {
    switch (rule) {
#define RWLAYOUT(rule, writer, claimed, readers, registered)                                                 \
    case RULE_##rule:                                                                                        \
        *out = (struct lock_sharing){writer, claimed, readers, registered};                                  \
        return true;
#include "replayer/locks/kinds.def"
    default:
        *out = (struct lock_sharing){0};
        return false;
    }
}

bool lock_is_held(enum lock_rule rule, uint32_t value) {
    struct lock_sharing s;
    if (lock_sharing(rule, value, &s)) return s.writer || s.readers;
    switch (rule) {
#define LAYOUT(rule, held)                                                                                   \
    case RULE_##rule:                                                                                        \
        return held;
#include "replayer/locks/kinds.def"
    default:
        return false;
    }
}
