// Machine code of mapped modules: which instructions must trap, and how to put a counting stub on a loop.
// Pure (bytes in, bytes out); Zydis decodes. Used by the recorder at each mapping of an executable file.
#ifndef REFORK_CORE_CODE_H
#define REFORK_CORE_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// ---- a parsed ELF module

// Hostile input as well (the file may be anything): all offsets are checked, no failure aborts.
struct elf_module;

// Parses an ELF64 x86-64 image of `size` bytes (kept by reference: `image` must outlive the module). NULL:
// not one.
struct elf_module *elf_module_parse(const void *image, size_t size);
void elf_module_free(struct elf_module *m);
bool elf_module_is_pie(const struct elf_module *m); // ET_DYN
// Made by the Go compiler, stripped or not: only its programs have a section .go.buildinfo.
bool elf_module_is_go(const struct elf_module *m);

// File offset <-> link-time address by the PT_LOADs. false: not covered by file bytes.
bool elf_module_to_vaddr(const struct elf_module *m, uint64_t offset, uint64_t *vaddr);
bool elf_module_to_offset(const struct elf_module *m, uint64_t vaddr, uint64_t *offset);
// Load bias of a module of which file offset `offset` is mapped at `address`.
bool elf_module_bias(const struct elf_module *m, uint64_t offset, uint64_t address, uint64_t *bias);

// The function range [*start, *end) (link-time) that holds vaddr: from .eh_frame_hdr/.eh_frame FDEs, else
// from .symtab/.dynsym sizes; false if neither knows it.
bool elf_module_function(const struct elf_module *m, uint64_t vaddr, uint64_t *start, uint64_t *end);

// The link-time address of a defined function or object: .symtab, else .dynsym; a version behind '@' is left out.
bool elf_module_symbol(const struct elf_module *m, const char *name, uint64_t *vaddr);

// Whether the function that holds vaddr has C++ landing pads (an LSDA in its FDE): then code that no direct
// branch of it reaches may jump into the middle of it.
bool elf_module_has_landing_pads(const struct elf_module *m, uint64_t vaddr);

// ---- JUMP_SLOTs (PLT clock)

struct elf_slot {
    uint64_t vaddr;   // link-time address of the slot
    uint64_t initial; // its content in the file (unrelocated)
};
// R_X86_64_JUMP_SLOT relocations (DT_JMPREL). Returns a malloc'ed array, *count; NULL and 0 when none.
struct elf_slot *elf_module_slots(const struct elf_module *m, size_t *count);

// What to write into the dynamic section (in memory, at link-time address *vaddr, 16 bytes at most) to make
// ld.so bind this module eagerly: DF_BIND_NOW in an existing DT_FLAGS, DF_1_NOW in an existing DT_FLAGS_1, or
// a DT_BIND_NOW entry in the spare DT_NULLs at its end (another DT_NULL must follow). 1: write `bytes[*len]`
// at *vaddr; 0: it is bound eagerly already (DT_BIND_NOW, DF_BIND_NOW, DF_1_NOW) or has no DT_JMPREL; -1: no
// way.
int elf_module_bind_now(const struct elf_module *m, uint64_t *vaddr, uint8_t bytes[16], size_t *len);

// ---- instructions that must trap

struct trap_site {
    uint64_t vaddr;
    uint8_t kind;   // enum trap_kind of core/event.h; TRAP_RDTSC and TRAP_RDTSCP only with `tsc`
    uint8_t length; // of the instruction, prefixes included
};
// Finds cpuid, rdrand, rdseed, xgetbv, xsave, xsavec and xsaveopt (and rdtsc, rdtscp if `tsc`) in the executable PT_LOADs: byte patterns, each
// confirmed as an instruction boundary by decoding from the start of its function (eh_frame, symbols; without
// either, a linear sweep of the executable section from its start). An unconfirmed match is not returned.
// malloc'ed, sorted by vaddr.
struct trap_site *elf_module_trap_sites(const struct elf_module *m, bool tsc, size_t *count);

// Decodes one trapped instruction at `code`: kind (enum trap_kind), total length, for rdrand/rdseed the
// destination register (0 rax, 1 rcx, 2 rdx, 3 rbx, 4 rsp, 5 rbp, 6 rsi, 7 rdi, 8..15) and its width in bits
// (16, 32, 64). false: none of them.
struct trap_instruction {
    int kind;
    int length;
    int reg;
    int width;
    bool compact; // xsavec
};
bool code_trap_instruction(const uint8_t *code, size_t len, struct trap_instruction *out);

// ---- a counting stub on a loop

// Bytes of code of one address space: reads may fail. They must be the program's own, without breakpoints of
// refork's.
typedef bool (*code_reader)(void *context, uint64_t address, void *buffer, size_t len);

// The stub's save area: LOOP_SAVE_SIZE bytes of plain writable memory at LOOP_SAVE_AREA(limit_address), the
// end of the page that holds the limit (the annex's clock page). It is not on the program's stack: what a
// stub left below the red zone would come to light in uninitialised variables and would differ between a
// counting and a comparing stub. One area serves all sites, for only one task runs and no task is switched in
// the middle of a stub.
#define LOOP_SAVE_SIZE        64
#define LOOP_SAVE_AREA(limit) (((uint64_t)(limit) | 4095) + 1 - LOOP_SAVE_SIZE)

struct loop_site {
    uint64_t address;  // where the patch goes: the turn of the loop executes the instruction that starts here
    uint8_t patch[16]; // bytes to write at `address`: jmp rel32 to the stub, int3 padding
    uint8_t patch_len; // bytes replaced
    uint8_t original[16]; // what was there
    uint8_t stub[256];    // code for the stub at `stub_address` given to loop_site_build
    size_t stub_len;
    uint64_t trap_pc; // rip after the stub's int3 (what PTRACE_GETREGS shows at the trap)
    uint64_t stub_address, save_address;
    struct {
        uint8_t stub, site; // offsets of a displaced instruction in the stub and in the program
    } map[12];
    uint8_t map_count;
};

// Chooses a place near `pc` for a counting stub: `trace[0..n)` are the addresses of the instructions of one
// turn of the loop in the order executed (single-stepped by the caller). Candidates, best first: an
// instruction of 5 bytes or more that no branch enters in its middle, calls last among them; a window of
// consecutive instructions of the turn, 5 bytes or more in total, which nothing enters except at its start,
// in a function whose every branch is known (no indirect jump). Code outside [function_start, function_end)
// that the function jumps to (.cold parts) is followed. Displaced instructions are re-encoded: rip-relative
// operands, rel8/rel32 branches (a branch back to the window's start goes to `address`), loop/jrcxz, calls
// (which push the original return address). Syscalls, traps and what reads its own place are never displaced.
// `function_start/end`: run-time range of the function, or 0,0 when unknown or elf_module_has_landing_pads
// (then only single instructions qualify). `stub_address`: where the stub will live, within +-2 GiB of the
// site (else -1).
//
// The stub adds 1 to the u64 at `count_address` at each execution of the instruction at `address`, before it,
// and executes an int3 when count >= limit (u64 at `limit_address`, unsigned), then the displaced
// instructions, then jumps back. It leaves every register, flag and byte of memory as it found them (but
// count and save area). At the int3 all registers but rip are the program's at `address`, so is memory: the
// program's pc is `address`. Continue at trap_pc.
// Before writing the patch: no task's pc, no pc in a signal frame may be inside (address, address +
// patch_len). 0 and *out filled; -1: no place (the caller falls back to int3 on the site).
int loop_site_build(code_reader read, void *context, const uint64_t *trace, size_t n, uint64_t function_start,
                    uint64_t function_end, uint64_t stub_address, uint64_t count_address,
                    uint64_t limit_address, struct loop_site *out);

// The program's pc for a pc inside the counting stub of `site`: at its first byte, at the trap, and at each
// displaced instruction (a fault in one shows that pc). To be shown and unwound only: go on in the stub, for
// the program's own bytes there are overwritten. false: pc is not in the stub, or at a place where registers
// are the stub's (single-step until it is true before the registers are used or the task is switched).
bool loop_site_program_pc(const struct loop_site *site, uint64_t pc, uint64_t *program_pc);

// The comparing variant, for the same site and patch (so at the same stub_address; -1 if it is another), used
// by replay to find a STATE event in-process: instead of counting, the stub compares rax..r15 with the 16
// values of `want` and rflags (masked: CF PF AF ZF SF DF OF) and up to 8 words of memory (address, u64 value;
// mapped readable) and executes the int3 when all are equal; then the displaced instructions. Uses
// site->original: `read` may be NULL. LOOP_COMPARE_MAX bytes are always enough. -1: stub_size is not.
// *displaced (may be NULL): offset of the displaced instructions, which are those at site->map[0].stub in the
// counting stub.
#define LOOP_COMPARE_MAX 1024
struct state_want {
    uint64_t gpr[16]; // rax rbx rcx rdx rsi rdi rbp rsp r8..r15
    uint64_t rflags;
    struct {
        uint64_t address, value;
    } words[8];
    int word_count;
};
int loop_site_build_compare(code_reader read, void *context, const struct loop_site *site,
                            uint64_t function_start, uint64_t function_end, uint64_t stub_address,
                            const struct state_want *want, uint8_t *stub, size_t stub_size, size_t *stub_len,
                            uint64_t *trap_pc, size_t *displaced);

// Memory operands of the instruction at `pc` with registers `gpr` (order as state_want.gpr) and segment
// bases: effective addresses and sizes in bytes, written (perhaps read too) or only read; the stack words of
// push, pop, call, ret included.
struct memory_operand {
    uint64_t address;
    uint8_t size;
    bool written;
};
// Returns the number of operands (0..4), -1 when it cannot be decoded or its extent is not in its operands
// (rep strings, xsave, gathers, enter).
int code_memory_operands(const uint8_t *code, size_t len, uint64_t pc, const uint64_t gpr[16],
                         uint64_t fs_base, uint64_t gs_base, struct memory_operand out[4]);
// The effective address of the instruction's first memory operand, whatever its extent. false: it has none.
bool code_memory_address(const uint8_t *code, size_t len, uint64_t pc, const uint64_t gpr[16],
                         uint64_t fs_base, uint64_t gs_base, uint64_t *address);

// Is the memory operand a general register other than rsp, with nothing but a displacement? Then *displacement.
bool code_operand_register(const uint8_t *code, size_t len, int32_t *displacement);

// The length of a string instruction with a repeat prefix, 0 for any other. The CPU can be interrupted between any two of
// its iterations, with pc still at it, and traps behind each one when it is single-stepped (SDM vol. 1, 7.3.9.3).
int code_repeats(const uint8_t *code, size_t len);

// The length of the instruction at `pc`, 0 when it cannot be decoded. *target: where a direct jump (not a call)
// goes when it is taken, else 0.
int code_length(const uint8_t *code, size_t len, uint64_t pc, uint64_t *target);

#endif
