// Library calls as a clock (core/annex.h): one counter per address space.
#ifndef REFORK_RECORDER_PLT_CLOCK_H
#define REFORK_RECORDER_PLT_CLOCK_H

#include "core/calls/call_page.h"
#include "recorder/space.h"
#include "recorder/task.h"

// The call that brings the count to `limit` ends in an int3; ~0: none does.
void clock_set_limit(struct mm *mm, uint64_t limit);
uint64_t clock_count(struct mm *mm);
// Asks for a landmark of t before long: its next library call is one, and the timer counts (see preempt.h).
void landmark_soon(struct task *t);

// t is about to run freely: it may make `count` calls by itself (core/calls/call_page.h; ~0: any number), but none that writes to the files `seen`, unless a
// landmark is wanted of it or signals wait for one.
void calls_allow(struct task *t, const struct call_seen *seen, uint64_t count);
// It may make none: it is about to be stepped, or shall come to a landmark.
void calls_forbid(struct mm *mm);

#endif
