// The engine's side of a replay under a debugger: breakpoints and watchpoints with their arrivals counted, walks to a
// place, steps, and what a task's registers are at a stop. A stop may be in the middle of a slice. Then the replay engine
// is inside of a callback of ours, and the client is told from there: forward it goes on from the callback; for anything
// else the step is given up, and sought anew.
#ifndef REFORK_REPLAYER_GDB_ARRIVALS_H
#define REFORK_REPLAYER_GDB_ARRIVALS_H

#include "replayer/engine/breakpoints.h"
#include "replayer/engine/watchpoint.h"
#include "replayer/gdb/stop.h"
#include "replayer/timeline.h"

// An address with an int3 of ours.
struct armed {
    uint32_t space;
    uint64_t address;
    uint64_t slice;    // the slice that `arrivals` is about
    uint64_t arrivals; // in it, so far
    uint64_t since;    // it is in memory since that slice
    bool middle;       // ... and was not yet at that slice's begin
    bool user;         // the client's
    bool step;         // where the present step ends
    bool searched;     // a search counts it
};

enum { WATCHES = 3 }; // as many debug registers as there are for it (WATCH_PLACES)

struct watched {
    uint64_t address;
    int len;
    enum watch_kind kind;
    uint64_t hits; // in this slice, from the last stop on
};

// On the way to a place.
struct walk {
    const struct place *to; // NULL: none
    size_t leg;
    uint64_t count; // of the present leg
    bool there;
};

// What the engine's callbacks are to do.
enum mode {
    MODE_FORWARD, // stop where the client wants to
    MODE_WALK,    // to a place; then tell the client
    MODE_LOOK,    // to a place, or the end of the slice; `look` sees each arrival before it
};

struct stops {
    struct timeline *timeline;
    struct replay *replay;
    struct stops_client client;
    int *followed; // process ids
    size_t followed_count;
    struct armed **armed;
    size_t armed_count;
    struct client_break {
        int pid;
        uint64_t address;
    } * breaks; // the client's
    size_t break_count;
    struct watched watches[WATCHES]; // of one process
    size_t watch_count;
    int watch_pid;
    uint32_t watch_space; // a process gets another one each time that the replay comes to it anew
    bool catch_all;
    long *caught;
    size_t caught_count;
    uint64_t passed; // signals that are no stop: bit SIGNAL - 1

    enum mode mode;
    struct walk walk;
    // MODE_LOOK: called at each arrival; true: the arrival at the place itself (walk.there), the last call. Returning true
    // gives the step up.
    bool (*look)(struct stops *s, struct armed *a, const struct break_hit *hit);
    void *look_context;

    uint64_t slice; // events that are over while the engine is in a step
    bool given_up;  // the step was
    bool cut;       // ... because the user asked for a stop while the task ran
    bool interrupted;
    uint64_t hits;               // of breakpoints, for looking at the client now and then
    const struct break_hit *hit; // where, while the client is told from inside of a step; else NULL
    bool again;                  // `command` is still to be carried out at `here`
    struct stop arrival;         // MODE_WALK: what the client is told at the place
    struct watched due;          // address not 0: these bytes have changed, the next arrival is the stop
    bool watch_by_kernel;
    struct command command; // the client's last one
    struct place here;
    struct {
        uint64_t pc; // 0: there is none
        struct stop stop;
    } end;          // what is caught where the slice ends: a call's entry, a signal
    uint64_t ahead; // the event that is not made yet and has been told of, 0: none
};

// A living task of a followed process, 0: there is none.
int stops_some_task(const struct stops *s);
struct armed *stops_arm(struct stops *s, uint32_t space, uint64_t address);
// Where the instruction of `at` may go on is armed with .step. Of `at` its space, address, registers and code are looked at.
// into: calls as well, else behind them. *call_target (may be NULL): where it calls, 0: it is no call. false: not all of
// it can be told.
bool stops_arm_next(struct stops *s, const struct break_hit *at, bool into, uint64_t *call_target);
void stops_disarm_steps(struct stops *s, uint32_t space);
// Whatever was armed for a search or step is gone; the client's breakpoints are set anew.
int stops_arm_anew(struct stops *s, struct rf_error *err);
// To right behind `event`, also after a step that was given up.
int stops_seek(struct stops *s, uint64_t event, struct rf_error *err);
// One event forward. 1 done, 0 at the end, 2 the step was given up, -1.
int stops_step_event(struct stops *s, struct rf_error *err);
// Does the walk arrive with this hit?
bool walk_arrives(struct stops *s, uint64_t pc, uint64_t rsp);
void walk_begin(struct stops *s, const struct place *to);

// Hits of the watchpoints are counted from here; none is due.
void stops_watch_begin(struct stops *s);
// The way to behind the hit that is due.
struct leg stops_due_leg(const struct stops *s);

bool goes_forward(enum go go);
// Makes ready for s->command, which goes forward.
void stops_prepare(struct stops *s);

// The processes whose tasks stop; others pass. A process that is followed over its exec stays the same.
void stops_follow(struct stops *s, int pid, bool on);
bool stops_follows(const struct stops *s, int pid);

// A breakpoint at a code address of the processes that are followed. false: nothing can be there now (no private code
// of a file, memory that the program itself has changed); it is set all the same where such code comes to be.
bool stops_break(struct stops *s, int tid, uint64_t address, bool on);
// A watchpoint on w->len bytes (1, 2, 4, 8, aligned). 0; -1: no room for one more, another process has some, or not possible.
int stops_watch(struct stops *s, int tid, const struct watched *w, bool on, struct rf_error *err);
// Stop at system calls: number `nr`, -1: all. off: at none.
void stops_catch_syscall(struct stops *s, bool on, long nr);
// Signals that are no stop, unless a task is stepped: bit SIGNAL - 1.
void stops_pass_signals(struct stops *s, uint64_t signals);

// ---- at a stop
uint64_t stops_event(const struct stops *s); // the last event that is over
// Where it is, to be gone to by GO_PLACE.
const struct place *stops_place(const struct stops *s);
// Registers as the program has them: what refork put into its code does not show. false: no such task now.
bool stops_regs(struct stops *s, int tid, struct user_regs_struct *out);
bool stops_read(struct stops *s, int tid, uint64_t address, void *buffer, size_t len);

#endif
