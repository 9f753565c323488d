// The code of a function.
#ifndef REFORK_REPLAYER_NAMES_SYMBOLS_CODE_H
#define REFORK_REPLAYER_NAMES_SYMBOLS_CODE_H

#include "replayer/names/symbols_module.h"

// The readable name of a function's DIE; NULL: it has none.
const char *symbol_die_name(struct strings *strings, Dwarf_Die *die);

// Calls `visit` with each range of link-time addresses of the function with that readable name (symbols_code).
void symbol_module_code(struct symbol_module *s, const char *name,
                        void (*visit)(void *context, uint64_t start, uint64_t end), void *context);

#endif
