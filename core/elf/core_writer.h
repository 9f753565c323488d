// An ELF core file, from an address space and notes about its threads.
#ifndef REFORK_CORE_ELF_CORE_WRITER_H
#define REFORK_CORE_ELF_CORE_WRITER_H

#include "core/view.h"

#include <stdio.h>

// Adds a note. The first of all is to be a thread's NT_PRSTATUS.
void core_note(FILE *out, const char *name, uint32_t type, const void *data, size_t len);
// Adds NT_FILE: which files are mapped where.
void core_files_note(FILE *out, const struct view *v);
// Writes the file: headers, these notes, all memory that may be read. 0, or -1 with errno.
int core_body(FILE *out, const struct view *v, const char *notes, size_t len);

#endif
