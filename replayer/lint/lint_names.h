// Which functions a child of a threaded process must not call before exec or _exit (replayer/lint/signal_safe.def).
#ifndef REFORK_REPLAYER_LINT_LINT_NAMES_H
#define REFORK_REPLAYER_LINT_LINT_NAMES_H

#include <stddef.h>

enum lint_class {
    LINT_UNKNOWN, // no row: not safe when libc exports it
    LINT_SAFE,    // by POSIX
    LINT_PLAIN,   // in fact
    LINT_MALLOC,
    LINT_STDIO,
    LINT_TAKES,
    LINT_HANDLER,
    LINT_UNSAFE,
};

struct lint_name {
    const char *name;
    enum lint_class class;
    int argument; // LINT_TAKES: which one points to the lock
};

// The row of a symbol's name, after "__", "_chk", "64", "__isoc99_" and "_IO_" around it are taken away; NULL: none.
const struct lint_name *lint_name_find(const char *symbol);
// A name that programs do not call themselves: begins with '_' and has no row.
int lint_name_is_internal(const char *symbol);

#endif
