// What a recorded program wrote to its stderr.
#ifndef REFORK_SEARCH_PROGRAM_ERRORS_H
#define REFORK_SEARCH_PROGRAM_ERRORS_H

#include <stddef.h>

// The last of it, whole lines as far as they fit; replays the recording, so that the run itself need not be given another
// stderr. "" when there is nothing, or the recording cannot be replayed. Bytes are the program's: make them printable.
void program_errors(const char *trace, char *out, size_t size);

#endif
