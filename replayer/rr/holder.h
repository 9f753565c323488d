// Who holds a lock, by going back in a replay over the changes of its word.
#ifndef REFORK_REPLAYER_RR_HOLDER_H
#define REFORK_REPLAYER_RR_HOLDER_H

#include "replayer/diagnose/wait.h"
#include "replayer/rr/remote.h"

// A change of the word, with who made it and where.
struct rr_change {
    struct finding_task task;
    struct finding_point point; // the writing instruction is the next one
    uint32_t from, to;
    bool exchanges; // by an atomic instruction that takes a lock: cmpxchg, xchg, bts, or
};

struct rr_changes {
    struct rr_change *list; // the last one first
    size_t count;
    bool begins;  // the word was free before the oldest of them; else the process began with the lock held
    size_t claim; // of `list`: who came last as the writer of a lock that several may hold
    size_t holders[64]; // of `list`: who holds it; the first is the one that came first
    size_t holder_count;
};

// Goes back from where the remote stands to where the lock was free, at most to the beginning of the process. `p` is the
// process as the remote shows it (names and maps). Release *out in any case.
int rr_changes_find(struct diagnosis *d, const struct party *p, struct remote *remote,
                    const struct lock_ref *ref, struct rr_changes *out, struct rf_error *err);
// From where the remote stands to the end of its process, or to `event` (0: the end): is the lock held all the while? *until: the
// event at which it is free, 0 when it is not known.
int rr_held_throughout(struct remote *remote, const struct lock_ref *ref, uint64_t event, bool *held,
                       uint64_t *until, struct rf_error *err);
// As rr_changes_find, but forward, from where the remote stands to `event` (0: the end of the process): for servers that cannot go
// back there.
int rr_changes_forward(struct diagnosis *d, const struct party *p, struct remote *remote,
                       const struct lock_ref *ref, uint64_t event, struct rr_changes *out,
                       struct rf_error *err);
void rr_changes_release(struct rr_changes *c);

// The stack of these registers in p, without rr's own frames.
struct stack rr_stack(struct diagnosis *d, const struct party *p, const struct user_regs_struct *regs);

#endif
