// The functions of a recording's libraries, for breakpoints on them, and the stack at such a breakpoint.
#ifndef REFORK_REPLAYER_FUNCTIONS_H
#define REFORK_REPLAYER_FUNCTIONS_H

#include "replayer/engine/breakpoints.h"
#include "replayer/names/stack.h"
#include "replayer/timeline.h"

// A function begins at `address`. Names of one address follow each other (symbols_functions).
typedef void (*functions_each)(void *context, struct replay *r, uint32_t space, uint64_t address,
                               const char *name);
// Of a mapping that is announced (break_client.mapped): calls `each` with the functions that begin in it.
void functions_mapped(struct timeline *t, struct replay *r, const struct break_mapping *mapping,
                      functions_each each, void *context);

// The stack of the task that is at `hit`; empty: it cannot be told. The caller frees its frames.
struct stack functions_stack(struct timeline *t, struct replay *r, const struct break_hit *hit);

#endif
