// What the arguments of a system call lead to: text, bytes, structs, addresses of sockets.
#ifndef REFORK_CORE_DECODE_MEMORY_H
#define REFORK_CORE_DECODE_MEMORY_H

#include "core/decode/form.h"

// Is it known only when the call has returned?
bool decode_is_late(enum form_kind kind);
// An argument in one of the forms behind FORM_UNUSED; what cannot be read has its address shown.
void decode_memory(struct text *t, const struct decode_call *c, struct form form, uint64_t address);
// What the call wrote that strace shows behind the result, as " ([{fd=3, revents=POLLIN}])".
void decode_ready(struct text *t, const struct decode_call *c, const struct form forms[6]);

#endif
