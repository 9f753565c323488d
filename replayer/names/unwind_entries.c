// .eh_frame without .eh_frame_hdr: static glibc programs (gcc -static links crtbeginT.o and asks for no
// header).
#include "replayer/names/unwind_entries.h"

#include "replayer/names/unwind_module.h"

#include <string.h>

enum { ENCODING_ABSOLUTE = 0x00, ENCODING_DATA4 = 0x03, ENCODING_RELATIVE4 = 0x1b };

static bool find_section(const struct module *m, struct frame_section *section, const uint8_t **bytes) {
    Elf64_Ehdr e;
    Elf64_Shdr names;
    if (m->size < sizeof e) return false;
    memcpy(&e, m->image, sizeof e);
    if (e.e_shentsize != sizeof names || e.e_shstrndx >= e.e_shnum || e.e_shoff > m->size ||
        e.e_shnum * sizeof names > m->size - e.e_shoff)
        return false;
    memcpy(&names, m->image + e.e_shoff + e.e_shstrndx * sizeof names, sizeof names);
    static const char wanted[] = ".eh_frame";
    for (unsigned i = 0; i < e.e_shnum; i++) {
        Elf64_Shdr s;
        memcpy(&s, m->image + e.e_shoff + i * sizeof s, sizeof s);
        uint64_t name;
        if (s.sh_type == SHT_NOBITS || __builtin_add_overflow(names.sh_offset, s.sh_name, &name)) continue;
        if (name > m->size || m->size - name < sizeof wanted ||
            memcmp(m->image + name, wanted, sizeof wanted))
            continue;
        if (s.sh_offset > m->size || s.sh_size > m->size - s.sh_offset) return false;
        *section = (struct frame_section){s.sh_addr + m->bias, s.sh_size};
        *bytes = m->image + s.sh_offset;
        return true;
    }
    return false;
}

// Skips one LEB128 number; false at the end.
static bool skip_number(const uint8_t **at, const uint8_t *end) {
    while (*at < end)
        if (!(*(*at)++ & 0x80)) return true;
    return false;
}

// How the FDEs of the CIE in [at, end) (behind its id) write addresses: 'R' of
//     version, augmentation "zPLR", code and data alignment, return register, length, then a byte or pointer
//     a letter
static bool read_encoding(const uint8_t *at, const uint8_t *end, uint8_t *encoding) {
    *encoding = ENCODING_ABSOLUTE;
    if (at >= end) return false;
    uint8_t version = *at++;
    const char *augmentation = (const char *)at;
    const uint8_t *nul = memchr(at, 0, (size_t)(end - at));
    if (!nul) return false;
    at = nul + 1;
    if (!skip_number(&at, end) || !skip_number(&at, end)) return false;
    if (version == 1)
        at++;
    else if (!skip_number(&at, end))
        return false;
    if (augmentation[0] != 'z') return true;
    if (!skip_number(&at, end)) return false;
    for (const char *letter = augmentation + 1; *letter && at < end; letter++) {
        if (*letter == 'R') {
            *encoding = *at;
            return true;
        }
        if (*letter == 'L') at++;
        if (*letter == 'P')
            at += 1 + (size_t)((*at & 7) == 3 || (*at & 7) == 2 ? 4 : 8); // [s|u]data4, else 8
    }
    return true;
}

bool module_frame_entry(const struct module *m, uint64_t pc, struct frame_section *section, uint64_t *start,
                        uint64_t *entry) {
    const uint8_t *bytes;
    if (!find_section(m, section, &bytes)) return false;
    uint64_t last_common = UINT64_MAX;
    uint8_t encoding = ENCODING_ABSOLUTE;
    for (uint64_t at = 0; at + 8 <= section->size;) {
        uint32_t length, id;
        memcpy(&length, bytes + at, 4);
        memcpy(&id, bytes + at + 4, 4);
        uint64_t next = at + 4 + length;
        if (length < 4 || length == UINT32_MAX || next > section->size) return false;
        if (id && id <= at + 4) { // an FDE: id is the distance back to its CIE
            uint64_t common = at + 4 - id;
            if (common != last_common) {
                uint32_t common_length;
                memcpy(&common_length, bytes + common, 4);
                if (common_length > section->size - common - 4 || common_length < 4 ||
                    !read_encoding(bytes + common + 8, bytes + common + 4 + common_length, &encoding))
                    return false;
                last_common = common;
            }
            uint64_t from = 0, size = 0;
            if (encoding == ENCODING_ABSOLUTE && length >= 20) {
                memcpy(&from, bytes + at + 8, 8);
                memcpy(&size, bytes + at + 16, 8);
                from += m->bias;
            } else if (length >= 12) {
                int32_t value;
                uint32_t size4;
                memcpy(&value, bytes + at + 8, 4);
                memcpy(&size4, bytes + at + 12, 4);
                size = size4;
                if (encoding == ENCODING_RELATIVE4)
                    from = section->address + at + 8 + (uint64_t)(int64_t)value;
                else if (encoding == ENCODING_DATA4)
                    from = (uint32_t)value + m->bias;
                else
                    size = 0;
            }
            if (pc >= from && pc - from < size) {
                *start = from;
                *entry = section->address + at;
                return true;
            }
        }
        at = next;
    }
    return false;
}
