// From a function's name to its code, the copies inlined into other functions included: .symtab for what has a symbol,
// the debug information for the rest.
#include "replayer/names/symbols_code.h"

#include "core/path.h"
#include "replayer/names/short_name.h"
#include "replayer/names/symbols_module.h"
#include "replayer/names/symbols_strings.h"

#include <dwarf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIE_DEPTH = 200, DIE_BUDGET = 2000000 }; // the file is hostile input

struct search {
    struct symbol_module *module;
    const char *name;
    void (*visit)(void *context, uint64_t start, uint64_t end);
    void *context;
    bool (*same)(const char *, const char *);
    bool found;
};

const char *symbol_die_name(struct strings *strings, Dwarf_Die *die) {
    Dwarf_Attribute attribute;
    const char *name = dwarf_formstring(dwarf_attr_integrate(die, DW_AT_linkage_name, &attribute));
    if (!name) name = dwarf_formstring(dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &attribute));
    return symbol_readable(strings, name ? name : dwarf_diename(die));
}

static bool within(Dwarf_Die *parent, Dwarf_Addr pc, Dwarf_Die *out, int depth, unsigned *budget) {
    Dwarf_Die die;
    if (depth == DIE_DEPTH || dwarf_child(parent, &die)) return false;
    do {
        if (!--*budget) return false;
        switch (dwarf_tag(&die)) {
        case DW_TAG_subprogram:
        case DW_TAG_inlined_subroutine:
        case DW_TAG_lexical_block:
            if (dwarf_haspc(&die, pc) <= 0) break;
            *out = die;
            within(&die, pc, out, depth + 1, budget);
            return true;
        case DW_TAG_namespace:
        case DW_TAG_structure_type:
        case DW_TAG_class_type:
            break;
        default:
            continue;
        }
        if (within(&die, pc, out, depth + 1, budget)) return true;
    } while (!dwarf_siblingof(&die, &die));
    return false;
}

bool symbol_die_within(Dwarf_Die *unit, Dwarf_Addr pc, Dwarf_Die *out) {
    unsigned budget = DIE_BUDGET;
    return within(unit, pc, out, 0, &budget);
}

// The class that a function is declared in.
static bool class_of(Dwarf_Die *die, Dwarf_Die *out) {
    static const unsigned links[] = {DW_AT_abstract_origin, DW_AT_specification};
    Dwarf_Die at = *die, next, *scopes = NULL;
    for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
        Dwarf_Attribute attribute;
        if (dwarf_attr(&at, links[i], &attribute) && dwarf_formref_die(&attribute, &next)) at = next;
    }
    bool found = dwarf_getscopes_die(&at, &scopes) > 1;
    if (found) *out = scopes[1];
    free(scopes);
    return found && (dwarf_tag(out) == DW_TAG_structure_type || dwarf_tag(out) == DW_TAG_class_type);
}

// Where a function begins: as it is declared, or by its first instruction.
static const char *begin_of(Dwarf_Die *die, int *line) {
    const char *file = dwarf_decl_file(die);
    Dwarf_Addr pc;
    Dwarf_Die unit;
    if (file && !dwarf_decl_line(die, line)) return file;
    if (dwarf_tag(die) != DW_TAG_subprogram || dwarf_lowpc(die, &pc) || !dwarf_diecu(die, &unit, NULL, NULL))
        return NULL;
    Dwarf_Line *row = dwarf_getsrc_die(&unit, pc);
    return row && !dwarf_lineno(row, line) ? dwarf_linesrc(row, NULL, NULL) : NULL;
}

// A lambda's class has no name; older versions of gcc call it "<lambda()>", and newer ones do not say where its function is
// declared. Behind a function pointer is its static "_FUN" or "__invoke".
const char *symbol_die_lambda(struct strings *strings, Dwarf_Die *die, const char *file, int line) {
    static const char *const names[] = {"operator()", "_FUN", "__invoke"};
    const char *name = dwarf_diename(die);
    bool may = false;
    Dwarf_Die class;
    for (size_t i = 0; name && i < sizeof names / sizeof *names; i++)
        may |= !strcmp(name, names[i]);
    if (!may || !class_of(die, &class)) return NULL;
    const char *of = dwarf_diename(&class);
    if (of && strncmp(of, "<lambda", 7) != 0) return NULL;
    int first;
    const char *begin = begin_of(die, &first);
    char place[512];
    if (!begin && !file) return NULL;
    snprintf(place, sizeof place, "lambda at %s:%d", base_name(begin ? begin : file), begin ? first : line);
    return strings_add(strings, place);
}

static bool is_it(const struct search *s, Dwarf_Die *die) {
    // Demangling is dear: the first word of the short name is a part of the readable one. The rest need not be: gcc calls "std::string"
    // "info<std::__cxx11::basic_string<char> >" there.
    static const char word[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_~$";
    const char *plain = dwarf_diename(die);
    if (!plain || !memmem(s->name, strlen(s->name), plain, strspn(plain, word))) return false;
    const char *name = symbol_die_name(s->module->strings, die);
    return name && s->same(name, s->name);
}

static void visit_ranges(struct search *s, Dwarf_Die *die) {
    Dwarf_Addr base, start, end;
    ptrdiff_t at = 0;
    while ((at = dwarf_ranges(die, at, &base, &start, &end)) > 0)
        if (start < end) {
            s->found = true;
            s->visit(s->context, start + s->module->dwarf_bias, end + s->module->dwarf_bias);
        }
}

static void walk(struct search *s, Dwarf_Die *parent, int depth) {
    Dwarf_Die die;
    if (depth == DIE_DEPTH || dwarf_child(parent, &die)) return;
    do {
        int tag = dwarf_tag(&die);
        if ((tag == DW_TAG_subprogram || tag == DW_TAG_inlined_subroutine) && is_it(s, &die))
            visit_ranges(s, &die);
        walk(s, &die, depth + 1);
    } while (!dwarf_siblingof(&die, &die));
}

static void search_module(struct search *s) {
    struct symbol_module *m = s->module;
    for (size_t i = 0; i < m->symbol_count; i++) {
        const struct symbol *c = &m->symbols[i];
        if (!c->code || !c->size || c->size > UINT64_MAX - c->value) continue;
        const char *readable = symbol_readable(m->strings, c->name);
        if (!readable || !s->same(readable, s->name)) continue;
        s->found = true;
        s->visit(s->context, c->value, c->value + c->size);
    }
    size_t header;
    Dwarf_Off offset = 0, next;
    for (; m->dwarf && !dwarf_nextcu(m->dwarf, offset, &next, &header, NULL, NULL, NULL); offset = next) {
        Dwarf_Die unit;
        if (dwarf_offdie(m->dwarf, offset + header, &unit)) walk(s, &unit, 0);
    }
}

static bool same_name(const char *a, const char *b) {
    return !strcmp(a, b);
}

// What is found by a part of its name is another function, if the one with the whole name is there: C's lock() beside Mutex::lock().
void symbol_module_code(struct symbol_module *m, const char *name,
                        void (*visit)(void *context, uint64_t start, uint64_t end), void *context) {
    struct search s = {.module = m, .name = name, .visit = visit, .context = context, .same = same_name};
    search_module(&s);
    s.same = same_function;
    if (!s.found) search_module(&s);
}
