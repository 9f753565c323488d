// Calls whose results the program takes from a list, without a stop (core/calls/call_page.h).
#ifndef REFORK_REPLAYER_ENGINE_CALL_FEED_H
#define REFORK_REPLAYER_ENGINE_CALL_FEED_H

#include "core/error.h"
#include "core/event.h"
#include "core/loop_site.h"
#include "replayer/engine/space.h"

// Puts the code behind CALL_ENTRY into a space that has room for it. As long as nothing is fed, it declines every call.
void call_feed_install(struct space *s);
// The PATCH event e is about to be carried out in s. True: it gives a `syscall` instruction its jump; *site says what that covers, and
// where the instruction runs now.
bool call_feed_patch(struct space *s, const struct event *e, struct loop_site *site);
// Executes r->event and those that follow, before `last` (which the caller may want with its pieces), as far as they are calls that can be fed; all that is checked at a step is
// checked. 1: r->event is the last one that was executed; 0: none was; -1.
int call_feed_run(struct replay *r, uint64_t last, struct rf_error *err);

#endif
