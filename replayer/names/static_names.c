#include "replayer/names/static_names.h"

#include "core/array.h"
#include "core/elf/elf_module.h"
#include "core/error.h"
#include "replayer/names/static_library.h"
#include "core/elf/elf_inside.h"

#include <glob.h>
#include <stdlib.h>
#include <string.h>

enum {
    FIXED_MIN = 12,    // bytes of a section that must be equal
    FIXED_ENOUGH = 24, // with fewer, the functions that it calls must be those that it says
    ANCHOR = 8,        // bytes that a section is looked for by
    NO_SECTION = UINT32_MAX,
    DATA_MAX = 16, // sections of variables that a section of code leads to
};

// libc.a of glibc and of musl, and the compiler's run-time libraries, as Debian, Fedora and Arch have them.
static const char *const usual[] = {
    "/usr/lib/x86_64-linux-gnu/libc.a",
    "/usr/lib/x86_64-linux-gnu/crt1.o", // _start
    "/usr/lib/x86_64-linux-gnu/rcrt1.o",
    "/usr/lib64/libc.a",
    "/usr/lib64/crt1.o",
    "/usr/lib64/rcrt1.o",
    "/usr/lib/libc.a",
    "/usr/lib/crt1.o",
    "/usr/lib/rcrt1.o",
    "/usr/lib/x86_64-linux-musl/libc.a",
    "/usr/lib/x86_64-linux-musl/crt1.o",
    "/usr/lib/musl/lib/libc.a",
    "/usr/lib/gcc/x86_64-*/*/libstdc++.a",
    "/usr/lib/gcc/x86_64-*/*/libgomp.a",
};

struct match {
    uint64_t vaddr;
    size_t section;
    enum { MATCH_KEPT, MATCH_DOUBTFUL, MATCH_DROPPED } state;
};

struct called { // a function whose place is known
    const char *name;
    uint64_t vaddr;
};

struct search {
    const struct elf_module *m;
    struct static_libraries libraries;
    size_t *at;     // where in each section its anchor is
    uint32_t *next; // sections with the same slot
    uint32_t *slots;
    size_t slot_count; // a power of two
    struct match *matches;
    size_t match_count;
    struct called *called; // sorted by name
    size_t called_count;
};

static void add_pattern(struct static_libraries *l, const char *pattern) {
    glob_t found;
    if (glob(pattern, 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++)
            static_libraries_add(l, found.gl_pathv[i]);
    globfree(&found);
}

static void read_libraries(struct static_libraries *l) {
    const char *own = getenv("REFORK_LIBRARIES");
    if (!own) {
        for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
            add_pattern(l, usual[i]);
        return;
    }
    char *copy = strdup(own), *save = NULL;
    rf_assert(copy);
    for (char *path = strtok_r(copy, ":", &save); path; path = strtok_r(NULL, ":", &save))
        static_libraries_add(l, path);
    free(copy);
}

// ---- where is a section: by eight bytes in its middle that the linker leaves alone
static size_t slot_of(const struct search *s, const uint8_t *bytes) {
    uint64_t key;
    memcpy(&key, bytes, sizeof key);
    return (key * 0x9e3779b97f4a7c15) >> 32 & (s->slot_count - 1);
}

// The beginnings of functions are much alike.
static bool choose_anchor(const struct static_section *c, size_t *at) {
    size_t from = c->size / 2 < 64 ? c->size / 2 : 64;
    if (c->fixed < FIXED_MIN) return false;
    for (int turn = 0; turn < 2; turn++, from = 0) {
        size_t run = 0;
        for (size_t i = from; i < c->size; i++) {
            run = c->mask[i] ? 0 : run + 1;
            if (run < ANCHOR) continue;
            *at = i + 1 - ANCHOR;
            return true;
        }
    }
    return false;
}

static void build_index(struct search *s) {
    size_t count = s->libraries.section_count;
    for (s->slot_count = 1024; s->slot_count < count * 2;)
        s->slot_count *= 2;
    s->at = calloc(count + 1, sizeof *s->at);
    s->next = calloc(count + 1, sizeof *s->next);
    s->slots = malloc(s->slot_count * sizeof *s->slots);
    rf_assert(s->at && s->next && s->slots);
    memset(s->slots, 0xff, s->slot_count * sizeof *s->slots);
    for (size_t i = 0; i < count; i++) {
        const struct static_section *c = &s->libraries.sections[i];
        if (!choose_anchor(c, &s->at[i])) continue;
        size_t slot = slot_of(s, c->code + s->at[i]);
        s->next[i] = s->slots[slot];
        s->slots[slot] = (uint32_t)i;
    }
}

static bool is_there(const struct static_section *c, const uint8_t *bytes) {
    for (size_t i = 0; i < c->size; i++)
        if ((bytes[i] ^ c->code[i]) & (uint8_t)~c->mask[i]) return false;
    return true;
}

static void scan(struct search *s, const Elf64_Phdr *load) {
    const uint8_t *text = s->m->image + load->p_offset;
    uint64_t size = load->p_filesz;
    for (uint64_t i = 0; size >= ANCHOR && i <= size - ANCHOR; i++) {
        for (uint32_t k = s->slots[slot_of(s, text + i)]; k != NO_SECTION; k = s->next[k]) {
            const struct static_section *c = &s->libraries.sections[k];
            if (i < s->at[k] || c->size > size - (i - s->at[k])) continue;
            if (!is_there(c, text + i - s->at[k])) continue;
            array_push(s->matches, s->match_count,
                       (struct match){load->p_vaddr + i - s->at[k], k, MATCH_KEPT});
        }
    }
}

// ---- which of several
static size_t size_of(const struct search *s, const struct match *m) {
    return s->libraries.sections[m->section].size;
}

static int by_place(const void *a, const void *b, void *context) {
    const struct search *s = context;
    const struct match *x = a, *y = b;
    if (x->vaddr != y->vaddr) return x->vaddr < y->vaddr ? -1 : 1;
    size_t p = size_of(s, x), q = size_of(s, y);
    if (p != q) return p > q ? -1 : 1;
    return x->section < y->section ? -1 : x->section > y->section;
}

static const char *first_function(const struct search *s, const struct match *m) {
    const struct static_section *c = &s->libraries.sections[m->section];
    const struct static_object *o = &s->libraries.objects[c->object];
    Elf64_Sym symbol;
    const char *name, *best = NULL;
    uint64_t value = UINT64_MAX;
    for (size_t i = 0; i < o->symbol_count && static_symbol(o, i, &symbol, &name); i++) {
        if (!name || symbol.st_shndx != c->index || ELF64_ST_TYPE(symbol.st_info) != STT_FUNC) continue;
        if (symbol.st_value > value || (symbol.st_value == value && strcmp(name, best) > 0)) continue;
        value = symbol.st_value;
        best = name;
    }
    return best;
}

static bool same_name(const struct search *s, const struct match *m, const struct match *o) {
    const char *a = first_function(s, m), *b = first_function(s, o);
    return a && b && !strcmp(a, b);
}

static bool same_place(const struct search *s, const struct match *m, const struct match *o) {
    return m->vaddr == o->vaddr && size_of(s, m) == size_of(s, o);
}

// What lies in another section is a part of that one. Of several with the same code and other names (wrappers around
// different functions) it is not known yet which.
static void sweep(struct search *s) {
    struct match *last = NULL;
    for (size_t i = 0; i < s->match_count; i++) {
        struct match *m = &s->matches[i];
        if (m->state == MATCH_DROPPED) continue;
        if (last && m->vaddr < last->vaddr + size_of(s, last)) {
            bool alike = same_place(s, m, last) && !same_name(s, m, last);
            m->state = alike ? MATCH_DOUBTFUL : MATCH_DROPPED;
            if (alike) last->state = MATCH_DOUBTFUL;
            continue;
        }
        if (s->libraries.sections[m->section].fixed < FIXED_ENOUGH)
            m->state = MATCH_DOUBTFUL; // is not in anything, and hides nothing
        else
            last = m;
    }
}

static int by_name(const void *a, const void *b) {
    const struct called *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static void note_called(struct search *s, const struct match *m) {
    const struct static_section *c = &s->libraries.sections[m->section];
    const struct static_object *o = &s->libraries.objects[c->object];
    Elf64_Sym symbol;
    const char *name;
    for (size_t i = 0; i < o->symbol_count && static_symbol(o, i, &symbol, &name); i++) {
        if (!name || symbol.st_shndx != c->index || ELF64_ST_TYPE(symbol.st_info) != STT_FUNC ||
            ELF64_ST_BIND(symbol.st_info) == STB_LOCAL)
            continue;
        array_push(s->called, s->called_count, (struct called){name, m->vaddr + symbol.st_value});
    }
}

// Where the linker put what relocation i of the match refers to (its symbol, the addend aside); false: not said there.
static bool target_of(const struct search *s, const struct match *m, const Elf64_Rela *r, uint64_t *out) {
    uint32_t type = ELF64_R_TYPE(r->r_info);
    uint64_t offset;
    int32_t value;
    if ((type != R_X86_64_PC32 && type != R_X86_64_PLT32) ||
        !elf_module_to_offset(s->m, m->vaddr + r->r_offset, &offset) ||
        !elf_read(s->m, offset, &value, sizeof value))
        return false;
    *out = m->vaddr + r->r_offset + (uint64_t)(int64_t)value - (uint64_t)r->r_addend;
    return true;
}

// Does it call what its library says, as far as that is known by name? At least one call must be.
static bool calls_agree(const struct search *s, const struct match *m) {
    const struct static_section *c = &s->libraries.sections[m->section];
    const struct static_object *o = &s->libraries.objects[c->object];
    size_t agree = 0;
    for (size_t i = 0; i < c->relocation_count; i++) {
        Elf64_Rela r;
        Elf64_Sym symbol;
        uint64_t target;
        struct called key = {0};
        if (!static_relocation(&s->libraries, c, i, &r) ||
            !static_symbol(o, ELF64_R_SYM(r.r_info), &symbol, &key.name) || !key.name ||
            symbol.st_shndx != SHN_UNDEF || !target_of(s, m, &r, &target))
            continue;
        const struct called *f = bsearch(&key, s->called, s->called_count, sizeof key, by_name);
        if (!f) continue;
        if (f->vaddr != target) return false;
        agree++;
    }
    return agree > 0;
}

static void choose(struct search *s) {
    if (!s->match_count) return;
    qsort_r(s->matches, s->match_count, sizeof *s->matches, by_place, s);
    sweep(s);
    for (size_t i = 0; i < s->match_count; i++)
        if (s->matches[i].state == MATCH_KEPT) note_called(s, &s->matches[i]);
    if (s->called_count) qsort(s->called, s->called_count, sizeof *s->called, by_name);
    for (size_t i = 0; i < s->match_count; i++) {
        struct match *m = &s->matches[i];
        if (m->state == MATCH_DOUBTFUL) m->state = calls_agree(s, m) ? MATCH_DOUBTFUL : MATCH_DROPPED;
    }
    // What is left must be alone in its place.
    struct match *last = NULL;
    for (size_t i = 0; i < s->match_count; i++) {
        struct match *m = &s->matches[i];
        if (m->state == MATCH_DROPPED) continue;
        if (!last || m->vaddr >= last->vaddr + size_of(s, last)) {
            last = m;
            continue;
        }
        if (m->state == MATCH_KEPT && last->state == MATCH_DOUBTFUL) {
            last->state = MATCH_DROPPED;
            last = m;
            continue;
        }
        if (same_place(s, m, last) && !same_name(s, m, last)) last->state = MATCH_DROPPED;
        m->state = MATCH_DROPPED;
    }
}

// ---- names
struct data { // where the linker has put one of the member's sections
    uint16_t index;
    uint64_t vaddr;
    bool doubtful;
};

static void note_data(struct data *list, size_t *count, uint16_t index, uint64_t vaddr) {
    for (size_t i = 0; i < *count; i++) {
        if (list[i].index != index) continue;
        list[i].doubtful |= list[i].vaddr != vaddr;
        return;
    }
    if (*count < DATA_MAX) list[(*count)++] = (struct data){index, vaddr, false};
}

// From the operands that the linker filled in: the value is symbol + addend - place.
static size_t find_data(const struct search *s, const struct match *m, struct data *out) {
    const struct static_section *c = &s->libraries.sections[m->section];
    const struct static_object *o = &s->libraries.objects[c->object];
    size_t count = 0;
    for (size_t i = 0; i < c->relocation_count; i++) {
        Elf64_Rela r;
        Elf64_Sym symbol;
        const char *name;
        uint64_t target;
        if (!static_relocation(&s->libraries, c, i, &r) || ELF64_R_TYPE(r.r_info) != R_X86_64_PC32 ||
            !static_symbol(o, ELF64_R_SYM(r.r_info), &symbol, &name))
            continue;
        int type = ELF64_ST_TYPE(symbol.st_info);
        if ((type != STT_SECTION && type != STT_OBJECT) || symbol.st_shndx == SHN_UNDEF ||
            symbol.st_shndx >= SHN_LORESERVE || symbol.st_shndx == c->index || !target_of(s, m, &r, &target))
            continue;
        uint64_t address = target - symbol.st_value;
        note_data(out, &count, symbol.st_shndx, address);
    }
    return count;
}

static void visit_match(const struct search *s, const struct match *m, static_names_visit visit,
                        void *context) {
    const struct static_section *c = &s->libraries.sections[m->section];
    const struct static_object *o = &s->libraries.objects[c->object];
    struct data data[DATA_MAX];
    size_t data_count = find_data(s, m, data);
    Elf64_Sym symbol;
    const char *name;
    for (size_t i = 0; i < o->symbol_count && static_symbol(o, i, &symbol, &name); i++) {
        int type = ELF64_ST_TYPE(symbol.st_info);
        if (!name) continue;
        if (symbol.st_shndx == c->index && (type == STT_FUNC || type == STT_GNU_IFUNC)) {
            symbol.st_value += m->vaddr;
            visit(context, o->library, name, &symbol);
        }
        for (size_t k = 0; type == STT_OBJECT && k < data_count; k++) {
            if (data[k].doubtful || symbol.st_shndx != data[k].index) continue;
            symbol.st_value += data[k].vaddr;
            visit(context, o->library, name, &symbol);
            break;
        }
    }
}

// What a shared library has not.
static bool says_pie(const struct elf_module *m, const Elf64_Phdr *dynamic) {
    Elf64_Dyn d;
    // (The header may say any size: what cannot be read ends it.)
    for (uint64_t at = 0; at < dynamic->p_filesz && elf_read(m, dynamic->p_offset + at, &d, sizeof d);
         at += sizeof d)
        if (d.d_tag == DT_FLAGS_1) return d.d_un.d_val & DF_1_PIE;
    return false;
}

// Linked with -static or -static-pie.
static bool is_static(const struct elf_module *m) {
    Elf64_Ehdr e;
    Elf64_Phdr p;
    if (!elf_read(m, 0, &e, sizeof e) || e.e_phentsize != sizeof p) return false;
    bool program = e.e_type == ET_EXEC;
    for (size_t i = 0; i < e.e_phnum; i++) {
        if (!elf_read(m, e.e_phoff + i * sizeof p, &p, sizeof p) || p.p_type == PT_INTERP) return false;
        if (p.p_type == PT_DYNAMIC) program |= says_pie(m, &p);
    }
    return program;
}

void static_names(const void *image, size_t size, static_names_visit visit, void *context) {
    struct elf_module *m = elf_module_parse(image, size);
    if (!m) return;
    struct search s = {.m = m};
    // (A Go program has names of its own.)
    if (is_static(m) && !elf_module_is_go(m)) read_libraries(&s.libraries);
    if (s.libraries.section_count) {
        build_index(&s);
        for (size_t i = 0; i < m->load_count; i++)
            if (m->loads[i].p_flags & PF_X) scan(&s, &m->loads[i]);
        choose(&s);
    }
    for (size_t i = 0; i < s.match_count; i++)
        if (s.matches[i].state != MATCH_DROPPED) visit_match(&s, &s.matches[i], visit, context);
    static_libraries_free(&s.libraries);
    free(s.at);
    free(s.next);
    free(s.slots);
    free(s.matches);
    free(s.called);
    elf_module_free(m);
}
