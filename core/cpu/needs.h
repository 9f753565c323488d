// Which part of a CPU an instruction needs.
#ifndef REFORK_CORE_CPU_NEEDS_H
#define REFORK_CORE_CPU_NEEDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The instruction at `code` (up to 15 bytes) as text in `name`, "vpaddd", and the set that it belongs to in `set`, "avx512f_512". false: it is
// none, or one that is there to raise SIGILL (ud2).
bool cpu_needed(const uint8_t *code, size_t len, char name[32], char set[32]);
// xrstor and its kin: faults when the CPU lacks registers that are in its memory operand.
bool cpu_restores_registers(const uint8_t *code, size_t len);

#endif
