// Function names of a Go program without a symbol table (-ldflags=-s): the runtime's own table for stack traces,
// .gopclntab, is always there. Its form since Go 1.18 (src/debug/gosym/pclntab.go, src/cmd/link/internal/ld/pcln.go):
//
//     f0 ff ff ff, since 1.20 f1 ff ff ff · 00 00 · quantum · bytes of a pointer
//     8 bytes each: functions, files, runtime.text, and where in the section are: names, ..., ..., ..., functions [7]
//     functions: {u32 entry - text, u32 where its facts are, from here}..., u32 end - text
//     facts: u32 entry - text, u32 where its name is, ...
#include "replayer/names/symbols_go.h"

#include "replayer/names/symbols_module.h"

#include <stdlib.h>
#include <string.h>

enum { FUNCTIONS_MAX = 1 << 21, HEADER_WORDS = 8 };

struct table {
    const char *bytes;
    uint64_t size;
};

static bool get(const struct table *t, uint64_t at, void *out, size_t n) {
    if (at > t->size || n > t->size - at) return false;
    memcpy(out, t->bytes + at, n);
    return true;
}

static bool find_table(Elf *elf, const struct module *m, struct table *out) {
    size_t names;
    if (elf_getshdrstrndx(elf, &names) < 0) return false;
    for (Elf_Scn *section = NULL; (section = elf_nextscn(elf, section));) {
        GElf_Shdr header;
        if (!gelf_getshdr(section, &header) || header.sh_type == SHT_NOBITS) continue;
        const char *name = elf_strptr(elf, names, header.sh_name);
        if (!name || (strcmp(name, ".gopclntab") != 0 && strcmp(name, ".data.rel.ro.gopclntab") != 0))
            continue;
        if (header.sh_offset > m->size || header.sh_size > m->size - header.sh_offset) return false;
        *out = (struct table){(const char *)m->image + header.sh_offset, header.sh_size};
        return true;
    }
    return false;
}

static const char *name_at(const struct table *t, uint64_t at) {
    return at < t->size && memchr(t->bytes + at, 0, t->size - at) ? t->bytes + at : NULL;
}

void symbol_module_go(struct symbol_module *s, Elf *elf, const struct module *m) {
    struct table t;
    uint32_t magic;
    uint8_t pointer;
    uint64_t words[HEADER_WORDS];
    if (!find_table(elf, m, &t) || !get(&t, 0, &magic, 4) || !get(&t, 7, &pointer, 1) ||
        !get(&t, 8, words, sizeof words))
        return;
    uint64_t count = words[0], text = words[2], names = words[3], functions = words[7];
    if ((magic != 0xfffffff0 && magic != 0xfffffff1) || pointer != 8 || !text || count > FUNCTIONS_MAX)
        return;
    free(s->symbols);
    s->symbols = calloc(count + 1, sizeof *s->symbols);
    for (uint64_t i = 0; s->symbols && i < count; i++) {
        uint32_t entry[3], facts[2]; // with the next one's begin
        if (!get(&t, functions + i * 8, entry, sizeof entry) ||
            !get(&t, functions + entry[1], facts, sizeof facts) || entry[2] < entry[0])
            return;
        const char *name = name_at(&t, names + facts[1]);
        if (!name || !*name) continue;
        s->symbols[s->symbol_count++] = (struct symbol){.value = text + entry[0],
                                                        .size = entry[2] - entry[0],
                                                        .name = name,
                                                        .code = true,
                                                        .function = true};
    }
}
