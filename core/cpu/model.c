#include "core/cpu/model.h"

#include "core/cpu/xsave.h"

#include <cpuid.h>
#include <stdio.h>
#include <string.h>

enum who { V2, V3, WITH_V2, WITH_V3, NATIVE, HIDDEN };

static const struct feature {
    uint8_t word, bit, who;
    const char *name;
} features[] = {
#define FEATURE(word, bit, name, who) {word, bit, who, name},
#include "core/cpu/features.def"
#undef FEATURE
};
enum { FEATURES = sizeof features / sizeof *features };

// Bits that say nothing about instructions of programs: what every x86-64 has, hints for choosing between code that all have,
// and what only the kernel sees. A plain CPU shows them as the machine does.
static const struct cpu_features harmless = {{
    [CPU_1_ECX] = 1u << 21 | 1u << 24 | 1u << 27 | 1u << 31, // x2apic, tsc_deadline, osxsave, hypervisor
    [CPU_1_EDX] = 0x1f8bfbff,                                // all but psn, ds, acpi, tm, ia64, pbe
    [CPU_7_EBX] = 1u << 9,                                   // erms
    [CPU_81_ECX] = 1u << 1 | 1u << 22,                       // cmp_legacy, topoext
    [CPU_81_EDX] = 0x2593fbff, // the same as leaf 1, and syscall, nx, pdpe1gb, lm
}};

static const char *const level_names[CPU_LEVELS] = {"best", "x86-64-v2", "x86-64-v3", "native"};

const char *cpu_level_name(enum cpu_level level) {
    return level < CPU_LEVELS ? level_names[level] : "?";
}

bool cpu_level_named(const char *name, enum cpu_level *out) {
    static const char prefix[] = "x86-64-";
    for (int i = CPU_V2; i < CPU_LEVELS; i++) {
        const char *full = level_names[i];
        bool is = !strcmp(name, full) ||
                  (!strncmp(full, prefix, sizeof prefix - 1) && !strcmp(name, full + sizeof prefix - 1));
        if (!is) continue;
        *out = (enum cpu_level)i;
        return true;
    }
    return false;
}

void cpu_features_here(struct cpu_features *out) {
    uint32_t a, b, c, d, *w = out->word;
    memset(out, 0, sizeof *out);
    __cpuid(1, a, b, w[CPU_1_ECX], w[CPU_1_EDX]);
    uint32_t last = (uint32_t)__get_cpuid_max(0, NULL),
             extended = (uint32_t)__get_cpuid_max(0x80000000, NULL);
    if (last >= 7) {
        __cpuid_count(7, 0, a, w[CPU_7_EBX], w[CPU_7_ECX], w[CPU_7_EDX]);
        if (a >= 1) __cpuid_count(7, 1, w[CPU_71_EAX], b, c, w[CPU_71_EDX]);
    }
    w[CPU_XCR0] = (uint32_t)xsave_xcr0();
    if (last >= 0xd) __cpuid_count(0xd, 1, w[CPU_D1_EAX], b, c, d);
    if (extended >= 0x80000001u) __cpuid(0x80000001, a, b, w[CPU_81_ECX], w[CPU_81_EDX]);
    if (extended >= 0x80000008u) __cpuid(0x80000008, a, w[CPU_88_EBX], c, d);
}

static void add(struct cpu_features *to, const struct feature *f) {
    to->word[f->word] |= 1u << f->bit;
}

static bool has(const struct cpu_features *in, const struct feature *f) {
    return in->word[f->word] >> f->bit & 1;
}

static bool part_of(const struct feature *f, enum cpu_level level) {
    return f->who == V2 || (level == CPU_V3 && f->who == V3);
}

bool cpu_model_make(enum cpu_level level, const struct cpu_features *here, struct cpu_model *out,
                    struct cpu_features *lacking) {
    struct cpu_features mask = harmless, level_has = {0};
    if (level == CPU_NATIVE) memset(&mask, 0xff, sizeof mask);
    for (int i = 0; i < FEATURES; i++) {
        const struct feature *f = &features[i];
        if (f->who == HIDDEN) mask.word[f->word] &= ~(1u << f->bit);
        if (level == CPU_NATIVE) continue;
        if (part_of(f, level)) add(&level_has, f);
        if (part_of(f, level) || f->who == WITH_V2 || (level == CPU_V3 && f->who == WITH_V3)) add(&mask, f);
    }
    // x86-64-v2 is as old as the first XSAVE: it shows neither that nor OSXSAVE, and programs use fxsave.
    if (level == CPU_V2) mask.word[CPU_1_ECX] &= ~(1u << 27);
    out->level = level;
    for (int i = 0; i < CPU_REGISTERS; i++)
        out->shown.word[i] = here->word[i] & mask.word[i];
    return !cpu_features_lacking(&level_has, here, lacking);
}

// Leaf 0xd: the places of the registers that xsave stores.
static void mask_xsave_leaf(const struct cpu_model *model, uint32_t subleaf, uint32_t r[4]) {
    const uint32_t xcr0 = model->shown.word[CPU_XCR0];
    if (subleaf == 0 && xcr0) {
        r[0] = xcr0;
        r[1] = r[2] = (uint32_t)xsave_area_size(xcr0, false);
        r[3] = 0;
    } else if (subleaf == 1 && xcr0) {
        r[0] &= model->shown.word[CPU_D1_EAX];
        r[1] = r[0] & 2 ? (uint32_t)xsave_area_size(xcr0, true) : 0;
        r[2] = r[3] = 0;
    } else if (subleaf > 31 || !(xcr0 >> subleaf & 1)) {
        memset(r, 0, 4 * sizeof *r);
    }
}

void cpu_model_mask(const struct cpu_model *model, uint32_t leaf, uint32_t subleaf, uint32_t r[4]) {
    enum { LAST_PLAIN = 0xd, FIRST_HYPERVISOR = 0x40000000, AMX_FIRST = 0x1d, AMX_LAST = 0x1e };
    const uint32_t *shown = model->shown.word;
    const bool plain = model->level != CPU_NATIVE;
    const struct {
        uint32_t leaf, subleaf;
        int registers[4]; // enum cpu_register, -1: as it is
    } rows[] = {
        {1, ~0u, {-1, -1, CPU_1_ECX, CPU_1_EDX}},    {7, 0, {-1, CPU_7_EBX, CPU_7_ECX, CPU_7_EDX}},
        {7, 1, {CPU_71_EAX, -1, -1, CPU_71_EDX}},    {0x80000001, ~0u, {-1, -1, CPU_81_ECX, CPU_81_EDX}},
        {0x80000008, ~0u, {-1, CPU_88_EBX, -1, -1}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int n = 0; n < 4; n++)
            if (rows[i].leaf == leaf && (rows[i].subleaf == subleaf || rows[i].subleaf == ~0u) &&
                rows[i].registers[n] >= 0)
                r[n] &= shown[rows[i].registers[n]];
    if (leaf == 0xd) mask_xsave_leaf(model, subleaf, r);
    if (leaf == 0 && plain && r[0] > LAST_PLAIN) r[0] = LAST_PLAIN;
    if (leaf == 7 && subleaf == 0 && plain) r[0] = 0; // no more subleaves
    const bool beyond = leaf > LAST_PLAIN && leaf < FIRST_HYPERVISOR;
    if ((plain && (beyond || (leaf == 7 && subleaf))) || (leaf >= AMX_FIRST && leaf <= AMX_LAST))
        memset(r, 0, 4 * sizeof *r);
}

uint64_t cpu_model_hwcap(const struct cpu_model *model, uint64_t hwcap) {
    return hwcap & model->shown.word[CPU_1_EDX];
}

uint64_t cpu_model_hwcap2(const struct cpu_model *model, uint64_t hwcap2) {
    return model->level == CPU_NATIVE ? hwcap2 : 0;
}

bool cpu_features_lacking(const struct cpu_features *wanted, const struct cpu_features *here,
                          struct cpu_features *lacking) {
    bool any = false;
    memset(lacking, 0, sizeof *lacking);
    for (int i = 0; i < FEATURES; i++)
        if (has(wanted, &features[i]) && !has(here, &features[i])) {
            add(lacking, &features[i]);
            any = true;
        }
    return any;
}

bool cpu_features_silent(const struct cpu_features *lacking, struct cpu_features *silent) {
    static const struct cpu_features quiet = {{[CPU_7_EBX] = 1u << 3, [CPU_81_ECX] = 1u << 5}};
    bool any = false;
    for (int i = 0; i < CPU_REGISTERS; i++) {
        silent->word[i] = lacking->word[i] & quiet.word[i];
        any |= silent->word[i] != 0;
    }
    return any;
}

void cpu_features_text(const struct cpu_features *in, char *text, size_t size) {
    size_t used = 0;
    if (size) *text = 0;
    for (int i = 0; i < FEATURES; i++) {
        if (!has(in, &features[i])) continue;
        const char *name = features[i].name, *comma = used ? ", " : "";
        size_t need = strlen(comma) + strlen(name);
        if (used + need + sizeof ", ..." > size) {
            if (size - used >= sizeof ", ...") snprintf(text + used, size - used, "%s...", comma);
            return;
        }
        used += (size_t)snprintf(text + used, size - used, "%s%s", comma, name);
    }
}
