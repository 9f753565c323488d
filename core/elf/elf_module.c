// ELF modules by hand: every offset is checked against the file, for the file is whatever the program mapped.
#include "core/elf/elf_inside.h"
#include "core/abi.h"

#include "core/array.h"

#include <stdlib.h>

struct elf_module *elf_module_parse(const void *image, size_t size) {
    Elf64_Ehdr ehdr;
    if (size < sizeof ehdr) return NULL;
    memcpy(&ehdr, image, sizeof ehdr);
    if (memcmp(ehdr.e_ident, ELFMAG, SELFMAG) != 0 || ehdr.e_ident[EI_CLASS] != ELFCLASS64 ||
        ehdr.e_ident[EI_DATA] != ELFDATA2LSB || ehdr.e_machine != EM_X86_64 ||
        (ehdr.e_type != ET_EXEC && ehdr.e_type != ET_DYN) || ehdr.e_phentsize != sizeof(Elf64_Phdr) ||
        ehdr.e_phnum == PN_XNUM)
        return NULL;
    struct elf_module *m = calloc(1, sizeof *m);
    if (!m) return NULL;
    *m = (struct elf_module){.image = image, .size = size, .type = ehdr.e_type};
    m->loads = calloc(ehdr.e_phnum ? ehdr.e_phnum : 1, sizeof *m->loads);
    if (!m->loads) {
        free(m);
        return NULL;
    }
    for (size_t i = 0; i < ehdr.e_phnum; i++) {
        Elf64_Phdr p;
        if (ehdr.e_phoff > size || !elf_read(m, ehdr.e_phoff + i * sizeof p, &p, sizeof p)) {
            elf_module_free(m);
            return NULL;
        }
        if (p.p_offset > size) continue;
        if (p.p_filesz > size - p.p_offset) p.p_filesz = size - p.p_offset;
        if (p.p_vaddr > UINT64_MAX - p.p_filesz) continue;
        if (p.p_type == PT_LOAD) {
            m->loads[m->load_count++] = p;
        } else if (p.p_type == PT_DYNAMIC) {
            m->dynamic = p.p_offset;
            m->dynamic_vaddr = p.p_vaddr;
            m->dynamic_count = p.p_filesz / sizeof(Elf64_Dyn);
        } else if (p.p_type == PT_GNU_EH_FRAME) {
            m->eh_hdr = p.p_offset;
            m->eh_hdr_vaddr = p.p_vaddr;
            m->eh_hdr_size = p.p_filesz;
        }
    }
    if (ehdr.e_shentsize == sizeof(Elf64_Shdr) && ehdr.e_shoff != 0 && ehdr.e_shoff < size) {
        size_t fit = (size - ehdr.e_shoff) / sizeof(Elf64_Shdr);
        m->shoff = ehdr.e_shoff;
        m->shnum = ehdr.e_shnum < fit ? ehdr.e_shnum : fit;
    }
    return m;
}

void elf_module_free(struct elf_module *m) {
    if (!m) return;
    free(m->loads);
    free(m->frames.v);
    free(m->symbols.v);
    free(m);
}

bool elf_module_is_go(const struct elf_module *m) {
    static const char wanted[] = ".go.buildinfo";
    Elf64_Ehdr header;
    Elf64_Shdr names, section;
    char name[sizeof wanted];
    if (!elf_read(m, 0, &header, sizeof header) || !elf_section(m, header.e_shstrndx, &names)) return false;
    for (size_t i = 0; i < m->shnum; i++)
        if (elf_section(m, i, &section) && names.sh_offset <= m->size &&
            elf_read(m, names.sh_offset + section.sh_name, name, sizeof name) &&
            !memcmp(name, wanted, sizeof wanted))
            return true;
    return false;
}

bool elf_module_is_pie(const struct elf_module *m) {
    return m->type == ET_DYN;
}

bool elf_module_to_vaddr(const struct elf_module *m, uint64_t offset, uint64_t *vaddr) {
    for (size_t i = 0; i < m->load_count; i++) {
        const Elf64_Phdr *p = &m->loads[i];
        if (offset < p->p_offset || offset - p->p_offset >= p->p_filesz) continue;
        *vaddr = p->p_vaddr + (offset - p->p_offset);
        return true;
    }
    return false;
}

bool elf_module_to_offset(const struct elf_module *m, uint64_t vaddr, uint64_t *offset) {
    for (size_t i = 0; i < m->load_count; i++) {
        const Elf64_Phdr *p = &m->loads[i];
        if (vaddr < p->p_vaddr || vaddr - p->p_vaddr >= p->p_filesz) continue;
        *offset = p->p_offset + (vaddr - p->p_vaddr);
        return true;
    }
    return false;
}

// How well a PT_LOAD explains a mapping that begins at file offset `offset`; 0: not at all. Pages at the
// border of two segments belong to both, and ld.so maps a segment from the page that holds its p_offset:
//
//     file    | .rodata        |.data    |
//             0x1000   0x2000  ^0x2d90
//
// .rodata is mapped from 0x1000, .data (p_offset 0x2d90) from 0x2000: offset 0x2000 is in .rodata's file bytes, yet a mapping
// that begins there is .data's.
static int bias_rank(const Elf64_Phdr *p, uint64_t offset) {
    uint64_t first = page_down(p->p_offset);
    if (offset < first || p->p_filesz == 0 || offset - first > p->p_offset - first + p->p_filesz - 1)
        return 0;
    if (offset == p->p_offset) return 4;
    if (offset == first) return p->p_flags & PF_X ? 3 : 2;
    return 1;
}

bool elf_module_bias(const struct elf_module *m, uint64_t offset, uint64_t address, uint64_t *bias) {
    const Elf64_Phdr *best = NULL;
    int rank = 0;
    for (size_t i = 0; i < m->load_count; i++) {
        int r = bias_rank(&m->loads[i], offset);
        if (r <= rank) continue;
        rank = r;
        best = &m->loads[i];
    }
    if (!best) return false;
    *bias = address - (best->p_vaddr + (offset - best->p_offset));
    return true;
}

// ---- functions from symbols

static bool dynamic_entry(const struct elf_module *m, size_t index, Elf64_Dyn *d) {
    return index < m->dynamic_count && elf_read(m, m->dynamic + index * sizeof *d, d, sizeof *d);
}

// The index of the first entry with that tag before the DT_NULL; false: none.
static bool dynamic_find(const struct elf_module *m, int64_t tag, size_t *index, uint64_t *value) {
    Elf64_Dyn d;
    for (size_t i = 0; dynamic_entry(m, i, &d); i++) {
        if (d.d_tag == tag) {
            *index = i;
            *value = d.d_un.d_val;
            return true;
        }
        if (d.d_tag == DT_NULL) return false;
    }
    return false;
}

struct elf_slot *elf_module_slots(const struct elf_module *m, size_t *count) {
    size_t index;
    uint64_t table, size, offset, kind = DT_RELA;
    *count = 0;
    if (!dynamic_find(m, DT_JMPREL, &index, &table) || !dynamic_find(m, DT_PLTRELSZ, &index, &size))
        return NULL;
    if (dynamic_find(m, DT_PLTREL, &index, &kind) && kind != DT_RELA) return NULL;
    if (!elf_module_to_offset(m, table, &offset)) return NULL;
    if (size > m->size - offset) size = m->size - offset;
    size_t entries = size / sizeof(Elf64_Rela);
    struct elf_slot *slots = entries ? malloc(entries * sizeof *slots) : NULL;
    if (!slots) return NULL;
    for (size_t i = 0; i < entries; i++) {
        Elf64_Rela r;
        if (!elf_read(m, offset + i * sizeof r, &r, sizeof r)) break;
        if (ELF64_R_TYPE(r.r_info) != R_X86_64_JUMP_SLOT) continue;
        struct elf_slot *slot = &slots[(*count)++];
        uint64_t at;
        slot->vaddr = r.r_offset;
        if (!elf_module_to_offset(m, r.r_offset, &at) ||
            !elf_read(m, at, &slot->initial, sizeof slot->initial))
            slot->initial = 0;
    }
    if (*count == 0) {
        free(slots);
        return NULL;
    }
    return slots;
}

// glibc's elf_get_dynamic_info takes any of DT_BIND_NOW, DF_BIND_NOW in DT_FLAGS, DF_1_NOW in DT_FLAGS_1 for
// DT_BIND_NOW.
static const struct {
    int64_t tag;
    uint64_t bit;
} now_flags[] = {{DT_FLAGS, DF_BIND_NOW}, {DT_FLAGS_1, DF_1_NOW}};

int elf_module_bind_now(const struct elf_module *m, uint64_t *vaddr, uint8_t bytes[16], size_t *len) {
    size_t index;
    uint64_t value;
    if (!dynamic_find(m, DT_JMPREL, &index, &value)) return 0;
    if (dynamic_find(m, DT_BIND_NOW, &index, &value)) return 0;
    for (size_t i = 0; i < sizeof now_flags / sizeof *now_flags; i++)
        if (dynamic_find(m, now_flags[i].tag, &index, &value) && (value & now_flags[i].bit)) return 0;
    for (size_t i = 0; i < sizeof now_flags / sizeof *now_flags; i++) {
        if (!dynamic_find(m, now_flags[i].tag, &index, &value)) continue;
        value |= now_flags[i].bit;
        *vaddr = m->dynamic_vaddr + index * sizeof(Elf64_Dyn) + offsetof(Elf64_Dyn, d_un);
        memcpy(bytes, &value, sizeof value);
        *len = sizeof value;
        return 1;
    }
    Elf64_Dyn d, next;
    for (size_t i = 0; dynamic_entry(m, i, &d); i++) {
        if (d.d_tag != DT_NULL) continue;
        if (!dynamic_entry(m, i + 1, &next) || next.d_tag != DT_NULL) return -1;
        d = (Elf64_Dyn){.d_tag = DT_BIND_NOW};
        *vaddr = m->dynamic_vaddr + i * sizeof d;
        memcpy(bytes, &d, sizeof d);
        *len = sizeof d;
        return 1;
    }
    return -1;
}
