#include "replayer/names/unwind_module.h"

#include "core/abi.h"

#include <string.h>
#include <sys/mman.h>

// Copies `len` bytes at file offset `offset`; false when the file is too short.
static bool file_read(const struct module *m, uint64_t offset, void *buffer, size_t len) {
    if (offset > m->size || len > m->size - offset) return false;
    memcpy(buffer, m->image + offset, len);
    return true;
}

static bool parse(struct module *m) {
    Elf64_Ehdr e;
    if (!file_read(m, 0, &e, sizeof e)) return false;
    if (memcmp(e.e_ident, ELFMAG, SELFMAG) || e.e_ident[EI_CLASS] != ELFCLASS64) return false;
    if (e.e_machine != EM_X86_64 || (e.e_type != ET_EXEC && e.e_type != ET_DYN)) return false;
    if (e.e_phentsize != sizeof(Elf64_Phdr)) return false;
    m->relocatable = e.e_type == ET_DYN;
    m->entry = e.e_entry;
    m->low = UINT64_MAX;
    for (unsigned i = 0; i < e.e_phnum; i++) {
        Elf64_Phdr p;
        if (!file_read(m, e.e_phoff + i * sizeof p, &p, sizeof p)) return false;
        uint64_t end;
        if (__builtin_add_overflow(p.p_vaddr, p.p_memsz, &end) || end > UINT64_MAX - PAGE) continue;
        if (p.p_type == PT_GNU_EH_FRAME) {
            m->eh_frame_hdr = p.p_vaddr;
            m->eh_frame_hdr_size = p.p_memsz;
        }
        if (p.p_type != PT_LOAD || m->load_count == MODULE_SEGMENTS || p.p_offset > m->size) continue;
        if (p.p_filesz > m->size - p.p_offset) p.p_filesz = m->size - p.p_offset;
        m->load[m->load_count++] = p;
        if ((p.p_vaddr & -PAGE) < m->low) m->low = p.p_vaddr & -PAGE;
        if (((end + PAGE - 1) & -PAGE) > m->high) m->high = (end + PAGE - 1) & -PAGE;
    }
    return m->load_count > 0;
}

// A file page can belong to two segments (the end of the code and the start of the data), mapped at two
// addresses:
//     LOAD off 0x0000 vaddr 0x400000 R E filesz 0x0e10    page 0 at 0x400000
//     LOAD off 0x0e10 vaddr 0x401e10 RW                   page 0 at 0x401000 too
// so the protection decides first, and the first segment that holds the offset only when none fits.
static bool find_bias(struct module *m, const struct view_map *map) {
    const Elf64_Phdr *best = NULL;
    int best_score = -1;
    for (int i = 0; i < m->load_count; i++) {
        const Elf64_Phdr *p = &m->load[i];
        if (map->offset < (p->p_offset & -PAGE) || map->offset >= p->p_offset + p->p_filesz) continue;
        int score = 0;
        if (!(p->p_flags & PF_X) == !(map->prot & PROT_EXEC)) score += 4;
        if (!(p->p_flags & PF_W) == !(map->prot & PROT_WRITE)) score += 2;
        if (map->offset == (p->p_offset & -PAGE)) score += 1;
        if (score > best_score) {
            best_score = score;
            best = p;
        }
    }
    if (!best) return false;
    m->bias = map->start - (map->offset - best->p_offset + best->p_vaddr);
    return true;
}

bool module_at(const struct view *v, uint64_t address, struct module *out) {
    const struct view_map *map = view_find(v, address);
    if (!map) return false;
    const struct view_map *named = map;
    while (!named->blob) { // .bss: anonymous, right behind the file's last mapping
        if (named == v->maps || named[-1].end != named->start) return false;
        named--;
    }
    memset(out, 0, sizeof *out);
    out->blob = named->blob;
    out->path = named->name ? named->name : "";
    out->image = v->blob(v->context, named->blob, &out->size);
    if (!out->image || !parse(out) || !find_bias(out, named)) return false;
    uint64_t vaddr = address - out->bias;
    return vaddr >= out->low && vaddr < out->high;
}

bool module_read(const struct module *m, uint64_t address, void *buffer, size_t len) {
    uint64_t vaddr = address - m->bias;
    for (int i = 0; i < m->load_count; i++) {
        const Elf64_Phdr *p = &m->load[i];
        if (p->p_flags & PF_W) continue;
        if (vaddr < p->p_vaddr || vaddr - p->p_vaddr > p->p_filesz ||
            len > p->p_filesz - (vaddr - p->p_vaddr))
            continue;
        return file_read(m, p->p_offset + (vaddr - p->p_vaddr), buffer, len);
    }
    return false;
}

bool module_function(const struct module *m, uint64_t pc, uint64_t *start, uint64_t *end) {
    Elf64_Ehdr e;
    if (!file_read(m, 0, &e, sizeof e) || e.e_shentsize != sizeof(Elf64_Shdr)) return false;
    uint64_t vaddr = pc - m->bias;
    bool found = false;
    for (unsigned i = 0; i < e.e_shnum; i++) {
        Elf64_Shdr s;
        if (!file_read(m, e.e_shoff + i * sizeof s, &s, sizeof s)) return found;
        if (s.sh_type != SHT_SYMTAB && s.sh_type != SHT_DYNSYM) continue;
        for (uint64_t at = 0; at + sizeof(Elf64_Sym) <= s.sh_size; at += sizeof(Elf64_Sym)) {
            Elf64_Sym symbol;
            if (!file_read(m, s.sh_offset + at, &symbol, sizeof symbol)) break;
            if (symbol.st_shndx == SHN_UNDEF || !symbol.st_size || ELF64_ST_TYPE(symbol.st_info) == STT_TLS ||
                ELF64_ST_TYPE(symbol.st_info) == STT_OBJECT)
                continue;
            if (vaddr < symbol.st_value || vaddr - symbol.st_value >= symbol.st_size) continue;
            *start = symbol.st_value + m->bias;
            *end = *start + symbol.st_size;
            found = true;
        }
    }
    return found;
}
