// Names for the recorder's messages, of code in a live process.
#ifndef REFORK_SEARCH_NAME_PC_H
#define REFORK_SEARCH_NAME_PC_H

#include <stddef.h>
#include <stdint.h>

// The function of the code address `pc` of the live, stopped process `pid`: "ioctl of libc.so.6"; "" when it has no
// name. Takes milliseconds (reads symbol tables).
void name_pc(int pid, uint64_t pc, char *buffer, size_t size);

#endif
