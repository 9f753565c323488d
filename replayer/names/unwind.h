// Stacks: libunwind with accessors of our own over a view (never a live process). See docs/internals.md.
#ifndef REFORK_REPLAYER_NAMES_UNWIND_H
#define REFORK_REPLAYER_NAMES_UNWIND_H

#include "core/view.h"

enum { RAW_FRAME_SAVED = 6 };

struct raw_frame {
    uint64_t pc;  // exact pc of the frame
    uint64_t cfa; // stack pointer after return, 0 if unknown
    bool exact;   // pc is the interrupted instruction (innermost, or interrupted by a signal): symbolise pc,
                  // not pc-1
    bool scanned; // found by the stack scan, not by unwind tables: less sure
    // What the frame's function has in the registers that its callees keep: rbx, rbp, r12 to r15.
    bool saved_known;
    uint64_t saved[RAW_FRAME_SAVED];
};

// Unwinds from `regs`. Handles pc in an annex stub (return address at rsp), pc 0, signal frames, modules
// with .eh_frame only, static programs; falls back to the frame pointer and to a stack scan (values preceded
// by a call instruction) when the tables give fewer than 3 frames or do not end at
// _start/clone3/start_thread/thread start. Returns the number of frames, at least 1.
size_t unwind_stack(const struct view *v, const struct user_regs_struct *regs, struct raw_frame *frames,
                    size_t max);

// The program's own pc of a task whose pc is `pc`: at the trap of a counting stub, the place that the stub replaces.
uint64_t unwind_program_pc(const struct view *v, uint64_t pc);

#endif
