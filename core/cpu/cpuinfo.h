// The words of /proc/cpuinfo for what a CPU has.
#ifndef REFORK_CORE_CPU_CPUINFO_H
#define REFORK_CORE_CPU_CPUINFO_H

#include "core/cpu/model.h"

// Whether a program that is shown these features may find `word` (of `length` bytes) in the line of flags. True of a word that is
// no feature of core/cpu/features.def: none that a program could use, or one that every CPU has.
bool cpuinfo_shows(const struct cpu_features *shown, const char *word, size_t length);

#endif
