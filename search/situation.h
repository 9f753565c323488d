// The situation of a recorded deadlock: this lock, taken here, while a fork is made there. Found again in another build
// of the program, by symbols and source lines.
#ifndef REFORK_SEARCH_SITUATION_H
#define REFORK_SEARCH_SITUATION_H

#include "core/error.h"
#include "search/slept.h"
#include "replayer/timeline.h"
#include "replayer/verdict/verdict.h"
#include "replayer/names/unwind_module.h"

#include <stdbool.h>
#include <stdint.h>

enum { SITUATION_INNER = 8, SITUATION_VARIABLE = 256 };

// A frame of the program's own code. Strings are the situation's; NULL when unknown.
struct situation_frame {
    char *function, *module, *file;
    char *text;       // the source line as it was recorded, without the blanks around it
    int line;         // 0: unknown
    uint64_t offset;  // of its pc in the module
    uint64_t content; // digest of the module's file
    // The frames within it that have no name, of a stripped interpreter: offsets in the module, the innermost first. In
    // the very same file they tell the place, in another build nothing does.
    uint64_t inner[SITUATION_INNER];
    size_t inner_count;
};

// The lock instruction.
struct situation_instruction {
    char *module, *function;
    bool own;        // a part of the own frame's code, inlined
    uint64_t offset; // link-time; 0 and size 0: no lock instruction is there
    uint64_t content;
    uint8_t operation, size; // as in struct lock_site
};

struct situation {
    enum finding_kind kind;
    char lock[256];                    // what to call it, "" unknown
    char variable[SITUATION_VARIABLE]; // that it is in: another build has it, too; "" none
    // The last call in which its holder may have slept with it in the hand; -1: none was seen.
    int32_t park_call;
    struct situation_frame acquired; // whose call, or own instruction, took the lock
    struct situation_frame forked;   // who called fork()
    char *lock_function;             // "pthread_mutex_lock": took it, and returns 0 when it did; NULL: none
    struct situation_instruction instruction;
    char *helper_of; // the library function whose waiting helper took the lock in the end; NULL: none did
};

// The situation of a finding of t's verdict. -1 (RF_CANNOT): it has none that could be forced, and why. Moves t.
int situation_read(struct timeline *t, const struct finding *f, struct situation *out, struct rf_error *err);
void situation_release(struct situation *s);

// Is this finding the same deadlock?
bool situation_is(const struct situation *s, struct timeline *t, const struct finding *f);

// A code address as another run has it: the file's name without its folder, the link-time address.
struct situation_place {
    char module[256];
    uint64_t offset;
};

// ---- in another build, from a run of it

enum {
    SITUATION_FORKS = 16,
    SITUATION_SITES = 16,
    SITUATION_CALLS = 64,
    SITUATION_LINES = 16,
    SITUATION_HOLDS = 8
};

struct situation_fork {
    struct situation_place behind; // where the call of fork() returns to, or behind the syscall instruction
    uint64_t count;                // forks made there
    uint64_t event;                // the first one's BIRTH
    int tid;                       // who made it
    // Of the first forks: where the forking task may have slept last.
    struct slept_call holds[SITUATION_HOLDS];
};

struct situation_forks {
    struct situation_fork v[SITUATION_FORKS];
    size_t count;
};

// Why the answer is no, as a sentence for a person.
struct situation_why {
    char text[600];
};

// The forks that are made where the recorded one was; none of them: `why` says so. 0, or -1 with *err. Moves t.
int situation_find_forks(const struct situation *s, struct timeline *t, struct situation_forks *out,
                         struct situation_why *why, struct rf_error *err);

// Is task `tid`, at t's position, within a call of fork() at one of these places, or just behind the fork that it made?
bool situation_at_fork(struct timeline *t, int tid, const struct situation_forks *forks);

struct situation_sites {
    // Lock instructions, each of which may be the recorded one; none: `s->lock_function` of that module takes the lock.
    struct situation_place sites[SITUATION_SITES];
    size_t site_count;
    char function_module[256];
    // Behind the calls within which it is taken; none: `sites` are in the function's own code.
    struct situation_place calls[SITUATION_CALLS];
    size_t call_count;
    int lines[SITUATION_LINES]; // of s->acquired.function in the new build; none: any
    size_t line_count;
    char how[200]; // how the line was found, for a person
    char why[400]; // not "": there are none, and why
};

// What is looked for, where this build has it, and a run of this build.
struct situation_run {
    const struct situation *recorded;
    const struct situation_sites *sites;
    struct timeline *timeline;
};

// Did task `tid`, at the timeline's position, come from the recorded place? `lock`: what it has just taken (0: unknown).
// False: `why` says what is different.
bool situation_holds(const struct situation_run *r, int tid, uint64_t lock, struct situation_why *why);

// Task `tid` with the lock at `address`, right after `event`.
struct situation_holding {
    int tid;
    uint64_t address, event;
};

// Is that so? False: `why` says that it is not, or that it cannot be told. Re-executes all of the recording. 0, or -1
// with *err.
int situation_is_held(struct timeline *t, const struct situation_holding *h, bool *held,
                      struct situation_why *why, struct rf_error *err);

// ---- points of the present run

struct own_frame {
    struct view view;
    struct frame frames[256];
    size_t count, own;    // index of the own frame
    size_t outside_fork;  // of the frame that called fork(); 0: the call came without it
    size_t lock_function; // of the frame of a function that takes a lock; `count`: none
};
// The stack of `tid` with the program's own innermost frame. Its innermost line is that of the instruction before the pc:
// the lock instruction, or the call, that has been executed. False: it has none.
bool situation_stack(struct timeline *t, int tid, struct own_frame *out);
// Is that point of a verdict, or of the lock history, the recorded place?
bool situation_is_place(const struct situation_run *r, const struct finding_point *p);

#endif
