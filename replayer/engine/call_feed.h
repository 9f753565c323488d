// Calls whose results the program takes from a list, without a stop (core/call_page.h).
#ifndef REFORK_REPLAYER_ENGINE_CALL_FEED_H
#define REFORK_REPLAYER_ENGINE_CALL_FEED_H

#include "replayer/engine/space.h"

// Puts the code behind CALL_ENTRY into a space that has room for it. As long as nothing is fed, it declines every call.
void call_feed_install(struct space *s);

#endif
