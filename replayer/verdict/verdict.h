// The verdict: what refork says about a recording (made here), a process or a core file (replayer/diagnose). Printed by
// replayer/report and the TUI.
#ifndef REFORK_REPLAYER_VERDICT_VERDICT_H
#define REFORK_REPLAYER_VERDICT_VERDICT_H

#include "replayer/locks/name.h"
#include "replayer/names/stack.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

enum confidence { CONFIDENCE_LIKELY, CONFIDENCE_PROVED };

// How sure a whole verdict is; `--fail-on` names one.
enum verdict_level {
    VERDICT_NONE,
    VERDICT_SUSPICIOUS, // there are findings, but nothing is known to wait for ever
    VERDICT_LIKELY,     // a deadlock
    VERDICT_PROVED,     // ... of which a finding, or that it waits for ever, is proved
};

// The strings are the JSON's `kind` (docs/json.md).
enum finding_kind {
    FINDING_ORPHANED_LOCK,      // "orphaned-lock"
    FINDING_ORPHANED_SPIN,      // "orphaned-spin"
    FINDING_SELF_HELD,          // "self-held"
    FINDING_VANISHED_WAKER,     // "vanished-waker"
    FINDING_ATFORK_CHILD,       // "atfork-child"
    FINDING_ATFORK_DEADLOCK,    // "atfork-deadlock"
    FINDING_INHERITED_PIPE,     // "inherited-pipe"
    FINDING_CROSS_PROCESS_WAIT, // "cross-process-wait"
    FINDING_LOCK_CYCLE,         // "lock-cycle"
    FINDING_TORN_DATA,          // "torn-data"
    FINDING_SIGNAL_HANDLER,     // "signal-handler"
    FINDING_DEAD_HOLDER,        // "dead-holder"
    FINDING_UNKNOWN_WAIT,       // "unexplained-wait": stuck for certain, cause not known to this version
};

struct finding_task {
    int pid, tid;
    char name[32];
    char start_routine[128]; // "" when unknown
    bool vanished;           // alive in the parent at the fork, absent in the waiting process
};

struct finding_point {
    uint64_t event; // 0: unknown
    int pid, tid;
    struct stack stack;
};

// The call that gave the memory that a lock is in.
struct lock_allocation {
    struct finding_point point; // the stack begins in `function`
    const char *function;       // "malloc", "operator new", "mmap"
    uint64_t size, offset;      // of the block; of the lock in it
};

// Somebody else who has a part in a finding, with the place that shows it.
struct finding_party {
    struct finding_task task;
    struct finding_point point;
    char what[96]; // "holds it too", "wakes it later, in the parent": what the point shows
};

// thread_local data of a vanished thread that is not as it was at the thread's start.
struct thread_local_data {
    char name[96]; // of the variable; "" when the module has no symbols: then it is the module's whole block
    char module[64]; // file name
    uint64_t address, size;
    uint64_t target; // 8 bytes that point into memory (a heap of the thread's own): where to; 0: they do not
};

// A thread that a fork did not take along, and what it left in the child. -1: could not be read.
struct vanished_thread {
    struct finding_task task;
    struct finding_point point; // where it was at the fork
    uint64_t stack_bytes; // of the mapping with its stack and TLS, kept by the child for ever; 0: unknown
    int destructors;      // of its thread_local objects, that will never run in the child
    int keys;             // pthread keys with a destructor and a value
    int64_t cache_blocks, cache_bytes;  // in its malloc cache (glibc's tcache)
    struct thread_local_data locals[8]; // of the program and its libraries, not of the C and C++ runtimes
    size_t local_count, local_total;    // in `locals`; that there are
};

// How a process, or a thread of it, ended.
struct finding_end {
    uint64_t event;                                            // 0: it did not, or that is not known
    enum { END_EXITED, END_KILLED, END_EXEC, END_THREAD } how; // EXEC: another program runs in it now
    int value;                                                 // status, or signal
    struct finding_task by; // who sent the signal; tid 0: nobody in the recording
    uint64_t by_event;
};

// A wait that lasted until somebody ended its process.
struct finding_killed {
    struct finding_end end; // the waiter's; event 0: nobody ended it
    int signal;
    uint64_t waited_us;
    bool by_parent;
    unsigned more; // processes beside it that waited so, and were ended so
};

struct finding {
    enum finding_kind kind;
    enum confidence confidence;
    struct finding_lock lock;
    struct finding_task holder; // tid 0: none or unknown
    struct finding_task waiter;
    struct finding_point acquired; // where the holder took it
    struct finding_point fork;     // the fork that left the holder behind
    struct finding_point waiting;
    bool holder_is_forker;            // held by the forking thread itself
    struct finding_point initialised; // where the lock was initialised (locks on the heap)
    char reason[768];                 // in words, what the parts above do not say; "" when nothing
    struct finding_party *holders;    // more holders of the same lock (readers), beside `holder`
    size_t holder_count;
    struct finding_party *wakers; // vanished-waker: the threads that are missed, and why
    size_t waker_count;
    struct vanished_thread *vanished; // all threads that vanished at `fork`
    size_t vanished_count;
    int signal;             // torn-data: what the child died of
    struct finding_end end; // dead-holder: the holder's, else that of the first of `wakers`
    struct finding_killed killed;
    char advice[2048];
    bool advises_handlers; // the advice speaks of fork handlers: those that are registered belong behind it
    // lock-cycle and atfork-deadlock: the other side(s) of the cycle
    struct finding_edge {
        struct finding_lock lock;
        struct finding_task holder, waiter;
        struct finding_point acquired, waiting;
    } * edges;
    size_t edge_count;
    struct finding *caused_by; // cross-process-wait: points into the same verdict; NULL
};

// A span in which a task held a lock, for the lanes.
struct held_span {
    uint64_t lock;
    char symbol[64];
    int tid;           // who took it
    int pid;           // in whose address space it is held (the child's pid for a ghost)
    bool ghost;        // held by a vanished thread
    uint64_t from, to; // events; to 0: until the end
};

// A lock that was held when a process forked, whether or not the child came to it.
struct held_lock {
    struct finding_lock lock;
    struct finding_task holder;
    struct finding_point acquired;
    uint64_t fork; // event of the BIRTH
    int child;     // PID
    bool wanted;   // a finding is about it
};

// A task that had not come back from a system call when the recording ended.
struct waiting_task {
    int pid, tid, nr; // nr: of the call
    uint64_t since;   // event
};

struct verdict {
    bool deadlock;
    bool cut; // the trace has no end: nothing is known of what came then
    struct finding *findings;
    size_t count;
    struct lock_allocation **allocations; // of the findings' locks
    size_t allocation_count;
    struct held_span *spans;
    size_t span_count;
    struct held_lock *held_at_fork; // from the lock history, when there is one
    size_t held_count;
    struct waiting_task *waiting; // those that are in no finding
    size_t waiting_count;
    uint64_t events; // in the trace
    char program[256];
    char end_reason[256]; // how the recording ended
    // Made without a recording, of a live process or a core file (`refork diagnose`): there are no events,
    // end_reason says what was looked at, and who took a lock and where cannot be known.
    bool from_memory;
    char **refused; // calls that the recorder refused: what came of them may not be what comes without refork
    size_t refused_count;
    char **notes; // what else was seen, one sentence each
    size_t note_count;
};

// "killed by its parent at event 145 after 0.8 s"; "" when nobody ended it.
void finding_killed_text(const struct finding *f, char *out, size_t size);
const char *finding_kind_name(enum finding_kind kind);
const char *confidence_name(enum confidence c);
enum verdict_level verdict_level(const struct verdict *v);
// "suspicious", "likely" or "proved"; false: it is none of them.
bool verdict_level_find(const char *name, enum verdict_level *out);
// Frees *v itself too, and its arrays (all from malloc); strings in frames belong to struct symbols. NULL is
// fine.
void verdict_free(struct verdict *v);
// Adds a sentence to a list of them, once.
void notes_add(char ***notes, size_t *count, const char *format, va_list ap);
void notes_free(char **notes, size_t count);
// The same to v->notes.
void verdict_note(struct verdict *v, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
