// Function ranges from .eh_frame_hdr (searched in place) or, without it, from .eh_frame. Layouts: LSB 5,
// DWARF 5 section 6.4.
#include "core/elf/elf_frames.h"

#include "core/elf/elf_inside.h"

#include <stdlib.h>

// Pointer encodings (DW_EH_PE_*): low nibble the format, 0x70 the base, 0x80 indirect.
enum {
    PE_ABSPTR = 0,
    PE_ULEB = 1,
    PE_UDATA2,
    PE_UDATA4,
    PE_UDATA8,
    PE_SLEB = 9,
    PE_SDATA2,
    PE_SDATA4,
    PE_SDATA8
};
enum { PE_PCREL = 0x10, PE_DATAREL = 0x30, PE_ALIGNED = 0x50, PE_OMIT = 0xff };

struct cursor {
    const struct elf_module *m;
    uint64_t at, end; // file offsets
    bool bad;
};

static uint64_t take(struct cursor *c, size_t len) {
    uint64_t value = 0;
    if (c->bad || c->at > c->end || len > c->end - c->at || !elf_read(c->m, c->at, &value, len)) {
        c->bad = true;
        return 0;
    }
    c->at += len;
    return value;
}

static uint64_t take_leb(struct cursor *c, bool is_signed) {
    uint64_t value = 0;
    unsigned shift = 0;
    uint8_t byte;
    do {
        byte = (uint8_t)take(c, 1);
        if (shift < 64) value |= (uint64_t)(byte & 0x7f) << shift;
        shift += 7;
    } while ((byte & 0x80) && !c->bad && shift < 80);
    if (is_signed && shift < 64 && (byte & 0x40)) value |= ~(uint64_t)0 << shift;
    return value;
}

static uint64_t take_value(struct cursor *c, uint8_t format) {
    switch (format & 0x0f) {
    case PE_ABSPTR:
    case PE_UDATA8:
    case PE_SDATA8:
        return take(c, 8);
    case PE_UDATA2:
        return take(c, 2);
    case PE_UDATA4:
        return take(c, 4);
    case PE_SDATA2:
        return (uint64_t)(int64_t)(int16_t)take(c, 2);
    case PE_SDATA4:
        return (uint64_t)(int64_t)(int32_t)take(c, 4);
    case PE_ULEB:
        return take_leb(c, false);
    case PE_SLEB:
        return take_leb(c, true);
    }
    c->bad = true;
    return 0;
}

// An encoded pointer; pcrel values need the link-time address of the field itself.
static uint64_t take_pointer(struct cursor *c, uint8_t encoding) {
    uint64_t base = 0;
    if ((encoding & 0x70) == PE_PCREL) {
        if (!elf_module_to_vaddr(c->m, c->at, &base)) c->bad = true;
    } else if ((encoding & 0x70) == PE_DATAREL) {
        base = c->m->eh_hdr_vaddr;
    } else if ((encoding & 0x70) != 0) {
        c->bad = true;
    }
    return base + take_value(c, encoding);
}

struct cie {
    uint8_t pointers, lsda; // encodings
    bool augmented;         // 'z'
};

static bool parse_cie(const struct elf_module *m, uint64_t offset, struct cie *cie) {
    struct cursor c = {.m = m, .at = offset, .end = m->size};
    uint64_t len = take(&c, 4);
    if (len == 0xffffffff) len = take(&c, 8);
    if (c.bad || len > c.end - c.at) return false;
    c.end = c.at + len;
    if (take(&c, 4) != 0) return false;
    uint8_t version = (uint8_t)take(&c, 1);
    char augmentation[16] = "";
    for (size_t i = 0;; i++) {
        if (i == sizeof augmentation || c.bad) return false;
        if ((augmentation[i] = (char)take(&c, 1)) == 0) break;
    }
    take_leb(&c, false);
    take_leb(&c, true);
    if (version == 1)
        take(&c, 1);
    else
        take_leb(&c, false);
    *cie = (struct cie){.pointers = PE_ABSPTR, .lsda = PE_OMIT};
    if (augmentation[0] == 0) return !c.bad;
    if (augmentation[0] != 'z') return false;
    cie->augmented = true;
    take_leb(&c, false);
    for (const char *a = augmentation + 1; *a; a++) {
        if (*a == 'R') {
            cie->pointers = (uint8_t)take(&c, 1);
        } else if (*a == 'L') {
            cie->lsda = (uint8_t)take(&c, 1);
        } else if (*a == 'P') {
            uint8_t encoding = (uint8_t)take(&c, 1);
            if (encoding == PE_ALIGNED) return false;
            take_value(&c, encoding);
        } else if (*a != 'S' && *a != 'B') {
            return false;
        }
    }
    return !c.bad;
}

// One entry of .eh_frame at a file offset. Returns the offset of the next, 0 at the end or when it is broken;
// *end is 0 for a CIE.
static uint64_t parse_fde(const struct elf_module *m, uint64_t offset, uint64_t *start, uint64_t *end,
                          bool *lsda) {
    struct cursor c = {.m = m, .at = offset, .end = m->size};
    uint64_t len = take(&c, 4);
    if (len == 0xffffffff) len = take(&c, 8);
    if (c.bad || len == 0 || len > c.end - c.at) return 0;
    c.end = c.at + len;
    *start = *end = 0;
    uint64_t field = c.at, back = take(&c, 4);
    if (c.bad) return 0;
    struct cie cie;
    if (back == 0 || back > field || !parse_cie(m, field - back, &cie)) return c.end;
    *start = take_pointer(&c, cie.pointers);
    uint64_t range = take_value(&c, cie.pointers);
    *lsda = false;
    if (cie.augmented && take_leb(&c, false) != 0 && cie.lsda != PE_OMIT)
        *lsda = take_value(&c, cie.lsda) != 0;
    if (c.bad || (cie.pointers & 0x80) || *start > UINT64_MAX - range) return c.end;
    *end = *start + range;
    return c.end;
}

// The binary search table of .eh_frame_hdr, when it is the one that linkers write:
//     01 1b 03 3b | eh_frame_ptr pcrel sdata4 | count udata4 | {location, fde} datarel sdata4 each, sorted by location
struct table {
    uint64_t offset, count;
};

static bool find_table(const struct elf_module *m, struct table *t) {
    uint8_t head[12];
    uint32_t count;
    if (m->eh_hdr_size < sizeof head || !elf_read(m, m->eh_hdr, head, sizeof head)) return false;
    if (head[0] != 1 || head[1] != (PE_PCREL | PE_SDATA4) || head[2] != PE_UDATA4 ||
        head[3] != (PE_DATAREL | PE_SDATA4))
        return false;
    memcpy(&count, head + 8, sizeof count);
    t->offset = m->eh_hdr + sizeof head;
    t->count = (m->eh_hdr_size - sizeof head) / 8;
    if (count < t->count) t->count = count;
    return t->count > 0;
}

static bool table_entry(const struct elf_module *m, const struct table *t, uint64_t index, uint64_t *location,
                        uint64_t *fde) {
    int32_t pair[2];
    if (!elf_read(m, t->offset + index * 8, pair, sizeof pair)) return false;
    *location = m->eh_hdr_vaddr + (uint64_t)(int64_t)pair[0];
    *fde = m->eh_hdr_vaddr + (uint64_t)(int64_t)pair[1];
    return true;
}

// How many entries begin at or below vaddr.
static uint64_t table_search(const struct elf_module *m, const struct table *t, uint64_t vaddr) {
    uint64_t low = 0, high = t->count;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2, location, fde;
        if (!table_entry(m, t, middle, &location, &fde)) return 0;
        if (location <= vaddr)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool table_function(const struct elf_module *m, const struct table *t, uint64_t index, uint64_t *start,
                           uint64_t *end, bool *lsda) {
    uint64_t location, fde, offset;
    return table_entry(m, t, index, &location, &fde) && elf_module_to_offset(m, fde, &offset) &&
           parse_fde(m, offset, start, end, lsda) != 0 && *end != 0 && *start == location;
}

// Without a table: .eh_frame by its section header.
static const struct elf_ranges *frame_ranges(const struct elf_module *m) {
    if (m->frames.built) return &m->frames;
    struct elf_module *cache =
        (struct elf_module *)m; // made by calloc in elf_module_parse, never a const object
    cache->frames.built = true;
    for (size_t i = 0; i < m->shnum; i++) {
        Elf64_Shdr s;
        char name[10];
        Elf64_Ehdr ehdr;
        Elf64_Shdr names;
        if (!elf_section(m, i, &s) || !elf_read(m, 0, &ehdr, sizeof ehdr)) continue;
        if (!elf_section(m, ehdr.e_shstrndx, &names) || names.sh_offset > m->size) continue;
        if (!elf_read(m, names.sh_offset + s.sh_name, name, sizeof name) ||
            memcmp(name, ".eh_frame", 10) != 0)
            continue;
        if (s.sh_type == SHT_NOBITS || s.sh_offset > m->size) continue;
        uint64_t limit = s.sh_size < m->size - s.sh_offset ? s.sh_offset + s.sh_size : m->size;
        for (uint64_t at = s.sh_offset, next; at < limit; at = next) {
            uint64_t start, end;
            bool lsda;
            next = parse_fde(m, at, &start, &end, &lsda);
            if (next <= at) break;
            if (end > start && !elf_ranges_add(&cache->frames, start, end)) break;
        }
    }
    elf_ranges_sort(&cache->frames);
    return &m->frames;
}

bool elf_frames_function(const struct elf_module *m, uint64_t vaddr, uint64_t *start, uint64_t *end,
                         bool *lsda) {
    struct table t;
    *lsda = false;
    if (find_table(m, &t)) {
        uint64_t below = table_search(m, &t, vaddr);
        return below > 0 && table_function(m, &t, below - 1, start, end, lsda) && vaddr >= *start &&
               vaddr < *end;
    }
    const struct elf_range *r = elf_ranges_find(frame_ranges(m), vaddr);
    if (!r) return false;
    *start = r->start;
    *end = r->end;
    *lsda = true; // not kept by the index: assume the worst
    return true;
}

uint64_t elf_frames_end_before(const struct elf_module *m, uint64_t vaddr) {
    struct table t;
    uint64_t start, end;
    bool lsda;
    if (find_table(m, &t)) {
        uint64_t below = table_search(m, &t, vaddr);
        return below > 0 && table_function(m, &t, below - 1, &start, &end, &lsda) && end <= vaddr ? end : 0;
    }
    const struct elf_ranges *ranges = frame_ranges(m);
    uint64_t best = 0;
    for (size_t i = 0; i < ranges->count; i++)
        if (ranges->v[i].end <= vaddr && ranges->v[i].end > best) best = ranges->v[i].end;
    return best;
}
