// Numbers of a system call as text: descriptors, modes, flags.
#ifndef REFORK_CORE_DECODE_VALUES_H
#define REFORK_CORE_DECODE_VALUES_H

#include "core/decode/form.h"

// A number of `size` bytes in one of the forms up to FORM_PROTOCOL.
void decode_value(struct text *t, const struct decode_call *c, struct form form, uint64_t value, size_t size);
void decode_descriptor(struct text *t, const struct decode_call *c, int fd);
void decode_pointer(struct text *t, uint64_t address);
// "[INT TERM]", of the kernel's 64 signals; most of them: "~[KILL]".
void decode_sigset(struct text *t, uint64_t set);
// Of wait4: "{WIFEXITED(s) && WEXITSTATUS(s) == 0}"
void decode_status(struct text *t, int status);
// "SIGINT" or the number.
void decode_signal(struct text *t, int signal);

#endif
