// Where tasks sleep: for each, the last call in which it may have slept, and which of its calls of that it was. From the
// events alone, fed in their order.
#ifndef REFORK_SEARCH_SLEPT_H
#define REFORK_SEARCH_SLEPT_H

#include "core/event.h"
#include "replayer/locks/words.h"
#include "replayer/timeline.h"

#include <stdbool.h>
#include <stddef.h>

enum { SLEPT_CALLS = 512 }; // system calls that have a number

// May a task sleep in this call, and not for a lock? An interpreter gives its lock away for that.
bool call_may_sleep(int32_t nr);

// One call, as `stage after-call` of a schedule names it.
struct slept_call {
    uint32_t task; // in creation order, from 1
    int32_t call;
    uint64_t hit; // which of that task's calls of it, from 1; 0: it has not slept yet
};

struct sleeper {
    int tid;
    struct slept_call last;
    uint32_t calls[SLEPT_CALLS];
};

struct slept {
    struct sleeper *v;
    size_t count;
};

// The next event of the recording, the first one included: tasks are numbered as they come.
void slept_event(struct slept *s, const struct event *e);
struct slept_call slept_last(const struct slept *s, int tid);
void slept_release(struct slept *s);
// The first call in which the holder of that lock may have slept while it had it; -1: none among the first few hundred
// events of that time.
int32_t slept_with_lock(struct timeline *t, const struct lock_span *held);

#endif
