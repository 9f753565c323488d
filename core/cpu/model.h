// The CPU that a recorded program is shown: no more than what the CPUs of a level all have, so that libraries which ask
// CPUID choose code that all of them execute, and the recording can be replayed there.
#ifndef REFORK_CORE_CPU_MODEL_H
#define REFORK_CORE_CPU_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The registers that say what a CPU has: CPUID's leaf and register (71: leaf 7, subleaf 1; D1: leaf 0xd, subleaf 1; 81 and
// 88: leaves 0x80000001 and 0x80000008), and the low half of XCR0. A trace's header has them in this order.
enum cpu_register {
    CPU_1_ECX,
    CPU_1_EDX,
    CPU_7_EBX,
    CPU_7_ECX,
    CPU_7_EDX,
    CPU_71_EAX,
    CPU_71_EDX,
    CPU_XCR0,
    CPU_D1_EAX,
    CPU_81_ECX,
    CPU_81_EDX,
    CPU_88_EBX,
    CPU_REGISTERS = 16 // as many as the header has room for
};

struct cpu_features {
    uint32_t word[CPU_REGISTERS]; // by enum cpu_register
};

enum cpu_level {
    CPU_BEST, // V3, or V2 where the machine lacks that
    CPU_V2,   // x86-64-v2
    CPU_V3,   // x86-64-v3
    CPU_NATIVE,
    CPU_LEVELS
};

struct cpu_model {
    enum cpu_level level; // not CPU_BEST
    struct cpu_features shown;
};

// The name of a level as --cpu takes it.
const char *cpu_level_name(enum cpu_level level);
// "x86-64-v2", "x86-64-v3", both also without "x86-64-", or "native". false: another word.
bool cpu_level_named(const char *name, enum cpu_level *out);

// What this machine has.
void cpu_features_here(struct cpu_features *out);
// What `level` shows of `here`. false: `here` lacks part of the level, which *lacking gets.
bool cpu_model_make(enum cpu_level level, const struct cpu_features *here, struct cpu_model *out,
                    struct cpu_features *lacking);

// Changes what CPUID gave for that leaf and subleaf (eax, ebx, ecx, edx) to what the model shows.
void cpu_model_mask(const struct cpu_model *model, uint32_t leaf, uint32_t subleaf, uint32_t registers[4]);
// The bits of an auxiliary vector's AT_HWCAP (CPUID 1 EDX) and AT_HWCAP2 (1: ring 3 MWAIT, 2: FSGSBASE) that are shown.
uint64_t cpu_model_hwcap(const struct cpu_model *model, uint64_t hwcap);
uint64_t cpu_model_hwcap2(const struct cpu_model *model, uint64_t hwcap2);

// The named features of `wanted` that `here` lacks. false: none.
bool cpu_features_lacking(const struct cpu_features *wanted, const struct cpu_features *here,
                          struct cpu_features *lacking);
// Those of them that another CPU does not refuse to execute: lzcnt is bsr there and tzcnt is bsf, with other results.
bool cpu_features_silent(const struct cpu_features *lacking, struct cpu_features *silent);
// Their names, "avx2, bmi2", cut with "..." at `size`.
void cpu_features_text(const struct cpu_features *features, char *text, size_t size);

#endif
