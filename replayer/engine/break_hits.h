// A task at a breakpoint.
#ifndef REFORK_REPLAYER_ENGINE_BREAK_HITS_H
#define REFORK_REPLAYER_ENGINE_BREAK_HITS_H

#include "core/atomic_emulate.h"
#include "replayer/engine/breakpoints.h"

// Carries out the atomic instruction of a hit as core/atomic_emulate.h says, with the program's memory and its
// protection. 0: then the callback returns BREAK_DONE; else it returns BREAK_EXECUTE (a fault is raised so by the
// instruction itself).
int replay_break_atomic(struct replay *r, struct break_hit *hit, struct atomic_result *out);

// For the engine: v is about to execute the instruction at its rip, where a breakpoint is. Tells the client and gets
// behind it. 1 done, 0 it stopped in another way (*status), -1.
struct vtask;
int breaks_hit(struct replay *r, struct vtask *v, int *status, struct rf_error *err);

#endif
