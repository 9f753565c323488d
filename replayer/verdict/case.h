// The case that a verdict is made of: every stuck task with what was found out about its wait, and the findings so far.
// The files of this folder fill it one after the other, in the order that examine.c says; this one knows none of them.
#ifndef REFORK_REPLAYER_VERDICT_CASE_H
#define REFORK_REPLAYER_VERDICT_CASE_H

#include "replayer/locks/history.h"
#include "replayer/verdict/holder.h"
#include "replayer/verdict/verdict.h"

// What the signal handlers of a process could do to a wait (verdict/handlers.h).
enum handler_reach { HANDLER_CANNOT, HANDLER_UNKNOWN, HANDLER_RELEASES };

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
    bool handed;                      // a task that goes on comes to where it releases it
    bool releasable;                  // assumed, and handed, or a handler releases it
    bool proved;                      // that the wait is for ever
    enum handler_reach handlers;
    size_t
        bearer; // KIND_GSCOPE: the task that has the flag now, and clears it when it looks something up; NONE
    bool posts; // a semaphore that others post who did not take it: not a lock
    struct finding_party *holders, *wakers; // as in struct finding
    size_t holder_count, waker_count;
    bool wakers_seen;  // the vanished threads' own waits say so: as good as a lock's acquire
    size_t fork_space; // the child's, of `fork`; NONE
    bool explained;    // a finding says why
    int other;         // a stuck process that could end the wait; 0: none
    int mark;          // of the search for cycles
    int joins;         // the thread whose end it waits for; 0: none
    bool ended_wakers; // `wakers` are threads of its own process that have ended
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

// The lock that `w` waits for, in its own address space.
struct watched_lock case_lock(const struct analysis *a, const struct waiter *w);
// That or another one in `space`.
struct watched_lock case_lock_in(const struct analysis *a, size_t space, const struct lock_ref *ref);

// Stack and place of a task at the timeline's position.
void case_point(struct analysis *a, int tid, struct finding_point *out);
// Who a task is at the timeline's position; `stack` (or NULL) names its start routine.
void case_task(struct analysis *a, size_t life, const struct stack *stack, struct finding_task *out);
// Appends a party with its stack (taken over).
void case_party(struct finding_party **list, size_t *count, const struct finding_task *task,
                const struct finding_point *point, const char *what);
// Copies of all of them, stacks included, appended.
void case_parties(struct finding_party **to, size_t *to_count, const struct finding_party *from,
                  size_t count);

// Which finding comes first.
enum { RANK_CAUSE, RANK_UNKNOWN, RANK_CONSEQUENCE };
// Appends a finding that has no waiter (its stacks are taken over).
void case_append(struct analysis *a, const struct finding *f);
// A finding about the wait of `w`; the pointer is good until the next one is added.
struct finding *case_add(struct analysis *a, const struct waiter *w, enum finding_kind kind, int rank);
// The holder of w's lock and the fork behind it, as far as they are known.
void case_add_holder(struct finding *f, const struct waiter *w);
void case_add_fork(struct finding *f, const struct waiter *w);
// Marks all that wait for the lock of `w` as explained; returns how many there are beside it.
size_t case_explain(struct analysis *a, const struct waiter *w);
// Has a wait of the process, other than `but`, been explained?
bool case_is_explained(const struct analysis *a, int pid, const struct waiter *but);

// Frees all but the verdict.
void case_release(struct analysis *a);

#endif
