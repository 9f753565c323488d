// The lock history: every lock of a recording, who took and freed it when, read from one re-execution with
// breakpoints on all lock sites.
#ifndef REFORK_REPLAYER_LOCKS_HISTORY_H
#define REFORK_REPLAYER_LOCKS_HISTORY_H

#include "replayer/locks/modules.h"
#include "replayer/locks/touches.h"
#include "replayer/locks/words.h"
#include "replayer/names/stack.h"
#include "replayer/timeline.h"

struct lock_history_options {
    uint64_t from, to; // events; to 0: the last. What was taken before `from` has no holder
    const struct lock_functions *functions; // the user's; NULL
    const char *trace_path;                 // the result is kept beside the trace; NULL: it is not
    bool no_cache;                          // nothing is read from or written to caches
    bool no_probes;                         // every access stops the task: slow, with the same result
    bool touches;                           // lock_history.touches is wanted; needs trace_path NULL
};

struct lock_place { // an instruction
    uint64_t blob, vaddr;
    int32_t function, module; // offsets in the strings, -1: unknown
};

struct lock_space {
    int pid;
    uint64_t begin;  // EXEC or BIRTH, or `from`
    uint32_t parent; // index of the space that it is a copy of; LOCK_SHARED after exec
    int forker;      // the task that forked; 0
};

struct lock_task {
    int tid, pid;
    int32_t name; // offset in the strings
};

struct lock_history {
    uint64_t from, to;
    struct lock_words words; // only locks that are `confirmed` count
    struct lock_touches touches;
    struct lock_place *places;
    size_t place_count;
    struct lock_space *spaces;
    size_t space_count;
    struct lock_task *tasks; // all that were there, the dead as well
    size_t task_count;
    char *strings;
    size_t strings_len;
    uint64_t hits, steps;      // what the pass cost
    uint64_t noted;            // accesses that needed no stop
    uint64_t sites, uncovered; // sites planted; and those where the code was not the file's
};

// Re-executes [from, to] with all checks of a replay, or takes the result of an earlier time. 0 or -1 (also
// "interrupted"). Moves the timeline to `to`, or does not move it.
int lock_history_make(struct timeline *t, const struct lock_history_options *o, struct lock_history **out,
                      struct rf_error *err);
void lock_history_free(struct lock_history *h);

const char *lock_history_task_name(const struct lock_history *h, int tid);     // "" when unknown
const char *lock_history_string(const struct lock_history *h, int32_t offset); // "" for -1

// Who holds what right after `event`: up to max spans, the number of all is returned. `pid` 0: in all processes.
size_t lock_history_held(const struct lock_history *h, uint64_t event, int pid, struct lock_span *out,
                         size_t max);

// The last acquire of the word at `address` in process `pid` at or before `event`; NULL: none seen.
const struct lock_op *lock_history_last_acquire(const struct lock_history *h, int pid, uint64_t address,
                                                uint64_t event);
// The lock that lies at `address` in process `pid`; NULL.
const struct lock *lock_history_lock(const struct lock_history *h, int pid, uint64_t address);

// For each address space the one that it is a copy of, over all forks. From malloc.
uint32_t *lock_history_roots(const struct lock_history *h);

// Adds a text; its offset, or -1 when there are too many.
int32_t lock_history_add_string(struct lock_history *h, const char *text);
// Keeps again what was made with `o`, after something was added to it.
void lock_history_keep(struct timeline *t, struct lock_history *h, const struct lock_history_options *o);

#endif
