// What is to be done about a stop.
#ifndef REFORK_RECORDER_STOP_H
#define REFORK_RECORDER_STOP_H

#include "recorder/state.h"
#include "recorder/task.h"
#include "recorder/traps.h"

enum todo {
    DO_NOTHING,        // t goes on
    DO_WAIT,           // nobody can run: look around, then wait for a stop
    DO_LOG_DEATH,      // t is gone without an exit stop that we could see (SIGKILL while it was in one)
    DO_BURY,           // t is at its exit stop
    DO_ENTER_CALL,     // t is at the entry of a call
    DO_LEAVE_CALL,     // ... at the exit
    DO_GO_ON_IN_CALL,  // t was interrupted in a call for nothing
    DO_TAKE_BACK_CALL, // t sleeps in a call that it was to make without sleeping, by itself
    DO_SKIP_COPY,      // t copies the bytes of such a call and cannot read them
    DO_JOB_STOP,       // t stays stopped until SIGCONT
    DO_LANDMARK,       // t was interrupted in user code: it needs a landmark
    DO_TICK,           // t has come to the PLT clock's limit, which is a landmark
    DO_ARRIVAL,        // t has come to a breakpoint
    DO_INSTRUCTION,    // t has come to an instruction that refork carries out itself
    DO_FAULT,          // an instruction of t makes a signal
    DO_SIGNAL,         // a signal has come to t from elsewhere
    DO_FAIL,           // refork does not know this stop
};

struct stop {
    enum todo todo;
    struct task *task; // NULL: DO_WAIT
    int status;
    siginfo_t info; // of a signal: ARRIVAL, TICK, INSTRUCTION, FAULT, SIGNAL
    struct user_regs_struct regs;
    struct trapped trapped; // INSTRUCTION
};

// Looks at the stop of t, and changes nothing of it. t is READY then.
void stop_classify(struct recorder *r, struct task *t, int status, struct stop *out);

#endif
