// Where the last accesses to a word are, without stopping at any: for a word that is written a million times. What is searched
// near the end of a slice then needs a watchpoint for the end of that slice only.
#ifndef REFORK_REPLAYER_LOCKS_FOLLOW_H
#define REFORK_REPLAYER_LOCKS_FOLLOW_H

#include "replayer/timeline.h"

struct follow_place {
    uint64_t event; // the access is in the slice that ends there
    uint64_t index; // among the notes of that slice (replay_note_pause), from 0
};

// A word: in an address space, or (identity not 0) in an object that processes share.
struct follow_word {
    uint32_t space; // replay_space_of
    uint64_t identity;
    uint64_t address; // of an object: the offset
};

struct follow;
struct follow *follow_new(struct timeline *t);
void follow_free(struct follow *f);
#define scoped_follow __attribute__((cleanup(follow_drop))) // freed at the end of its scope (core/guard.h)
static inline void follow_drop(struct follow **f) {
    follow_free(*f);
}

// Runs `span` and keeps where its last `max` atomic accesses to `word` are, the latest first. Returns how many, or -1. Moves the
// timeline.
int follow_last(struct follow *f, const struct follow_word *word, struct event_span span,
                struct follow_place *out, size_t max, struct rf_error *err);

// Of the last follow_last: every atomic access to the word in the span is among those places.
bool follow_has_all(const struct follow *f);

// Seeks to the event before the first one of `places` (the latest first) and then runs to `until`; `each` is called right before
// each of those accesses. It is not called for a place that is not met.
typedef void (*follow_each)(void *context, struct replay *r, const struct follow_place *place);
int follow_run(struct follow *f, const struct follow_place *places, size_t count, uint64_t until,
               follow_each each, void *context, struct rf_error *err);

#endif
