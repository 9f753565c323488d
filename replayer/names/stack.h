// Which frames of a stack are the program's own: what every report puts first.
#ifndef REFORK_REPLAYER_NAMES_STACK_H
#define REFORK_REPLAYER_NAMES_STACK_H

#include "replayer/names/symbols.h"

struct stack {
    struct frame *frames; // innermost first; from malloc
    size_t count;
};

// Copies, from malloc.
struct stack stack_of(const struct frame *frames, size_t count);
struct stack stack_copy(const struct stack *s);

// Is the frame in the C library, glibc or musl, or its loader? (Of a static program it is known when that library is at
// hand.) / Or in the vDSO? / In a musl that is loaded as a library?
bool stack_is_libc(const struct frame *f);
bool stack_is_system(const struct frame *f);
bool stack_is_musl(const struct frame *f);
// Is it the program's own: in no library of the system, and not inlined from one's header?
bool stack_is_own(const struct frame *f);

// The frames [*first, *last) lie between what the program called in libc and what ran before main or a thread's
// start routine, or before the callable of a std::thread. *first == s->count: there are none.
void stack_own_part(const struct stack *s, size_t *first, size_t *last);

// Names of the C library's functions without underscores and internal prefixes: "__GI___lll_lock_wait" is
// "lll_lock_wait".
const char *stack_plain_name(const char *name);
// Is it inside a signal handler? Then the handler's frame, and the frame that was interrupted.
bool stack_in_handler(const struct stack *s, const struct frame **handler, const struct frame **interrupted);
// Is it a name of the function fork()? Is the stack inside it, in a fork handler or in libc's own part of it?
bool stack_is_fork(const char *name);
bool stack_in_fork(const struct frame *frames, size_t n);
// Does it reach to where a thread or main begins? A fiber's does not.
bool stack_is_whole(const struct stack *s);
// The thread's start routine: the outermost frame that is not the C library's; "" if there is none.
void stack_start_routine(const struct stack *s, char *out, size_t size);

#endif
