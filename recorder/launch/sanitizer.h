// What programs built with sanitizers need of a recorder.
#ifndef REFORK_RECORDER_LAUNCH_SANITIZER_H
#define REFORK_RECORDER_LAUNCH_SANITIZER_H

// The environment for `program` (a name as for execvp): `environ`, or a copy (never freed) that switches LeakSanitizer off when
// the program has it. It attaches to its own threads by ptrace at the end, which no program can that is traced already, and
// then ends with an error of its own; under a debugger it does the same.
char **sanitizer_environment(const char *program);

#endif
