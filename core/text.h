// Text into a buffer of fixed size, cut at its end; always ended by a NUL.
#ifndef REFORK_CORE_TEXT_H
#define REFORK_CORE_TEXT_H

#include <stddef.h>
#include <stdint.h>

struct text {
    char *data;
    size_t size, used; // bytes of room (at least 1), bytes without the NUL
};

// An empty one in that buffer.
struct text text_in(char *data, size_t size);
__attribute__((format(printf, 2, 3))) void text_add(struct text *t, const char *format, ...);

// At most `max` bytes of data, "..." for more. Control characters and quotes are escaped; UTF-8 passes.
void text_escaped(struct text *t, const void *data, size_t len, size_t max);

// The same as strace writes it, with quotes: all but printable ASCII is escaped, in octal where C has no letter for it.
// `more`: the bytes go on, "..." follows.
void text_quoted(struct text *t, const void *data, size_t len, int more);

// "SIGINT", or "signal 99".
void text_signal(struct text *t, int64_t signal);

#endif
