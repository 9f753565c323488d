// Names of a static program without a symbol table, and what its functions were linked from.
#ifndef REFORK_REPLAYER_NAMES_SYMBOLS_STATIC_H
#define REFORK_REPLAYER_NAMES_SYMBOLS_STATIC_H

#include "replayer/names/symbols_module.h"

// Of a static program: fills `library` of what its symbols name, and s->symbols, sorted, if there are
// none.
void symbol_module_static(struct symbol_module *s, const struct module *m);

#endif
