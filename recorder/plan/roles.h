// What breakpoints are for (struct breakpoint, roles).
#ifndef REFORK_RECORDER_PLAN_ROLES_H
#define REFORK_RECORDER_PLAN_ROLES_H

enum break_role {
    BREAK_YIELD = 1,    // a schedule's yield line: see places.c
    BREAK_FORK = 2,     // fork() begins
    BREAK_ACQUIRE = 4,  // the gate's acquire site: a lock instruction, or a function's first
    BREAK_RETURN = 8,   // where an acquire function returns to
    BREAK_SITE = 16,    // the gate's fork site: never on
    BREAK_SEGMENT = 32, // segments end there
};

#endif
