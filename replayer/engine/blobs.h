// Files of the trace, mapped.
#ifndef REFORK_REPLAYER_ENGINE_BLOBS_H
#define REFORK_REPLAYER_ENGINE_BLOBS_H

#include "replayer/engine/replay.h"

struct blob_map {
    const void *data;
    size_t size;
};

// The content of a blob, mapped and kept until the replay is closed; NULL: unreadable.
const void *blobs_get(struct replay *r, uint64_t id, size_t *size);
void blobs_free(struct replay *r);

#endif
