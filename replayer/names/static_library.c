#include "replayer/names/static_library.h"

#include "core/array.h"
#include "core/error.h"
#include "core/path.h"

#include <ar.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static bool get(const struct static_object *o, uint64_t at, void *out, size_t size) {
    if (at > o->size || size > o->size - at) return false;
    memcpy(out, o->bytes + at, size);
    return true;
}

static bool fits(const struct static_object *o, const Elf64_Shdr *s) {
    return s->sh_type != SHT_NOBITS && s->sh_offset <= o->size && s->sh_size <= o->size - s->sh_offset;
}

// ---- what the linker changes

// The field, and of an access that it makes a shorter way the instruction around it (x86-64 psABI, B.2 "Optimize GOTPCRELX
// Relocations", and the ELF TLS document, 4.4).
static void fields(uint32_t type, int *before, int *length) {
    *before = 0;
    *length = 4;
    switch (type) {
    case R_X86_64_NONE:
        *length = 0;
        break;
    case R_X86_64_64:
    case R_X86_64_PC64:
    case R_X86_64_GOTOFF64:
    case R_X86_64_DTPOFF64:
    case R_X86_64_TPOFF64:
        *length = 8;
        break;
    case R_X86_64_GOTPCRELX:
        *before = 2;
        *length = 6;
        break;
    case R_X86_64_GOTPCREL:
    case R_X86_64_REX_GOTPCRELX:
    case R_X86_64_GOTTPOFF:
    case R_X86_64_GOTPC32_TLSDESC:
        *before = 3;
        *length = 7;
        break;
    case R_X86_64_TLSGD:
        *before = 4;
        *length = 16;
        break;
    case R_X86_64_TLSLD:
        *before = 3;
        *length = 12;
        break;
    case R_X86_64_TLSDESC_CALL:
        *length = 2;
        break;
    default:
        break;
    }
}

bool static_relocation(const struct static_libraries *l, const struct static_section *s, size_t i,
                       Elf64_Rela *out) {
    return get(&l->objects[s->object], s->relocations.sh_offset + i * sizeof *out, out, sizeof *out) &&
           out->r_offset < s->size;
}

static void make_mask(const struct static_libraries *l, struct static_section *s) {
    s->mask = calloc(s->size, 1);
    rf_assert(s->mask);
    for (size_t i = 0; i < s->relocation_count; i++) {
        Elf64_Rela r;
        int before, length;
        if (!static_relocation(l, s, i, &r)) continue;
        fields(ELF64_R_TYPE(r.r_info), &before, &length);
        uint64_t from = r.r_offset < (uint64_t)before ? 0 : r.r_offset - (uint64_t)before;
        for (int k = 0; k < length && from + (uint64_t)k < s->size; k++)
            s->mask[from + (uint64_t)k] = 0xff;
    }
    for (size_t i = 0; i < s->size; i++)
        s->fixed += !s->mask[i];
}

// ---- members
bool static_symbol(const struct static_object *o, size_t i, Elf64_Sym *out, const char **name) {
    *name = NULL;
    if (i >= o->symbol_count || !get(o, o->symbols.sh_offset + i * sizeof *out, out, sizeof *out))
        return false;
    uint64_t room = out->st_name < o->strings.sh_size ? o->strings.sh_size - out->st_name : 0;
    const char *text = (const char *)o->bytes + o->strings.sh_offset + out->st_name;
    if (room && *text && memchr(text, 0, room)) *name = text;
    return true;
}

static void add_section(struct static_libraries *l, size_t index, const Elf64_Shdr *s) {
    const struct static_object *o = &l->objects[l->object_count - 1];
    array_push(l->sections, l->section_count,
               (struct static_section){.object = l->object_count - 1,
                                       .index = (uint16_t)index,
                                       .code = o->bytes + s->sh_offset,
                                       .size = s->sh_size});
}

static void add_object(struct static_libraries *l, const uint8_t *bytes, size_t size) {
    struct static_object o = {.bytes = bytes, .size = size, .library = l->files[l->file_count - 1].name};
    Elf64_Ehdr e;
    Elf64_Shdr s;
    if (!get(&o, 0, &e, sizeof e) || memcmp(e.e_ident, ELFMAG, SELFMAG) != 0 ||
        e.e_ident[EI_CLASS] != ELFCLASS64 || e.e_machine != EM_X86_64 || e.e_type != ET_REL ||
        e.e_shentsize != sizeof s)
        return;
    array_push(l->objects, l->object_count, o);
    struct static_object *object = &l->objects[l->object_count - 1];
    size_t first = l->section_count;
    for (size_t i = 1; i < e.e_shnum; i++) {
        if (!get(&o, e.e_shoff + i * sizeof s, &s, sizeof s)) break;
        if (!fits(&o, &s)) continue;
        if (s.sh_type == SHT_PROGBITS && s.sh_flags & SHF_EXECINSTR && s.sh_size) add_section(l, i, &s);
        Elf64_Shdr strings;
        if (s.sh_type == SHT_SYMTAB && s.sh_link < e.e_shnum &&
            get(&o, e.e_shoff + s.sh_link * sizeof strings, &strings, sizeof strings) && fits(&o, &strings)) {
            object->symbols = s;
            object->strings = strings;
            object->symbol_count = s.sh_size / sizeof(Elf64_Sym);
        }
    }
    for (size_t i = 1; i < e.e_shnum; i++) {
        if (!get(&o, e.e_shoff + i * sizeof s, &s, sizeof s)) break;
        if (!fits(&o, &s) || s.sh_type != SHT_RELA) continue;
        for (size_t k = first; k < l->section_count; k++) {
            if (l->sections[k].index != s.sh_info) continue;
            l->sections[k].relocations = s;
            l->sections[k].relocation_count = s.sh_size / sizeof(Elf64_Rela);
        }
    }
    for (size_t k = first; k < l->section_count; k++)
        make_mask(l, &l->sections[k]);
}

static void read_archive(struct static_libraries *l, const uint8_t *bytes, size_t size) {
    struct ar_hdr h;
    for (size_t at = SARMAG; at < size && size - at >= sizeof h;) {
        memcpy(&h, bytes + at, sizeof h);
        at += sizeof h;
        char digits[sizeof h.ar_size + 1] = "", *end;
        memcpy(digits, h.ar_size, sizeof h.ar_size);
        unsigned long length = strtoul(digits, &end, 10);
        if (memcmp(h.ar_fmag, ARFMAG, sizeof h.ar_fmag) != 0 || end == digits || length > size - at) return;
        add_object(l, bytes + at, length);
        at += length + length % 2;
    }
}

void static_libraries_add(struct static_libraries *l, const char *path) {
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    void *bytes = MAP_FAILED;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > SARMAG)
        bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (bytes == MAP_FAILED) return;
    char *name = strdup(base_name(path));
    rf_assert(name);
    array_push(l->files, l->file_count, (struct static_mapping){bytes, (size_t)st.st_size, name});
    if (!memcmp(bytes, ARMAG, SARMAG))
        read_archive(l, bytes, (size_t)st.st_size);
    else
        add_object(l, bytes, (size_t)st.st_size);
}

void static_libraries_free(struct static_libraries *l) {
    for (size_t i = 0; i < l->section_count; i++)
        free(l->sections[i].mask);
    for (size_t i = 0; i < l->file_count; i++) {
        munmap(l->files[i].bytes, l->files[i].size);
        free(l->files[i].name);
    }
    free(l->sections);
    free(l->objects);
    free(l->files);
}
