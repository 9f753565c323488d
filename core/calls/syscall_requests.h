// Calls that are many: ioctl, fcntl, prctl, futex and others decide by a request number among their arguments. Private to
// core/syscall_*.c.
#ifndef REFORK_CORE_CALLS_SYSCALL_REQUESTS_H
#define REFORK_CORE_CALLS_SYSCALL_REQUESTS_H

#include "core/calls/syscall_walk.h"

void walk_request(struct walk *w);
void walk_ioctl(struct walk *w);

// As syscall_answer(), for the calls that decide by a request number among their arguments.
bool request_answer(long nr, const uint64_t args[6], int64_t *answer, bool *said);
// "TCGETS", "F_SETLKW", "PR_SET_NAME", "FUTEX_WAIT"...: the name of argument `index` when it is a known
// request; else NULL.
const char *request_name(long nr, int index, uint64_t value);
// May this request of ioctl, fcntl, prctl or futex sleep without bound?
bool request_may_block(long nr, const uint64_t args[6]);

#endif
