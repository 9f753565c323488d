// A thread's thread_local data.
#ifndef REFORK_REPLAYER_VERDICT_THREAD_LOCALS_H
#define REFORK_REPLAYER_VERDICT_THREAD_LOCALS_H

#include "replayer/verdict/glibc.h"

// Fills locals of such a thread.
void libc_thread_locals(struct symbols *s, const struct libc_layout *l, const struct view *v,
                        uint64_t fs_base, struct vanished_thread *out);

#endif
