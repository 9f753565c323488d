// Names, lines and inlined frames: libdwfl over the blobs of the trace, plus separate debug files of this
// machine when their build-id fits (never the network: DEBUGINFOD_URLS is unset before libdw is used).
#ifndef REFORK_REPLAYER_NAMES_SYMBOLS_H
#define REFORK_REPLAYER_NAMES_SYMBOLS_H

#include "replayer/names/unwind.h"
#include "core/view.h"

// A function of a script that an interpreter runs, and the line it is in.
struct script_call {
    const char *function, *file;
    int line; // 0 when unknown
};

struct frame {
    uint64_t pc;
    char *function; // demangled; NULL when unknown
    char *file;     // path as in the debug info; NULL when unknown
    int line;       // 0 when unknown
    char *module;   // file name of the module's path ("libc.so.6"); NULL when pc is in none
    // Of a static program: what the function was linked from ("libc.a"); NULL when unknown.
    const char *library;
    uint64_t module_offset; // pc - load bias of the module
    const char *lambda;     // of a C++ lambda: "lambda at main.cc:54", where it is written; NULL: it is none
    bool of_system;         // its module is a library of the system
    bool inlined;           // an inlined function: shares its pc with the frame after it
    bool scanned;
    // Of the loop of an interpreter: the script's functions that this call of it runs, the innermost first; NULL: none are
    // known. Frames stay those of the machine; reports show these (names/script.h).
    const struct script_call *script;
    size_t script_count;
    bool of_script; // it is such a function itself (in what names/script.h makes)
};

struct symbols;
struct symbol_module;
struct symbols *symbols_new(void);
void symbols_free(struct symbols *s); // frees all caches

// Turns raw frames into named ones, inlined functions expanded (innermost first). Strings belong to `s` and
// live as long as it does. Returns the number written (at most max).
size_t symbols_frames(struct symbols *s, const struct view *v, const struct raw_frame *raw, size_t n,
                      struct frame *out, size_t max);

// Copies that live as long as `s`: a text (NULL for NULL), an array.
const char *symbols_keep(struct symbols *s, const char *text);
const struct script_call *symbols_keep_script(struct symbols *s, const struct script_call *calls, size_t n);

// One code address (exact: the instruction at pc itself).
void symbols_pc(struct symbols *s, const struct view *v, uint64_t pc, struct frame *out);

// A data address: "name" of the object that covers it and the offset inside it ("queue"+16); false if none.
// The file name of the module that has the address, data that its file does not hold (.bss) included, and the link-time address there.
// NULL: none. It lives as long as the view's maps.
const char *symbols_place(const struct view *v, uint64_t address, uint64_t *vaddr);

// Looks into .symtab, .dynsym and the separate debug file; *module as in struct frame, *file and *line: where
// the variable is declared, when DWARF says it.
struct data_symbol {
    const char *name;
    uint64_t offset;
    uint64_t size;
    const char *module;
    const char *file;
    int line;
};
bool symbols_data(struct symbols *s, const struct view *v, uint64_t address, struct data_symbol *out);

// Calls `visit` with each global or weak function of the module at `address` that has a place in it: its link-time
// address, the name in the ELF file without its version, and the bias (run-time address - link-time address). Names of
// one address follow each other; *bias is set before the first. false: there is no module, or it has no symbols.
typedef void (*symbols_visit)(void *context, uint64_t vaddr, const char *name);
bool symbols_functions(struct symbols *s, const struct view *v, uint64_t address, symbols_visit visit,
                       void *context, uint64_t *bias);

// Calls `visit` with each range of run-time addresses of code of the function `name` (as in struct frame) in the
// module at `address`: its own code, parts that were moved away, and copies inlined into others. Ranges may overlap.
typedef void (*symbols_range)(void *context, uint64_t start, uint64_t end);
void symbols_code(struct symbols *s, const struct view *v, uint64_t address, const char *name,
                  symbols_range visit, void *context);

// The address of a symbol in a module whose name starts with `module` (NULL: any), 0 if none. Used for thread
// start routines and tests.
uint64_t symbols_address(struct symbols *s, const struct view *v, const char *module, const char *name);

// The same for a thread-local variable: its offset in the module's TLS block.
bool symbols_tls(struct symbols *s, const struct view *v, const char *module, const char *name,
                 uint64_t *offset);

// Each thread-local variable of the module that is loaded with this bias (run-time address - link-time address), and
// the image that its TLS blocks begin as: `image` bytes at run-time address `start`, zeros up to `size`. false: no
// such module, or it has no thread-local data.
struct tls_segment {
    uint64_t start, image, size;
};
typedef void (*symbols_tls_visit)(void *context, const char *name, uint64_t offset, uint64_t size);
bool symbols_tls_variables(struct symbols *s, const struct view *v, uint64_t bias,
                           struct tls_segment *segment, symbols_tls_visit visit, void *context);

// For this folder: the module that is mapped at the run-time address, and its bias (run-time address - link-time address); NULL: none.
struct symbol_module *symbols_module_at(struct symbols *s, const struct view *v, uint64_t address,
                                        uint64_t *bias);
// For this folder: the modules whose names start with `name` (NULL: all), one after the other; *at begins with 0. NULL: no more.
struct symbol_module *symbols_next_module(struct symbols *s, const struct view *v, const char *name,
                                          size_t *at, uint64_t *bias);

#endif
