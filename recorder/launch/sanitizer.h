// The program's file, and what programs built with sanitizers need of a recorder.
#ifndef REFORK_RECORDER_LAUNCH_SANITIZER_H
#define REFORK_RECORDER_LAUNCH_SANITIZER_H

#include <stddef.h>

// The file of `program` as execvp would find it, in `file` or the name itself. NULL: there is none.
const char *program_file(const char *program, char *file, size_t size);

// The environment for the program in `file` (NULL: unknown): `environ`, or a copy (never freed) that switches LeakSanitizer off when
// the program has it. It attaches to its own threads by ptrace at the end, which no program can that is traced already, and
// then ends with an error of its own; under a debugger it does the same.
char **sanitizer_environment(const char *program);

#endif
