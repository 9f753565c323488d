// From a function's name to its code, the copies inlined into other functions included: .symtab for what has a symbol,
// the debug information for the rest.
#include "replayer/names/symbols_code.h"

#include "replayer/names/symbols_module.h"
#include "replayer/names/symbols_strings.h"

#include <dwarf.h>
#include <string.h>

enum { DIE_DEPTH = 200 }; // the file is hostile input

struct search {
    struct symbol_module *module;
    const char *name;
    void (*visit)(void *context, uint64_t start, uint64_t end);
    void *context;
};

const char *symbol_die_name(struct strings *strings, Dwarf_Die *die) {
    Dwarf_Attribute attribute;
    const char *name = dwarf_formstring(dwarf_attr_integrate(die, DW_AT_linkage_name, &attribute));
    if (!name) name = dwarf_formstring(dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &attribute));
    return symbol_readable(strings, name ? name : dwarf_diename(die));
}

static bool is_it(const struct search *s, Dwarf_Die *die) {
    // Demangling is dear: the short name is a part of the readable one.
    const char *plain = dwarf_diename(die);
    if (!plain || !strstr(s->name, plain)) return false;
    const char *name = symbol_die_name(s->module->strings, die);
    return name && !strcmp(name, s->name);
}

static void visit_ranges(const struct search *s, Dwarf_Die *die) {
    Dwarf_Addr base, start, end;
    ptrdiff_t at = 0;
    while ((at = dwarf_ranges(die, at, &base, &start, &end)) > 0)
        if (start < end) s->visit(s->context, start + s->module->dwarf_bias, end + s->module->dwarf_bias);
}

static void walk(const struct search *s, Dwarf_Die *parent, int depth) {
    Dwarf_Die die;
    if (depth == DIE_DEPTH || dwarf_child(parent, &die)) return;
    do {
        int tag = dwarf_tag(&die);
        if ((tag == DW_TAG_subprogram || tag == DW_TAG_inlined_subroutine) && is_it(s, &die))
            visit_ranges(s, &die);
        walk(s, &die, depth + 1);
    } while (!dwarf_siblingof(&die, &die));
}

void symbol_module_code(struct symbol_module *m, const char *name,
                        void (*visit)(void *context, uint64_t start, uint64_t end), void *context) {
    const struct search s = {m, name, visit, context};
    for (size_t i = 0; i < m->symbol_count; i++) {
        const struct symbol *c = &m->symbols[i];
        if (!c->code || !c->size || c->size > UINT64_MAX - c->value) continue;
        const char *readable = symbol_readable(m->strings, c->name);
        if (readable && !strcmp(readable, name)) visit(context, c->value, c->value + c->size);
    }
    size_t header;
    Dwarf_Off offset = 0, next;
    for (; m->dwarf && !dwarf_nextcu(m->dwarf, offset, &next, &header, NULL, NULL, NULL); offset = next) {
        Dwarf_Die unit;
        if (dwarf_offdie(m->dwarf, offset + header, &unit)) walk(&s, &unit, 0);
    }
}
