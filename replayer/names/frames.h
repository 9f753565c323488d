// A stack with names, and with the lines of the script that an interpreter runs.
#ifndef REFORK_REPLAYER_NAMES_FRAMES_H
#define REFORK_REPLAYER_NAMES_FRAMES_H

#include "replayer/names/symbols.h"

// A thread's stack as it was unwound.
struct raw_stack {
    const struct raw_frame *frames;
    size_t count;
    uint64_t fs_base; // the thread's
};

// Turns it into named frames (symbols_frames), and tells with those of CPython's loop which functions of the script they
// run. Returns the number written (at most max).
size_t frames_name(struct symbols *s, const struct view *v, const struct raw_stack *raw, struct frame *out,
                   size_t max);

// The same of what is unwound from `regs`.
size_t frames_at(struct symbols *s, const struct view *v, const struct user_regs_struct *regs,
                 struct frame *out, size_t max);

#endif
