// Lines of Python scripts in the stacks of CPython 3.11 to 3.13.
#ifndef REFORK_REPLAYER_NAMES_PYTHON_H
#define REFORK_REPLAYER_NAMES_PYTHON_H

#include "replayer/names/symbols.h"

// Puts the script's functions and lines, read from the interpreter's memory, in place of the interpreter's own frames.
// `fs_base`: the thread's. Returns the number of frames then, at most max; frames of another program, or that cannot be read
// for certain, stay as they are.
size_t python_frames(struct symbols *s, const struct view *v, uint64_t fs_base, struct frame *frames,
                     size_t n, size_t max);

#endif
