// The strings that symbols give out, and readable names.
#ifndef REFORK_REPLAYER_NAMES_SYMBOLS_STRINGS_H
#define REFORK_REPLAYER_NAMES_SYMBOLS_STRINGS_H

#include <stddef.h>

// Strings that live as long as their owner, each stored once.
struct strings;
struct strings *strings_new(void);
void strings_free(struct strings *p);
const char *strings_add(struct strings *p, const char *text); // NULL for NULL or out of memory

// The readable form of a symbol's name: demangled, without version and compiler's suffixes.
const char *symbol_readable(struct strings *strings, const char *name);

#endif
