// Memory of the program as it sees it itself, and what is planted in it, int3 bytes and jumps to stubs: a table of each space,
// sorted by address. No two of them overlap.
#ifndef REFORK_REPLAYER_ENGINE_MEMORY_H
#define REFORK_REPLAYER_ENGINE_MEMORY_H

#include "replayer/engine/breakpoints.h"
#include "replayer/engine/islands.h"
#include "replayer/engine/space.h"

enum {
    PLANTED_BYTE = 0xcc, // int3
    PLANTED_CODE = 15,   // bytes: the longest instruction
};

enum planted_flag {
    PLANTED_LIFTED = 1,    // a state search has its own patch over it
    PLANTED_MUTED = 2,     // until the end of the step
    PLANTED_COVERED = 4,   // other bytes were written over it: nothing is planted
    PLANTED_STUB = 8,      // in a loop's stub, for the instruction at `program`
    PLANTED_SEARCHED = 16, // in a comparing stub as well: gone when the search is over
    // At the jump of a loop's site that bytes behind it complete, for a breakpoint is in them: who comes here goes on at the stub.
    // original[1] is the byte of the program's own instruction, `program` 0 if nobody wants to know of that one.
    PLANTED_BRIDGE = 32,
};

struct planted {
    uint64_t address, program, tag;
    const uint8_t *code; // the file's bytes there, PLANTED_CODE of them; NULL: read them
    struct stub *stub;   // a probe: its jump is planted; NULL: an int3
    uint8_t original[PROBE_JUMP], flags;
    struct break_probe wish; // what a probe shall note; size 0: it shall be an int3
};

// Like tracee_read, tracee_write, tracee_poke otherwise: reads do not see what is planted, writes keep it where the
// instruction stays the same.
bool space_read(const struct space *s, uint64_t address, void *buffer, size_t len);
bool space_write(struct space *s, uint64_t address, const void *bytes, size_t len);
bool space_poke(struct space *s, uint64_t address, const void *bytes, size_t len);

// Is its byte in memory now?
bool planted_in_memory(const struct planted *p);
// The first at or after `address`, as an index; the one at `address`, NULL: none.
size_t planted_first(const struct space *s, uint64_t address);
struct planted *planted_find(const struct space *s, uint64_t address);
// Is there one in memory at `address`, or (lifted) one that the search under way keeps out?
bool planted_at(const struct space *s, uint64_t address, bool lifted);
void planted_insert(struct space *s, struct planted p); // into the table alone
void planted_erase(struct space *s, size_t first, size_t n);
// Puts the program's own bytes into what was read from memory at `address`.
void planted_hide(const struct space *s, uint64_t address, void *buffer, size_t len);
// The one whose bytes `address` is in; NULL: none.
struct planted *planted_over(const struct space *s, uint64_t address);
// Makes a probe an int3 again.
void planted_demote(struct space *s, struct planted *p);
// All that are planted before `address` and reach over it are int3s.
void planted_cut(struct space *s, uint64_t address);
// Writes one into memory as its flags say / all of [start, end), a page at a time.
void planted_put(const struct space *s, const struct planted *p);
void planted_write_out(struct space *s, uint64_t start, uint64_t end);
// Takes out all of [start, end), table and memory.
void planted_remove(struct space *s, uint64_t start, uint64_t end);
// The same, before or after a change of its protection: pages that are the file's again are given back to the file.
void planted_take_out(struct replay *r, struct space *s, uint64_t start, uint64_t end);
// [start, end) is mapped anew, or not at all any more.
void planted_unmapped(struct space *s, uint64_t start, uint64_t end);
// The table of a copy of a space, its loops' sites as well; frees both.
void planted_copy(struct space *to, const struct space *from);
void planted_free(struct space *s);

#endif
