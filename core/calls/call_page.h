// System calls that a recorded process makes by itself, without a stop: the part of the annex that this takes, and what is
// in it. The `syscall` instruction of the program is reached over a jump to a stub (core/calls/call_site.h), which jumps to
// CALL_ENTRY. The code there (core/calls/call_code.c) makes the call from CALL_SYSCALL, the one place whose calls the recorder's
// seccomp filter lets pass, and notes in a ring what it did; or it declines, and the program's own instruction makes it, as
// if there were no stub. In replay the same code takes result and written bytes from a list.
//
// Only one task of a recording runs at a time, and none is switched while it is here: one ring and one stack serve all.
#ifndef REFORK_CORE_CALLS_CALL_PAGE_H
#define REFORK_CORE_CALLS_CALL_PAGE_H

#include "core/annex.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CALL_SYSCALL     ANNEX_CALLS       // syscall; ret
#define CALL_COPY        (ANNEX_CALLS + 8) // rep movsb; ret: may fault at the bytes that a call was given
#define CALL_COPY_LENGTH 2
#define CALL_ENTRY                                                                                           \
    (ANNEX_CALLS + 16) // from a stub: rcx is the address behind `syscall`, all else as before it
#define CALL_CODE_SIZE   0x2000ull
#define CALL_CONTROL     (ANNEX_CALLS + CALL_CODE_SIZE) // struct call_control
#define CALL_ROWS        (ANNEX_CALLS + 0x3000)         // struct call_row, by number
#define CALL_ROW_COUNT   512
#define CALL_STACK_TOP   (ANNEX_CALLS + 0x8000)
#define CALL_RING        (ANNEX_CALLS + 0x8000)
#define CALL_RING_SIZE   0x40000ull
#define CALL_FEED        (ANNEX_CALLS + 0x80000)
#define CALL_FEED_SIZE   0x40000ull
#define CALL_BYTES_MAX   0x10000ull // that one range of a call may have
#define CALL_INTERRUPTED (-5000l)   // as the result of CALL_SYSCALL: the call was taken back, decline

// Files of which a write shows in memory (recorder/seen_writes.h): calls that write to one of them are declined.
enum { CALL_SEEN_FILES = 8 };
struct call_seen {
    uint64_t count; // more than CALL_SEEN_FILES: all writes are declined
    struct {
        uint64_t dev, ino; // as fstat tells them
    } files[CALL_SEEN_FILES];
};

// Descriptors below this may be known as sockets that never wait.
#define CALL_QUICK 1024

struct call_control {
    uint64_t head; // of the ring: where the next entry goes
    uint64_t left; // so many calls more; 0: all are declined
    uint64_t rsp;  // the program's, on the way in
    uint64_t feed; // replay: the next struct call_fed; 0: recording
    // A schedule that counts steps: only calls that wake nobody are made here (CALL_ROW_WAKES), and each takes so many off the
    // PLT clock's limit.
    uint64_t quiet, steps;
    struct call_seen seen;
    // Streams that are sockets and do not wait (O_NONBLOCK): not asked by poll before. A wrong one is only slow: what sleeps is taken back,
    // and what is no socket is declined.
    uint64_t quick[CALL_QUICK / 64];
};

// What is known of a call's bytes: a range per pointer, of a fixed size, or of as many bytes as an argument or the
// result says.
enum call_size { CALL_SIZE_FIXED, CALL_SIZE_ARG, CALL_SIZE_INT, CALL_SIZE_RESULT };

// How many an argument of 32 bits allows: with CALL_LIMIT_SOME no more than CALL_SOME are asked for.
enum call_limit { CALL_LIMIT_LONG, CALL_LIMIT_INT, CALL_LIMIT_SOME };
enum { CALL_SOME = 512 };

struct call_range {
    uint8_t arg;        // the pointer; counted from 1, 0: no range
    uint8_t size;       // enum call_size
    uint8_t limit;      // ARG, INT: the argument; RESULT: the argument that it never exceeds
    uint8_t limit_kind; // enum call_limit
    uint16_t scale;     // FIXED: the bytes
};

enum call_kind {
    CALL_DECLINED,
    CALL_PLAIN,        // never sleeps without bound
    CALL_READS,        // of fd args[0]: poll says whether there is something
    CALL_WRITES,       // ... room
    CALL_RECEIVES,     // CALL_READS with flags in args[3], and without an address
    CALL_SENDS,        // CALL_WRITES with flags
    CALL_WAITS,        // is made with the time 0 in args[`time`], and made so only if something is there
    CALL_READS_VECTOR, // as CALL_READS and CALL_WRITES, with an iovec of few entries
    CALL_WRITES_VECTOR,
    CALL_RECEIVES_MESSAGE, // ... of a struct msghdr without address and control messages
    CALL_SENDS_MESSAGE,
    CALL_MASK, // of signals: none is pending that might come
    CALL_FUTEX,
    CALL_FCNTL,
};

// WRITES: to a file, perhaps. FDS: the model of descriptors must know of it. WAKES: of CALL_PLAIN: somebody who waits, perhaps.
enum { CALL_ROW_WRITES = 1, CALL_ROW_FDS = 2, CALL_ROW_WAKES = 4, CALL_RANGES = 2 };

struct call_row {
    uint8_t kind, flags, time, pad;
    struct call_range range[CALL_RANGES];
};

// One call that was made. The data of its ranges follows: struct call_bytes and the bytes, each padded to 8.
struct call_entry {
    uint32_t size; // of all
    uint16_t nr;
    uint16_t ranges; // that follow
    int64_t result;
    uint64_t mask; // CALL_MASK: the signals that are blocked behind it
    uint64_t rip;  // behind `syscall`
    uint64_t rflags, rsp, rbx, rbp, rdi, rsi, rdx, r8, r9, r10, r12, r13, r14, r15;
};

struct call_bytes {
    uint64_t address;
    uint32_t length;
    uint32_t missing; // bytes at the end that could not be read
};

// Replay: one call to be answered. Ranges follow as in call_entry: first `outs` with their bytes, then `ins` without.
struct call_fed {
    uint32_t size;
    uint16_t nr, outs, ins, pad;
    uint32_t pad2;
    int64_t result;
    uint64_t rip;
};

#endif
