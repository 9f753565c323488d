// Where variables are declared.
#ifndef REFORK_REPLAYER_NAMES_SYMBOLS_VARIABLES_H
#define REFORK_REPLAYER_NAMES_SYMBOLS_VARIABLES_H

#include "replayer/names/symbols_module.h"

// Where the variable at exactly `vaddr` is declared, NULL: DWARF does not say.
const struct variable *symbol_module_variable(struct symbol_module *s, uint64_t vaddr);
// All of them, by address; they stay the module's. NULL: it has no debug information.
const struct variable *symbol_module_variables(struct symbol_module *s, size_t *count);

#endif
