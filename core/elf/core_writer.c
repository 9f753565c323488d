#include "core/elf/core_writer.h"

#include "core/abi.h"
#include "core/error.h"
#include "core/guard.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { CHUNK = 1 << 16 };

// ---- notes

void core_note(FILE *out, const char *name, uint32_t type, const void *data, size_t len) {
    static const char zeros[4];
    Elf64_Nhdr head = {(uint32_t)strlen(name) + 1, (uint32_t)len, type};
    fwrite(&head, sizeof head, 1, out);
    fwrite(name, 1, head.n_namesz, out);
    fwrite(zeros, 1, -head.n_namesz & 3, out);
    fwrite(data, 1, len, out);
    fwrite(zeros, 1, -head.n_descsz & 3, out);
}

static bool of_file(const struct view_map *m) {
    return m->blob && m->name && m->name[0] == '/';
}

// u64 count, page size; {start, end, file offset in pages}[count]; the names, each with a NUL.
void core_files_note(FILE *out, const struct view *v) {
    char *bytes;
    size_t len;
    FILE *text = open_memstream(&bytes, &len);
    rf_assert(text);
    uint64_t head[2] = {0, PAGE};
    for (size_t i = 0; i < v->map_count; i++)
        head[0] += of_file(&v->maps[i]);
    fwrite(head, sizeof head, 1, text);
    for (size_t i = 0; i < v->map_count; i++) {
        const struct view_map *m = &v->maps[i];
        uint64_t row[3] = {m->start, m->end, m->offset / PAGE};
        if (of_file(m)) fwrite(row, sizeof row, 1, text);
    }
    for (size_t i = 0; i < v->map_count; i++)
        if (of_file(&v->maps[i])) fwrite(v->maps[i].name, 1, strlen(v->maps[i].name) + 1, text);
    fclose(text);
    if (head[0]) core_note(out, "CORE", NT_FILE, bytes, len);
    free(bytes);
}

// ---- memory

// Pages that cannot be read (beyond a file's end) are zeros, as the kernel leaves holes there.
static int write_map(FILE *out, const struct view *v, const struct view_map *m) {
    scoped_free uint8_t *buffer = malloc(CHUNK);
    rf_assert(buffer);
    for (uint64_t at = m->start; at < m->end;) {
        size_t len = m->end - at < CHUNK ? (size_t)(m->end - at) : CHUNK;
        if (!v->read(v->context, at, buffer, len)) {
            memset(buffer, 0, len);
            for (size_t page = 0; page < len; page += PAGE)
                if (!v->read(v->context, at + page, buffer + page, PAGE)) memset(buffer + page, 0, PAGE);
        }
        if (fwrite(buffer, 1, len, out) != len) return -1;
        at += len;
    }
    return 0;
}

static uint64_t stored(const struct view_map *m) {
    return m->prot & PROT_READ ? m->end - m->start : 0;
}

static int write_headers(FILE *out, const struct view *v, size_t notes) {
    uint64_t count = v->map_count + 1;
    bool many = count >= PN_XNUM; // then the number is in the first section header (elf(5))
    Elf64_Ehdr e = {.e_type = ET_CORE,
                    .e_machine = EM_X86_64,
                    .e_version = EV_CURRENT,
                    .e_phoff = sizeof e,
                    .e_ehsize = sizeof e,
                    .e_phentsize = sizeof(Elf64_Phdr),
                    .e_phnum = (uint16_t)(many ? PN_XNUM : count),
                    .e_shentsize = many ? sizeof(Elf64_Shdr) : 0};
    memcpy(e.e_ident, ELFMAG, SELFMAG);
    e.e_ident[EI_CLASS] = ELFCLASS64;
    e.e_ident[EI_DATA] = ELFDATA2LSB;
    e.e_ident[EI_VERSION] = EV_CURRENT;
    uint64_t at = sizeof e + count * sizeof(Elf64_Phdr);
    if (many) {
        e.e_shoff = at;
        e.e_shnum = 1;
        at += sizeof(Elf64_Shdr);
    }
    fwrite(&e, sizeof e, 1, out);
    Elf64_Phdr ph = {.p_type = PT_NOTE, .p_offset = at, .p_filesz = notes, .p_align = 4};
    fwrite(&ph, sizeof ph, 1, out);
    at = (at + notes + PAGE - 1) & ~(PAGE - 1);
    for (size_t i = 0; i < v->map_count; i++) {
        const struct view_map *m = &v->maps[i];
        ph = (Elf64_Phdr){.p_type = PT_LOAD,
                          .p_offset = at,
                          .p_vaddr = m->start,
                          .p_filesz = stored(m),
                          .p_memsz = m->end - m->start,
                          .p_align = PAGE};
        ph.p_flags = (m->prot & PROT_READ ? PF_R : 0u) | (m->prot & PROT_WRITE ? PF_W : 0u) |
                     (m->prot & PROT_EXEC ? PF_X : 0u);
        fwrite(&ph, sizeof ph, 1, out);
        at += ph.p_filesz;
    }
    Elf64_Shdr sh = {.sh_info = (uint32_t)count};
    if (many) fwrite(&sh, sizeof sh, 1, out);
    return ferror(out) ? -1 : 0;
}

int core_body(FILE *out, const struct view *v, const char *notes, size_t len) {
    static const char zeros[PAGE];
    uint64_t at = sizeof(Elf64_Ehdr) + (v->map_count + 1) * sizeof(Elf64_Phdr) + len;
    if (v->map_count + 1 >= PN_XNUM) at += sizeof(Elf64_Shdr);
    if (write_headers(out, v, len) || fwrite(notes, 1, len, out) != len) return -1;
    fwrite(zeros, 1, -at & (PAGE - 1), out);
    for (size_t i = 0; i < v->map_count; i++)
        if (stored(&v->maps[i]) && write_map(out, v, &v->maps[i])) return -1;
    return ferror(out) ? -1 : 0;
}
