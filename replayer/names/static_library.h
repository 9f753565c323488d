// The sections with code of static libraries (ar archives of ELF64 x86-64 object files) and of single object files.
#ifndef REFORK_REPLAYER_NAMES_STATIC_LIBRARY_H
#define REFORK_REPLAYER_NAMES_STATIC_LIBRARY_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#undef EV_NONE // <elf.h>'s invalid version; core/event.h has an enum constant of that name

struct static_object { // a member; all offsets are checked against `size` at each use
    const uint8_t *bytes;
    size_t size;
    const char *library; // file name
    Elf64_Shdr symbols, strings;
    size_t symbol_count;
};

struct static_section {
    size_t object; // index
    uint16_t index;
    const uint8_t *code;
    size_t size;
    uint8_t *mask; // 0xff: a byte that the linker fills in
    size_t fixed;  // bytes that it does not
    Elf64_Shdr relocations;
    size_t relocation_count;
};

struct static_libraries {
    struct static_object *objects;
    size_t object_count;
    struct static_section *sections;
    size_t section_count;
    struct static_mapping {
        void *bytes;
        size_t size;
        char *name;
    } * files;
    size_t file_count;
};

// Adds a library's sections; nothing if the file is none, or cannot be read.
void static_libraries_add(struct static_libraries *l, const char *path);
void static_libraries_free(struct static_libraries *l);

bool static_relocation(const struct static_libraries *l, const struct static_section *s, size_t i,
                       Elf64_Rela *out);
// The name is NULL if it has none.
bool static_symbol(const struct static_object *o, size_t i, Elf64_Sym *out, const char **name);

#endif
