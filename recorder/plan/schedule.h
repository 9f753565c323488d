// A schedule: which task runs when, and the fork gate. A text file says it; docs/schedule.md describes the language.
#ifndef REFORK_RECORDER_PLAN_SCHEDULE_H
#define REFORK_RECORDER_PLAN_SCHEDULE_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

// A code address that survives another run: MODULE+OFFSET, MODULE!SYMBOL[+OFFSET], SYMBOL[+OFFSET]. `module` is the
// file's name without its folder, or its whole path; "" is any. Without a symbol the offset is the link-time
// address, as objdump and readelf show it.
struct code_place {
    char module[256];
    char symbol[256];
    uint64_t offset;
};

#define SCHEDULE_YIELDS 16
#define SEGMENT_PLACES  64
#define GATE_FROM_MAX   64

// Where the forking task is held until the lock is taken. AFTER_ACQUIRE: nowhere, it is the task that takes the lock that
// is parked until the fork comes. AFTER_CALL: on its way to the fork, where a call of its returns: before it takes what
// it has at the fork and what the other needs to come to the lock (an interpreter's lock).
enum gate_stage { GATE_BEFORE_PREPARE, GATE_AT_CLONE, GATE_AFTER_ACQUIRE, GATE_AFTER_CALL, GATE_STAGES };

// The fork gate. When the program makes its `fork`-th fork (with a site: the n-th at that site), the forking task is
// held; the others run until one of them has taken the lock at `acquire`; that one is parked, and the fork is made.
struct gate_plan {
    bool given;
    uint64_t fork;               // from 1
    bool at_site;                // only forks called at `fork_site`
    struct code_place fork_site; // the call of fork(), the instruction behind it, or a syscall instruction
    enum gate_stage stage;       // where the forking task is held
    bool function;               // acquire is a function that returns 0; else a lock instruction
    struct code_place acquire;
    bool has_word; // only when it is this word that is taken; `word` without module and symbol is an address
    struct code_place word;
    uint64_t acquire_hit;  // the n-th time that the lock is taken there while the gate is closed
    uint32_t acquire_task; // by this task only (in creation order, from 1); 0: by any but the forking one
    int32_t hold_call;     // AFTER_CALL: syscall; the forking task is held when its hold_hit-th has returned
    uint64_t hold_hit;     // from 1
    uint32_t hold_task;    // that task, in creation order, from 1
    bool parks_after_call; // not as soon as the lock is taken,
    int32_t park_call;     // ... but when the holder's next call of this syscall has returned
    uint64_t bound_events, bound_ms; // so long the gate waits for something to happen, whichever is first
    // Only when the lock is taken within one of the calls that return to these places (0: any).
    struct code_place *from;
    size_t from_count; // at most GATE_FROM_MAX
};

enum strategy {
    STRATEGY_NONE,     // refork's own time slices, or --chaos
    STRATEGY_PCT,      // Burckhardt et al., ASPLOS 2010
    STRATEGY_RANDOM,   // another task after a random number of steps
    STRATEGY_DELAY,    // a round robin with a few delays (Emmi et al., POPL 2011)
    STRATEGY_SWITCHES, // as the list of switches says
    STRATEGY_SEGMENTS, // as the list of segments says
};

struct schedule_switch {
    uint64_t step;
    uint32_t task; // in creation order, from 1
};

// It is this task's segment until it has made so many steps of its own (event_own_steps, and library calls); with a place,
// until it comes there after that step and before the next one.
struct schedule_segment {
    uint32_t task;  // in creation order, from 1
    uint32_t place; // of the schedule's segment places, from 1; 0: none
    uint64_t step;
};

struct segment_place {
    struct code_place place;
    bool behind; // the instruction there has been executed
};

// A place where a task gives way, at every `every`-th time that it comes there.
struct schedule_yield {
    struct code_place place;
    bool behind; // the instruction there has been executed
    uint64_t every;
};

struct schedule {
    struct gate_plan gate;
    enum strategy strategy;
    uint64_t threads, steps, depth, seed; // depth: PCT's bug depth, or how many delays
    struct schedule_switch *switches;     // by ascending step
    size_t switch_count;
    struct schedule_segment *segments; // one after the other
    size_t segment_count;
    struct segment_place *segment_places; // at most SEGMENT_PLACES
    size_t segment_place_count;
    struct schedule_yield yields[SCHEDULE_YIELDS];
    size_t yield_count;
};

#define GATE_BOUND_EVENTS 200000
#define GATE_BOUND_MS     3000
#define PCT_DEPTH_MAX     64

// Parses text; -1 with *err, which names `name` and the line. The schedule is released with schedule_release.
int schedule_parse(const char *text, size_t len, const char *name, struct schedule *out,
                   struct rf_error *err);
int schedule_read(const char *path, struct schedule *out, struct rf_error *err);
void schedule_release(struct schedule *s);
// Writes the text that schedule_parse reads back.
void schedule_write(FILE *out, const struct schedule *s);
// ... to the file `path`.
int schedule_save(const char *path, const struct schedule *s, struct rf_error *err);
// The number of a place in s->segment_places, where it is put if it is not there yet; 0: there is no room.
uint32_t schedule_segment_place(struct schedule *s, const struct segment_place *p);
// Parses a place ("libc.so.6+0x1234"); false: none.
bool code_place_parse(const char *text, struct code_place *out);
// "before-prepare", ...
const char *gate_stage_name(enum gate_stage stage);
void code_place_format(const struct code_place *p, char *out, size_t size);

// The d-1 steps at which PCT lowers the running task's priority: distinct, ascending, of 1..steps. Returns how
// many (fewer when there are not so many steps). At most PCT_DEPTH_MAX - 1.
size_t pct_change_points(uint64_t seed, uint64_t steps, uint64_t depth, uint64_t out[PCT_DEPTH_MAX]);
// Fills priority[0..n) with a random permutation of depth .. depth+n-1: those of tasks 1..n, higher first.
void pct_priorities(uint64_t seed, uint64_t n, uint64_t depth, uint64_t *priority);

#endif
