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
    unsigned roles, on; // bits, of whoever adds it; without one that is on there is no int3
    size_t yield;       // recorder/plan's: the schedule's line, for BREAK_YIELD
    uint64_t segments;  // ... a bit for each of the schedule's segment places, for BREAK_SEGMENT
};

struct breakpoints {
    struct breakpoint *all; // by no order
    int count;
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
