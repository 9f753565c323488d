// What a lock of a Python program is called: a global of a module, an attribute of an object, a local variable.
#ifndef REFORK_REPLAYER_NAMES_PYTHON_LOCK_H
#define REFORK_REPLAYER_NAMES_PYTHON_LOCK_H

#include "core/view.h"
#include "replayer/names/symbols.h"

// Looks for the object that owns the C lock at `address` (threading's Lock and RLock, multiprocessing's, a buffered file)
// from the globals and local variables of the Python functions on the stack of the thread with `regs`. "logging._lock",
// "queue.Queue.mutex", "lock of main". false: they do not lead to it, or the thread runs no Python.
bool python_lock_name(struct symbols *s, const struct view *v, const struct user_regs_struct *regs,
                      uint64_t address, char *out, size_t size);

#endif
