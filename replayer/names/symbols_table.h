// A table of a module's symbols.
#ifndef REFORK_REPLAYER_NAMES_SYMBOLS_TABLE_H
#define REFORK_REPLAYER_NAMES_SYMBOLS_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct symbol {
    uint64_t value, size;
    const char *name;    // in the ELF file: mangled, with suffixes
    const char *library; // that it was linked from; NULL: not known
    int rank;            // lower is the better name of the same address
    bool code;           // function or untyped in code; else object
    bool function;       // STT_FUNC or STT_GNU_IFUNC, global or weak
};

// By value, then rank. The rank of a name: lower is better; `bind` as in <elf.h>.
void symbols_sort(struct symbol *symbols, size_t count);
int symbol_rank(const char *name, int bind);

#endif
