// One step up a stack without unwind tables: private to unwinding.
#ifndef REFORK_REPLAYER_NAMES_UNWIND_GUESS_H
#define REFORK_REPLAYER_NAMES_UNWIND_GUESS_H

#include "replayer/names/unwind_module.h"

// What a frame without tables is known by; also the result: the caller's.
struct guess {
    uint64_t pc, sp, bp;
    bool scanned; // found by looking through the stack, not by the frame pointer and a fitting call
};

// Reads memory of the view, through the unwinder's caches.
typedef bool (*guess_reader)(void *context, uint64_t address, void *buffer, size_t len);

// True when `pc` is in executable memory and the instruction before it is a call. *target: the callee of a
// direct call, else 0.
bool guess_is_return_address(const struct view *v, guess_reader read, void *context, uint64_t pc,
                             uint64_t *target);

// True in the code that a signal handler returns to, which every libc writes alike:
//     48 c7 c0 0f 00 00 00  mov $15,%rax (rt_sigreturn)    0f 05  syscall
bool guess_is_trampoline(const struct view *v, guess_reader read, void *context, uint64_t pc);

// Finds the caller of `frame`: the frame pointer where its return address follows a call to the function that
// holds frame->pc; else the nearest word of the stack that does; else the frame pointer, else the nearest
// word behind an indirect call, both less sure. `lost`: frame->pc is not to be trusted, any return address
// will do. false: nothing plausible.
bool guess_caller(const struct view *v, guess_reader read, void *context, const struct guess *frame,
                  bool lost, struct guess *caller);

#endif
