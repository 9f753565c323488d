// x86-64 Linux: what the kernel and compilers agree on (System V ABI, AMD64 supplement; syscall(2)).
#ifndef REFORK_CORE_ABI_H
#define REFORK_CORE_ABI_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/user.h>

#define PAGE 4096ull

// Where user space ends with page tables of four levels: no mapping goes beyond unless the program asks for it.
#define USER_END 0x7ffffffff000ull

// Where the kernel emulates three calls of old programs: one at each 1024 bytes.
#define VSYSCALL_PAGE 0xffffffffff600000ull

static inline uint64_t page_down(uint64_t address) {
    return address & ~(PAGE - 1);
}

static inline uint64_t page_up(uint64_t address) {
    return page_down(address + PAGE - 1);
}

static inline uint64_t next_page(uint64_t address) {
    return page_down(address) + PAGE;
}

// Results in [-4095, -1] are errors, the kernel's own restart codes (512 to 516) among them.
static inline bool is_error(int64_t result) {
    return result < 0 && result > -(int64_t)PAGE;
}

// A function may keep data so far below its stack pointer without moving it.
enum { RED_ZONE = 128 };

// The register that holds argument `i` (0 to 5) of a system call.
static inline unsigned long long *abi_argument(struct user_regs_struct *regs, int i) {
    unsigned long long *const registers[6] = {&regs->rdi, &regs->rsi, &regs->rdx,
                                              &regs->r10, &regs->r8,  &regs->r9};
    return registers[i];
}

// The general registers in the order of the numbers that instructions give them: rax rcx rdx rbx rsp rbp rsi rdi r8 to r15
// (SDM vol. 2, 2.1.5).
enum { ABI_REGISTERS = 16 };

static inline void abi_registers(const struct user_regs_struct *u, uint64_t out[ABI_REGISTERS]) {
    const uint64_t all[ABI_REGISTERS] = {u->rax, u->rcx, u->rdx, u->rbx, u->rsp, u->rbp, u->rsi, u->rdi,
                                         u->r8,  u->r9,  u->r10, u->r11, u->r12, u->r13, u->r14, u->r15};
    for (int i = 0; i < ABI_REGISTERS; i++)
        out[i] = all[i];
}

static inline unsigned long long *abi_register(struct user_regs_struct *u, int number) {
    unsigned long long *const all[ABI_REGISTERS] = {&u->rax, &u->rcx, &u->rdx, &u->rbx, &u->rsp, &u->rbp,
                                                    &u->rsi, &u->rdi, &u->r8,  &u->r9,  &u->r10, &u->r11,
                                                    &u->r12, &u->r13, &u->r14, &u->r15};
    return all[number % ABI_REGISTERS];
}

// The same and the return address (rip) by their DWARF numbers (AMD64 supplement, figure 3.36).
enum { ABI_DWARF_REGISTERS = 17 };

static inline void abi_dwarf_registers(const struct user_regs_struct *u, uint64_t out[ABI_DWARF_REGISTERS]) {
    const uint64_t all[ABI_DWARF_REGISTERS] = {u->rax, u->rdx, u->rcx, u->rbx, u->rsi, u->rdi,
                                               u->rbp, u->rsp, u->r8,  u->r9,  u->r10, u->r11,
                                               u->r12, u->r13, u->r14, u->r15, u->rip};
    for (int i = 0; i < ABI_DWARF_REGISTERS; i++)
        out[i] = all[i];
}

// Argument `i` (0 to 5) of a function, where it begins.
static inline uint64_t abi_function_argument(const struct user_regs_struct *u, int i) {
    const uint64_t all[6] = {u->rdi, u->rsi, u->rdx, u->rcx, u->r8, u->r9};
    return all[i];
}

static inline void abi_arguments(const struct user_regs_struct *regs, uint64_t args[6]) {
    args[0] = regs->rdi;
    args[1] = regs->rsi;
    args[2] = regs->rdx;
    args[3] = regs->r10;
    args[4] = regs->r8;
    args[5] = regs->r9;
}

#endif
