// `refork hunt --shard I/N --state DIR`: one hunt, shared out among processes and machines.
#ifndef REFORK_SEARCH_SHARD_H
#define REFORK_SEARCH_SHARD_H

#include "search/hunt.h"

// Shard `shard` of `shards` of the hunt in `folder`; x and folder must outlive it.
struct sharing *sharing_new(struct hunter *x, const char *folder, uint64_t shard, uint64_t shards);
// Makes the shard's share. 1 x->h tells what is known of all of it, 0 interrupted before anything is known, -1 with *err.
int sharing_run(struct sharing *s, struct rf_error *err);
// Only reads what is known of all of it into x->h: 0, or -1 with *err.
int sharing_read(struct sharing *s, struct rf_error *err);
// Empties x->h, which holds strings of it. NULL is fine.
void sharing_free(struct sharing *s);

#endif
