// Trapped instructions: what objdump lists, bytes that only look like them, prefixes.
#include "core/event.h"
#include "tests/unit/elf_files.h"
#include "core/elf/trap_sites.h"

#include <string.h>

static const struct {
    const char *name;
    uint8_t kind;
} names[] = {{"cpuid", TRAP_CPUID},    {"rdrand", TRAP_RDRAND},  {"rdseed", TRAP_RDSEED},
             {"rdtsc", TRAP_RDTSC},    {"rdtscp", TRAP_RDTSCP},  {"xgetbv", TRAP_XGETBV},
             {"xsave", TRAP_XSAVE},    {"xsave64", TRAP_XSAVE},  {"xsavec", TRAP_XSAVE},
             {"xsavec64", TRAP_XSAVE}, {"fxsave", TRAP_XSAVE},   {"fxsave64", TRAP_XSAVE},
             {"rdpid", TRAP_RDPID},    {"xsaveopt", TRAP_XSAVE}, {"xsaveopt64", TRAP_XSAVE}};

// Compares with objdump's listing of the file; returns how many sites there are.
static size_t compare_with_objdump(const char *path) {
    struct image f;
    if (!load_image(&f, path)) return 0;
    assert_non_null(f.m);
    size_t count, n = 0;
    struct trap_site *sites = elf_module_trap_sites(f.m, true, &count);
    char command[512], line[256];
    snprintf(command, sizeof command,
             "objdump -d --no-show-raw-insn -w '%s' | sed -nE 's/^ "
             "*([0-9a-f]+):.*[[:space:]](cpuid|rdrand|rdseed|rdpid|rdtscp?|xgetbv|(xsave(c|opt)?|fxsave)(64)?"
             ")( .*)?$/\\1 \\2/p'",
             path);
    FILE *p = popen(command, "r");
    assert_non_null(p);
    while (fgets(line, sizeof line, p)) {
        uint64_t vaddr;
        char name[32];
        assert_int_equal(sscanf(line, "%lx %31s", &vaddr, name), 2);
        if (n >= count || sites[n].vaddr != vaddr) fail_msg("%s: %s at %lx not found", path, name, vaddr);
        int kind = 0;
        for (size_t k = 0; k < sizeof names / sizeof *names; k++)
            if (strcmp(name, names[k].name) == 0) kind = names[k].kind;
        assert_int_equal(sites[n].kind, kind);
        uint64_t offset;
        struct trap_instruction in;
        assert_true(elf_module_to_offset(f.m, vaddr, &offset));
        assert_true(code_trap_instruction(f.bytes + offset, f.size - offset, &in));
        assert_int_equal(in.kind, kind);
        assert_int_equal(in.length, sites[n].length);
        n++;
    }
    assert_int_equal(pclose(p), 0);
    assert_int_equal(n, count);
    // without tsc: the same less those two kinds
    size_t fewer, expected = 0;
    struct trap_site *some = elf_module_trap_sites(f.m, false, &fewer);
    for (size_t i = 0; i < count; i++)
        if (sites[i].kind != TRAP_RDTSC && sites[i].kind != TRAP_RDTSCP) {
            assert_true(expected < fewer);
            assert_int_equal(some[expected++].vaddr, sites[i].vaddr);
        }
    assert_int_equal(expected, fewer);
    free(some);
    free(sites);
    drop_image(&f);
    return count;
}

static void test_as_objdump(void **state) {
    (void)state;
    assert_true(compare_with_objdump("/lib64/ld-linux-x86-64.so.2") > 10);
    assert_true(compare_with_objdump("/lib/x86_64-linux-gnu/libc.so.6") > 0);
    assert_true(compare_with_objdump("/lib/x86_64-linux-gnu/libstdc++.so.6") > 2); // random_device
    compare_with_objdump("/bin/bash");
}

// Real ones (also with prefixes) between look-alikes: in immediates, in displacements, after F3, as a memory
// operand.
#define TRICKY                                                                                               \
    "mov $0xa20fa20f,%eax\n mov 0x310f310f(%rbx),%ecx\n mov $0xf0c70f90,%edx\n cmpxchg8b (%rsi)\n"           \
    ".byte 0xf3,0x0f,0xc7,0xf1\n movabs $0xf9010f00c70ff0,%rax\n"                                            \
    "cpuid\n rdrand %r11\n rdrand %cx\n rdseed %r15d\n .byte 0x66\n rdseed %rdi\n rdtsc\n rdtscp\n"          \
    ".byte 0x2e,0x0f,0xa2\n"                                                                                 \
    "ldmxcsr (%rsi)\n clflush (%rsi)\n clwb (%rsi)\n lfence\n mfence\n xrstor (%rsi)\n xrstors (%rsi)\n"     \
    "xgetbv\n xsave 8(%rsi)\n xsave64 (%r9)\n xsavec (%rsp)\n xsaveopt 0x12345678(%rsi,%r9,2)\n"             \
    "fxsave (%rsi)\n fxsave64 (%rsi)\n rdpid %rax\n rdpid %r9\n fxrstor (%rsi)\n ret\n"

static const struct trap_instruction tricky[] = {
    {TRAP_CPUID, 2, 0, 0, false, false},   {TRAP_RDRAND, 4, 11, 64, false, false},
    {TRAP_RDRAND, 4, 1, 16, false, false}, {TRAP_RDSEED, 4, 15, 32, false, false},
    {TRAP_RDSEED, 5, 7, 64, false, false}, {TRAP_RDTSC, 2, 0, 0, false, false},
    {TRAP_RDTSCP, 3, 0, 0, false, false},  {TRAP_CPUID, 3, 0, 0, false, false},
    {TRAP_XGETBV, 3, 0, 0, false, false},  {TRAP_XSAVE, 4, 0, 0, false, false},
    {TRAP_XSAVE, 4, 0, 0, false, false},   {TRAP_XSAVE, 4, 0, 0, true, false},
    {TRAP_XSAVE, 9, 0, 0, false, false},   {TRAP_XSAVE, 3, 0, 32, false, false},
    {TRAP_XSAVE, 4, 0, 64, false, false},  {TRAP_RDPID, 4, 0, 64, false, false},
    {TRAP_RDPID, 5, 9, 64, false, false},
};
enum { TRICKY_COUNT = sizeof tricky / sizeof *tricky };

static void test_look_alikes(void **state) {
    (void)state;
    // known by .eh_frame; by symbols; by nothing (stripped: a sweep of the section)
    assemble("frame", "-s", ".globl _start\n_start:\n.cfi_startproc\n" TRICKY ".cfi_endproc\n");
    assemble("symbol", "",
             ".globl _start\n.type _start,@function\n_start:\n" TRICKY ".size _start,.-_start\n");
    assemble("nothing", "-s", ".globl _start\n_start:\n" TRICKY);
    const char *const files[] = {"frame", "symbol", "nothing"};
    for (int i = 0; i < 3; i++) {
        char path[128];
        struct image f;
        size_t count;
        snprintf(path, sizeof path, "%s/%s", scratch, files[i]);
        assert_true(load_image(&f, path));
        struct trap_site *sites = elf_module_trap_sites(f.m, true, &count);
        assert_int_equal(count, TRICKY_COUNT);
        for (size_t k = 0; k < count; k++) {
            uint64_t offset;
            struct trap_instruction in;
            assert_true(elf_module_to_offset(f.m, sites[k].vaddr, &offset));
            assert_true(code_trap_instruction(f.bytes + offset, f.size - offset, &in));
            assert_int_equal(sites[k].kind, tricky[k].kind);
            assert_int_equal(sites[k].length, tricky[k].length);
            assert_int_equal(in.kind, tricky[k].kind);
            assert_int_equal(in.length, tricky[k].length);
            assert_int_equal(in.reg, tricky[k].reg);
            assert_int_equal(in.width, tricky[k].width);
        }
        free(sites);
        drop_image(&f);
    }
}

static void test_not_trapped(void **state) {
    (void)state;
    static const uint8_t others[][8] = {
        {0xf3, 0x0f, 0xc7, 0xf1}, // senduipi rcx
        {0x0f, 0xae, 0x0e},       // fxrstor (rsi)
        {0x0f, 0xc7, 0x0e},       // cmpxchg8b (rsi)
        {0x0f, 0x01, 0xd1},       // xsetbv
        {0x0f, 0xae, 0x2e},       // xrstor (rsi)
        {0x0f, 0x05},             // syscall
        {0x90},
        {0x06}, // invalid
    };
    struct trap_instruction in;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(code_trap_instruction(others[i], sizeof others[i], &in));
    static const uint8_t cut[] = {0x48, 0x0f, 0xc7, 0xf0};
    for (size_t len = 0; len < sizeof cut; len++)
        assert_false(code_trap_instruction(cut, len, &in));
    assert_true(code_trap_instruction(cut, sizeof cut, &in));
}

static void test_ahead(void **state) {
    (void)state;
    // mov $0x0f0f,%eax; cpuid; xgetbv; rdtsc; rdrand %rdx; ret; xgetbv
    static const uint8_t code[] = {0xb8, 0x0f, 0x0f, 0,    0,    0x0f, 0xa2, 0x0f, 0x01, 0xd0,
                                   0x0f, 0x31, 0x48, 0x0f, 0xc7, 0xf2, 0xc3, 0x0f, 0x01, 0xd0};
    assert_int_equal(code_trap_ahead(code, sizeof code, 0), 7);
    assert_int_equal(code_trap_ahead(code, sizeof code, 10), 12);
    assert_int_equal(code_trap_ahead(code, sizeof code, 16), sizeof code);
    assert_int_equal(code_trap_ahead(code, 9, 0), 9); // cut
    // The same rdrand behind an int3 that hides its prefix: 0f c7 f2 by itself is one, too.
    static const uint8_t patched[] = {0x90, 0xcc, 0x0f, 0xc7, 0xf2, 0xc3};
    assert_int_equal(code_trap_ahead(patched, sizeof patched, 0), sizeof patched);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_objdump),
        cmocka_unit_test(test_look_alikes),
        cmocka_unit_test(test_not_trapped),
        cmocka_unit_test(test_ahead),
    };
    return cmocka_run_group_tests(tests, scratch_set_up, scratch_tear_down);
}
