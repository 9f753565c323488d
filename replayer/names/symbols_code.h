// The code of a function.
#ifndef REFORK_REPLAYER_NAMES_SYMBOLS_CODE_H
#define REFORK_REPLAYER_NAMES_SYMBOLS_CODE_H

#include "replayer/names/symbols_module.h"

// The readable name of a function's DIE; NULL: it has none.
const char *symbol_die_name(struct strings *strings, Dwarf_Die *die);
// The innermost function, inlined one or block in the unit that has the code address `pc`, where dwarf_getscopes finds none: a
// lambda's function is written within the one that it is in, but its code is not in that one's.
bool symbol_die_within(Dwarf_Die *unit, Dwarf_Addr pc, Dwarf_Die *out);

// "lambda at main.cc:54" when it is the function of a C++ lambda that is written there; NULL: it is none. `file` and `line` are
// in it, for one of which the debug information does not say where it begins.
const char *symbol_die_lambda(struct strings *strings, Dwarf_Die *die, const char *file, int line);

// Calls `visit` with each range of link-time addresses of the function with that readable name (symbols_code).
void symbol_module_code(struct symbol_module *s, const char *name,
                        void (*visit)(void *context, uint64_t start, uint64_t end), void *context);

#endif
