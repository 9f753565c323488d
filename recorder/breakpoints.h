// Breakpoints of an address space. Their int3s are in memory only while a task of the space runs.
#ifndef REFORK_RECORDER_BREAKPOINTS_H
#define REFORK_RECORDER_BREAKPOINTS_H

#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

struct mm;
struct recorder;
struct task;

// A code address at which tasks of the space may make landmarks. Its int3 is in memory only while one of them runs.
struct breakpoint {
    uint64_t address;
    uint8_t original;
    unsigned roles, on; // bits: enum break_role; without one that is on there is no int3
    size_t yield;       // BREAK_YIELD: the schedule's line
    uint64_t stints;    // BREAK_STINT: a bit for each of the schedule's stint places
};

enum break_role {
    BREAK_YIELD = 1,   // a schedule's yield line: see places.c
    BREAK_FORK = 2,    // fork() begins
    BREAK_ACQUIRE = 4, // the gate's acquire site: a lock instruction, or a function's first
    BREAK_RETURN = 8,  // where an acquire function returns to
    BREAK_SITE = 16,   // the gate's fork site: never on
    BREAK_STINT = 32,  // stints end there
};

struct breakpoints {
    struct breakpoint *all; // by no order
    int count, room;
};

// What is to happen when a task comes to one.
enum break_wish { WISH_PASS, WISH_LAND, WISH_BEHIND };

// NULL, or why no breakpoint may be at `address`. A role that is off costs nothing.
const char *breakpoint_add(struct task *t, uint64_t address, unsigned role, bool on);
void breakpoints_switch(struct mm *mm, unsigned role, bool on);
struct breakpoint *breakpoint_at(struct mm *mm, uint64_t pc);
bool breakpoints_within(const struct mm *mm, uint64_t start, uint64_t end);
void breakpoints_unmapped(struct mm *mm, uint64_t start, uint64_t end);
void breakpoints_fork(struct mm *child, const struct mm *parent);
void breakpoints_release(struct mm *mm);
// The int3s, into memory and out again.
void breakpoints_plant(struct mm *mm, bool in);

#endif
