// Where the last accesses to a word are, without stopping at any: for a word that is written a million times. What is searched
// near the end of a slice then needs a watchpoint for the end of that slice only.
#ifndef REFORK_REPLAYER_LOCKS_FOLLOW_H
#define REFORK_REPLAYER_LOCKS_FOLLOW_H

#include "replayer/timeline.h"

struct follow_place {
    uint64_t event; // the access is in the slice that ends there
    uint64_t index; // among the notes of that slice (replay_note_pause), from 0
};

struct follow;
struct follow *follow_new(struct timeline *t);
void follow_free(struct follow *f);

// Runs [from, until] and keeps where the last `max` atomic accesses to the word at `address` of the space `space` are, the latest
// first; for a word of memory that processes share: object and offset (identity not 0). 0 or -1; *count of them in out. Moves the
// timeline.
int follow_last(struct follow *f, uint32_t space, uint64_t identity, uint64_t address, uint64_t from,
                uint64_t until, struct follow_place *out, size_t max, size_t *count, struct rf_error *err);

// Seeks to the event before `place` and then runs to `until`; `begin` is called right before the access there. Nothing is called
// when it is not met.
int follow_run(struct follow *f, const struct follow_place *place, uint64_t until,
               void (*begin)(void *context, struct replay *r), void *context, struct rf_error *err);

#endif
