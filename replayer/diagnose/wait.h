// Processes with what their threads wait for.
#ifndef REFORK_REPLAYER_DIAGNOSE_WAIT_H
#define REFORK_REPLAYER_DIAGNOSE_WAIT_H

#include "replayer/locks/kinds.h"
#include "replayer/verdict/text.h"
#include "replayer/diagnose/diagnose.h"
#include "replayer/diagnose/snapshot.h"

#define NO_THREAD ((size_t)-1)

// A thread as glibc sees it: its struct pthread, found in memory. The kernel may know it or not.
struct tcb {
    uint64_t address;
    int tid;        // 0: it ended, or a fork left it behind
    bool exiting;   // it ended by itself
    uint64_t start; // its start routine
};

// What one thread does.
struct wait {
    struct finding_task task;
    struct stack stack;
    bool signal_handler; // the stack goes through one: what was interrupted may hold the lock
    bool spins;          // runs, but its state only repeats: until `lock`, a word, changes
    bool in_futex;       // asleep in a futex call, and then:
    bool timed;          // the call ends by itself
    bool shared;         // other processes could end it
    struct lock_ref ref;
    struct finding_lock lock;
    bool held;
    int owner;           // TID that the lock itself names, as the process sees it; 0: it names none
    size_t owner_thread; // in this process; NO_THREAD
    bool explained;
    int mark; // of the search for cycles
};

struct party {
    struct snapshot *snapshot;
    struct wait *waits; // beside snapshot->threads
    struct tcb *tcbs;
    size_t tcb_count;
    int tid_offset, start_offset; // in struct pthread; -1: not known
    size_t vanished;              // threads that a fork left behind
    int forker;                   // the parent's thread that forked this process; 0: not known
    bool closed;                  // all threads are in futex calls that only they themselves could end
    bool covered;                 // a finding says why it is stuck
};

struct diagnosis {
    struct file_store *files;
    struct symbols *symbols;
    struct party *parties; // the process asked for first
    size_t party_count;
    struct verdict *verdict;
    char *source_line; // the last one given
    size_t source_size;
};

// Fills p->waits, tcbs, vanished and forker; then, when all waits are known, closed.
void party_look(struct diagnosis *d, struct party *p);
void party_close(struct party *p);
// The stack of a thread, named; from malloc. *signal_handler (or NULL): it goes through one.
struct stack party_stack(struct diagnosis *d, const struct party *p, const struct snapshot_thread *t,
                         bool *signal_handler);
// The lock's name and place, from symbols or else its mapping.
void party_name_lock(struct diagnosis *d, const struct party *p, struct wait *w);
bool wait_is_closed(const struct wait *w); // only a thread of the process could end it
void party_release(struct party *p);

// Is the thread in a wait for a child process? *child: which one, 0 any.
bool waits_for_child(const struct snapshot_thread *t, int *child);

#endif
