#include "core/elf/elf_functions.h"

#include "core/elf/elf_frames.h"
#include "core/elf/elf_inside.h"

static void build_symbols(struct elf_module *m) {
    for (size_t i = 0; i < m->shnum; i++) {
        Elf64_Shdr s;
        if (!elf_section(m, i, &s) || (s.sh_type != SHT_SYMTAB && s.sh_type != SHT_DYNSYM)) continue;
        if (s.sh_entsize != sizeof(Elf64_Sym) || s.sh_offset > m->size) continue;
        uint64_t len = s.sh_size < m->size - s.sh_offset ? s.sh_size : m->size - s.sh_offset;
        for (uint64_t k = 0; k < len / sizeof(Elf64_Sym); k++) {
            Elf64_Sym sym;
            if (!elf_read(m, s.sh_offset + k * sizeof sym, &sym, sizeof sym)) break;
            int type = ELF64_ST_TYPE(sym.st_info);
            if ((type != STT_FUNC && type != STT_GNU_IFUNC) || sym.st_shndx == SHN_UNDEF) continue;
            if (sym.st_size == 0 || sym.st_value > UINT64_MAX - sym.st_size) continue;
            if (!elf_ranges_add(&m->symbols, sym.st_value, sym.st_value + sym.st_size)) return;
        }
    }
    elf_ranges_sort(&m->symbols);
}

bool elf_module_function(const struct elf_module *m, uint64_t vaddr, uint64_t *start, uint64_t *end) {
    bool lsda;
    if (elf_frames_function(m, vaddr, start, end, &lsda)) return true;
    if (!m->symbols.built) {
        struct elf_module *cache = (struct elf_module *)m; // made by calloc above, never a const object
        cache->symbols.built = true;
        build_symbols(cache);
    }
    const struct elf_range *r = elf_ranges_find(&m->symbols, vaddr);
    if (!r) return false;
    *start = r->start;
    *end = r->end;
    return true;
}

static bool symbol_in(const struct elf_module *m, const Elf64_Shdr *table, const char *name,
                      uint64_t *vaddr) {
    Elf64_Shdr strings;
    size_t len = strlen(name);
    if (!elf_section(m, table->sh_link, &strings) || strings.sh_offset > m->size) return false;
    uint64_t room = m->size - strings.sh_offset;
    if (strings.sh_size < room) room = strings.sh_size;
    for (uint64_t at = 0; at + sizeof(Elf64_Sym) <= table->sh_size; at += sizeof(Elf64_Sym)) {
        Elf64_Sym sym;
        if (!elf_read(m, table->sh_offset + at, &sym, sizeof sym)) return false;
        int type = ELF64_ST_TYPE(sym.st_info);
        if (sym.st_shndx == SHN_UNDEF || !sym.st_value || (type != STT_FUNC && type != STT_OBJECT)) continue;
        if (sym.st_name >= room || room - sym.st_name <= len) continue;
        const char *text = (const char *)m->image + strings.sh_offset + sym.st_name;
        if (memcmp(text, name, len) != 0 || (text[len] != 0 && text[len] != '@')) continue;
        *vaddr = sym.st_value;
        return true;
    }
    return false;
}

bool elf_module_symbol(const struct elf_module *m, const char *name, uint64_t *vaddr) {
    static const uint32_t types[] = {SHT_SYMTAB, SHT_DYNSYM};
    Elf64_Shdr section;
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; i < m->shnum; i++)
            if (elf_section(m, i, &section) && section.sh_type == types[k] && section.sh_offset <= m->size &&
                symbol_in(m, &section, name, vaddr))
                return true;
    return false;
}

bool elf_module_has_landing_pads(const struct elf_module *m, uint64_t vaddr) {
    uint64_t start, end;
    bool lsda = false;
    return elf_frames_function(m, vaddr, &start, &end, &lsda) && lsda;
}

// ---- the dynamic section
