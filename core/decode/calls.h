// System calls as strace writes them: openat(AT_FDCWD, "/etc/passwd", O_RDONLY) = 3</etc/passwd>. The tables are in calls.def,
// structs.def and sets.def.
#ifndef REFORK_CORE_DECODE_CALLS_H
#define REFORK_CORE_DECODE_CALLS_H

#include "core/decode/form.h"

// The call up to the first argument that is known only when it has returned: `read(3, `. Notes in *c what decode_exit needs.
void decode_entry(struct text *t, struct decode_call *c);
// The rest: `"root", 4) = 4`. c->result and c->out are set now. The result begins at `column` of the text, if the call is not longer.
void decode_exit(struct text *t, const struct decode_call *c, size_t column);
// The result alone: "= -1 ENOENT (No such file or directory)".
void decode_result(struct text *t, const struct decode_call *c);

#endif
