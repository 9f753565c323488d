// The CPU that programs are shown, and extended registers that travel between CPUs: with made-up CPUs, since there is only one
// here.
#include "core/cpu/cpuinfo.h"
#include "core/cpu/debug_registers.h"
#include "core/cpu/model.h"
#include "core/cpu/needs.h"
#include "core/cpu/xstate.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <cmocka.h>

static struct cpu_features everything(void) {
    struct cpu_features f;
    memset(&f, 0xff, sizeof f);
    return f;
}

// ---- models

static void test_levels(void **state) {
    (void)state;
    struct cpu_features all = everything(), lacking, v3;
    struct cpu_model m;
    char names[2000];
    assert_true(cpu_model_make(CPU_V3, &all, &m, &lacking));
    v3 = m.shown;
    cpu_features_text(&v3, names, sizeof names);
    static const char *const shown[] = {"avx2", "bmi2",   "fma", "movbe", "lzcnt",
                                        "f16c", "sse4.2", "aes", "xsave"};
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        if (!strstr(names, shown[i])) fail_msg("%s is not in %s", shown[i], names);
    static const char *const hidden[] = {"avx512",   "rdrand", "rdseed", "rtm",  "rdpid", "amx",    "xsavec",
                                         "fsgsbase", "pku",    "sha",    "fma4", "zmm",   "waitpkg"};
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        if (strstr(names, hidden[i])) fail_msg("%s is in %s", hidden[i], names);
    assert_true(cpu_model_make(CPU_NATIVE, &all, &m, &lacking));
    cpu_features_text(&m.shown, names, sizeof names);
    assert_non_null(strstr(names, "avx512f"));
    assert_null(strstr(names, "rdrand"));
    assert_null(strstr(names, "amx"));
    assert_true(cpu_model_make(CPU_V2, &all, &m, &lacking));
    cpu_features_text(&m.shown, names, sizeof names);
    assert_null(strstr(names, "avx"));
    assert_null(strstr(names, "xsave"));
    assert_int_equal(m.shown.word[CPU_1_ECX] >> 27 & 1, 0); // OSXSAVE

    // A machine that lacks a part of the level, and one that lacks only what is in no level.
    struct cpu_features here = v3;
    here.word[CPU_7_EBX] &= ~(1u << 5);
    assert_false(cpu_model_make(CPU_V3, &here, &m, &lacking));
    cpu_features_text(&lacking, names, sizeof names);
    assert_string_equal(names, "avx2");
    assert_true(cpu_model_make(CPU_V2, &here, &m, &lacking));
    here.word[CPU_81_EDX] &= ~(1u << 27); // rdtscp, as in an Oxide VM
    assert_true(cpu_model_make(CPU_V2, &here, &m, &lacking));
    here = v3;
    here.word[CPU_1_ECX] &= ~(1u << 25);
    assert_true(cpu_model_make(CPU_V3, &here, &m, &lacking));
    assert_true(cpu_features_lacking(&v3, &here, &lacking));
    cpu_features_text(&lacking, names, sizeof names);
    assert_string_equal(names, "aes");
    assert_false(cpu_features_silent(&lacking, &lacking));
    here.word[CPU_81_ECX] &= ~(1u << 5);
    assert_true(cpu_features_lacking(&v3, &here, &lacking));
    assert_true(cpu_features_silent(&lacking, &lacking));
    cpu_features_text(&lacking, names, sizeof names);
    assert_string_equal(names, "lzcnt");
    assert_false(cpu_features_lacking(&v3, &all, &lacking));
    cpu_features_text(&v3, names, 12);
    assert_string_equal(names, "sse3, ...");
}

static void test_names(void **state) {
    (void)state;
    enum cpu_level level = CPU_BEST;
    assert_true(cpu_level_named("v2", &level) && level == CPU_V2);
    assert_true(cpu_level_named("x86-64-v3", &level) && level == CPU_V3);
    assert_true(cpu_level_named("native", &level) && level == CPU_NATIVE);
    static const char *const bad[] = {"", "v", "v4", "best", "x86-64-", "x86-64-native", "v3 "};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(cpu_level_named(bad[i], &level));
}

// What a leaf with all bits set becomes.
static void leaf(const struct cpu_model *m, uint32_t number, uint32_t subleaf, uint32_t r[4]) {
    memset(r, 0xff, 4 * sizeof *r);
    cpu_model_mask(m, number, subleaf, r);
}

static void test_leaves(void **state) {
    (void)state;
    struct cpu_features all = everything(), here, lacking;
    struct cpu_model m;
    uint32_t r[4];
    static const uint32_t none[4];
    cpu_model_make(CPU_V3, &all, &m, &lacking);
    leaf(&m, 0, 0, r);
    assert_int_equal(r[0], 0xd);
    assert_int_equal(r[1], ~0u); // the vendor's name stays
    leaf(&m, 1, 0, r);
    assert_int_equal(r[2] >> 30 & 1, 0);
    assert_int_equal(r[2] >> 28 & 1, 1);
    leaf(&m, 7, 0, r);
    assert_int_equal(r[0], 0);
    assert_int_equal(r[1] >> 5 & 1, 1);
    assert_int_equal(r[1] >> 16, 0);
    assert_int_equal(r[3], 0);
    static const uint32_t empty[][2] = {{7, 1},    {7, 2},    {0x12, 0}, {0x14, 0}, {0x19, 0},
                                        {0x1d, 1}, {0x24, 0}, {0xd, 5},  {0xd, 40}};
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++) {
        leaf(&m, empty[i][0], empty[i][1], r);
        assert_memory_equal(r, none, sizeof r);
    }
    leaf(&m, 0x40000000, 0, r);
    assert_int_equal(r[1], ~0u);
    assert_int_equal(cpu_model_hwcap(&m, ~0ull), m.shown.word[CPU_1_EDX]);
    assert_int_equal(cpu_model_hwcap2(&m, 3), 0);

    // The places of x87, XMM and YMM are the same on every CPU.
    cpu_features_here(&here);
    if (!cpu_model_make(CPU_V3, &here, &m, &lacking)) skip();
    leaf(&m, 0xd, 0, r);
    assert_int_equal(r[0], 7);
    assert_int_equal(r[1], 832);
    assert_int_equal(r[2], 832);
    leaf(&m, 0xd, 1, r);
    assert_int_equal(r[0], 0);
}

// ---- registers

// The two makers' places of the same components (Intel SDM vol. 1, 13.5; AMD's are those of a Zen 4): number, offset, size.
static void layout(struct xstate_layout *l, const uint32_t (*rows)[3], size_t count) {
    memset(l, 0, sizeof *l);
    for (size_t i = 0; i < count; i++) {
        l->component[rows[i][0]].offset = rows[i][1];
        l->component[rows[i][0]].size = rows[i][2];
    }
}

enum { YMM = 2, MASKS = 5, ZMM = 6, MORE_ZMM = 7, PKRU = 9, TILES = 18 };
static const uint32_t with_amx[][3] = {{YMM, 576, 256},   {3, 960, 64},     {4, 1024, 64},
                                       {MASKS, 1088, 64}, {ZMM, 1152, 512}, {MORE_ZMM, 1664, 1024},
                                       {PKRU, 2688, 8},   {17, 2752, 64},   {TILES, 2816, 8192}};
static const uint32_t zen4[][3] = {
    {YMM, 576, 256}, {MASKS, 832, 64}, {ZMM, 896, 512}, {MORE_ZMM, 1408, 1024}, {PKRU, 2432, 8}};
static const uint32_t haswell[][3] = {{YMM, 576, 256}};
enum { AMX_SIZE = 11008, ZEN4_SIZE = 2440, HASWELL_SIZE = 832 };
#define LAYOUT(name, rows) layout(&(name), rows, sizeof(rows) / sizeof *(rows))

static void fill(uint8_t *xstate, const struct xstate_layout *l, int component) {
    memset(xstate + l->component[component].offset, 0x40 + component, l->component[component].size);
}

// A state of the CPU with AMX: what a program of level v3 has in it, and bits that this CPU calls in use all the same.
static void v3_state(uint8_t *xstate, const struct xstate_layout *l) {
    const uint64_t xstate_bv = 0x602e7, xcr0 = 0x602e7;
    memset(xstate, 0, AMX_SIZE);
    for (int i = 0; i < 464; i++)
        xstate[i] = (uint8_t)(i * 7);
    memcpy(xstate + 464, &xcr0, sizeof xcr0);
    memcpy(xstate + 512, &xstate_bv, sizeof xstate_bv);
    fill(xstate, l, YMM);
    memcpy(xstate + l->component[PKRU].offset, "TUUU", 4);
}

// The same registers, whatever the size of the area: packed, unpacked on another CPU, packed there.
static void test_two_sizes(void **state) {
    (void)state;
    static uint8_t big[AMX_SIZE], small[AMX_SIZE], packed[2 * AMX_SIZE], again[2 * AMX_SIZE], here[AMX_SIZE];
    struct xstate_layout from, to;
    const struct {
        const uint32_t (*rows)[3];
        size_t count, size;
        bool has_pkru;
    } others[] = {
        {zen4, 5, ZEN4_SIZE, true}, {haswell, 1, HASWELL_SIZE, false}, {with_amx, 9, AMX_SIZE, true}};
    LAYOUT(from, with_amx);
    v3_state(big, &from);
    size_t len = xstate_pack(&from, big, sizeof big, packed);
    assert_true(xstate_packed_good(packed, len));
    assert_int_equal(len, 512 + 8 + 256 + 8 + 8); // YMM and PKRU
    assert_true(len <= xstate_packed_most(sizeof big));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        layout(&to, others[i].rows, others[i].count);
        memset(small, 0xa5, sizeof small);
        assert_int_equal(xstate_unpack(&to, packed, len, small, others[i].size), 0);
        assert_int_equal(small[others[i].size == AMX_SIZE ? 0 : others[i].size],
                         others[i].size == AMX_SIZE ? 0 : 0xa5); // nothing behind it
        uint64_t bv;
        memcpy(&bv, small + 512, sizeof bv);
        assert_int_equal(bv, others[i].has_pkru ? 0x207 : 7);
        assert_memory_equal(small, big, 464);
        assert_memory_equal(small + 576, big + 576, 256);
        size_t n = xstate_pack(&to, small, others[i].size, again);
        assert_int_equal(n, others[i].has_pkru ? len : len - 16);
        assert_memory_equal(again, packed, n);
        // and back
        assert_int_equal(xstate_unpack(&from, again, n, here, sizeof here), 0);
        assert_memory_equal(here, big, 464);
        assert_memory_equal(here + 576, big + 576, 256);
    }
}

static void test_registers_that_are_not_there(void **state) {
    (void)state;
    static uint8_t big[AMX_SIZE], small[AMX_SIZE], packed[2 * AMX_SIZE], again[2 * AMX_SIZE];
    struct xstate_layout amx, amd, old;
    LAYOUT(amx, with_amx);
    LAYOUT(amd, zen4);
    LAYOUT(old, haswell);
    v3_state(big, &amx);
    fill(big, &amx, MASKS);
    fill(big, &amx, MORE_ZMM);
    size_t len = xstate_pack(&amx, big, sizeof big, packed);
    assert_int_equal(xstate_unpack(&old, packed, len, small, HASWELL_SIZE), 1u << MASKS | 1u << MORE_ZMM);
    // AMD has them elsewhere.
    assert_int_equal(xstate_unpack(&amd, packed, len, small, ZEN4_SIZE), 0);
    assert_memory_equal(small + 832, big + 1088, 64);
    assert_memory_equal(small + 1408, big + 1664, 1024);
    assert_int_equal(xstate_pack(&amd, small, ZEN4_SIZE, again), len);
    assert_memory_equal(again, packed, len);
    // A CPU whose area is shorter than its layout says has not got what lies beyond.
    assert_int_equal(xstate_unpack(&amd, packed, len, small, HASWELL_SIZE), 1u << MASKS | 1u << MORE_ZMM);
    assert_int_equal(xstate_pack(&amx, big, 100, packed), 0);
}

static void test_bad_packed(void **state) {
    (void)state;
    static uint8_t packed[2048], out[AMX_SIZE];
    struct xstate_layout l;
    LAYOUT(l, haswell);
    assert_true(xstate_packed_good(packed, 512));
    assert_false(xstate_packed_good(packed, 511));
    packed[470] = 1;
    assert_false(xstate_packed_good(packed, 512));
    packed[470] = 0;
    static const uint32_t heads[][2] = {{0, 8}, {1, 8},          {64, 8},        {2, 0},
                                        {2, 9}, {2, UINT32_MAX}, {UINT32_MAX, 8}};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        memcpy(packed + 512, heads[i], 8);
        assert_false(xstate_packed_good(packed, 528));
        assert_true(xstate_unpack(&l, packed, 528, out, HASWELL_SIZE) != 0);
    }
    const uint32_t twice[4] = {2, 8};
    memcpy(packed + 512, twice, 16);
    memcpy(packed + 528, twice, 16);
    assert_true(xstate_packed_good(packed, 528));
    assert_false(xstate_packed_good(packed, 544)); // the same component again
    assert_false(xstate_packed_good(packed, 531));
    // a component of another size than here
    assert_int_equal(xstate_unpack(&l, packed, 528, out, HASWELL_SIZE), 1u << YMM);
}

// ---- what an instruction needs

static void test_needs(void **state) {
    (void)state;
    static const struct {
        uint8_t code[8];
        const char *name, *set;
    } cases[] = {
        {{0x62, 0xf1, 0x7d, 0x48, 0xfe, 0xc0}, "vpaddd", "avx512f_512"},
        {{0xc5, 0xfd, 0xfe, 0xc0}, "vpaddd", "avx2"},
        {{0xc4, 0xe2, 0x79, 0x98, 0xc1}, "vfmadd132ps", "fma"},
        {{0x8f, 0xe8, 0x78, 0xc0, 0xc0, 0x01}, "vprotb", "xop"},
        {{0x0f, 0x0b}, NULL, NULL}, // ud2
        {{0x06}, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[32], set[32];
        assert_int_equal(cpu_needed(cases[i].code, sizeof cases[i].code, name, set), cases[i].name != NULL);
        if (!cases[i].name) continue;
        assert_string_equal(name, cases[i].name);
        assert_string_equal(set, cases[i].set);
    }
    static const uint8_t xrstor[] = {0x0f, 0xae, 0x2e}, fxsave[] = {0x0f, 0xae, 0x06};
    assert_true(cpu_restores_registers(xrstor, sizeof xrstor));
    assert_false(cpu_restores_registers(fxsave, sizeof fxsave));
}

// The kernel's words are not those of the makers' books.
static void test_words_of_cpuinfo(void **state) {
    (void)state;
    struct cpu_features shown = {{0}};
    static const char *const hidden[] = {"pni",           "sse4_1",  "avx2",    "avx512_vbmi2",
                                         "avx512vbmi",    "abm",     "sha_ni",  "ospke",
                                         "3dnowprefetch", "lahf_lm", "amx_tile"};
    static const char *const kept[] = {"fpu", "sse", "nopl", "hypervisor", "avx5", "", "x87"};
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        assert_false(cpuinfo_shows(&shown, hidden[i], strlen(hidden[i])));
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        assert_true(cpuinfo_shows(&shown, kept[i], strlen(kept[i])));
    shown.word[CPU_7_EBX] = 1u << 5; // avx2
    assert_true(cpuinfo_shows(&shown, "avx2", 4));
    assert_false(cpuinfo_shows(&shown, "avx512f", 7));
}

// ---- debug registers

static void on_alarm(int sig) {
    (void)sig;
}

// The recorder asks first in the middle of its work, with its timer running: the probe's child was left behind, stopped, with the
// recorder's files.
static void test_probe_beside_a_timer(void **state) {
    (void)state;
    int status;
    const struct sigaction interrupts = {.sa_handler = on_alarm};
    const struct itimerval often = {{0, 50}, {0, 50}}, never = {{0, 0}, {0, 0}};
    sigaction(SIGALRM, &interrupts, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    debug_registers_work();
    setitimer(ITIMER_REAL, &never, NULL);
    errno = 0;
    assert_int_equal(waitpid(-1, &status, WNOHANG | __WALL), -1);
    assert_int_equal(errno, ECHILD);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_of_cpuinfo),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_leaves),
        cmocka_unit_test(test_two_sizes),
        cmocka_unit_test(test_needs),
        cmocka_unit_test(test_registers_that_are_not_there),
        cmocka_unit_test(test_bad_packed),
        cmocka_unit_test(test_probe_beside_a_timer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
