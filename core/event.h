// Events: what a recording is made of. See core/events.def for the kinds, docs/trace-format.md for the bytes.
#ifndef REFORK_CORE_EVENT_H
#define REFORK_CORE_EVENT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/user.h>

enum event_kind {
    EV_NONE, // never in a trace
#define EVENT(id, name, what) EV_##id,
#include "core/events.def"
#undef EVENT
    EV_KINDS
};

enum piece_kind {
    PIECE_NONE,
#define PIECE(id, ...) PIECE_##id,
#include "core/events.def"
#undef PIECE
    PIECE_KINDS
};

enum text_kind { TEXT_PATH, TEXT_ARG, TEXT_ENV, TEXT_MESSAGE, TEXT_NAME, TEXT_KINDS };

// Instructions that TRAP events stand for (event.nr).
enum trap_kind {
    TRAP_RDTSC = 1,
    TRAP_RDTSCP,
    TRAP_CPUID,
    TRAP_RDRAND,
    TRAP_RDSEED,
    TRAP_XGETBV,
    TRAP_XSAVE, // xsave, xsavec, xsaveopt, fxsave: the MEM piece holds what it stored
    TRAP_RDPID,
    TRAP_KINDS
};

// What a STUCK event's task waits for and how it waits; `object` and `id` are those of its WAIT piece.
enum wait_kind {
    WAIT_OUTSIDE,   // on something that may come from outside: never in a trace
    WAIT_FUTEX,     // asleep in a futex call without a timeout; object: the word
    WAIT_CHILD,     // asleep in wait4 or waitid, or asks in a loop; object: the child's process id, 0: any
    WAIT_TIMED,     // futex calls with a timeout, again and again; object: the word of the call that it is in
    WAIT_YIELD,     // looks at words again and again and yields or sleeps (sched_yield, nanosleep) in between
    WAIT_SPIN,      // looks at words again and again without a syscall
    WAIT_PIPE_READ, // asleep in read, poll or select on a pipe; object: the fd, id: the pipe's inode
    WAIT_PIPE_WRITE, // asleep in write to a full pipe; object, id: as above
    WAIT_SOCKET,     // asleep on a connected AF_UNIX socket; object: the fd, id: its inode
    WAIT_EVENTFD,    // object: the fd, id: the eventfd's id
    WAIT_FILE_LOCK,  // in flock or fcntl; object: the fd, id: the file's inode
    WAIT_SYSV,       // in semop, msgrcv or msgsnd; object: the set or queue
    WAIT_KINDS
};

// What stopped the task at a TRAP event (event.aux).
enum trap_by {
    TRAP_BY_INT3, // of refork: regs.rip is behind it
    TRAP_BY_CPU,  // a fault: regs.rip is at the instruction
    TRAP_BYS
};

// Where a BREAK event stands (event.nr): before the instruction at event.ret, or behind it.
enum break_place { BREAK_BEFORE, BREAK_BEHIND };

// Where a signal was delivered (event.aux of SIGNAL).
enum signal_place {
    SIGNAL_AT_LANDMARK,    // where the task's event before left it: replay has nothing to run
    SIGNAL_AT_ENTRY,       // at the entry of a call that is then made anew: replay runs to the call
    SIGNAL_BY_INSTRUCTION, // raised by the task's own instruction: replay meets it by itself
    SIGNAL_PLACES
};

// Why a recording ended (event.nr of END).
enum end_reason {
    END_BY_ITSELF = 1, // the program ended; event.ret and EVF_KILLED say how
    END_STUCK,         // a deadlock: the recorder stopped what was left
    END_GATE_DONE,     // the fork gate's candidate is decided
    END_TIME_OVER,     // record --timeout, a hunt's or a verification's time for one run
    END_FROM_OUTSIDE,  // a signal told the recorder to end
    END_FAILED,        // the recorder could not go on: TEXT_MESSAGE says why
    END_REASONS
};

// event.flags
enum {
    EVF_REGS = 1,    // event.regs holds the registers at the landmark, before the event's effect
    EVF_RESTART = 2, // EXIT/SYSCALL: the kernel will restart the call; the REGS piece says where
    EVF_LAST = 4,    // DEATH: the last task of its process
    EVF_VM = 8,      // BIRTH: the child shares its parent's address space (thread, vfork, posix_spawn)
    EVF_THREAD = 16, // BIRTH: same process (CLONE_THREAD)
    EVF_PROVED = 32, // STUCK: proved (else likely)
    EVF_KILLED = 64, // DEATH, END: by a signal (ret is its number, else the exit status)
    EVF_ALL = 127
};

// The values of each kind of piece.
#define PIECE(id, name, size, what, ...)                                                                     \
    struct piece_##name {                                                                                    \
        __VA_ARGS__                                                                                          \
    };
#include "core/events.def"
#undef PIECE

#define PIECE_VALUES 6

struct piece {
    uint8_t kind; // enum piece_kind: which of these has the values
    union {
#define PIECE(id, name, ...) struct piece_##name name;
#include "core/events.def"
#undef PIECE
        uint64_t v[PIECE_VALUES]; // all of them, for who copies or prints a piece of any kind
    };
    const void *data; // NULL when len is 0
    size_t len;
};

// One event. `regs` are canonical at every landmark: at a syscall's entry rax holds the syscall's number,
// orig_rax too, rcx and r11 hold what the `syscall` instruction put there.
struct event {
    uint64_t number; // from 1 over the whole trace; "event N" is this everywhere
    uint8_t kind;    // enum event_kind
    uint8_t flags;   // EVF_*
    int32_t tid;     // the task
    // SYSCALL, ENTER, EXIT: syscall number; STUCK: the same, -1 in user code (WAIT_SPIN); SIGNAL: signal; TRAP: trap_kind;
    // BREAK: break_place; END: end_reason; NOTE: the call that was refused; else 0.
    int32_t nr;
    // SYSCALL, EXIT: result (negative errno); NOTE: the answer to it; BIRTH: the child's TID; TICK: the count; STATE:
    // tracee_fp_digest; DEATH, END: status; BREAK: the code address.
    int64_t ret;
    // BIRTH: the child's process id (TGID); TRAP: trap_by; STUCK: 1 of the task to name first; SIGNAL: signal_place; BREAK: how
    // often the task came to the address since the last event that moved it, a start at it not counted; others 0
    // unless said
    uint64_t aux;
    uint64_t time_us;             // microseconds since the recording began
    struct user_regs_struct regs; // valid with EVF_REGS
    struct piece *pieces;
    size_t piece_count;
};

// "syscall", "enter", ...; "?" for a number that is no kind.
const char *event_kind_name(int kind);
// How many steps of its own a task has made with an event of that kind: the entry and the exit of a call are one each,
// a trapped instruction is one. Its library calls count besides. Such a number names the same place of the task in
// another run, whenever the others ran: nothing that refork adds by itself (ticks, breakpoints) counts.
unsigned event_own_steps(int kind);
const char *piece_kind_name(int kind);
// The bytes of data that every piece of that kind has; -1: any number.
int piece_size(int kind);
const char *wait_kind_name(uint64_t kind); // "futex", "pipe-read", ...
// "stopped from outside", ...: how the recording ended, for the user; "?" for a number that is no reason.
const char *end_reason_text(int reason);

// NULL, or what in the event is not as this file and core/events.def say: a number that is in no enum, data of a
// wrong size (static text). The reader of a trace returns no event that has such a fault.
const char *event_fault(const struct event *e);

// The first piece of that kind at or after index *from (NULL: from the first); advances *from behind it. NULL
// if none.
const struct piece *event_piece(const struct event *e, int kind, size_t *from);

#endif
