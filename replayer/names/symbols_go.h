// Names of a Go program.
#ifndef REFORK_REPLAYER_NAMES_SYMBOLS_GO_H
#define REFORK_REPLAYER_NAMES_SYMBOLS_GO_H

#include "replayer/names/symbols_module.h"

// Fills s->symbols from the table of a Go program, sorted, if it is one.
void symbol_module_go(struct symbol_module *s, Elf *elf, const struct module *m);

#endif
