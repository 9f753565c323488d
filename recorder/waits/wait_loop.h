// Tasks that come back to the same state again and again: what one turn of their loop reads, writes and decides
// by. stuck.c asks who could end such a wait.
#ifndef REFORK_RECORDER_WAITS_WAIT_LOOP_H
#define REFORK_RECORDER_WAITS_WAIT_LOOP_H

#include "recorder/engine.h"

enum { TURN_ACCESSES = 2048, TURN_DECISIONS = 8192, LOOP_WORDS = 8 };

// ---- turn.c: one turn, instruction by instruction

struct access {
    uint64_t address, before; // before: its value when the turn first touched it
    uint8_t size;             // 1..8
    bool read, written, atomic;
    bool own;     // a stack word of push, pop, call and ret, or of the thread's own block (fs)
    bool wrapper; // near the syscall instruction: the library's own bookkeeping
    bool decides; // of a comparison
};

struct decision {
    uint64_t pc;     // of the instruction that sets the flags
    double distance; // see core/code_step.h
    bool ordered;
};

struct turn {
    uint64_t path; // hash of the instructions and the addresses that they touched
    struct decision decisions[TURN_DECISIONS], pending;
    bool has_pending;
    int decision_count;
    struct access accesses[TURN_ACCESSES];
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

void turn_begin(struct turn *turn, uint64_t syscall_pc);
// The instruction that t is about to execute; `regs` are t's.
void turn_step(struct task *t, const struct user_regs_struct *regs, struct turn *turn);
// Whether each place that the turn wrote holds what it held before.
bool turn_restored(struct task *t, const struct turn *turn);
// Whether each place that the turn only read holds what it held then.
bool turn_inputs_same(struct task *t, const struct turn *turn);
// The words that the turn looked at and left as they were, in memory that the program can write: what the loop
// waits for, the most telling first. Returns how many. *shared: one is in memory that other processes can have;
// *outside: even some that are not recorded. *shared_written: the turn changed shared memory.
int turn_words(struct task *t, const struct turn *turn, struct word words[LOOP_WORDS], bool *shared,
               bool *outside, bool *shared_written);

// ---- the loop of a task

struct loop {
    // What is known: kind WAIT_OUTSIDE: nothing; else WAIT_TIMED, WAIT_YIELD or WAIT_SPIN.
    enum wait_kind kind;
    bool fixed;  // registers and memory came back exactly: proof that it goes on so
    bool shared; // a word is in memory that other recorded processes have
    bool locks;  // it waits as one waits for a lock (see loop.c), not as one idles
    struct word words[LOOP_WORDS];
    int word_count;
    uint64_t seen; // turns

    uint64_t others_ran; // as loop_current compares it

    // ---- loop.c
    struct anchor { // the wait that begins and ends a turn: its place
        long nr;    // -1: no syscall, an instruction of a spin
        uint64_t pc, sp;
    } anchor;
    unsigned visits, strangers; // of the anchor; waits elsewhere since its last visit
    unsigned next_look;         // at this visit
    bool tracing;               // being looked at
    int turns;                  // finished in this look
    int good_looks;             // one after the other
    unsigned steps;             // of this look
    uint64_t good_since_us;
    struct user_regs_struct boundary; // registers where the last turn ended
    struct looks *looks;
};

// ---- loop.c

// A syscall of t begins, its arguments are in t. True: this is a turn's end and t's loop is known to be one.
bool loop_entry(struct recorder *r, struct task *t);
// ... has returned.
// t has come back to the same wait, and has done nothing else since.
bool loop_waits(const struct task *t);
void loop_exit(struct recorder *r, struct task *t, int64_t ret);
// Runs t to its next landmark one instruction at a time when its loop is being looked at; false: it is not.
bool loop_run(struct recorder *r, struct task *t);
// What the loop of t reads is no more what it was when it was last looked at: somebody has written it.
bool loop_disturbed(struct task *t);
// Something came from outside (a signal, a call with an effect): what was known is void.
void loop_forget(struct task *t);
struct loop *loop_of(struct task *t); // makes it
struct turn *loop_turn(struct loop *l);
void loop_free(struct task *t);
// Whether what is known of the loop of t is still so; if it cannot be told, t is looked at again soon.
bool loop_current(struct recorder *r, struct task *t);

// For spin.c: t's turns begin and end at these registers.
void loop_anchor(struct task *t, long nr, const struct user_regs_struct *regs);
// t is there once more. True: its loop is known to be one.
bool loop_visit(struct recorder *r, struct task *t, const struct user_regs_struct *regs);
// The words of the last turn; false: it waits for nothing, or for something outside.
bool loop_words(struct task *t);
void loop_known(struct recorder *r, struct task *t, enum wait_kind kind, bool fixed);
// Whether looking does not take too much of the recording's time: a 25th, a fifth for a task that `sleeps` in its loop and
// so is in no hurry.
bool loop_affordable(const struct recorder *r, bool sleeps);
bool spin_affordable(const struct recorder *r, const struct task *t);

// ---- spin.c

// When t has been without a syscall for long: looks, from where it stands in user code, whether it is in a loop that
// nothing of its own will end. If so, and nobody else will either, a landmark is asked for, where stuck_check is to be
// called. Leaves t some turns further or at a landmark; false: t has not been touched.
bool spin_look(struct recorder *r, struct task *t);

#endif
