// The kernel's files about CPUs, where the program is told of other CPUs than the machine's (`record --cpus N`).
#ifndef REFORK_RECORDER_EMULATE_CPU_FILES_H
#define REFORK_RECORDER_EMULATE_CPU_FILES_H

#include "recorder/state.h"

#include <stddef.h>

// A set of CPUs (CPU_WORDS words) as the kernel writes it: "3", "ff,ffffffff" and "0-3,7". `size` bytes for the text and its end.
void cpu_mask_text(const uint64_t *set, char *text, size_t size);
void cpu_list_text(const uint64_t *set, char *text, size_t size);
// From here on a file of theirs that the program opens for reading has the text of a machine of N CPUs: the descriptor becomes
// one of a memfd with it.
void cpu_files_begin(struct recorder *r);

#endif
