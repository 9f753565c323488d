// What the events alone tell, from one pass over the trace: lives of tasks, address spaces, who is stuck.
// Nothing is executed.
#ifndef REFORK_REPLAYER_VERDICT_HISTORY_H
#define REFORK_REPLAYER_VERDICT_HISTORY_H

#include "replayer/timeline.h"

#define NONE ((size_t)-1)

// An address space: begins with an exec or a fork. Threads and vfork children live in the one of their
// parent.
struct space_life {
    int pid;        // of the process it was made for
    uint64_t begin; // EXEC or BIRTH
    uint64_t last;  // event up to which a task ran in it: it does not change behind that
    size_t parent;  // the space it is a copy of; NONE after exec
    int forker;     // the task that forked; 0 after exec
    bool killed;    // a signal has ended tasks of it
};

enum { HANDLERS = 8 };

// A task in one address space: exec ends a life and begins another.
struct life {
    int tid, pid;
    int inside; // its TID as it knows it, and as lock words have it: another than `tid` in a PID namespace of the program's own
    int parent_pid; // of the process
    size_t space;
    uint64_t birth, death; // events; death 0: lived until the end
    bool timers;           // it has set an alarm
    bool in_call;          // at the end of the trace: between ENTER and EXIT of...
    uint64_t entered;      // ... since this event
    int32_t nr;
    uint64_t args[6];
    struct handler_run { // handlers that it is in, the innermost last; more than fit are left out
        uint64_t event;  // SIGNAL
        int signal;
    } handlers[HANDLERS];
    unsigned handler_count;
    uint64_t signal_event; // the last SIGNAL, if nothing came behind it
    int signal;
};

enum { STUCK_WORDS = 8, STUCK_ENDS = 16 };

struct stuck {
    uint64_t event; // STUCK, or where the wait was ended from outside, or the end of the trace
    size_t life;
    bool proved, main;
    // There is no STUCK event: the recording, or the program from outside, was ended while it waited.
    bool guessed;
    bool interrupted; // guessed, and the call has returned: a signal has ended it
    bool asked;       // the recording goes on, and its recorder asks
    bool assumed;     // asked, and others go on as well: only what its lock's holder proves is said of it
    // Its process was ended by a signal from within the recording, or of its own timer, while it waited so:
    uint64_t killed; // where that began: SIGNAL, or DEATH; 0: it was not
    uint64_t since;  // event: where the wait began
    int killing;     // the signal
    bool beside;     // ... while others of its tasks went on, or idled
    bool over;       // the process has ended since
    // Processes beside this one that waited at the same place for the same word, and were ended so.
    unsigned like_it;
    // As in PIECE_WAIT of core/events.def:
    enum wait_kind wait;
    uint64_t object; // futex word, child's PID, fd, number of a semaphore set or queue
    struct polled_word {
        uint64_t address, value;
        unsigned size;
        bool atomic;
    } words[STUCK_WORDS];
    size_t word_count;
    struct fd_end {
        int pid, fd;
    } ends[STUCK_ENDS];
    size_t end_count;
};

// A process that a signal killed.
struct crash {
    uint64_t event; // the SIGNAL that was delivered last, else the DEATH
    size_t life;
    int signal;
};

// A process that ended, or became another program by exec.
struct ending {
    uint64_t event;
    int pid;
    enum { ENDED_EXIT, ENDED_KILLED, ENDED_EXEC } how;
    int value; // status, or signal
};

// A signal that a task sent: to a process, or (target <= 0) to a group.
struct sent_signal {
    uint64_t event;
    int tid, target, signal;
};

// What became of a pipe's write end and of the ends of a socketpair, as far as it says who wanted them; and who has
// taken locks of files.
struct fd_fact {
    enum { FD_MADE, FD_USED, FD_LOCKED } fact;
    uint64_t event;
    int pid, fd;
    // LOCKED:
    int tid;
    uint64_t request; // fcntl's struct flock, which may also ask for an unlock; 0: flock's, which does not
};

struct history {
    uint64_t last; // event
    struct space_life *spaces;
    size_t space_count;
    struct life *lives;
    size_t life_count;
    struct stuck *stuck;
    size_t stuck_count;
    struct crash *crashes;
    size_t crash_count;
    struct ending *endings;
    size_t ending_count;
    struct sent_signal *sent; // those that may end a process
    size_t sent_count;
    struct action { // rt_sigaction
        uint64_t event;
        int tid, pid, signal;
        uint64_t act; // where the caller has it in its memory
    } * actions;
    size_t action_count;
    struct child_asked { // a process asks for the end of a child, whether or not it waits meanwhile
        uint64_t event;
        int pid, child; // child 0: of any
        bool ahead;     // it takes signals, those of children to come as well
    } * asked;
    size_t asked_count;
    struct fd_fact *fds;
    size_t fd_count;
    struct shared_range { // MAP_SHARED memory
        size_t space;
        uint64_t start, end;
        uint64_t from, to; // events; to 0: until the end
    } * shared;
    size_t shared_count;
    char **refused; // calls that the recorder refused, in its words
    size_t refused_count;
    uint64_t first_refused; // event of the first one; 0: none
    char program[256], end_reason[256];
    bool ended;          // there is an END
    bool cut_short;      // stopped from outside, its time was over, or the trace has no END
    bool kills;          // a task has sent a signal to another process
    bool ended_outside;  // a signal from outside, as Ctrl-C, has come
    size_t recent[1024]; // by TID: a life to look at first
};

// Reads all events of t; 0 or -1. Release it in either case.
int history_read(struct timeline *t, struct history *out, struct rf_error *err);
// Of a recording that is still being made: those of these tasks that sleep in a futex call without a time limit at its end
// are what is stuck, and nobody else is. `alone`: also those that wait for children; nobody in the recording could end a wait
// of theirs.
void history_assume(struct history *h, const int *tids, size_t count, bool alone);
void history_release(struct history *h);

// The life of `tid` at `event` (its state right after it), NONE if there is none.
size_t history_life(const struct history *h, int tid, uint64_t event);
bool life_at(const struct life *l, uint64_t event);
// Has the parent, which lives, asked for the end of this life's process?
bool history_asked_for(const struct history *h, size_t life);
// Some task that lives in `space` at `event`; 0 if none.
int history_task_in(const struct history *h, size_t space, uint64_t event);
// Does it wait for a pipe, a socket, an eventfd, a lock of a file, a System V object?
bool stuck_on_file(const struct stuck *s);
// Is `address` of `space` in MAP_SHARED memory at `event`?
bool history_shared(const struct history *h, size_t space, uint64_t address, uint64_t event);

#endif
