// Structs of system calls as text. The tables are in structs.def.
#ifndef REFORK_CORE_DECODE_STRUCTS_H
#define REFORK_CORE_DECODE_STRUCTS_H

#include "core/decode/form.h"

enum decode_struct {
    STRUCT_NONE,
#define BEGIN(id, type, more) STRUCT_##id,
#define FIELD(id, member, form)
#define END
#define OWN(id, size, function) STRUCT_##id,
#include "core/decode/structs.def"
#undef BEGIN
#undef FIELD
#undef END
#undef OWN
    DECODE_STRUCTS
};

size_t decode_struct_size(enum decode_struct which);
// "{tv_sec=1, tv_nsec=0}" of the struct's bytes.
void decode_struct(struct text *t, const struct decode_call *c, enum decode_struct which, const void *data);
// "{si_signo=SIGCHLD, si_code=CLD_EXITED, ...}" of a siginfo_t.
void decode_siginfo(struct text *t, const struct decode_call *c, const void *data);

#endif
