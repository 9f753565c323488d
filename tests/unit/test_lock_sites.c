// Lock sites: what objdump lists, second entries behind a lock prefix, bytes that only look like one.
#include "core/atomic_emulate.h"
#include "core/elf/lock_sites.h"
#include "tests/unit/elf_files.h"
#include "core/elf/elf_inside.h"
#include "core/elf/elf_functions.h"

#include <string.h>

static const struct {
    const char *name;
    int operation;
} names[] = {
    {"cmpxchg", ATOMIC_CMPXCHG}, {"xchg", ATOMIC_XCHG}, {"xadd", ATOMIC_XADD}, {"add", ATOMIC_ADD},
    {"adc", ATOMIC_ADC},         {"sub", ATOMIC_SUB},   {"sbb", ATOMIC_SBB},   {"inc", ATOMIC_INC},
    {"dec", ATOMIC_DEC},         {"neg", ATOMIC_NEG},   {"not", ATOMIC_NOT},   {"and", ATOMIC_AND},
    {"or", ATOMIC_OR},           {"xor", ATOMIC_XOR},   {"bts", ATOMIC_BTS},   {"btr", ATOMIC_BTR},
    {"btc", ATOMIC_BTC},
};

// "cmpxchg16b", "subl" -> the operation
static int operation_of(const char *mnemonic) {
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t len = strlen(names[i].name);
        if (strncmp(mnemonic, names[i].name, len) != 0) continue;
        if (strlen(mnemonic) <= len + 1 || strcmp(mnemonic + len, "16b") == 0) return names[i].operation;
    }
    return ATOMIC_NONE;
}

// Compares with objdump's listing of the file; returns how many sites there are, *second: second entries.
static size_t compare_with_objdump(const char *path, size_t *second) {
    struct image f;
    *second = 0;
    if (!load_image(&f, path)) return 0;
    assert_non_null(f.m);
    size_t count, n = 0, branches = 0, room = 1 << 20;
    struct lock_site *sites = elf_module_lock_sites(f.m, &count);
    uint64_t *targets = malloc(room * sizeof *targets);
    char command[512], line[256];
    // "ADDRESS lock cmpxchg", "ADDRESS xchg" (with memory); "ADDRESS jump TARGET"
    snprintf(command, sizeof command,
             "objdump -d --no-show-raw-insn -w '%s' | sed -nE "
             "-e 's/^ *([0-9a-f]+):.*[[:space:]]lock ([a-z0-9]+).*$/\\1 \\2 0/p;t' "
             "-e 's/^ *([0-9a-f]+):.*[[:space:]](xchg)[bwlq]? .*(\\(|%%[fg]s:).*$/\\1 \\2 0/p;t' "
             "-e 's/^ *([0-9a-f]+):.*[[:space:]]j[a-z]+ +([0-9a-f]+)( .*)?$/\\1 jump \\2/p'",
             path);
    FILE *p = popen(command, "r");
    assert_non_null(p);
    while (fgets(line, sizeof line, p)) {
        uint64_t vaddr, target;
        char name[32];
        assert_int_equal(sscanf(line, "%lx %31s %lx", &vaddr, name, &target), 3);
        if (strcmp(name, "jump") == 0) {
            if (branches < room) targets[branches++] = target;
            continue;
        }
        while (n < count && (sites[n].flags & LOCK_SITE_SECOND_ENTRY))
            n++;
        if (n >= count || sites[n].vaddr != vaddr)
            fail_msg("%s: %s at %lx not found (next %lx)", path, name, vaddr, n < count ? sites[n].vaddr : 0);
        assert_int_equal(sites[n].operation, operation_of(name));
        n++;
    }
    assert_int_equal(pclose(p), 0);
    while (n < count && (sites[n].flags & LOCK_SITE_SECOND_ENTRY))
        n++;
    assert_int_equal(n, count);
    // second entries: exactly the sites whose second byte is a branch target
    for (size_t i = 0; i < count; i++) {
        uint64_t offset;
        struct atomic_instruction in;
        assert_true(elf_module_to_offset(f.m, sites[i].vaddr, &offset));
        assert_true(atomic_decode(f.bytes + offset, f.size - offset, &in));
        assert_int_equal(in.length, sites[i].length);
        assert_int_equal(in.size, sites[i].size);
        if (sites[i].flags & LOCK_SITE_SECOND_ENTRY) {
            assert_true(i > 0);
            assert_int_equal(f.bytes[offset - 1], 0xf0);
            assert_int_equal(sites[i - 1].vaddr + 1, sites[i].vaddr);
            assert_int_equal(sites[i - 1].length, sites[i].length + 1);
            ++*second;
            continue;
        }
        bool entered = false;
        for (size_t k = 0; k < branches && f.bytes[offset] == 0xf0; k++)
            if (targets[k] == sites[i].vaddr + 1) entered = true;
        bool listed = i + 1 < count && sites[i + 1].vaddr == sites[i].vaddr + 1;
        assert_int_equal(listed, entered);
    }
    free(targets);
    free(sites);
    drop_image(&f);
    return count;
}

static void test_as_objdump(void **state) {
    (void)state;
    size_t second;
    assert_true(compare_with_objdump("/lib/x86_64-linux-gnu/libc.so.6", &second) > 500);
    assert_true(compare_with_objdump("/lib64/ld-linux-x86-64.so.2", &second) > 5);
    assert_true(compare_with_objdump("/lib/x86_64-linux-gnu/libstdc++.so.6", &second) > 50);
    compare_with_objdump("/bin/bash", &second);
}

// Real ones between look-alikes: in immediates and displacements, register forms, an unlocked one; a branch
// over a prefix, one over another prefix than lock's, and a branch to where 0xf0 is an immediate's end.
#define TRICKY                                                                                               \
    "mov $0x0ab10ff0,%eax\n mov 0x0887f000(%rbx),%ecx\n xchg %rax,%rcx\n xchg %ecx,%edx\n"                   \
    "cmpxchg %ecx,(%rdx)\n add %rax,(%rcx)\n"                                                                \
    "lock cmpxchg %ecx,(%rdx)\n xchg %al,8(%rsi)\n xchg %rbx,%fs:0\n lock cmpxchg16b (%rdi)\n"               \
    "cmpl $0,%fs:0x18\n je 1f\n .byte 0xf0\n 1: cmpxchg %esi,(%rdi)\n"                                       \
    "jmp 2f\n .byte 0xf0,0x66\n 2: btsw $3,(%rax)\n"                                                         \
    "jmp 3f\n .byte 0x66,0xf0\n 3: decl (%rax)\n"                                                            \
    "jne 4f\n mov $0xf0000000,%eax\n 4: xadd %eax,(%rcx)\n"                                                  \
    "lock orq $0,(%rsp)\n lock adcl $1,4(%rax,%rbx,8)\n lock notb (%r8)\n movl $0,(%rdi)\n ret\n"

static const struct lock_site tricky[] = {
    {.operation = ATOMIC_CMPXCHG, .size = 4, .length = 4},
    {.operation = ATOMIC_XCHG, .size = 1, .length = 3},
    {.operation = ATOMIC_XCHG, .size = 8, .length = 9},
    {.operation = ATOMIC_CMPXCHG, .size = 16, .length = 5},
    {.operation = ATOMIC_CMPXCHG, .size = 4, .length = 4},
    {.operation = ATOMIC_CMPXCHG, .size = 4, .length = 3, .flags = LOCK_SITE_SECOND_ENTRY},
    {.operation = ATOMIC_BTS, .size = 2, .length = 7},
    {.operation = ATOMIC_DEC, .size = 2, .length = 4},
    {.operation = ATOMIC_DEC, .size = 4, .length = 2, .flags = LOCK_SITE_SECOND_ENTRY},
    {.operation = ATOMIC_OR, .size = 8, .length = 6},
    {.operation = ATOMIC_ADC, .size = 4, .length = 6},
    {.operation = ATOMIC_NOT, .size = 1, .length = 4},
};
enum { TRICKY_COUNT = sizeof tricky / sizeof *tricky };

static void test_look_alikes(void **state) {
    (void)state;
    // known by .eh_frame; by symbols; by nothing: a sweep of the section, or of the segment without sections
    assemble("frame", "-s", ".globl _start\n_start:\n.cfi_startproc\n" TRICKY ".cfi_endproc\n");
    assemble("symbol", "",
             ".globl _start\n.type _start,@function\n_start:\n" TRICKY ".size _start,.-_start\n");
    assemble("nothing", "-s", ".globl _start\n_start:\n" TRICKY);
    char command[512];
    snprintf(command, sizeof command,
             "cp %s/nothing %s/bare && printf '\\0\\0\\0\\0\\0\\0\\0\\0' | dd of=%s/bare bs=1 seek=40 "
             "conv=notrunc status=none && printf '\\0\\0\\0\\0' | dd of=%s/bare bs=1 seek=60 conv=notrunc "
             "status=none",
             scratch, scratch, scratch, scratch);
    assert_int_equal(system(command), 0);
    const struct {
        const char *name;
        int flags;
    } files[] = {{"frame", 0}, {"symbol", 0}, {"nothing", LOCK_SITE_SWEPT}, {"bare", LOCK_SITE_SWEPT}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[128];
        struct image f;
        size_t count;
        snprintf(path, sizeof path, "%s/%s", scratch, files[i].name);
        assert_true(load_image(&f, path));
        assert_non_null(f.m);
        struct lock_site *sites = elf_module_lock_sites(f.m, &count);
        for (size_t k = 0; k < count && k < TRICKY_COUNT; k++) {
            if (sites[k].operation != tricky[k].operation || sites[k].size != tricky[k].size ||
                sites[k].length != tricky[k].length || sites[k].flags != (tricky[k].flags | files[i].flags))
                fail_msg("%s: site %zu at %lx: operation %d size %d length %d flags %d", files[i].name, k,
                         sites[k].vaddr, sites[k].operation, sites[k].size, sites[k].length, sites[k].flags);
        }
        assert_int_equal(count, TRICKY_COUNT);
        free(sites);
        drop_image(&f);
    }
}

// A function whose start lies inside what a sweep of the bytes before it decodes as one instruction.
static void test_resynchronised(void **state) {
    (void)state;
    assemble("resync", "-s",
             ".globl _start\n nop\n .byte 0x48,0xb8,1,2,3\n _start:\n.cfi_startproc\n"
             "lock incl (%rax)\n lock decl (%rax)\n lock negq (%rbx)\n ret\n.cfi_endproc\n");
    char path[128];
    struct image f;
    size_t count;
    snprintf(path, sizeof path, "%s/resync", scratch);
    assert_true(load_image(&f, path));
    struct lock_site *sites = elf_module_lock_sites(f.m, &count);
    assert_int_equal(count, 3);
    assert_int_equal(sites[0].operation, ATOMIC_INC);
    assert_int_equal(sites[1].vaddr, sites[0].vaddr + 3);
    assert_int_equal(sites[2].operation, ATOMIC_NEG);
    for (int i = 0; i < 3; i++)
        assert_int_equal(sites[i].flags, 0);
    free(sites);
    drop_image(&f);
}

// Stripped code with zeros between its functions, and a table of random bytes full of lock-alikes: the code's
// are found, the table's are not.
static void test_data_among_code(void **state) {
    (void)state;
    char source[65536], *at = source;
    uint64_t random = 99;
    at += sprintf(at, ".globl _start\n_start:\n ret\n .byte 0,0,0,0,0\n lock incl (%%rax)\n ret\n"
                      ".byte 0,0,0\n lock decq (%%rbx)\n ret\n .zero 150\n .byte 0x90\n .fill 150,1,0x90\n");
    for (int i = 0; i < 800; i++) {
        random = random * 6364136223846793005ull + 1442695040888963407ull;
        at += sprintf(at, ".byte %u,0xf0,0x87,0x01,0xf0,0xff,0x00,%u,%u\n", (unsigned)(random >> 56),
                      (unsigned)(random >> 40 & 255), (unsigned)(random >> 32 & 255));
    }
    sprintf(at, " .fill 150,1,0x90\n xchg %%eax,(%%rcx)\n ret\n");
    assemble("data", "-s", source);
    char path[128];
    struct image f;
    size_t count;
    snprintf(path, sizeof path, "%s/data", scratch);
    assert_true(load_image(&f, path));
    struct lock_site *sites = elf_module_lock_sites(f.m, &count);
    assert_int_equal(count, 3);
    assert_int_equal(sites[0].operation, ATOMIC_INC);
    assert_int_equal(sites[1].operation, ATOMIC_DEC);
    assert_int_equal(sites[2].operation, ATOMIC_XCHG);
    for (int i = 0; i < 3; i++)
        assert_int_equal(sites[i].flags, LOCK_SITE_SWEPT);
    free(sites);
    drop_image(&f);
}

// Hostile: a real file with bytes overwritten and cut off at any place must not crash the scanner.
static void test_damaged(void **state) {
    (void)state;
    char path[128];
    struct image f;
    snprintf(path, sizeof path, "%s/symbol", scratch);
    assert_true(load_image(&f, path));
    uint64_t seed = 7;
    size_t parsed = 0;
    for (int round = 0; round < 3000; round++) {
        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        size_t size = round % 3 ? f.size : (size_t)(seed >> 20) % f.size;
        uint8_t *copy = malloc(size ? size : 1);
        memcpy(copy, f.bytes, size);
        for (int i = 0; i < 4 && size; i++) {
            seed = seed * 6364136223846793005ull + 1442695040888963407ull;
            size_t within = i < 2 && size > 512 ? 512 : size;
            copy[(size_t)(seed >> 24) % within] = (uint8_t)(seed >> 56);
        }
        struct elf_module *m = elf_module_parse(copy, size);
        if (m) {
            size_t count;
            parsed++;
            struct lock_site *sites = elf_module_lock_sites(m, &count);
            for (size_t i = 1; i < count; i++)
                assert_true(sites[i - 1].vaddr < sites[i].vaddr);
            free(sites);
            elf_module_free(m);
        }
        free(copy);
    }
    assert_true(parsed > 100);
    drop_image(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_objdump),     cmocka_unit_test(test_look_alikes),
        cmocka_unit_test(test_resynchronised), cmocka_unit_test(test_data_among_code),
        cmocka_unit_test(test_damaged),
    };
    return cmocka_run_group_tests(tests, scratch_set_up, scratch_tear_down);
}
