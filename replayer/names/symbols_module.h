// What libdw knows of one blob: symbols sorted by address, lines, inlined functions. Private to symbols*.c.
// Addresses are link-time addresses (run-time address - bias), so views of all processes share one of these.
#ifndef REFORK_REPLAYER_NAMES_SYMBOLS_MODULE_H
#define REFORK_REPLAYER_NAMES_SYMBOLS_MODULE_H

#include "replayer/names/symbols.h"
#include "replayer/names/symbols_strings.h"
#include "replayer/names/symbols_table.h"
#include "replayer/names/unwind_module.h"

#include <elfutils/libdwfl.h>
#include <stdbool.h>

struct range {
    uint64_t start, end;
    Dwarf_Off cu; // offset of the unit's DIE
};

struct variable { // where a static variable is declared
    uint64_t address;
    const char *name, *file, *function; // function NULL: not local to one
    int line;
    Dwarf_Off die;
};

struct symbol_module {
    uint64_t blob;
    const void *image;
    void *writable; // a copy of it, where libelf needs one
    Dwfl *dwfl;
    Dwfl_Module *module;    // NULL: libdw cannot read the file
    Dwarf *dwarf;           // NULL: no debug information
    Dwarf_Addr dwarf_bias;  // libdw's address - link-time address in .debug_info
    Dwarf_Addr dwfl_base;   // libdw's address - link-time address in the module
    struct symbol *symbols; // sorted by value, then rank
    size_t symbol_count;
    struct range *ranges; // of compile units, sorted
    size_t range_count;
    bool ranges_ready;
    struct variable *variables; // sorted by address
    size_t variable_count;
    bool variables_ready;
    struct strings *strings;
    char *debuginfo_path;
    Dwfl_Callbacks *callbacks; // libdw keeps a pointer to them
};

// Never NULL but when out of memory; a file that libdw cannot read has no symbols.
struct symbol_module *symbol_module_new(const struct module *m, struct strings *strings);
void symbol_module_free(struct symbol_module *s);

// The symbol that covers `vaddr` (code or data), NULL: none.
const struct symbol *symbol_module_find(const struct symbol_module *s, uint64_t vaddr, bool code);

// The offset of a thread-local variable in the module's TLS block; false: no such symbol.
bool symbol_module_tls(const struct symbol_module *s, const char *name, uint64_t *offset);

// As symbols_tls_variables says; the segment's start is a link-time address.
bool symbol_module_tls_segment(const struct symbol_module *s, struct tls_segment *out);
void symbol_module_tls_variables(const struct symbol_module *s, struct strings *strings,
                                 symbols_tls_visit visit, void *context);

// The compile unit that covers `vaddr`; false: none.
bool symbol_module_unit(struct symbol_module *s, uint64_t vaddr, Dwarf_Die *unit);

// A path of the debug information, absolute where the unit's DW_AT_comp_dir says how.
const char *symbol_path(struct symbol_module *s, Dwarf_Die *unit, const char *path);

#endif
