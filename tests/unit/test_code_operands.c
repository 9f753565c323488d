// Memory operands: address, size and direction of one instruction of every shape that loops use; and what branches go by.
#include "core/code_operands.h"

#include <Zydis/Zydis.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void test_memory_operands(void **state) {
    (void)state;
    const struct user_regs_struct regs = {.rip = 0x400000,
                                          .rax = 0x1000,
                                          .rbx = 0x2000,
                                          .rcx = 0x30,
                                          .rdx = 0x4000,
                                          .rsi = 0x5000,
                                          .rdi = 0x6000,
                                          .rbp = 0x7000,
                                          .rsp = 0x8000,
                                          .r8 = 0x9000,
                                          .r9 = -1ull,
                                          .r15 = 0xf000,
                                          .fs_base = 0xfb00,
                                          .gs_base = 0x1a000};
    static const struct {
        uint8_t code[12];
        int count;
        struct memory_operand out[2];
    } rows[] = {
        {{0x89, 0xd8}, 0, {{0}}},                                              // mov %ebx,%eax
        {{0x8b, 0x48, 0x08}, 1, {{0x1008, 4, false}}},                         // mov 8(%rax),%ecx
        {{0x48, 0x01, 0x54, 0x8b, 0x10}, 1, {{0x20d0, 8, true}}},              // add %rdx,0x10(%rbx,%rcx,4)
        {{0x83, 0x3d, 0, 1, 0, 0, 0}, 1, {{0x400107, 4, false}}},              // cmpl $0,0x100(%rip)
        {{0x64, 0x48, 0x8b, 4, 0x25, 0x28, 0, 0, 0}, 1, {{0xfb28, 8, false}}}, // mov %fs:0x28,%rax
        {{0x65, 0xc6, 0x00, 1}, 1, {{0x1a000 + 0x1000, 1, true}}},             // movb $1,%gs:(%rax)
        {{0x53}, 1, {{0x7ff8, 8, true}}},                                      // push %rbx
        {{0x5b}, 1, {{0x8000, 8, false}}},                                     // pop %rbx
        {{0xe8, 0, 0, 0, 0}, 1, {{0x7ff8, 8, true}}},                          // call
        {{0xc3}, 1, {{0x8000, 8, false}}},                                     // ret
        {{0xff, 0x33}, 2, {{0x2000, 8, false}, {0x7ff8, 8, true}}},            // push (%rbx)
        {{0xc9}, 1, {{0x7000, 8, false}}},                                     // leave
        {{0xa4}, 2, {{0x6000, 1, true}, {0x5000, 1, false}}},                  // movsb
        {{0xf3, 0xa4}, -1, {{0}}},                                             // rep movsb
        {{0x48, 0x8d, 0x40, 0x08}, 0, {{0}}},                                  // lea
        {{0x0f, 0x1f, 0x40, 0}, 0, {{0}}},                                     // nopl 0(%rax)
        {{0x0f, 0x18, 0x08}, 0, {{0}}},                                        // prefetcht0
        {{0xf3, 0x90}, 0, {{0}}},                                              // pause
        {{0xf0, 0x0f, 0xb1, 0x13}, 1, {{0x2000, 4, true}}},                    // lock cmpxchg %edx,(%rbx)
        {{0x48, 0x87, 0x03}, 1, {{0x2000, 8, true}}},                          // xchg %rax,(%rbx)
        {{0x48, 0x0f, 0xab, 0x13}, 1, {{0x2800, 8, true}}},                    // bts %rdx,(%rbx): bit 0x4000
        {{0x4c, 0x0f, 0xa3, 0x0b}, 1, {{0x1ff8, 8, false}}},                   // bt %r9,(%rbx): bit -1
        {{0xd7}, 1, {{0x2000, 1, false}}},                                     // xlat
        {{0x67, 0x8b, 0x00}, 1, {{0x1000, 4, false}}},                         // mov (%eax),%eax
        {{0xc5, 0xfc, 0x11, 0x03}, 1, {{0x2000, 32, true}}},                   // vmovups %ymm0,(%rbx)
        {{0x0f, 0xae, 0x20}, -1, {{0}}},                                       // xsave
        {{0x06}, -1, {{0}}},                                                   // invalid
        {{0x48, 0x8b, 0x04, 0x25, 0xf0, 0xff, 0xff, 0xff},
         1,
         {{0xfffffffffffffff0, 8, false}}}, // mov -16,%rax
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct memory_operand out[4];
        int n = code_memory_operands(rows[i].code, sizeof rows[i].code, &regs, out);
        if (n != rows[i].count) fail_msg("row %zu: %d operands", i, n);
        for (int k = 0; k < n; k++)
            if (out[k].address != rows[i].out[k].address || out[k].size != rows[i].out[k].size ||
                out[k].written != rows[i].out[k].written)
                fail_msg("row %zu operand %d: %lx %d %d", i, k, out[k].address, out[k].size, out[k].written);
    }
    struct memory_operand out[4];
    assert_int_equal(code_memory_operands(rows[1].code, 2, &regs, out), -1);
}

static void test_length(void **state) {
    (void)state;
    static const struct {
        uint8_t code[8];
        int length;
        uint64_t target;
    } rows[] = {
        {{0x90}, 1, 0},
        {{0x74, 0xf2}, 2, 0x3ffff4},                         // je .-12
        {{0xeb, 0x10}, 2, 0x400012},                         // jmp .+18
        {{0xe9, 0xfb, 0xff, 0xff, 0xff}, 5, 0x400000},       // jmp .
        {{0x0f, 0x85, 0xfa, 0xff, 0xff, 0xff}, 6, 0x400000}, // jne .
        {{0xe8, 0, 0, 0, 0}, 5, 0},                          // call: it comes back
        {{0xff, 0xe0}, 2, 0},                                // jmp *%rax
        {{0x06}, 0, 0},                                      // invalid
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t target;
        assert_int_equal(code_length(rows[i].code, sizeof rows[i].code, 0x400000, &target), rows[i].length);
        assert_int_equal(target, rows[i].target);
    }
    uint64_t target;
    assert_int_equal(code_length(rows[3].code, 4, 0x400000, &target), 0); // cut off
}

static bool read_word(void *context, uint64_t address, void *buffer, size_t len) {
    uint64_t word = *(const uint64_t *)context;
    if (address != 0x2000 || len > sizeof word) return false;
    memcpy(buffer, &word, len);
    return true;
}

// How far a branch is from going the other way; rbx points to a word that holds 7.
static void test_distances(void **state) {
    (void)state;
    struct user_regs_struct regs = {.rax = 10, .rbx = 0x2000, .rcx = 0xffffffff, .rdx = 3, .rsp = 0x8000};
    struct user_fpregs_struct fp = {0};
    uint64_t word = 7;
    const struct code_memory memory = {read_word, &word};
    double two = 2.5, one = 1;
    memcpy(&fp.xmm_space[0], &two, sizeof two);
    memcpy(&fp.xmm_space[4], &one, sizeof one);
    static const struct {
        uint8_t code[8];
        double distance;
        bool sets, ordered, reads, atomic, pause;
    } rows[] = {
        {{0x39, 0xd0}, 7, true, true, false, false, false},               // cmp %edx,%eax
        {{0x48, 0x39, 0xc2}, -7, true, true, false, false, false},        // cmp %rax,%rdx
        {{0x83, 0x3b, 0x05}, 2, true, true, false, false, false},         // cmpl $5,(%rbx)
        {{0x83, 0xf9, 0x01}, -2, true, true, false, false, false},        // cmp $1,%ecx (-1)
        {{0x85, 0xd2}, 3, true, true, false, false, false},               // test %edx,%edx
        {{0xff, 0xca}, 2, true, true, false, false, false},               // dec %edx
        {{0x48, 0xff, 0xc0}, 11, true, true, false, false, false},        // inc %rax
        {{0x29, 0xc2}, -7, true, true, false, false, false},              // sub %eax,%edx
        {{0xf0, 0x0f, 0xb1, 0x13}, -3, true, true, false, true, false},   // lock cmpxchg %edx,(%rbx): 7 - 10
        {{0xf0, 0xff, 0x0b}, 6, true, true, false, true, false},          // lock decl (%rbx)
        {{0x87, 0x03}, 0, false, false, false, true, false},              // xchg %eax,(%rbx)
        {{0x66, 0x0f, 0x2f, 0xc1}, 1.5, true, true, false, false, false}, // comisd %xmm1,%xmm0
        {{0x74, 0x00}, 0, false, false, true, false, false},              // je
        {{0x0f, 0x94, 0xc0}, 0, false, false, true, false, false},        // sete %al
        {{0xf3, 0x90}, 0, false, false, false, false, true},              // pause
        {{0x8b, 0x03}, 0, false, false, false, false, false},             // mov (%rbx),%eax
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct code_step s;
        if (!code_step(rows[i].code, sizeof rows[i].code, &regs, &fp, &memory, &s))
            fail_msg("row %zu is no instruction", i);
        if (s.sets_flags != rows[i].sets || s.ordered != rows[i].ordered || s.reads_flags != rows[i].reads ||
            s.atomic != rows[i].atomic || s.pause != rows[i].pause || s.distance != rows[i].distance)
            fail_msg("row %zu: distance %g, %d %d %d %d %d", i, s.distance, s.sets_flags, s.ordered,
                     s.reads_flags, s.atomic, s.pause);
    }
    // Flags that are no comparison: another number when the operands are others, and which registers are needed is said.
    struct code_step a, b;
    const uint8_t shift[] = {0xd1, 0xe0}, compare[] = {0x66, 0x0f, 0x2f, 0xc1}, call[] = {0xff, 0x13};
    assert_true(code_step(shift, sizeof shift, &regs, NULL, &memory, &a) && !a.needs_fp);
    regs.rax = 11;
    assert_true(code_step(shift, sizeof shift, &regs, NULL, &memory, &b));
    assert_true(!a.ordered && a.distance != b.distance);
    static const struct {
        uint8_t code[8];
        bool of_second;
    } seconds[] = {
        {{0x48, 0x3d, 0xff, 0xc9, 0x9a, 0x3b}, true},  // cmp $999999999,%rax
        {{0x81, 0x3b, 0x00, 0xca, 0x9a, 0x3b}, true},  // cmpl $1000000000,(%rbx)
        {{0x48, 0x3d, 0x01, 0xca, 0x9a, 0x3b}, false}, // cmp $1000000001,%rax
        {{0x48, 0x2d, 0x00, 0xca, 0x9a, 0x3b}, false}, // sub $1000000000,%rax
    };
    for (size_t i = 0; i < sizeof seconds / sizeof *seconds; i++) {
        assert_true(code_step(seconds[i].code, sizeof seconds[i].code, &regs, NULL, &memory, &a));
        assert_int_equal(a.of_second, seconds[i].of_second);
    }
    assert_true(code_step(compare, sizeof compare, &regs, NULL, &memory, &a) && a.needs_fp);
    assert_true(code_step(call, sizeof call, &regs, NULL, &memory, &a));
    assert_int_equal(a.operand_count, 2);
    assert_int_equal(a.hidden & 3, 3);
}

static bool address_times_two(void *context, uint64_t address, void *buffer, size_t len) {
    (void)context;
    const uint64_t value = address * 2;
    if (len != sizeof value || address >= 0x100000) return false;
    memcpy(buffer, &value, len);
    return true;
}

static void test_next(void **state) {
    (void)state;
    struct user_regs_struct regs = {
        .rip = 0x400000, .rax = 0x1000, .rbx = 0x2000, .rsp = 0x8000, .r9 = 0x9000};
    static const struct {
        uint8_t code[12];
        int count;
        uint64_t next[2];
    } rows[] = {
        {{0x90}, 1, {0x400001}},                                      // nop
        {{0x0f, 0x05}, 1, {0x400002}},                                // syscall
        {{0x74, 0x10}, 2, {0x400012, 0x400002}},                      // je
        {{0x0f, 0x85, 0, 0xff, 0xff, 0xff}, 2, {0x3fff06, 0x400006}}, // jne backwards
        {{0xe2, 0x10}, 2, {0x400012, 0x400002}},                      // loop
        {{0xeb, 0xfe}, 1, {0x400000}},                                // jmp to itself
        {{0xe8, 0, 1, 0, 0}, 1, {0x400105}},                          // call
        {{0xf2, 0xe9, 0, 1, 0, 0}, 1, {0x400106}},                    // bnd jmp
        {{0xff, 0xd0}, 1, {0x1000}},                                  // call *%rax
        {{0x41, 0xff, 0xe1}, 1, {0x9000}},                            // jmp *%r9
        {{0xff, 0x63, 0x08}, 1, {0x4010}},                            // jmp *8(%rbx)
        {{0xff, 0x14, 0x25, 0, 0x30, 0, 0}, 1, {0x6000}},             // call *0x3000
        {{0xff, 0x25, 0, 0, 0, 0}, 0, {0}},                           // jmp *0(%rip): it cannot be read
        {{0xc3}, 1, {0x10000}},                                       // ret
        {{0xf3, 0xc3}, 1, {0x10000}},                                 // rep ret
        {{0xc2, 8, 0}, 1, {0x10000}},                                 // ret $8
        {{0x06}, 0, {0}},                                             // invalid
    };
    const struct code_memory memory = {address_times_two, NULL};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t next[2] = {0, 0};
        int n = code_next(rows[i].code, sizeof rows[i].code, &regs, &memory, next);
        if (n != rows[i].count) fail_msg("row %zu: %d ways", i, n);
        for (int k = 0; k < n; k++)
            if (next[k] != rows[i].next[k]) fail_msg("row %zu way %d: %lx", i, k, (long)next[k]);
    }
}

// Against the decoder, over random prefixes and opcodes.
static void test_repeats(void **state) {
    (void)state;
    static const uint8_t prefixes[] = {0xf2, 0xf3, 0x66, 0x67, 0x26, 0x2e, 0x36,
                                       0x3e, 0x64, 0x65, 0xf0, 0x48, 0x41};
    ZydisDecoder decoder;
    ZydisDecodedInstruction in;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    unsigned seed = 7, strings = 0;
    for (int i = 0; i < 200000; i++) {
        uint8_t code[15] = {0};
        size_t n = (size_t)rand_r(&seed) % 4;
        for (size_t k = 0; k < n; k++)
            code[k] = prefixes[(size_t)rand_r(&seed) % sizeof prefixes];
        code[n] = (uint8_t)(rand_r(&seed) % 2 ? 0xa4 + rand_r(&seed) % 12 : rand_r(&seed));
        bool decoded = ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, NULL, code, sizeof code, &in));
        bool repeats =
            decoded &&
            in.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE) &&
            in.meta.category == ZYDIS_CATEGORY_STRINGOP;
        if (decoded) assert_int_equal(code_repeats(code, sizeof code), repeats ? in.length : 0);
        strings += repeats;
    }
    assert_true(strings > 10000);
    assert_int_equal(code_repeats((const uint8_t[]){0xf3, 0x48}, 2), 0);
    assert_int_equal(code_repeats((const uint8_t[]){0xf3, 0x48, 0xa5}, 3), 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_memory_operands),
                                       cmocka_unit_test(test_distances), cmocka_unit_test(test_length),
                                       cmocka_unit_test(test_next), cmocka_unit_test(test_repeats)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
