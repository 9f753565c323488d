// Which frames of a stack are the program's own: what every report puts first.
#ifndef REFORK_REPLAYER_NAMES_STACK_H
#define REFORK_REPLAYER_NAMES_STACK_H

#include "replayer/verdict/verdict.h"

// In libc, the dynamic linker or the vDSO.
bool frame_is_system(const struct frame *f);

// The frames [*first, *last) lie between what the program called in libc and what ran before main or a thread's
// start routine. *first == s->count: there are none.
void stack_own_part(const struct stack *s, size_t *first, size_t *last);

#endif
