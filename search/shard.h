// `refork hunt --shard I/N --state DIR`. Private to cli/hunt*.c.
#ifndef REFORK_SEARCH_SHARD_H
#define REFORK_SEARCH_SHARD_H

#include "search/hunt.h"

// Makes the shard's share of the hunt in the folder, and prints what is known of all of it; without a program only that. The
// exit status, or -1 with x->err. x->h is empty afterwards.
int hunt_shared(const struct cli_args *args, struct hunter *x);

#endif
