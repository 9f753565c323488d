// What libdw knows of one blob: symbols sorted by address, lines, inlined functions. Private to symbols*.c.
// Addresses are link-time addresses (run-time address - bias), so views of all processes share one of these.
#ifndef REFORK_REPLAYER_NAMES_SYMBOLS_MODULE_H
#define REFORK_REPLAYER_NAMES_SYMBOLS_MODULE_H

#include "replayer/names/symbols.h"
#include "replayer/names/unwind_module.h"

#include <elfutils/libdwfl.h>
#include <stdbool.h>

// Strings that live as long as their owner, each stored once.
struct strings;
struct strings *strings_new(void);
void strings_free(struct strings *p);
const char *strings_add(struct strings *p, const char *text); // NULL for NULL or out of memory

struct symbol {
    uint64_t value, size;
    const char *name;    // in the ELF file: mangled, with suffixes
    const char *library; // that it was linked from; NULL: not known
    int rank;            // lower is the better name of the same address
    bool code;           // function or untyped in code; else object
    bool function;       // STT_FUNC or STT_GNU_IFUNC, global or weak
};

struct range {
    uint64_t start, end;
    Dwarf_Off cu; // offset of the unit's DIE
};

struct variable { // where a static variable is declared
    uint64_t address;
    const char *file, *function; // function NULL: not local to one
    int line;
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

// Fills s->symbols from the table of a Go program, sorted, if it is one (symbols_go.c).
void symbol_module_go(struct symbol_module *s, Elf *elf, const struct module *m);

// Of a static program: fills `library` of what its symbols name, and s->symbols, sorted, if there are none
// (symbols_static.c).
void symbol_module_static(struct symbol_module *s, const struct module *m);
// By value, then rank. The rank of a name: lower is better; `bind` as in <elf.h>.
void symbols_sort(struct symbol *symbols, size_t count);
int symbol_rank(const char *name, int bind);

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

// Where the variable at exactly `vaddr` is declared, NULL: DWARF does not say.
const struct variable *symbol_module_variable(struct symbol_module *s, uint64_t vaddr);

// A path of the debug information, absolute where the unit's DW_AT_comp_dir says how.
const char *symbol_path(struct symbol_module *s, Dwarf_Die *unit, const char *path);

// The path of a Rust name, of v0 or the older mangling; false: it is none, or has something that is not known.
bool symbol_demangle_rust(const char *mangled, char *out, size_t size);
// The readable name of a function's DIE; NULL: it has none.
const char *symbol_die_name(struct strings *strings, Dwarf_Die *die);

// Calls `visit` with each range of link-time addresses of the function with that readable name (symbols_code).
void symbol_module_code(struct symbol_module *s, const char *name,
                        void (*visit)(void *context, uint64_t start, uint64_t end), void *context);

// The readable form of a symbol's name: demangled, without version and compiler's suffixes.
const char *symbol_readable(struct strings *strings, const char *name);

#endif
