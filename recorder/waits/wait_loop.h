// Tasks that come back to the same state again and again: what one iteration of their loop reads, writes and decides
// by. stuck.c asks who could end such a wait.
#ifndef REFORK_RECORDER_WAITS_WAIT_LOOP_H
#define REFORK_RECORDER_WAITS_WAIT_LOOP_H

#include "core/event.h"
#include "recorder/state.h"
#include "recorder/waits/iteration.h"

// What is known of the waits of a task (task.loop).
struct loop {
    bool stuck_logged; // it has been told of
    // second_look.c: a sleep, known by its number, and what was said of one
    uint64_t sleep, sleeps_seen, sleeps_since_us, judged_sleep;
    uint64_t asked_by;       // the first look that might be asked of this sleep
    uint64_t answered_sleep; // a look has said what it can of this one
    struct {                 // the sleep that a signal has cut short: its handler comes back to it
        bool pending;
        uint64_t pc, sp, word;
    } cut;
    bool handled;         // a handler has run in the midst of this sleep
    uint64_t alone_steps; // nobody but a signal handler could end the wait that begins at this many steps
    enum judged { JUDGED_NOT, JUDGED_LIKELY, JUDGED_PROVED } judged;
    unsigned busy, busy_look; // ticks or slices without a syscall; how many until spin_look
    unsigned spin_looks;
    bool came_round; // the call that it is in ends an iteration, and its loop is known to be one

    // What is known: kind WAIT_OUTSIDE: nothing; else WAIT_TIMED, WAIT_YIELD, WAIT_SPIN, or WAIT_CHILD: it asks for a child's end.
    enum wait_kind kind;
    bool asks;   // in each iteration for the end of `child`, 0: of any
    int child;   // as its PID is for the task
    bool fixed;  // registers and memory came back exactly: proof that it goes on so
    bool shared; // a word is in memory that other recorded processes have
    bool locks;  // it waits as one waits for a lock (see wait_loop.c), not as one idles
    struct word words[LOOP_WORDS];
    int word_count;
    uint64_t seen; // iterations

    uint64_t epoch; // as loop_current compares it

    // ---- wait_loop.c only
    struct anchor { // the wait that begins and ends an iteration: its place
        long nr;    // -1: no syscall, an instruction of a spin
        uint64_t pc, sp;
    } anchor;
    unsigned visits, strangers; // of the anchor; waits elsewhere since its last visit
    unsigned next_look;         // at this visit
    bool tracing;               // being looked at
    int iterations;             // finished in this look
    int aside;                  // ... that went another way, by a clock
    int good_looks;             // one after the other
    unsigned steps;             // of this look
    uint64_t look_since_us, good_since_us;
    struct user_regs_struct boundary; // registers where the last iteration ended
    struct looks *looks;
};

// A syscall of t begins, its arguments are in t. True: this is an iteration's end and t's loop is known to be one.
bool loop_entry(struct recorder *r, struct task *t);
// ... has returned.
void loop_exit(struct task *t, int64_t ret);
// t is in a loop that is known to be one.
bool loop_known(const struct task *t);
// t has come back to the same wait, and has done nothing else since.
bool loop_waits(const struct task *t);
// Runs t to its next landmark one instruction at a time when its loop is being looked at; false: it is not.
bool loop_run(struct recorder *r, struct task *t);
// What the loop of t reads is no more what it was when it was last looked at: somebody has written it.
bool loop_disturbed(struct task *t);
// Something came from outside (a signal, a call with an effect): what was known is void.
void loop_forget(struct task *t);
struct loop *loop_of(struct task *t); // makes it
struct iteration *loop_iteration(struct loop *l);
void loop_free(struct task *t);
// Whether what is known of the loop of t is still so; if it cannot be told, t is looked at again soon.
bool loop_current(struct recorder *r, struct task *t);

// For spin_loop.c: t's iterations begin and end at these registers.
void loop_anchor(struct task *t, long nr, const struct user_regs_struct *regs);
// t is there once more. True: its loop is known to be one.
bool loop_visit(struct recorder *r, struct task *t, const struct user_regs_struct *regs);
// The words of the last iteration; false: it waits for nothing, or for something outside.
bool loop_words(struct task *t);
// What was found out about the loop of t.
void loop_learn(struct recorder *r, struct task *t, enum wait_kind kind, bool fixed);
// Whether looking does not take too much of the recording's time: a 25th, a fifth for a task that `sleeps` in its loop and
// so is in no hurry.
bool loop_affordable(const struct recorder *r, bool sleeps);

#endif
