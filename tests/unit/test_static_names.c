// Names by code: a library made by hand, and programs as a linker would make them of it.
#include "replayer/names/static_names.h"

#include "tests/unit/scratch.h"

#include <ar.h>
#include <stdbool.h>
#include <string.h>

enum { CODE = 64, BASE = 0x400000, TEXT = 0x1000, DATA = 0x403000 };

// A member: 64 bytes of code, which end in an access to a variable (4 bytes that the linker fills in), one function
// behind the other, and a local variable 16 bytes into .bss.
struct member {
    uint8_t code[CODE];
    const char *first, *second; // functions at 0 and at 32
    const char *variable;       // NULL: no relocation
    const char *calls;          // instead of the variable: a function elsewhere
};
enum { FIELD = 40 };

static void make_code(uint8_t code[CODE], unsigned seed) {
    for (size_t i = 0; i < CODE; i++)
        code[i] = (uint8_t)(seed = seed * 1103515245 + 12345, seed >> 16);
    memset(code + FIELD, 0, 4);
}

static size_t make_object(const struct member *m, uint8_t *out) {
    enum { SECTIONS = 6, NAMES = 128 };
    char names[NAMES] = "";
    size_t used = 1, at = sizeof(Elf64_Ehdr);
    const char *const symbols[] = {m->first, m->second, m->variable, m->calls};
    Elf64_Sym table[6] = {{0}, {.st_info = ELF64_ST_INFO(STB_LOCAL, STT_SECTION), .st_shndx = 3}};
    for (size_t i = 0; i < 4; i++) {
        if (!symbols[i]) continue;
        table[2 + i] = (Elf64_Sym){
            .st_name = (Elf64_Word)used,
            .st_info = ELF64_ST_INFO(i == 2 ? STB_LOCAL : STB_GLOBAL, i == 2 ? STT_OBJECT : STT_FUNC),
            .st_shndx = i == 2 ? 3 : 1,
            .st_value = i == 2 ? 16 : i * 32,
            .st_size = i == 2 ? 4 : 32};
        if (i == 3)
            table[5] =
                (Elf64_Sym){.st_name = (Elf64_Word)used, .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_NOTYPE)};
        used += (size_t)sprintf(names + used, "%s", symbols[i]) + 1;
    }
    // The variable's address, seen from behind the field.
    Elf64_Rela rela = {.r_offset = FIELD, .r_info = ELF64_R_INFO(1, R_X86_64_PC32), .r_addend = 16 - 4};
    if (m->calls)
        rela = (Elf64_Rela){.r_offset = FIELD, .r_info = ELF64_R_INFO(5, R_X86_64_PLT32), .r_addend = -4};
    Elf64_Shdr sections[SECTIONS] = {
        {0},
        {.sh_type = SHT_PROGBITS, .sh_flags = SHF_ALLOC | SHF_EXECINSTR, .sh_size = CODE},
        {.sh_type = SHT_RELA, .sh_info = 1, .sh_size = m->variable || m->calls ? sizeof rela : 0},
        {.sh_type = SHT_NOBITS, .sh_flags = SHF_ALLOC | SHF_WRITE, .sh_size = 64},
        {.sh_type = SHT_SYMTAB, .sh_link = 5, .sh_size = sizeof table},
        {.sh_type = SHT_STRTAB, .sh_size = sizeof names},
    };
    const void *const contents[SECTIONS] = {NULL, m->code, &rela, NULL, table, names};
    for (size_t i = 1; i < SECTIONS; i++) {
        sections[i].sh_offset = at;
        if (!contents[i]) continue;
        memcpy(out + at, contents[i], sections[i].sh_size);
        at += sections[i].sh_size;
    }
    Elf64_Ehdr e = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64},
                    .e_type = ET_REL,
                    .e_machine = EM_X86_64,
                    .e_shoff = at,
                    .e_shentsize = sizeof *sections,
                    .e_shnum = SECTIONS};
    memcpy(out, &e, sizeof e);
    memcpy(out + at, sections, sizeof sections);
    return at + sizeof sections;
}

static size_t make_library(const struct member *members, size_t count, uint8_t *out) {
    size_t at = SARMAG;
    memcpy(out, ARMAG, SARMAG);
    for (size_t i = 0; i < count; i++) {
        uint8_t object[4096];
        size_t size = make_object(&members[i], object);
        char header[sizeof(struct ar_hdr) + 1];
        snprintf(header, sizeof header, "%-16s%-12d%-6d%-6d%-8o%-10zu%s", "m.o/", 0, 0, 0, 0644, size,
                 ARFMAG);
        memcpy(out + at, header, sizeof(struct ar_hdr));
        memcpy(out + at + sizeof(struct ar_hdr), object, size);
        at += sizeof(struct ar_hdr) + size;
        if (at % 2) out[at++] = '\n';
    }
    return at;
}

static void put_library(const void *bytes, size_t size) {
    char path[128];
    snprintf(path, sizeof path, "%s/libx.a", scratch);
    FILE *f = fopen(path, "wbe");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

// The members at 16, 16+CODE, ... of the text.
enum { IMAGE = TEXT + 16 + 4 * CODE + 64 };
static void make_program(const struct member *members, size_t count, bool interpreter, uint8_t image[IMAGE]) {
    memset(image, 0x90, IMAGE);
    Elf64_Ehdr e = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, 1},
                    .e_type = ET_EXEC,
                    .e_machine = EM_X86_64,
                    .e_phoff = sizeof e,
                    .e_phentsize = sizeof(Elf64_Phdr),
                    .e_phnum = 2};
    Elf64_Phdr p[2] = {{.p_type = PT_LOAD,
                        .p_flags = PF_R | PF_X,
                        .p_offset = TEXT,
                        .p_vaddr = BASE + TEXT,
                        .p_filesz = IMAGE - TEXT,
                        .p_memsz = IMAGE - TEXT},
                       {.p_type = interpreter ? PT_INTERP : PT_NOTE}};
    memcpy(image, &e, sizeof e);
    memcpy(image + sizeof e, p, sizeof p);
    for (size_t i = 0; i < count; i++) {
        uint64_t offset = TEXT + 16 + i * CODE;
        memcpy(image + offset, members[i].code, CODE);
        // .bss of member i is at DATA + 64 i.
        int32_t value = (int32_t)(DATA + 64 * (int64_t)i + 16 - (int64_t)(BASE + offset + FIELD + 4));
        // take and give are the first member's.
        uint64_t target = BASE + TEXT + 16 + (members[i].calls && !strcmp(members[i].calls, "give") ? 32 : 0);
        if (members[i].calls) value = (int32_t)((int64_t)target - (int64_t)(BASE + offset + FIELD + 4));
        if (members[i].variable || members[i].calls) memcpy(image + offset + FIELD, &value, 4);
    }
}

// Position-independent, with those flags in its dynamic section.
static void set_pie(uint8_t image[IMAGE], uint64_t flags) {
    Elf64_Ehdr e;
    const uint64_t at = IMAGE - sizeof(Elf64_Dyn);
    const Elf64_Dyn d = {.d_tag = DT_FLAGS_1, .d_un.d_val = flags};
    const Elf64_Phdr dynamic = {.p_type = PT_DYNAMIC, .p_offset = at, .p_filesz = sizeof d};
    memcpy(&e, image, sizeof e);
    e.e_type = ET_DYN;
    memcpy(image, &e, sizeof e);
    memcpy(image + sizeof e + sizeof dynamic, &dynamic, sizeof dynamic);
    memcpy(image + at, &d, sizeof d);
}

struct found {
    char text[2000];
};

static void note(void *context, const char *library, const char *name, const Elf64_Sym *symbol) {
    struct found *f = context;
    size_t used = strlen(f->text);
    snprintf(f->text + used, sizeof f->text - used, "%s:%s@%lx+%lu ", library, name, (long)symbol->st_value,
             (long)symbol->st_size);
}

static void expect(const uint8_t image[IMAGE], const char *want) {
    struct found f = {""};
    static_names(image, IMAGE, note, &f);
    assert_string_equal(f.text, want);
}

static void members_of(struct member m[2]) {
    memset(m, 0, 2 * sizeof *m);
    make_code(m[0].code, 1);
    make_code(m[1].code, 2);
    m[0].first = "take";
    m[0].second = "give";
    m[0].variable = "the_lock";
    m[1].first = "wait";
}

static int setup(void **state) {
    (void)state;
    char paths[256];
    scratch_make();
    snprintf(paths, sizeof paths, "%s/nothing.a:%s/libx.a", scratch, scratch);
    return setenv("REFORK_LIBRARIES", paths, 1);
}

static int teardown(void **state) {
    (void)state;
    scratch_remove();
    return 0;
}

static void test_names(void **state) {
    (void)state;
    static uint8_t library[20000], image[IMAGE];
    struct member m[2];
    members_of(m);
    put_library(library, make_library(m, 2, library));
    make_program(m, 2, false, image);
    expect(image,
           "libx.a:take@401010+32 libx.a:give@401030+32 libx.a:the_lock@403010+4 libx.a:wait@401050+32 ");
    // One byte of the code is another one: only that member is not there.
    image[TEXT + 16 + 50] ^= 1;
    expect(image, "libx.a:wait@401050+32 ");
    image[TEXT + 16 + 50] ^= 1;
    // A dynamic program has its names elsewhere.
    make_program(m, 2, true, image);
    expect(image, "");
    // So has a shared library; a position-independent program that is static is none.
    make_program(m, 2, false, image);
    set_pie(image, 0);
    expect(image, "");
    set_pie(image, DF_1_PIE);
    expect(image,
           "libx.a:take@401010+32 libx.a:give@401030+32 libx.a:the_lock@403010+4 libx.a:wait@401050+32 ");
    // A single object file.
    put_library(library, make_object(&m[1], library));
    make_program(m, 2, false, image);
    expect(image, "libx.a:wait@401050+32 ");
}

// Two members with one code: it is not known which, unless they are called the same.
static void test_alike(void **state) {
    (void)state;
    static uint8_t library[20000], image[IMAGE];
    struct member m[3];
    members_of(m);
    m[2] = m[1];
    m[2].first = "another";
    put_library(library, make_library(m, 3, library));
    make_program(m, 2, false, image);
    expect(image, "libx.a:take@401010+32 libx.a:give@401030+32 libx.a:the_lock@403010+4 ");
    // A call of something whose place is known tells: `wait` calls take, `another` calls give.
    m[1].calls = "take";
    m[2].calls = "give";
    memset(m[1].code + FIELD, 0, 4);
    memset(m[2].code + FIELD, 0, 4);
    put_library(library, make_library(m, 3, library));
    make_program(m, 2, false, image);
    expect(image,
           "libx.a:take@401010+32 libx.a:give@401030+32 libx.a:the_lock@403010+4 libx.a:wait@401050+32 ");
    m[1].calls = "give";
    make_program(m, 2, false, image);
    expect(image,
           "libx.a:take@401010+32 libx.a:give@401030+32 libx.a:the_lock@403010+4 libx.a:another@401050+32 ");
    m[1].calls = m[2].calls = NULL;
    make_program(m, 2, false, image);
    m[2].first = m[1].first;
    put_library(library, make_library(m, 3, library));
    expect(image,
           "libx.a:take@401010+32 libx.a:give@401030+32 libx.a:the_lock@403010+4 libx.a:wait@401050+32 ");
}

// Whatever is broken in the library: names may be missing, and nothing else happens.
static void test_damaged(void **state) {
    (void)state;
    static uint8_t library[20000], broken[20000], image[IMAGE];
    struct member m[2];
    unsigned seed = 7;
    members_of(m);
    size_t size = make_library(m, 2, library);
    make_program(m, 2, false, image);
    for (int turn = 0; turn < 3000; turn++) {
        memcpy(broken, library, size);
        for (int i = 0; i < 3; i++) {
            seed = seed * 1103515245 + 12345;
            broken[seed / 65536 % size] = (uint8_t)(seed >> 8);
        }
        put_library(broken, turn % 4 ? size : seed / 65536 % size);
        struct found f = {""};
        static_names(image, IMAGE, note, &f);
    }
    put_library(library, size);
    expect(image,
           "libx.a:take@401010+32 libx.a:give@401030+32 libx.a:the_lock@403010+4 libx.a:wait@401050+32 ");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_alike),
        cmocka_unit_test(test_damaged),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
