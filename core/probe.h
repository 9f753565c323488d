// A probe: the instruction at an address is replaced by a jump to a stub, which notes in a ring what the instruction does,
// carries it out, and jumps back. Pure (bytes in, bytes out); replayer/engine/probes.c puts probes into a process.
//
// The ring is memory that whoever drains it shares with the process. Only one task of a recording runs at a time, so a stub
// needs no lock. Behind the ring's last entry lies a page that cannot be written: a full ring is a fault at PROBE_FULL.
#ifndef REFORK_CORE_PROBE_H
#define REFORK_CORE_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct probe_entry {
    uint32_t id;
    uint32_t unequal; // cmpxchg: 1 when it found another value; else 0
    uint64_t address; // of the memory operand; PROBE_CALL: rsp
    uint64_t before;  // its value, zero-extended; PROBE_CALL: the word that rsp points to, the return address
    uint64_t after;
};
// An entry with `registers` set in its probe is followed by all of them as they were before the instruction: rax rbx rcx rdx
// rsi rdi rbp rsp r8 to r15.
enum { PROBE_REGISTERS = 16, PROBE_ENTRY_MAX = sizeof(struct probe_entry) + 8 * PROBE_REGISTERS };

// A page that every stub reaches rip-relative. Several places of one process may show the same page.
struct probe_control {
    uint64_t head;     // where the next entry goes: an address in the process
    uint64_t rax, rcx; // the program's, while a stub uses the registers
};

enum probe_kind {
    PROBE_OPERAND, // one memory operand of 1, 2, 4 or 8 bytes, which is written and perhaps read
    PROBE_CALL,    // nothing of the instruction is looked at: it is a function's first
};

struct probe_request {
    uint64_t address; // of the instruction
    uint8_t code[32]; // the program's own bytes from there
    size_t len;       // of them: the instruction and what follows it
    uint32_t id;      // below 2^31
    uint8_t kind;     // enum probe_kind
    uint8_t size;     // PROBE_OPERAND: of the operand, bytes
    bool registers;   // wanted in the entry
};

// How the jump of five bytes gets room:
enum probe_form {
    // The instruction is long enough.
    PROBE_LONG,
    // The instructions that follow are displaced as well. Each of them that begins under the jump begins with a byte of the
    // jump's distance, which is chosen such that it traps: whoever jumps there is stopped, and goes on at the copy in the
    // stub.
    PROBE_FOLLOWED,
    // What follows stays: its bytes are a part of the jump's distance.
    PROBE_PUNNED,
};
enum { PROBE_JUMP = 5 };

struct probe_plan {
    uint8_t form;             // enum probe_form
    uint8_t displaced;        // bytes of the program that run in the stub
    uint8_t count, starts[6]; // offsets of the displaced instructions
    uint32_t mask, value;     // bits of the jump's distance that are given
};

// Which guard byte a PROBE_FOLLOWED jump is to end with: the highest byte of its distance. int3 leads 830 MiB down; 0x9a, 0x61 and
// 0x2f are no instructions in 64-bit mode and lead 1.6 GiB down, 1.5 GiB and 750 MiB up.
extern const uint8_t probe_guards[4];

// Room for the jump in that form. `guard`: one of probe_guards. false: that form is not possible there.
bool probe_plan(const struct probe_request *request, enum probe_form form, uint8_t guard,
                struct probe_plan *out);
// The lowest address at or above `from` to which the jump at `address` can lead; 0: none within its reach.
uint64_t probe_place(const struct probe_plan *plan, uint64_t address, uint64_t from);

struct probe {
    uint64_t address, stub_address;
    uint32_t id;
    uint8_t kind, size;
    bool registers;
    uint8_t patch[PROBE_JUMP], original[32];
    uint8_t displaced, count;
    uint16_t stub_len;
    uint16_t full, read; // offsets in the stub of the instructions that may fault for us; read 0: none
    struct {
        uint8_t program;
        uint16_t stub;
    } map[6]; // offsets of the displaced instructions
};
enum { PROBE_STUB_MAX = 448 };

// The stub for `stub_address`, which probe_place gave, into `stub`. `control`: where struct probe_control is, within 2 GiB.
bool probe_build(const struct probe_request *request, const struct probe_plan *plan, uint64_t stub_address,
                 uint64_t control, uint8_t stub[PROBE_STUB_MAX], struct probe *out);

// What a stop at `pc` in the stub means. *program_pc: the instruction of the program that is being carried out.
enum probe_stop {
    PROBE_FULL, // the ring is full. Nothing is noted yet: empty the ring, set rcx and head to its begin, and go on. The program's
                // rax and rcx are in struct probe_control; all else is the program's before the instruction
    PROBE_READ, // the operand cannot be read: the instruction's own fault. rax and rcx as above
    PROBE_PROGRAM,  // a displaced instruction's: all registers but rip are the program's
    PROBE_ELSEWHERE // no instruction there can fault
};
enum probe_stop probe_stopped(const struct probe *probe, uint64_t pc, uint64_t *program_pc);

// Where the displaced instruction at `pc` of the program is in the stub; 0: none begins there.
uint64_t probe_copy(const struct probe *probe, uint64_t pc);

#endif
