// Stacks as reports show them: the functions of a script in place of the interpreter's.
#ifndef REFORK_REPLAYER_NAMES_SCRIPT_H
#define REFORK_REPLAYER_NAMES_SCRIPT_H

#include "replayer/names/stack.h"

// A copy (from malloc) in which what an interpreter runs stands instead of its own frames; of those only the innermost
// function with a name stays, which says what the script called. A C++ lambda is told by its place. A stack without a script is copied as it is. Whatever
// compares stacks, or looks for functions in them, takes the stack itself.
struct stack script_stack(const struct stack *s);
size_t script_frames(const struct frame *frames, size_t n, struct frame *out, size_t max);

// Is it a function of the script that is not of Python's own library or of an installed one?
bool script_is_own(const struct frame *f);
// The frame that a stack as it is shown (script_stack) is about: the innermost of the script's own, else the innermost outside of
// the system's headers and libraries, else the innermost that is not libc's; of those one with a line when `lines` is set and
// there is one. n must not be 0.
size_t script_focus_index(const struct frame *shown, size_t n, bool lines);
struct frame script_focus(const struct stack *s, bool lines);

#endif
