#include "replayer/names/symbols_table.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

int symbol_rank(const char *name, int bind) {
    int rank = 0;
    while (name[rank] == '_' && rank < 8)
        rank++;
    if (rank >= 2 && name[2] != 'Z') rank += 2; // __GI_x, __x: the reserved alias of x
    return rank * 4 + (bind == STB_GLOBAL ? 0 : bind == STB_WEAK ? 1 : 2);
}

static int by_value(const void *a, const void *b) {
    const struct symbol *x = a, *y = b;
    if (x->value != y->value) return x->value < y->value ? -1 : 1;
    if (x->rank != y->rank) return x->rank - y->rank;
    return strcmp(x->name, y->name);
}

void symbols_sort(struct symbol *symbols, size_t count) {
    if (count) qsort(symbols, count, sizeof *symbols, by_value);
}
