// What a lock is called: the variable that it is in, else where it lies.
#ifndef REFORK_REPLAYER_LOCKS_NAME_H
#define REFORK_REPLAYER_LOCKS_NAME_H

#include "replayer/names/symbols.h"
#include "replayer/verdict/verdict.h"

// Fills *out for the lock at `address` (0: only `kind`) of the view's process, `allocated` not. `shared`: it is in
// memory that processes share.
void lock_name(struct symbols *s, const struct view *v, const char *kind, uint64_t address, bool shared,
               struct finding_lock *out);

// Is it the array of words that libstdc++ shares among all objects whose size is no futex's?
bool lock_is_waiter_pool(const struct data_symbol *symbol);

#endif
