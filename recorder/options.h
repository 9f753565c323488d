// What a recording is asked for, and what it answers. Entry point: recorder/record/record.h.
#ifndef REFORK_RECORDER_OPTIONS_H
#define REFORK_RECORDER_OPTIONS_H

#include "core/cpu/model.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <sys/user.h>

struct schedule;

// Waits for locks whose owner stands in their word, and will not release them.
struct live_task {
    int tid;
    struct user_regs_struct regs;
};
struct owned_wait {
    struct live_task task; // that sleeps in futex(args)
    uint64_t args[6];
    uint64_t lock;    // its address
    int owner;        // TID in the word
    bool owner_alone; // nobody else may release it
    bool gone;        // there is no such task
    char what[256];   // the answer: what it waits for, for a message; "" when others could release it
};
struct owner_question {
    struct owned_wait *waits; // each owner is the next one's task; the last is gone, or one of these
    size_t wait_count;
    const struct live_task *others; // that go on in the same memory
    size_t other_count;
    const uint64_t *handlers; // of the first one's process, by signal; 0, 1: none
};
enum released { RELEASED_BY_NOBODY, RELEASED_PERHAPS, RELEASED_BY_OTHERS };

struct record_options {
    const char *output;              // trace file to make
    char *const *argv;               // program and arguments; argv[0] is looked up in PATH
    bool chaos;                      // switch at random landmarks
    uint64_t seed;                   // of chaos
    bool aslr;                       // leave address randomisation on
    bool keep_going;                 // do not stop the program when it is stuck
    uint32_t paranoid_every;         // memory digest every so many events; 0: none
    const struct schedule *schedule; // recorder/plan/schedule.h; NULL: none
    struct schedule *saved;          // gets the switches of tasks that were made; NULL: not wanted
    bool no_probes;                  // the program makes no call by itself
    FILE *log;                       // one line per stop; NULL: no
    // Everything is ended after so long; 0: never. What recorder and program wait for a CPU that others have does not count
    // (recorder/end/served.h).
    uint64_t limit_ms;
    // So long, if that is longer, when all that the gate's child does at limit_ms is to wait and wait again with a
    // time limit: whether it goes on so for ever takes seconds to find out.
    uint64_t patient_ms;
    enum cpu_level cpu;  // the kind of CPU that the program is shown
    unsigned cpus;       // that the program is told of; 0: as many as it would see alone
    uint64_t timeout_ms; // the program gets SIGTERM after so long, and SIGKILL if it lives on; 0: never
    // When the program ends, what it leaves behind is looked at for a moment and then let go, alive. Else it is recorded
    // to its end, too.
    bool let_go;
    bool gate_only; // everything is ended when the gate's verdict is known
    // Names the function of a code address of a live process, for messages; may be NULL.
    void (*name_pc)(int pid, uint64_t pc, char *buffer, size_t size);
    // Who could release these locks but their owners? The processes are live and stopped. Fills in `what`. May be NULL.
    enum released (*released)(const struct owner_question *q);
    // Starts a process that replays the unfinished recording on a CPU other than `cpu` and writes which of these tasks wait
    // for ever, "TID proved" or "TID likely" a line. `alone`: nobody in the recording could end their waits, but handlers might.
    // Returns where to read that, or -1; may be NULL.
    int (*second_look)(const char *trace, const int *tids, size_t count, bool alone, int cpu, pid_t *pid);
};

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

struct record_result {
    bool started; // the program's exec worked
    bool stuck;   // the recorder stopped it because it waits for ever
    bool proved;  // ... for certain
    int stuck_pid, stuck_tid;
    char stuck_for[256]; // what it waits for, if memory told; ""
    bool timed_out;      // limit_ms is over, or timeout_ms, and the program had to be killed
    bool asked_to_end;   // by a signal, or timeout_ms
    // A process was ended by a signal while a task slept in a futex call without a time limit: worth a look.
    bool killed_waiting;
    bool gate_done;     // ended for gate_only
    bool signaled;      // the program ended by a signal
    int status;         // its exit status, or the signal's number
    bool threaded_fork; // it made a fork while a second thread was alive
    bool left;          // processes that it left behind were let go
    uint64_t events;
    uint64_t switches; // of tasks
    uint64_t steps; // of the schedule: while more than one task could run; 0 without `schedule` and `saved`
    struct gate_outcome gate;
};

#endif
