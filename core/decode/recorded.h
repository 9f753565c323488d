// A call as strace writes it, from its event alone: what the kernel wrote is in the event, what it read is not (but the path of what
// was opened), so those arguments are addresses.
#ifndef REFORK_CORE_DECODE_RECORDED_H
#define REFORK_CORE_DECODE_RECORDED_H

#include "core/decode/descriptors.h"

// The memory that an event has the bytes of. Valid as long as the event.
struct decode_memory recorded_memory(const struct event *e);

// SYSCALL: the whole call. ENTER: up to what is known at the entry. EXIT: the call again, with its result; `args` are those of
// its ENTER, NULL: unknown. `d`: names of descriptors, NULL: none.
void recorded_call(struct text *t, const struct event *e, const uint64_t *args, const struct descriptors *d);

#endif
