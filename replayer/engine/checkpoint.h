// Checkpoints of a replay.
#ifndef REFORK_REPLAYER_ENGINE_CHECKPOINT_H
#define REFORK_REPLAYER_ENGINE_CHECKPOINT_H

#include "replayer/engine/replay.h"

// Checkpoints: one fork per address space and the register files. Position and everything else is restored. A
// checkpoint can be restored any number of times.
struct replay_checkpoint;
int replay_save(struct replay *r, struct replay_checkpoint **out, struct rf_error *err);
int replay_restore(struct replay *r, const struct replay_checkpoint *c, struct rf_error *err);
void replay_checkpoint_free(struct replay_checkpoint *c);
uint64_t replay_checkpoint_position(const struct replay_checkpoint *c);
// Bytes of memory that it takes. A page that several share counts in equal parts for each (proc(5): Pss), pages of files do not count.
uint64_t replay_checkpoint_memory(const struct replay_checkpoint *c);

#endif
