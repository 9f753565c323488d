#include "replayer/names/symbols.h"

#include "core/annex.h"
#include "core/array.h"
#include "core/path.h"
#include "replayer/names/symbols_code.h"
#include "replayer/names/symbols_module.h"
#include "replayer/names/symbols_strings.h"
#include "replayer/names/symbols_variables.h"

#include <dwarf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INLINE_DEPTH 64
#define CACHE_SIZE   8192 // a power of two

// The frames of one code address of one module, kept by (blob, link-time address).
struct cached {
    uint64_t blob, vaddr;
    struct frame *frames; // pc, module_offset and scanned are the asker's
    size_t count;
    struct cached *next;
};

struct symbols {
    struct strings *strings;
    struct symbol_module **modules;
    size_t module_count;
    struct cached *cache[CACHE_SIZE];
    struct script_call **scripts; // arrays that frames point to
    size_t script_count;
};

struct symbols *symbols_new(void) {
    struct symbols *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->strings = strings_new();
    if (!s->strings) {
        free(s);
        return NULL;
    }
    return s;
}

void symbols_free(struct symbols *s) {
    if (!s) return;
    for (size_t i = 0; i < s->module_count; i++)
        symbol_module_free(s->modules[i]);
    free(s->modules);
    for (size_t i = 0; i < CACHE_SIZE; i++) {
        for (struct cached *c = s->cache[i], *next; c; c = next) {
            next = c->next;
            free(c->frames);
            free(c);
        }
    }
    for (size_t i = 0; i < s->script_count; i++)
        free(s->scripts[i]);
    free(s->scripts);
    strings_free(s->strings);
    free(s);
}

const char *symbols_keep(struct symbols *s, const char *text) {
    return strings_add(s->strings, text);
}

const struct script_call *symbols_keep_script(struct symbols *s, const struct script_call *calls, size_t n) {
    struct script_call *copy = malloc(n * sizeof *copy),
                       **kept = copy ? array_try_add(s->scripts, s->script_count) : NULL;
    if (!kept) {
        free(copy);
        return NULL;
    }
    return *kept = memcpy(copy, calls, n * sizeof *copy);
}

static struct symbol_module *get_module(struct symbols *s, const struct module *m) {
    for (size_t i = 0; i < s->module_count; i++)
        if (s->modules[i]->blob == m->blob && s->modules[i]->image == m->image) return s->modules[i];
    struct symbol_module *module = symbol_module_new(m, s->strings);
    if (module) array_push(s->modules, s->module_count, module);
    return module;
}

static char *kept_base_name(struct symbols *s, const char *path) {
    return path && *path ? (char *)strings_add(s->strings, base_name(path)) : NULL;
}

// Where an inlined call is, in its caller.
static void call_site(struct symbol_module *m, Dwarf_Die *die, const char **file, int *line) {
    Dwarf_Attribute attribute;
    Dwarf_Word value;
    Dwarf_Die unit;
    Dwarf_Files *files;
    *file = NULL;
    *line = 0;
    if (!dwarf_diecu(die, &unit, NULL, NULL)) return;
    if (!dwarf_formudata(dwarf_attr(die, DW_AT_call_line, &attribute), &value)) *line = (int)value;
    if (!dwarf_formudata(dwarf_attr(die, DW_AT_call_file, &attribute), &value) &&
        !dwarf_getsrcfiles(&unit, &files, NULL))
        *file = symbol_path(m, &unit, dwarf_filesrc(files, value, NULL, NULL));
}

// Fills `out` (INLINE_DEPTH of them) innermost first, from the debug information and the symbol table.
static size_t describe(struct symbols *s, struct symbol_module *m, uint64_t vaddr, struct frame *out) {
    const struct symbol *symbol = symbol_module_find(m, vaddr, true);
    const char *function = symbol ? symbol_readable(s->strings, symbol->name) : NULL;
    const char *file = NULL, *lambda = NULL;
    int line = 0;
    size_t n = 0;
    Dwarf_Die unit, *scopes = NULL, *physical = NULL;
    if (symbol_module_unit(m, vaddr, &unit)) {
        Dwarf_Addr address = vaddr - m->dwarf_bias;
        Dwarf_Line *row = dwarf_getsrc_die(&unit, address);
        if (row && !dwarf_lineno(row, &line)) file = symbol_path(m, &unit, dwarf_linesrc(row, NULL, NULL));
        int count = dwarf_getscopes(&unit, address, &scopes);
        // The scopes around an inlined function are those of its source; those of the code are asked for by
        // DIE.
        Dwarf_Die innermost;
        int depth = 0;
        if (count > 0)
            depth = dwarf_getscopes_die(&scopes[0], &physical);
        else if (symbol_die_within(&unit, address, &innermost))
            depth = dwarf_getscopes_die(&innermost, &physical);
        for (int i = 0; i < depth && n < INLINE_DEPTH - 1; i++) {
            int tag = dwarf_tag(&physical[i]);
            if (tag == DW_TAG_subprogram) {
                if (!function) function = symbol_die_name(s->strings, &physical[i]);
                lambda = symbol_die_lambda(s->strings, &physical[i], file, line);
                break;
            }
            if (tag != DW_TAG_inlined_subroutine) continue;
            out[n++] = (struct frame){.function = (char *)symbol_die_name(s->strings, &physical[i]),
                                      .lambda = symbol_die_lambda(s->strings, &physical[i], file, line),
                                      .file = (char *)file,
                                      .line = line,
                                      .inlined = true};
            call_site(m, &physical[i], &file, &line);
        }
        free(scopes);
        free(physical);
    }
    out[n++] = (struct frame){.function = (char *)function,
                              .lambda = lambda,
                              .file = (char *)file,
                              .line = file ? line : 0,
                              .library = symbol ? symbol->library : NULL};
    return n;
}

static const struct cached *lookup(struct symbols *s, const struct module *m, uint64_t vaddr) {
    struct cached **bucket =
        &s->cache[((vaddr + (m->blob << 48)) * 0x9e3779b97f4a7c15) >> 40 & (CACHE_SIZE - 1)];
    for (struct cached *c = *bucket; c; c = c->next)
        if (c->blob == m->blob && c->vaddr == vaddr) return c;
    struct symbol_module *module = get_module(s, m);
    struct cached *c = calloc(1, sizeof *c);
    if (!module || !c) {
        free(c);
        return NULL;
    }
    struct frame frames[INLINE_DEPTH];
    c->blob = m->blob;
    c->vaddr = vaddr;
    c->count = describe(s, module, vaddr, frames);
    c->frames = malloc(c->count * sizeof *frames);
    if (!c->frames) {
        free(c);
        return NULL;
    }
    memcpy(c->frames, frames, c->count * sizeof *frames);
    c->next = *bucket;
    *bucket = c;
    return c;
}

static bool is_system_library(const char *path) {
    static const char *const folders[] = {"/lib/", "/lib64/", "/usr/lib/", "/usr/lib64/", "/usr/local/lib/"};
    const char *name = base_name(path);
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        if (!strncmp(path, folders[i], strlen(folders[i])) && strstr(name, ".so")) return true;
    return false;
}

size_t symbols_frames(struct symbols *s, const struct view *v, const struct raw_frame *raw, size_t n,
                      struct frame *out, size_t max) {
    size_t written = 0;
    for (size_t i = 0; i < n && written < max; i++) {
        uint64_t pc = raw[i].pc, address = raw[i].exact ? pc : pc - 1;
        struct frame plain = {.pc = pc, .scanned = raw[i].scanned, .module_offset = pc};
        struct module m;
        const struct view_map *map = view_find(v, address);
        if (annex_contains(pc)) {
            plain.function = (char *)strings_add(s->strings, "[refork stub]");
            plain.module_offset = pc - ANNEX_BASE;
        } else if (module_at(v, address, &m)) {
            plain.module = kept_base_name(s, m.path);
            plain.module_offset = pc - m.bias;
            plain.of_system = is_system_library(m.path);
            const struct cached *c = lookup(s, &m, address - m.bias);
            for (size_t k = 0; c && k < c->count && written < max; k++) {
                out[written] = c->frames[k];
                out[written].pc = pc;
                out[written].scanned = plain.scanned;
                out[written].module = plain.module;
                out[written].of_system = plain.of_system;
                out[written++].module_offset = plain.module_offset;
            }
            if (c) continue;
        } else if (map) { // a mapped file that is no ELF file, or none
            plain.module = kept_base_name(s, map->name);
            plain.module_offset = pc - map->start + map->offset;
        }
        out[written++] = plain;
    }
    return written;
}

void symbols_pc(struct symbols *s, const struct view *v, uint64_t pc, struct frame *out) {
    struct raw_frame raw = {.pc = pc, .exact = true};
    struct frame frames[INLINE_DEPTH];
    size_t n = symbols_frames(s, v, &raw, 1, frames, INLINE_DEPTH);
    *out = frames[0];
    struct module m;
    if (n < 2 || !module_at(v, pc, &m)) return;
    // The first instruction of a function is that function, also when it stems from an inlined one.
    struct symbol_module *module = get_module(s, &m);
    const struct symbol *symbol = module ? symbol_module_find(module, pc - m.bias, true) : NULL;
    if (symbol && symbol->value == pc - m.bias) *out = frames[n - 1];
}

bool symbols_data(struct symbols *s, const struct view *v, uint64_t address, struct data_symbol *out) {
    struct module m;
    memset(out, 0, sizeof *out);
    if (annex_contains(address) || !module_at(v, address, &m)) return false;
    struct symbol_module *module = get_module(s, &m);
    uint64_t vaddr = address - m.bias;
    const struct symbol *symbol = module ? symbol_module_find(module, vaddr, false) : NULL;
    if (!symbol) return false;
    out->name = symbol_readable(s->strings, symbol->name);
    out->offset = vaddr - symbol->value;
    out->size = symbol->size;
    out->module = kept_base_name(s, m.path);
    const struct variable *variable = symbol_module_variable(module, symbol->value);
    if (variable) {
        out->file = variable->file;
        out->line = variable->line;
        if (variable->function && out->name &&
            !strstr(out->name, "::")) { // many functions have a static `lock`
            char name[512];
            snprintf(name, sizeof name, "%s::%s", variable->function, out->name);
            out->name = strings_add(s->strings, name);
        }
    }
    return out->name != NULL;
}

struct symbol_module *symbols_module_at(struct symbols *s, const struct view *v, uint64_t address,
                                        uint64_t *bias) {
    struct module m;
    if (annex_contains(address) || !module_at(v, address, &m)) return NULL;
    *bias = m.bias;
    return get_module(s, &m);
}

const char *symbols_place(const struct view *v, uint64_t address, uint64_t *vaddr) {
    struct module m;
    if (annex_contains(address) || !module_at(v, address, &m)) return NULL;
    *vaddr = address - m.bias;
    return base_name(m.path);
}

bool symbols_functions(struct symbols *s, const struct view *v, uint64_t address, symbols_visit visit,
                       void *context, uint64_t *bias) {
    struct module m;
    if (!module_at(v, address, &m)) return false;
    const struct symbol_module *module = get_module(s, &m);
    if (!module || !module->symbol_count) return false;
    *bias = m.bias;
    for (size_t i = 0; i < module->symbol_count; i++) {
        const struct symbol *symbol = &module->symbols[i];
        char name[256];
        if (!symbol->function || symbol->value < m.low || symbol->value >= m.high) continue;
        snprintf(name, sizeof name, "%.*s", (int)strcspn(symbol->name, "@"), symbol->name);
        visit(context, symbol->value, name);
    }
    return true;
}

struct shifted {
    symbols_range visit;
    void *context;
    uint64_t bias;
};

static void visit_shifted(void *context, uint64_t start, uint64_t end) {
    const struct shifted *x = context;
    x->visit(x->context, start + x->bias, end + x->bias);
}

void symbols_code(struct symbols *s, const struct view *v, uint64_t address, const char *name,
                  symbols_range visit, void *context) {
    struct module m;
    if (!module_at(v, address, &m)) return;
    struct symbol_module *module = get_module(s, &m);
    struct shifted x = {visit, context, m.bias};
    if (module) symbol_module_code(module, name, visit_shifted, &x);
}

struct symbol_module *symbols_next_module(struct symbols *s, const struct view *v, const char *name,
                                          size_t *at, uint64_t *bias) {
    while (*at < v->map_count) {
        const struct view_map *map = &v->maps[(*at)++];
        struct module m;
        if (!map->blob || (*at > 1 && v->maps[*at - 2].blob == map->blob)) continue;
        if (!module_at(v, map->start, &m)) continue;
        const char *base = kept_base_name(s, m.path);
        if (name && (!base || strncmp(base, name, strlen(name)))) continue;
        *bias = m.bias;
        struct symbol_module *module = get_module(s, &m);
        if (module) return module;
    }
    return NULL;
}

uint64_t symbols_address(struct symbols *s, const struct view *v, const char *module_name, const char *name) {
    size_t at = 0;
    uint64_t bias;
    for (struct symbol_module *module; (module = symbols_next_module(s, v, module_name, &at, &bias));)
        for (size_t k = 0; k < module->symbol_count; k++) {
            const struct symbol *symbol = &module->symbols[k];
            size_t len = strcspn(symbol->name, "@");
            if (len == strlen(name) && !strncmp(symbol->name, name, len)) return symbol->value + bias;
        }
    return 0;
}

bool symbols_tls(struct symbols *s, const struct view *v, const char *module_name, const char *name,
                 uint64_t *offset) {
    size_t at = 0;
    uint64_t bias;
    for (struct symbol_module *module; (module = symbols_next_module(s, v, module_name, &at, &bias));)
        if (symbol_module_tls(module, name, offset)) return true;
    return false;
}

bool symbols_tls_variables(struct symbols *s, const struct view *v, uint64_t bias,
                           struct tls_segment *segment, symbols_tls_visit visit, void *context) {
    size_t at = 0;
    uint64_t found;
    for (struct symbol_module *module; (module = symbols_next_module(s, v, NULL, &at, &found));) {
        if (found != bias || !symbol_module_tls_segment(module, segment)) continue;
        segment->start += bias;
        symbol_module_tls_variables(module, s->strings, visit, context);
        return true;
    }
    return false;
}
