// Finding the place of a STATE event.
#ifndef REFORK_REPLAYER_ENGINE_STATE_SEARCH_H
#define REFORK_REPLAYER_ENGINE_STATE_SEARCH_H

#include "replayer/engine/replay.h"

struct vtask;
int state_search(struct replay *r, struct vtask *v, const struct event *e, struct rf_error *err);

#endif
