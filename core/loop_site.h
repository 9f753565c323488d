// A counting or comparing stub on one place of a loop. Pure (bytes in, bytes out); Zydis decodes.
#ifndef REFORK_CORE_LOOP_SITE_H
#define REFORK_CORE_LOOP_SITE_H

#include "core/abi.h"
#include "core/code_operands.h"

// The stub's save area: LOOP_SAVE_SIZE bytes of plain writable memory at LOOP_SAVE_AREA(limit_address), the
// end of the page that holds the limit (the annex's clock page). It is not on the program's stack: what a
// stub left below the red zone would come to light in uninitialised variables and would differ between a
// counting and a comparing stub. One area serves all sites, for only one task runs and no task is switched in
// the middle of a stub.
#define LOOP_SAVE_SIZE        64
#define LOOP_SAVE_AREA(limit) (((uint64_t)(limit) | 4095) + 1 - LOOP_SAVE_SIZE)

struct loop_site {
    // Where the patch goes: the iteration of the loop executes the instruction that starts here.
    uint64_t address;
    uint8_t patch[16];    // bytes to write at `address`: jmp rel32 to the stub, int3 padding
    uint8_t patch_len;    // bytes replaced
    uint8_t original[16]; // what was there
    uint8_t stub[256];    // code for the stub at `stub_address`
    size_t stub_len;
    uint64_t trap_pc; // rip after the stub's int3 (what PTRACE_GETREGS shows at the trap)
    uint64_t stub_address, save_address;
    struct {
        uint8_t stub, site; // offsets of a displaced instruction in the stub and in the program
    } map[12];
    uint8_t map_count;
    bool pauses; // the iteration executes `pause`: it waits for somebody else; for the caller
};

// One iteration of a loop, single-stepped by the caller: the addresses of its instructions in one function, in the order
// executed.
struct loop_iteration {
    const uint64_t *pcs;
    size_t count;
    // The function's range at run time; 0, 0 when it is unknown or elf_module_has_landing_pads (then only single
    // instructions qualify).
    uint64_t function_start, function_end;
};

// Where a counting stub will live, within +-2 GiB of the site, and its two u64.
struct loop_counter {
    uint64_t stub_address, count_address, limit_address;
};

// Chooses a place for a counting stub. Candidates, best first: an instruction of 5 bytes or more that no branch enters in
// its middle, calls last among them; a window of consecutive instructions of the iteration, 5 bytes or more in total, which
// nothing enters except at its start, in a function whose every branch is known (no indirect jump). Code outside of the
// function that it jumps to (.cold parts) is followed. Displaced instructions are re-encoded: rip-relative operands,
// rel8/rel32 branches (a branch back to the window's start goes to `address`), loop/jrcxz, calls (which push the original
// return address). Syscalls, traps and what reads its own place are never displaced.
//
// The stub adds 1 to the count at each execution of the instruction at `address`, before it, and executes an int3 when
// count >= limit (unsigned), then the displaced instructions, then jumps back. It leaves every register, flag and byte of
// memory as it found them (but count and save area). At the int3 all registers but rip are the program's at `address`, so
// is memory: the program's pc is `address`. Continue at trap_pc.
// Before writing the patch: no task's pc, no pc in a signal frame may be inside (address, address +
// patch_len). 0 and *out filled; -1: no place (the caller falls back to int3 on the site).
int loop_site_build(const struct code_memory *memory, const struct loop_iteration *iteration,
                    const struct loop_counter *counter, struct loop_site *out);

// The same at the instruction at `pc` and at no other, with the jump that `plan` describes (core/probe.h, probe_plan, of a
// PROBE_CALL request for `code`). The stub's address is from loop_site_place. In PROBE_PUNNED's form patch_len is the instruction's own
// length, and the bytes behind it, which stay, complete the jump. In PROBE_FOLLOWED's form a jump to one of the other
// displaced instructions traps (core/probe.h), and whoever uses the site carries on at its copy in the stub. -1: not possible.
struct probe_plan;
// Bytes from `address` on that must stay as they are while the patch is there: the patch, and those that complete its jump.
size_t loop_site_reach(const struct loop_site *site);
// Does an atomic instruction begin in the bytes that complete a jump in PROBE_PUNNED's form? A breakpoint there, as searches for
// locks put it, costs a stop at each turn.
bool loop_site_jump_meets_atomic(const uint8_t *code, size_t len);
int loop_site_build_planned(const uint8_t *code, size_t len, uint64_t pc, const struct probe_plan *plan,
                            const struct loop_counter *counter, struct loop_site *out);
// Where the stub of such a site can be: an address to which the jump can lead and at which `size` bytes are free.
// `in_the_way`: 0 when nothing is in [start, end), else the end of something that is. 0: none.
uint64_t loop_site_place(const struct probe_plan *plan, uint64_t pc, uint64_t size,
                         uint64_t (*in_the_way)(void *context, uint64_t start, uint64_t end), void *context);

// The program's pc for a pc inside the counting stub of `site`: at its first byte, at the trap, and at each
// displaced instruction (a fault in one shows that pc). To be shown and unwound only: go on in the stub, for
// the program's own bytes there are overwritten. false: pc is not in the stub, or at a place where registers
// are the stub's (single-step until it is true before the registers are used or the task is switched).
bool loop_site_program_pc(const struct loop_site *site, uint64_t pc, uint64_t *program_pc);

// The comparing variant, for the same site and patch, so at the same address. Replay uses it to find a STATE event
// in-process: instead of counting, the stub compares all general registers, rflags (masked: CF PF AF ZF SF DF OF) and up
// to 8 words of memory (u64, mapped readable) with what is wanted, and executes the int3 when all are equal; then the
// displaced instructions.
struct state_want {
    uint64_t gpr[ABI_REGISTERS]; // as abi_registers
    uint64_t rflags;
    struct {
        uint64_t address, value;
    } words[8];
    int word_count;
};
enum { LOOP_COMPARE_MAX = 1024 }; // enough for 8 words
struct compare_stub {
    uint8_t code[LOOP_COMPARE_MAX];
    size_t len;
    uint64_t trap_pc; // as in struct loop_site
    // Offset of the displaced instructions, which are those at site->map[0].stub in the counting stub.
    size_t displaced;
};
// -1: more than 8 words.
int loop_site_build_compare(const struct loop_site *site, const struct state_want *want,
                            struct compare_stub *out);

#endif
