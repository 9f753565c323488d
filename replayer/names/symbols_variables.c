#include "replayer/names/symbols_variables.h"

#include "core/array.h"
#include "replayer/names/symbols_module.h"
#include "replayer/names/symbols_strings.h"

#include <dwarf.h>
#include <stdlib.h>

// Entries of .debug_info that are looked at: libc has 0.6 million. What lies behind is not found.
#define ENTRY_BUDGET 8000000u
#define DEPTH        24

struct walk {
    struct symbol_module *s;
    Dwarf_Die unit;
    unsigned budget;
};

static void add(struct walk *w, Dwarf_Die *die, const char *function) {
    Dwarf_Attribute attribute;
    Dwarf_Op *ops;
    size_t count;
    if (!dwarf_attr(die, DW_AT_location, &attribute)) return;
    if (dwarf_getlocation(&attribute, &ops, &count) || count != 1 || ops[0].atom != DW_OP_addr) return;
    struct symbol_module *s = w->s;
    struct variable *new = array_try_add(s->variables, s->variable_count);
    if (!new) {
        w->budget = 0;
        return;
    }
    int line = 0;
    dwarf_decl_line(die, &line);
    *new = (struct variable){
        .address = ops[0].number + s->dwarf_bias,
        .name = strings_add(s->strings, dwarf_diename(die)),
        .file = symbol_path(s, &w->unit, dwarf_decl_file(die)),
        .function = strings_add(s->strings, function),
        .line = line,
        .die = dwarf_dieoffset(die),
    };
}

// Variables are at the top, in namespaces, and (static ones) in functions and their blocks.
static void walk(struct walk *w, Dwarf_Die *parent, const char *function, int depth) {
    Dwarf_Die die;
    if (depth > DEPTH || dwarf_child(parent, &die)) return;
    do {
        if (!w->budget) return;
        w->budget--;
        switch (dwarf_tag(&die)) {
        case DW_TAG_variable:
            add(w, &die, function);
            break;
        case DW_TAG_subprogram:
            walk(w, &die, dwarf_diename(&die), depth + 1);
            break;
        case DW_TAG_namespace:
        case DW_TAG_lexical_block:
        case DW_TAG_inlined_subroutine:
            walk(w, &die, function, depth + 1);
            break;
        }
    } while (!dwarf_siblingof(&die, &die));
}

static int by_address(const void *a, const void *b) {
    const struct variable *x = a, *y = b;
    return x->address < y->address ? -1 : x->address > y->address;
}

const struct variable *symbol_module_variables(struct symbol_module *s, size_t *count) {
    if (!s->variables_ready) {
        s->variables_ready = true;
        struct walk w = {.s = s, .budget = ENTRY_BUDGET};
        Dwarf_Off offset = 0, next;
        size_t header;
        for (; s->dwarf && w.budget && !dwarf_nextcu(s->dwarf, offset, &next, &header, NULL, NULL, NULL);
             offset = next)
            if (dwarf_offdie(s->dwarf, offset + header, &w.unit)) walk(&w, &w.unit, NULL, 0);
        if (s->variable_count) qsort(s->variables, s->variable_count, sizeof *s->variables, by_address);
    }
    *count = s->variable_count;
    return s->variables;
}

const struct variable *symbol_module_variable(struct symbol_module *s, uint64_t vaddr) {
    size_t count;
    const struct variable *all = symbol_module_variables(s, &count);
    if (!count) return NULL;
    struct variable key = {.address = vaddr};
    return bsearch(&key, all, count, sizeof key, by_address);
}
