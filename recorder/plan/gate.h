// The fork gate's outcome. The plan is in recorder/plan/schedule.h, how it is carried out in gate.c.
#ifndef REFORK_RECORDER_PLAN_GATE_H
#define REFORK_RECORDER_PLAN_GATE_H

#include <stdbool.h>
#include <stdint.h>

enum gate_verdict {
    GATE_NONE,             // no gate was asked for
    GATE_NO_FORK,          // the program did not come to that fork
    GATE_NO_SITE,          // the acquire site is not in the program, or there can be no breakpoint
    GATE_NEVER_CONCURRENT, // no other task took the lock there while the fork was held
    GATE_ATFORK_PROTECTED, // refuted: within fork() the forking task waits for that very lock
    GATE_HOLDER_NEEDED,    // refuted: the forking task cannot make its fork while the holder is parked
    GATE_CHILD_WENT_ON,    // refuted: the lock was held at the fork; the child has called exec, or has ended
    GATE_CHILD_DIED,       // the lock was held at the fork; a signal has ended the child
    GATE_CHILD_STUCK,      // confirmed: the lock was held at the fork and the child waits for ever
    GATE_UNDECIDED,        // the recording ended before any of these was known
    GATE_VERDICTS
};

struct gate_outcome {
    enum gate_verdict verdict;
    char reason[400];          // what was seen, for a person
    int forker, parked, child; // tasks (TIDs); 0: it did not come to that
    uint64_t lock;             // the lock word, or the acquire function's first argument; 0: unknown
    uint64_t word;     // ATFORK_PROTECTED, HOLDER_NEEDED: the futex word that the forking task waits on, or 0
    uint64_t position; // ... and its pc
    bool all_wait;     // HOLDER_NEEDED: every other task waits for another, so that this is certain
    uint64_t forks,
        acquires; // of the program up to the gate's; counted at the site while the gate was closed
    // Events: the forking task held; the lock taken, by the task that was parked in the end; that task parked, which is
    // the same unless it went on until a call; the fork; the verdict. 0: it did not come to that.
    uint64_t closed, acquired, taken, forked, decided;
};

// "never-concurrent", "child-stuck", ...
const char *gate_verdict_name(enum gate_verdict verdict);

#endif
