// Address spaces: fork copies one, threads and vfork children share one.
#ifndef REFORK_RECORDER_SPACE_H
#define REFORK_RECORDER_SPACE_H

#include "recorder/breakpoints.h"
#include "recorder/modules.h"
#include "recorder/own_code.h"
#include "recorder/traps.h"

#include "core/calls/call_page.h"

#include <stdbool.h>
#include <stdint.h>

struct recorder;
struct task;

// Calls that are made without a stop: recorder/calls' own, but for what plt_clock.c keeps.
struct mm_calls {
    bool on;                         // the code is there
    bool allowed;                    // as it is written there
    bool endless;                    // ... as ~0: what is left of it need not be written again
    bool sited;                      // a jump leads to the code
    bool ran;                        // since the ring was looked at
    bool noting;                     // calls from the ring are being logged
    uint64_t seen;                   // call_control.seen.count, as it is written there
    uint64_t tail;                   // of the ring
    uint64_t last;                   // bytes that were in it last time
    uint64_t quick[CALL_QUICK / 64]; // as call_control has it
    struct {
        uint64_t address; // of a `syscall`
        uint32_t count;   // of its calls at stops
    } counts[128];
};

struct mm {
    int refs;
    uint32_t id;
    int mem_fd;
    bool annex;                                                   // mapped
    bool limit_lowered;                                           // of the PLT clock
    enum { DUMPABLE_UNSAID, DUMPABLE_NO, DUMPABLE_YES } dumpable; // as the program has set it
    uint8_t mdwe;                                                 // its bits of PR_SET_MDWE
    uint64_t scratch_slots;                                       // bit per slot in use
    uint64_t epoch;                                               // slices of tasks that are in no known loop
    struct module_slots slots;
    struct loop_sites sites;
    struct saved_bytes saved;
    uint64_t looked_at, looked_end; // traps.c: code that was looked through since it asked cpuid
    struct breakpoints breaks;
    struct mm_calls calls;
};

struct mm *mm_new(struct recorder *r, int tid);
// What a fork copies with the memory.
void mm_fork(struct mm *child, const struct mm *parent);
// PR_SET_MDWE goes along with a fork and an exec, or does not.
void mdwe_inherit(struct mm *child, const struct mm *parent);
void mm_unref(struct mm *mm);
// The task's scratch area when it has room for `size` bytes, else 0.
uint64_t scratch_area(struct task *t, uint64_t size);
void scratch_release(struct task *t);

#endif
