// x86-64 Linux: what the kernel and compilers agree on (System V ABI, AMD64 supplement; syscall(2)).
#ifndef REFORK_CORE_ABI_H
#define REFORK_CORE_ABI_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/user.h>

#define PAGE 4096ull

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

static inline void abi_arguments(const struct user_regs_struct *regs, uint64_t args[6]) {
    args[0] = regs->rdi;
    args[1] = regs->rsi;
    args[2] = regs->rdx;
    args[3] = regs->r10;
    args[4] = regs->r8;
    args[5] = regs->r9;
}

#endif
