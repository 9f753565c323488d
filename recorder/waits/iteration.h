// One iteration of a loop: what it reads, writes and decides by.
#ifndef REFORK_RECORDER_WAITS_ITERATION_H
#define REFORK_RECORDER_WAITS_ITERATION_H

#include "recorder/task.h"

enum { ITERATION_ACCESSES = 2048, ITERATION_DECISIONS = 8192, LOOP_WORDS = 8 };

struct access {
    uint64_t address, before; // before: its value when the iteration first touched it
    uint8_t size;             // 1..8
    bool read, written, atomic;
    bool changed; // had another value when it was touched again: the loop takes it and gives it back itself
    bool own;     // a stack word of push, pop, call and ret, or of the thread's own block (fs)
    bool wrapper; // near the syscall instruction: the library's own bookkeeping
    bool decides; // of a comparison
};

struct decision {
    uint64_t pc;     // of the instruction that sets the flags
    double distance; // see core/code_step.h
    bool ordered, of_second;
};

struct iteration {
    uint64_t path; // hash of the instructions and the addresses that they touched
    struct decision decisions[ITERATION_DECISIONS], pending;
    bool has_pending;
    int decision_count;
    struct access accesses[ITERATION_ACCESSES];
    int access_count;
    unsigned steps;
    bool opaque;         // something was touched that cannot be named, or more than fits
    bool pauses;         // has a `pause`
    uint64_t syscall_pc; // behind the wait's syscall instruction, 0: none
};

struct word {
    uint64_t address, value;
    uint8_t size;
    bool atomic;
};

// Something else that must be the same in each iteration.
void iteration_mix(struct iteration *iteration, uint64_t value);
void iteration_begin(struct iteration *iteration, uint64_t syscall_pc);
// The instruction that t is about to execute; `regs` are t's.
void iteration_step(struct task *t, const struct user_regs_struct *regs, struct iteration *iteration);
// Whether each place that the iteration wrote holds what it held before.
bool iteration_restored(struct task *t, const struct iteration *iteration);
// Whether each place that the iteration only read holds what it held then.
bool iteration_inputs_same(struct task *t, const struct iteration *iteration);
// The words that the iteration looked at and left as they were, in memory that the program can write: what the loop
// waits for, the most telling first. Returns how many. *shared: one is in memory that other processes can have;
// *outside: even some that are not recorded. *shared_written: the iteration changed shared memory.
int iteration_words(struct task *t, const struct iteration *iteration, struct word words[LOOP_WORDS],
                    bool *shared, bool *outside, bool *shared_written);

#endif
