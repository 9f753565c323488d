// Names of a static program without a symbol table.
#include "replayer/names/symbols_static.h"

#include "core/array.h"
#include "replayer/names/static_names.h"
#include "replayer/names/symbols_module.h"
#include "replayer/names/symbols_strings.h"
#include "replayer/names/symbols_table.h"

#include <stdlib.h>

struct target {
    struct symbol_module *s;
    size_t count; // of the program's own symbols
};

// All names of one address are one function's.
static void mark(struct symbol_module *s, size_t count, uint64_t value, const char *library) {
    size_t i = array_before(s->symbols, count, symbol, symbol->value < value);
    for (; i < count && s->symbols[i].value == value; i++)
        s->symbols[i].library = library;
}

static void add(void *context, const char *library, const char *name, const Elf64_Sym *symbol) {
    struct target *t = context;
    struct symbol_module *s = t->s;
    const char *kept = strings_add(s->strings, library);
    if (t->count) {
        mark(s, t->count, symbol->st_value, kept);
        return;
    }
    struct symbol *new = array_try_add(s->symbols, s->symbol_count);
    if (!new) return;
    int bind = ELF64_ST_BIND(symbol->st_info);
    bool code = ELF64_ST_TYPE(symbol->st_info) != STT_OBJECT;
    *new = (struct symbol){.value = symbol->st_value,
                           .size = symbol->st_size,
                           .name = strings_add(s->strings, name),
                           .library = kept,
                           .rank = symbol_rank(name, bind),
                           .code = code,
                           .function = code && bind != STB_LOCAL};
}

void symbol_module_static(struct symbol_module *s, const struct module *m) {
    struct target t = {.s = s, .count = s->symbol_count};
    if (!t.count) {
        free(s->symbols);
        s->symbols = NULL;
    }
    static_names(m->image, m->size, add, &t);
    if (!t.count) symbols_sort(s->symbols, s->symbol_count);
}
