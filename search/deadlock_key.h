// Tells deadlocks of one program apart: by their kind and the code of their wait, acquire and fork.
#ifndef REFORK_SEARCH_DEADLOCK_KEY_H
#define REFORK_SEARCH_DEADLOCK_KEY_H

#include "replayer/verdict/verdict.h"

#include <stddef.h>

// The first finding of a known cause, NULL: there is none.
const struct finding *deadlock_cause(const struct verdict *v);
// The same text for the same deadlock, in whatever run it comes.
void deadlock_key(const struct finding *f, char *key, size_t size);

#endif
