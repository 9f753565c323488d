// xsave_store against the CPU: a child fills its registers with random values, executes the instruction and stops;
// what the CPU stored must be what xsave_store makes of its NT_X86_XSTATE. A component that the CPU calls unused
// must hold initial values there.
#include "core/tracee.h"
#include "core/cpu/xsave.h"

// cmocka wants these first
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <cpuid.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

enum form { XSAVE, XSAVEC };
enum { ROOM = 16384, BV = 512 };

static void fill_registers(unsigned seed) {
    uint8_t bytes[16];
    float x = (float)seed * 1.25f;
    for (int i = 0; i < 16; i++)
        bytes[i] = (uint8_t)(seed * 31 + (unsigned)i * 7);
    __asm__ volatile("movdqu %0,%%xmm0; movdqu %0,%%xmm7; movdqu %0,%%xmm15" ::"m"(bytes)
                     : "xmm0", "xmm7", "xmm15");
    __asm__ volatile("fninit; flds %0" ::"m"(x));
    uint32_t a, b, c, d;
    __cpuid(1, a, b, c, d);
    if (c & bit_AVX && seed % 2)
        __asm__ volatile("vinsertf128 $1,%%xmm0,%%ymm3,%%ymm3; vinsertf128 $1,%%xmm7,%%ymm12,%%ymm12" ::
                             : "xmm3", "xmm12");
}

static void child(uint8_t *area, enum form form, uint64_t request, unsigned seed) {
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    fill_registers(seed);
    if (form == XSAVE)
        __asm__ volatile("xsave (%0); int3" ::"r"(area), "a"((uint32_t)request),
                         "d"((uint32_t)(request >> 32))
                         : "memory");
    else
        __asm__ volatile("xsavec (%0); int3" ::"r"(area), "a"((uint32_t)request),
                         "d"((uint32_t)(request >> 32))
                         : "memory");
    _exit(0);
}

static bool zero(const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (p[i]) return false;
    return true;
}

// [from, from + len) belongs to component `bit`.
static void compare(int bit, const uint8_t *cpu, const uint8_t *ours, uint64_t bv, size_t from, size_t len) {
    if (bv >> bit & 1)
        assert_memory_equal(cpu + from, ours + from, len);
    else if (bit > 2) // x87's and MXCSR's initial values are not zeros
        assert_true(zero(ours + from, len));
}

static void check(enum form form, uint64_t request, unsigned seed) {
    uint8_t *cpu = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0),
            *ours = calloc(1, ROOM);
    static uint8_t xstate[XSTATE_MAX];
    memset(cpu, 0, ROOM);
    pid_t pid = fork();
    if (!pid) child(cpu, form, request, seed);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
    size_t n = tracee_get_xstate(pid, xstate, sizeof xstate), size = xsave_area_size(request, form == XSAVEC);
    assert_true(size <= ROOM);
    assert_true(zero(cpu + size, ROOM - size)); // the CPU wrote no further
    assert_true(xsave_store(request, form == XSAVEC, xstate, n, ours));
    uint64_t bv, ours_bv, wanted = request & xsave_xcr0(), end = 576;
    memcpy(&bv, cpu + BV, 8);
    memcpy(&ours_bv, ours + BV, 8);
    assert_int_equal(bv & ~ours_bv, 0);
    assert_int_equal(ours_bv, wanted);
    assert_memory_equal(cpu + BV + 8, ours + BV + 8, 56);
    if (wanted & 1) {
        compare(0, cpu, ours, bv, 0, 8); // not the addresses of the last instruction and operand
        compare(0, cpu, ours, bv, 32, 128);
    }
    if (wanted & 2) {
        compare(1, cpu, ours, bv, 160, 256);
        assert_memory_equal(cpu + 24, ours + 24, 8);
    }
    for (int i = 2; i < 63; i++) {
        uint32_t a, b, c, d;
        if (!(wanted >> i & 1)) continue;
        __cpuid_count(0xd, (uint32_t)i, a, b, c, d);
        uint64_t at = form == XSAVE ? b : c & 2 ? (end + 63) & ~63ull : end;
        end = at + a;
        compare(i, cpu, ours, bv, at, a);
    }
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    munmap(cpu, ROOM);
    free(ours);
}

static void test_against_the_cpu(void **state) {
    (void)state;
    if (!xsave_xcr0()) skip();
    uint32_t a, b, c, d;
    __cpuid_count(0xd, 1, a, b, c, d);
    static const uint64_t requests[] = {~0ull, 1, 2, 3, 4, 6, 0xe7, 0xe4, 0x200, 0};
    for (unsigned seed = 1; seed < 8; seed++)
        for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
            check(XSAVE, requests[i], seed);
            if (a & 2) check(XSAVEC, requests[i], seed);
        }
}

static void test_what_is_not_asked_for_stays(void **state) {
    (void)state;
    if (!xsave_xcr0()) skip();
    static uint8_t xstate[XSTATE_MAX], area[ROOM];
    memset(xstate, 0x5a, sizeof xstate);
    memset(area, 0xa5, sizeof area);
    memset(area + BV, 0, 64);
    area[BV] = 2; // as another xsave left it
    assert_true(xsave_store(1, false, xstate, sizeof xstate, area));
    assert_int_equal(area[BV], 3);
    assert_int_equal(area[0], 0x5a);
    assert_int_equal(area[24], 0xa5);
    assert_int_equal(area[160], 0xa5);
    assert_false(xsave_store(1, false, xstate, 100, area));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_against_the_cpu),
                                       cmocka_unit_test(test_what_is_not_asked_for_stays)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
