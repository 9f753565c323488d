// From the lock history of a recording to the story of one lock.
#ifndef REFORK_TUI_RECORDING_LOCK_OPS_H
#define REFORK_TUI_RECORDING_LOCK_OPS_H

#include "replayer/locks/history.h"
#include "tui/source.h"

// 0 with *out the caller's (from malloc), or -1: no lock is known there.
int lock_ops_story(const struct lock_history *h, const struct tui_lock_wish *wish,
                   struct tui_lock_story **out, struct rf_error *err);

#endif
