// Inside the analysis: waits with their reasons, and the findings made of them.
#ifndef REFORK_REPLAYER_VERDICT_FINDINGS_H
#define REFORK_REPLAYER_VERDICT_FINDINGS_H

#include "replayer/verdict/holder.h"
#include "replayer/verdict/text.h"
#include "replayer/locks/history.h"

// One stuck task.
struct waiter {
    const struct stuck *stuck;
    size_t life;
    struct waiter *first; // the first one that waits for the same lock: it has the holder
    struct finding_task task;
    struct finding_point waiting;
    bool futex; // and then what it waits for:
    struct lock_ref ref;
    struct finding_lock lock;
    bool shared;
    bool searched; // for the holder:
    struct holder who;
    struct finding_task holder;
    struct finding_point acquired, fork;
    struct finding_point initialised; // of an unnamed lock
    bool holder_lives;                // at the fork, or now
    bool holder_forks;                // it is the thread that forked
    bool doubtful;                    // the mutex names another owner
    struct write_facts facts;         // of the acquire
    bool child_handler;               // it is inside the fork() that made its process: in a child handler
    bool posts;                       // a semaphore that others post who did not take it: not a lock
    struct finding_party *holders, *wakers; // as in struct finding
    size_t holder_count, waker_count;
    bool wakers_seen;  // the vanished threads' own waits say so: as good as a lock's acquire
    size_t fork_space; // the child's, of `fork`; NONE
    bool explained;    // a finding says why
    int other;         // a stuck process that could end the wait; 0: none
    int mark;          // of the search for cycles
};

struct analysis {
    struct timeline *timeline;
    struct verdict *verdict;
    struct history history;
    struct waiter *waiters;
    size_t waiter_count;
    struct order { // beside verdict->findings
        int rank;
        bool main;
        int child; // process that a cross-process wait waits for
    } * order;
    struct lock_history *locks; // of held_history; NULL
};

// Appends a party with its stack (taken over).
void party_add(struct finding_party **list, size_t *count, const struct finding_task *task,
               const struct finding_point *point, const char *what);
// Stack and place of a task at the timeline's position.
void analysis_point(struct analysis *a, int tid, struct finding_point *out);
// Who a task is at the timeline's position; `stack` (or NULL) names its start routine.
void analysis_task(struct analysis *a, size_t life, const struct stack *stack, struct finding_task *out);

// analysis_waker.c: who would have ended a wait that nobody's lock explains. Fills wakers, fork and fork_space.
int wakers_find(struct analysis *a, struct waiter *w, struct rf_error *err);
// Is the semaphore of w posted by tasks that did not take it? Fills posts.
int wakers_posts(struct analysis *a, struct waiter *w, struct rf_error *err);

// analysis_proxy.c: when w sleeps on a word of libstdc++'s pool, the object that it waits for becomes w->ref, if it can
// be told. Leaves the timeline where the task is stuck.
int proxy_resolve(struct analysis *a, struct waiter *w, struct rf_error *err);

// analysis_torn.c: findings about children that crashed.
int torn_look(struct analysis *a, struct rf_error *err);
// Appends a finding that has no waiter (its stacks are taken over).
void findings_append(struct analysis *a, const struct finding *f);

// analysis_vanished.c: fills `vanished` of each finding with a fork, and says which fork handlers there are.
int vanished_fill(struct analysis *a, struct rf_error *err);

// analysis_init.c: fills `initialised`.
int init_find(struct analysis *a, struct waiter *w, struct rf_error *err);

// analysis_init.c, too: fills `allocated` of the findings' unnamed locks, as far as that takes little time.
int allocations_fill(struct analysis *a, struct rf_error *err);

// analysis_held.c: fills verdict->held_at_fork; does not when it would take long.
int held_fill(struct analysis *a, struct rf_error *err);

// analysis_cross.c: waits for other processes. Fills `other`, and of locks of files and in shared memory the holder.
int cross_look(struct analysis *a, struct rf_error *err);
// Findings about those that nothing else explains.
int cross_make(struct analysis *a, struct rf_error *err);

// ---- analysis_findings.c, for cross_make
enum { RANK_CAUSE, RANK_UNKNOWN, RANK_CONSEQUENCE };
struct finding *findings_add(struct analysis *a, const struct waiter *w, enum finding_kind kind, int rank);
void findings_holder(struct finding *f, const struct waiter *w);
void findings_fork(struct finding *f, const struct waiter *w);
// Marks all that wait for the lock of `w` as explained; returns how many there are beside it.
size_t findings_explain(struct analysis *a, const struct waiter *w);
// Has a wait of the process, other than `but`, been explained?
bool findings_explained(const struct analysis *a, int pid, const struct waiter *but);
// The history of all locks around the forks of the events `first` to `last` (long before the first one only in a short
// recording); it stays the analysis'. 0, or -1: also when the timeline's deadline passes. Moves the timeline.
int held_history(struct analysis *a, uint64_t first, uint64_t last, const struct lock_history **out,
                 struct rf_error *err);

// Fills verdict->findings, spans and deadlock.
int findings_make(struct analysis *a, struct rf_error *err);
// The spans of one lock; moves the timeline.
int findings_spans(struct analysis *a, const struct waiter *w, struct rf_error *err);

#endif
