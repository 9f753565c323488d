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
#define PIECE(id, name, what) PIECE_##id,
#include "core/events.def"
#undef PIECE
    PIECE_KINDS
};

enum text_kind { TEXT_PATH, TEXT_ARG, TEXT_ENV, TEXT_MESSAGE, TEXT_NAME };

// Instructions that TRAP events stand for (event.nr).
enum trap_kind {
    TRAP_RDTSC = 1,
    TRAP_RDTSCP,
    TRAP_CPUID,
    TRAP_RDRAND,
    TRAP_RDSEED,
    TRAP_XGETBV,
    TRAP_XSAVE, // xsave, xsavec, xsaveopt: the MEM piece holds what it stored
    TRAP_KINDS
};

// What a STUCK event's task waits for (PIECE_WAIT v0) and how it waits.
enum wait_kind {
    WAIT_OUTSIDE,   // on something that may come from outside: never in a trace
    WAIT_FUTEX,     // asleep in a futex call without a timeout; v1: the word
    WAIT_CHILD,     // asleep in wait4 or waitid; v1: the child's process id, 0: any
    WAIT_TIMED,     // futex calls with a timeout, again and again; v1: the word of the call that it is in
    WAIT_YIELD,     // looks at words again and again and yields or sleeps (sched_yield, nanosleep) in between
    WAIT_SPIN,      // looks at words again and again without a syscall
    WAIT_PIPE_READ, // asleep in read, poll or select on a pipe; v1: the fd, v2: the pipe's inode
    WAIT_PIPE_WRITE, // asleep in write to a full pipe; v1, v2 as above
    WAIT_SOCKET,     // asleep on a connected AF_UNIX socket; v1: the fd, v2: its inode
    WAIT_EVENTFD,    // v1: the fd, v2: the eventfd's id
    WAIT_FILE_LOCK,  // in flock or fcntl; v1: the fd, v2: the file's inode
    WAIT_SYSV,       // in semop, msgrcv or msgsnd; v1: the set or queue
    WAIT_KINDS
};

// Where a BREAK event stands (event.nr): before the instruction at event.ret, or behind it.
enum break_place { BREAK_BEFORE, BREAK_BEHIND };

// event.flags
enum {
    EVF_REGS = 1,     // event.regs holds the registers at the landmark, before the event's effect
    EVF_SYNC = 2,     // SIGNAL: raised by the task's own instruction, replay meets it by itself
    EVF_RESTART = 4,  // EXIT/SYSCALL: the kernel will restart the call; the REGS piece says where
    EVF_LAST = 8,     // DEATH: the last task of its process
    EVF_VM = 16,      // BIRTH: the child shares its parent's address space (thread, vfork, posix_spawn)
    EVF_THREAD = 32,  // BIRTH: same process (CLONE_THREAD)
    EVF_PROVED = 64,  // STUCK: proved (else likely)
    EVF_KILLED = 128, // DEATH, END: by a signal (ret is its number, else the exit status)
};

struct piece {
    uint8_t kind; // enum piece_kind
    uint64_t v[6];
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
    int32_t nr; // SYSCALL, ENTER, EXIT: syscall number; STUCK: the same, -1 in user code (WAIT_SPIN); SIGNAL:
                // signal; TRAP: trap_kind; BREAK: break_place; else 0
    int64_t ret; // SYSCALL, EXIT: result (negative errno); BIRTH: the child's TID; TICK: the count; STATE:
                 // tracee_fp_digest; DEATH, END: status; BREAK: the code address
    // BIRTH: the child's process id (TGID); STUCK: 1 of the task to name first; BREAK: how often the task came to
    // the address since the last event that moved it, a start at it not counted; others 0 unless said
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
const char *wait_kind_name(uint64_t kind); // "futex", "pipe-read", ...

// The first piece of that kind at or after index *from (NULL: from the first); advances *from behind it. NULL
// if none.
const struct piece *event_piece(const struct event *e, int kind, size_t *from);

#endif
