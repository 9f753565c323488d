// Probes in the replayed program: breakpoints that need no stop (core/probe.h).
#ifndef REFORK_REPLAYER_ENGINE_PROBES_H
#define REFORK_REPLAYER_ENGINE_PROBES_H

#include "replayer/engine/replay.h"

struct space;
struct vtask;

// The breakpoint number `index` of the space becomes a probe if it wishes and its surroundings allow it.
void probes_promote(struct space *s, size_t index);
// What is at `address`, or reaches over it, is an int3 at most: something else comes there.
void probes_make_way(struct space *s, uint64_t address);
// The recording is about to map, unmap or change [start, end): where islands are, they go, and every probe with them.
void probes_evict(struct space *s, uint64_t start, uint64_t end);
// All that wish get a stub, after that.
void probes_again(struct space *s);
// A watchpoint is set: it is to see every access where the program makes it.
void probes_demote_all(struct space *s);
// v has stopped. What probes noted is told to the client. 1: the stop was a probe's, go on; 0: it is not, and rip, rax and rcx are the
// program's; -1.
int probes_stopped(struct replay *r, struct vtask *v, int status, struct rf_error *err);

// The breakpoint that a note is of: its address and tag as they were added; NULL: not to be trusted. *size: of the note, bytes.
struct probe_entry;
bool replay_probe_of(const struct replay *r, const struct probe_entry *entry, size_t left, uint64_t *address,
                     uint64_t *tag, size_t *size);

// In the next step `paused` is called before the instruction that would be noted as number `index`, from 0, of that step, if so
// many are. The same client sees the same notes each time that it comes through a slice.
void replay_note_pause(struct replay *r, uint64_t index);

#endif
