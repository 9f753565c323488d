#include "replayer/names/symbols_module.h"

#include "core/array.h"
#include "replayer/names/symbols_go.h"
#include "replayer/names/symbols_static.h"
#include "replayer/names/symbols_strings.h"
#include "replayer/names/symbols_table.h"

#include <dwarf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// For libdw's callback.
struct request {
    const struct module *m;
    void **writable;
};

// libelf unpacks compressed sections (gcc -gz, Go) by itself, and notes in their headers that it has: in the image.
static bool has_compressed(const struct module *m) {
    Elf64_Ehdr e;
    if (m->size < sizeof e) return false;
    memcpy(&e, m->image, sizeof e);
    for (size_t i = 0; i < e.e_shnum; i++) {
        Elf64_Shdr s;
        uint64_t at = e.e_shoff + i * sizeof s;
        if (e.e_shoff > m->size || at > m->size || m->size - at < sizeof s) return false;
        memcpy(&s, (const char *)m->image + at, sizeof s);
        if (s.sh_flags & SHF_COMPRESSED) return true;
    }
    return false;
}

// libdw keeps the blob's bytes by reference, the file itself may be gone.
static int find_elf(Dwfl_Module *module, void **user, const char *name, Dwarf_Addr base, char **file,
                    Elf **elf) {
    (void)module, (void)base;
    const struct request *request = *user;
    const struct module *m = request->m;
    char *image = (char *)m->image;
    if (has_compressed(m)) {
        image = *request->writable = malloc(m->size);
        if (!image) return -1;
        memcpy(image, m->image, m->size);
    }
    *elf = elf_memory(image, m->size);
    if (!*elf) return -1;
    *file = strdup(name); // .gnu_debuglink is looked for beside it
    return -1;
}

static const Dwfl_Callbacks callbacks_template = {
    .find_elf = find_elf,
    .find_debuginfo = dwfl_standard_find_debuginfo,
};

#define UNSIZED (UINT64_C(1) << 63)

static void load_symbols(struct symbol_module *s) {
    int count = dwfl_module_getsymtab(s->module);
    if (count <= 0) return;
    s->symbols = calloc((size_t)count, sizeof *s->symbols);
    if (!s->symbols) return;
    for (int i = 0; i < count; i++) {
        GElf_Sym symbol;
        GElf_Addr address;
        GElf_Word section;
        Elf *elf = NULL;
        const char *name = dwfl_module_getsym_info(s->module, i, &symbol, &address, &section, &elf, NULL);
        int type = GELF_ST_TYPE(symbol.st_info);
        if (!name || !*name || section == SHN_UNDEF || section == SHN_ABS || type == STT_SECTION ||
            type == STT_FILE || type == STT_TLS)
            continue;
        uint64_t size = symbol.st_size;
        bool code = type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE;
        GElf_Shdr header;
        // Assembler code often says no size: then to the end of the section or the next symbol (below).
        if (!size && code && elf && gelf_getshdr(elf_getscn(elf, section), &header) &&
            symbol.st_value - header.sh_addr < header.sh_size)
            size = UNSIZED | (header.sh_size - (symbol.st_value - header.sh_addr));
        s->symbols[s->symbol_count++] = (struct symbol){
            .value = address - s->dwfl_base,
            .size = size,
            .name = name,
            .rank = symbol_rank(name, GELF_ST_BIND(symbol.st_info)),
            .code = code,
            .function =
                (type == STT_FUNC || type == STT_GNU_IFUNC) && GELF_ST_BIND(symbol.st_info) != STB_LOCAL,
        };
    }
    symbols_sort(s->symbols, s->symbol_count);
    uint64_t next = UINT64_MAX;
    for (size_t i = s->symbol_count; i > 0; i--) {
        struct symbol *c = &s->symbols[i - 1];
        if (i < s->symbol_count && s->symbols[i].value != c->value) next = s->symbols[i].value;
        if (!(c->size & UNSIZED)) continue;
        c->size &= ~UNSIZED;
        if (c->size > next - c->value) c->size = next - c->value;
    }
}

bool symbol_module_tls(const struct symbol_module *s, const char *name, uint64_t *offset) {
    int count = s->module ? dwfl_module_getsymtab(s->module) : 0;
    for (int i = 0; i < count; i++) {
        GElf_Sym symbol;
        GElf_Addr address;
        const char *found = dwfl_module_getsym_info(s->module, i, &symbol, &address, NULL, NULL, NULL);
        if (!found || GELF_ST_TYPE(symbol.st_info) != STT_TLS || strcmp(found, name)) continue;
        *offset = symbol.st_value;
        return true;
    }
    return false;
}

bool symbol_module_tls_segment(const struct symbol_module *s, struct tls_segment *out) {
    GElf_Addr bias;
    Elf *elf = s->module ? dwfl_module_getelf(s->module, &bias) : NULL;
    size_t count;
    if (!elf || elf_getphdrnum(elf, &count) < 0) return false;
    for (size_t i = 0; i < count; i++) {
        GElf_Phdr p;
        if (!gelf_getphdr(elf, (int)i, &p) || p.p_type != PT_TLS) continue;
        *out = (struct tls_segment){p.p_vaddr, p.p_filesz, p.p_memsz};
        return p.p_filesz <= p.p_memsz;
    }
    return false;
}

void symbol_module_tls_variables(const struct symbol_module *s, struct strings *strings,
                                 symbols_tls_visit visit, void *context) {
    int count = s->module ? dwfl_module_getsymtab(s->module) : 0;
    for (int i = 0; i < count; i++) {
        GElf_Sym symbol;
        GElf_Addr address;
        const char *name = dwfl_module_getsym_info(s->module, i, &symbol, &address, NULL, NULL, NULL);
        if (!name || GELF_ST_TYPE(symbol.st_info) != STT_TLS || symbol.st_shndx == SHN_UNDEF) continue;
        visit(context, symbol_readable(strings, name), symbol.st_value, symbol.st_size);
    }
}

struct symbol_module *symbol_module_new(const struct module *m, struct strings *strings) {
    struct symbol_module *s = calloc(1, sizeof *s);
    Dwfl_Callbacks *callbacks = malloc(sizeof *callbacks);
    if (!s || !callbacks) {
        free(s);
        free(callbacks);
        return NULL;
    }
    *callbacks = callbacks_template;
    callbacks->debuginfo_path = &s->debuginfo_path;
    s->blob = m->blob;
    s->image = m->image;
    s->strings = strings;
    unsetenv("DEBUGINFOD_URLS"); // libdw asks the network when it is set
    s->dwfl = dwfl_begin(callbacks);
    s->callbacks = callbacks;
    if (!s->dwfl) return s;
    // Away from 0, which libdw takes for "not loaded" in places.
    s->dwfl_base = m->relocatable ? 0x100000000 : 0;
    dwfl_report_begin(s->dwfl);
    s->module = dwfl_report_module(s->dwfl, m->path, m->low + s->dwfl_base, m->high + s->dwfl_base);
    struct request request = {m, &s->writable};
    void **user = NULL;
    if (s->module && dwfl_module_info(s->module, &user, NULL, NULL, NULL, NULL, NULL, NULL) && user)
        *user = &request;
    dwfl_report_end(s->dwfl, NULL, NULL);
    Dwarf_Addr bias;
    Elf *elf = s->module ? dwfl_module_getelf(s->module, &bias) : NULL;
    if (!elf) {
        s->module = NULL;
        return s;
    }
    s->dwfl_base = bias;
    load_symbols(s);
    if (!s->symbol_count) symbol_module_go(s, elf, m);
    symbol_module_static(s, m);
    s->dwarf = dwfl_module_getdwarf(s->module, &s->dwarf_bias);
    // The debug file's addresses can differ from the main file's (prelink); both biases are libdw's.
    s->dwarf_bias -= s->dwfl_base;
    if (user) *user = NULL;
    return s;
}

void symbol_module_free(struct symbol_module *s) {
    if (!s) return;
    if (s->dwfl) dwfl_end(s->dwfl);
    free(s->callbacks);
    free(s->writable);
    free(s->debuginfo_path);
    free(s->symbols);
    free(s->ranges);
    free(s->variables);
    free(s);
}

const struct symbol *symbol_module_find(const struct symbol_module *s, uint64_t vaddr, bool code) {
    size_t behind = array_before(s->symbols, s->symbol_count, symbol, symbol->value <= vaddr);
    // Back over symbols that end before it (a label inside a function), to the best of those that start
    // together.
    const struct symbol *found = NULL;
    for (size_t i = behind, tries = 0; i > 0 && tries < 64; i--, tries++) {
        const struct symbol *c = &s->symbols[i - 1];
        if (found && c->value != found->value) break;
        if (c->code != code) continue;
        if (vaddr - c->value >= c->size) continue;
        found = c;
    }
    return found;
}

static int by_start(const void *a, const void *b) {
    const struct range *x = a, *y = b;
    return x->start < y->start ? -1 : x->start > y->start;
}

// clang and rustc write no .debug_aranges by default, so libdw's own look-up finds nothing for them.
static void load_ranges(struct symbol_module *s) {
    s->ranges_ready = true;
    size_t header;
    Dwarf_Off offset = 0, next;
    for (; s->dwarf && !dwarf_nextcu(s->dwarf, offset, &next, &header, NULL, NULL, NULL); offset = next) {
        Dwarf_Die unit;
        if (!dwarf_offdie(s->dwarf, offset + header, &unit)) continue;
        Dwarf_Addr base, start, end;
        ptrdiff_t at = 0;
        while ((at = dwarf_ranges(&unit, at, &base, &start, &end)) > 0) {
            if (start >= end) continue;
            struct range *new = array_try_add(s->ranges, s->range_count);
            if (!new) return;
            *new = (struct range){start, end, dwarf_dieoffset(&unit)};
        }
    }
    if (s->range_count) qsort(s->ranges, s->range_count, sizeof *s->ranges, by_start);
}

bool symbol_module_unit(struct symbol_module *s, uint64_t vaddr, Dwarf_Die *unit) {
    if (!s->dwarf) return false;
    uint64_t address = vaddr - s->dwarf_bias;
    if (dwarf_addrdie(s->dwarf, address, unit)) return true;
    if (!s->ranges_ready) load_ranges(s);
    size_t behind = array_before(s->ranges, s->range_count, range, range->start <= address);
    return behind && address < s->ranges[behind - 1].end &&
           dwarf_offdie(s->dwarf, s->ranges[behind - 1].cu, unit);
}

// Removes "." and "dir/.." where that is only a matter of the text; "./nptl/x.c" stays a relative path.
static void tidy(char *path) {
    bool absolute = path[0] == '/';
    if (!absolute) return;
    char *copy = strdup(path), *save = NULL, *out = path;
    if (!copy) return;
    for (char *part = strtok_r(copy, "/", &save); part; part = strtok_r(NULL, "/", &save)) {
        if (!strcmp(part, ".")) continue;
        if (!strcmp(part, "..")) {
            while (out > path && *--out != '/')
                ;
            continue;
        }
        *out++ = '/';
        out = stpcpy(out, part);
    }
    *out = 0;
    free(copy);
}

const char *symbol_path(struct symbol_module *s, Dwarf_Die *unit, const char *path) {
    if (!path || !*path) return NULL;
    Dwarf_Attribute attribute;
    const char *directory = NULL;
    if (path[0] != '/') directory = dwarf_formstring(dwarf_attr(unit, DW_AT_comp_dir, &attribute));
    char *joined = NULL;
    int n = directory && directory[0] == '/' ? asprintf(&joined, "%s/%s", directory, path)
                                             : asprintf(&joined, "%s", path);
    if (n < 0) return NULL;
    tidy(joined);
    const char *result = strings_add(s->strings, joined);
    free(joined);
    return result;
}
