// Sentences with {names} in them, as tables of sentences have them.
#ifndef REFORK_CORE_FILL_H
#define REFORK_CORE_FILL_H

#include <stddef.h>

// Writes what stands for {name}, and nothing for a name that it does not know.
typedef void fill_word(const void *context, const char *name, char *out, size_t size);

// Appends `text` to the string in `out`, with its names filled in; cut off where `size` ends.
void fill_text(char *out, size_t size, const char *text, fill_word *word, const void *context);

#endif
