// Instructions that refork carries out itself: found by their bytes, confirmed by decoding the function
// around them.
#include "core/elf/trap_sites.h"

#include "core/array.h"
#include "core/elf/elf_functions.h"
#include "core/elf/elf_frames.h"
#include "core/elf/elf_inside.h"
#include "core/event.h"

#include <Zydis/Zydis.h>
#include <stdlib.h>

static const struct {
    ZydisMnemonic mnemonic;
    uint8_t kind;
    bool tsc;
} trapped[] = {
    {ZYDIS_MNEMONIC_CPUID, TRAP_CPUID, false},    {ZYDIS_MNEMONIC_RDRAND, TRAP_RDRAND, false},
    {ZYDIS_MNEMONIC_RDSEED, TRAP_RDSEED, false},  {ZYDIS_MNEMONIC_RDTSC, TRAP_RDTSC, true},
    {ZYDIS_MNEMONIC_RDTSCP, TRAP_RDTSCP, true},   {ZYDIS_MNEMONIC_XGETBV, TRAP_XGETBV, false},
    {ZYDIS_MNEMONIC_XSAVE, TRAP_XSAVE, false},    {ZYDIS_MNEMONIC_XSAVE64, TRAP_XSAVE, false},
    {ZYDIS_MNEMONIC_XSAVEC, TRAP_XSAVE, false},   {ZYDIS_MNEMONIC_XSAVEC64, TRAP_XSAVE, false},
    {ZYDIS_MNEMONIC_XSAVEOPT, TRAP_XSAVE, false}, {ZYDIS_MNEMONIC_XSAVEOPT64, TRAP_XSAVE, false},
    {ZYDIS_MNEMONIC_FXSAVE, TRAP_XSAVE, false},   {ZYDIS_MNEMONIC_FXSAVE64, TRAP_XSAVE, false},
    {ZYDIS_MNEMONIC_RDPID, TRAP_RDPID, false},
};

static int kind_of(ZydisMnemonic mnemonic, bool tsc) {
    for (size_t i = 0; i < sizeof trapped / sizeof *trapped; i++)
        if (trapped[i].mnemonic == mnemonic) return trapped[i].tsc && !tsc ? 0 : trapped[i].kind;
    return 0;
}

bool code_trap_instruction(const uint8_t *code, size_t len, struct trap_instruction *out) {
    ZydisDecoder decoder;
    ZydisDecodedInstruction in;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code, len, &in, operands))) return false;
    int kind = kind_of(in.mnemonic, true);
    if (kind == 0) return false;
    *out = (struct trap_instruction){.kind = kind, .length = in.length};
    if (kind == TRAP_RDRAND || kind == TRAP_RDSEED || kind == TRAP_RDPID) {
        out->reg = ZydisRegisterGetId(operands[0].reg.value);
        out->width = operands[0].size;
    }
    out->legacy = in.mnemonic == ZYDIS_MNEMONIC_FXSAVE || in.mnemonic == ZYDIS_MNEMONIC_FXSAVE64;
    if (out->legacy) out->width = in.mnemonic == ZYDIS_MNEMONIC_FXSAVE64 ? 64 : 32;
    out->compact = in.mnemonic == ZYDIS_MNEMONIC_XSAVEC || in.mnemonic == ZYDIS_MNEMONIC_XSAVEC64;
    return true;
}

size_t code_trap_ahead(const uint8_t *code, size_t len, size_t from) {
    ZydisDecoder decoder;
    ZydisDecodedInstruction in;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    for (size_t at = from; at < len; at += in.length) {
        if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, NULL, code + at, len - at, &in)) ||
            in.mnemonic == ZYDIS_MNEMONIC_RET || in.mnemonic == ZYDIS_MNEMONIC_INT3)
            return len;
        int kind = kind_of(in.mnemonic, false);
        if (kind && kind != TRAP_CPUID) return at;
    }
    return len;
}

// 0F A2 cpuid; 0F C7 /6 and /7 on registers rdrand, rdseed (F3 0F C7 F8.. is rdpid, F3 0F C7 F0.. senduipi); 0F C7 /4 on memory xsavec;
// 0F AE /0, /4 and /6 on memory fxsave, xsave, xsaveopt; 0F 31 rdtsc; 0F 01 F9 rdtscp; 0F 01 D0 xgetbv.
static bool looks_trapped(const uint8_t *p, size_t left, bool tsc) {
    if (left < 2) return false;
    if (p[1] == 0xa2) return true;
    if (tsc && p[1] == 0x31) return true;
    if (left < 3) return false;
    bool memory = p[2] < 0xc0;
    int extension = p[2] >> 3 & 7;
    switch (p[1]) {
    case 0xc7:
        return memory ? extension == 4 : extension >= 6;
    case 0xae:
        return memory && (extension == 0 || extension == 4 || extension == 6);
    case 0x01:
        return p[2] == 0xd0 || (tsc && p[2] == 0xf9);
    default:
        return false;
    }
}

// A decoder that walks one run of code and remembers where it is, so that candidates in one function share
// the walk.
struct sweep {
    ZydisDecoder decoder;
    const uint8_t *code; // of `start`
    uint64_t start, end, at;
    uint64_t sure; // a table says that [start, sure) is one function; 0 for a run between functions
};

// Walks on to the instruction that holds vaddr. 0: none begins such that it is a trapped one with its opcode
// there.
static int sweep_to(struct sweep *s, uint64_t vaddr, bool tsc, struct trap_site *site) {
    while (s->at <= vaddr && s->at < s->end) {
        ZydisDecodedInstruction in;
        if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&s->decoder, NULL, s->code + (s->at - s->start),
                                                        s->end - s->at, &in))) {
            s->at++; // data among the code: the walk falls into step again within a few instructions
            continue;
        }
        uint64_t at = s->at;
        s->at += in.length;
        if (s->at <= vaddr) continue;
        int kind = kind_of(in.mnemonic, tsc);
        *site = (struct trap_site){.vaddr = at, .kind = (uint8_t)kind, .length = in.length};
        return kind;
    }
    return 0;
}

enum { BACK_MOST = 1024, LONGEST = 15 };

// The instruction that holds vaddr when a walk steps on `from`: its offset from `base`. `seen` keeps the answers, 0: none yet.
static uint16_t holder(const struct sweep *s, uint64_t base, uint64_t from, uint64_t vaddr, uint16_t *seen) {
    uint16_t path[BACK_MOST + 1], found = 0;
    size_t n = 0;
    for (uint64_t at = from; !found;) {
        ZydisDecodedInstruction in;
        found = seen[at - base];
        if (found) break;
        path[n++] = (uint16_t)(at - base);
        bool good = ZYAN_SUCCESS(
            ZydisDecoderDecodeInstruction(&s->decoder, NULL, s->code + (at - s->start), s->end - at, &in));
        uint64_t next = at + (good ? in.length : 1);
        if (next > vaddr) found = (uint16_t)(at - base + 1);
        at = next;
    }
    while (n > 0)
        seen[path[--n]] = found;
    return found - 1;
}

// What sweep_to would say, without the walk from the beginning. No instruction is longer than 15 bytes, so that walk steps on one of the
// 15 bytes from `back` before vaddr. Walks from different bytes soon fall into step: when all 15 come to the same, it does, too.
// (libLLVM has 40 million instructions in runs that no table knows.) -1: they differ.
static int near_answer(const struct sweep *s, uint64_t vaddr, uint64_t back, bool tsc,
                       struct trap_site *site) {
    uint16_t seen[BACK_MOST + 1] = {0};
    uint64_t base = vaddr - back;
    int kind = -1;
    for (uint64_t from = base; from < base + LONGEST; from++) {
        ZydisDecodedInstruction in;
        uint64_t at = base + holder(s, base, from, vaddr, seen);
        bool good = ZYAN_SUCCESS(
            ZydisDecoderDecodeInstruction(&s->decoder, NULL, s->code + (at - s->start), s->end - at, &in));
        int this = good ? kind_of(in.mnemonic, tsc) : 0;
        if (kind >= 0 && (this != kind || (kind && site->vaddr != at))) return -1;
        kind = this;
        *site = (struct trap_site){.vaddr = at, .kind = (uint8_t)kind, .length = good ? in.length : 0};
    }
    return kind;
}

static int trapped_at(struct sweep *s, uint64_t vaddr, bool tsc, struct trap_site *site) {
    bool ahead = vaddr >= s->at && vaddr < s->end;
    for (uint64_t back = 64; ahead && back <= BACK_MOST && vaddr - s->at > back; back *= 4) {
        int kind = near_answer(s, vaddr, back, tsc, site);
        if (kind >= 0) return kind;
    }
    return sweep_to(s, vaddr, tsc, site);
}

// Where decoding begins for a candidate that no table knows: its section, or the function before it.
static void unknown_run(const struct elf_module *m, const Elf64_Phdr *load, uint64_t vaddr, uint64_t *start,
                        uint64_t *end) {
    *start = load->p_vaddr;
    *end = load->p_vaddr + load->p_filesz;
    for (size_t i = 0; i < m->shnum; i++) {
        Elf64_Shdr s;
        if (!elf_section(m, i, &s) || !(s.sh_flags & SHF_EXECINSTR) || s.sh_type == SHT_NOBITS) continue;
        if (vaddr < s.sh_addr || vaddr - s.sh_addr >= s.sh_size) continue;
        if (s.sh_addr > *start) *start = s.sh_addr;
        if (s.sh_size < *end - s.sh_addr) *end = s.sh_addr + s.sh_size;
    }
    uint64_t before = elf_frames_end_before(m, vaddr);
    if (before > *start) *start = before;
}

struct site_list {
    struct trap_site *v;
    size_t count;
};

static bool add_site(struct site_list *list, struct trap_site site) {
    if (list->count && list->v[list->count - 1].vaddr == site.vaddr) return true;
    struct trap_site *new = array_try_add(list->v, list->count);
    if (new) *new = site;
    return new;
}

static void scan_load(const struct elf_module *m, const Elf64_Phdr *load, bool tsc, struct site_list *list) {
    const uint8_t *first = m->image + load->p_offset, *last = first + load->p_filesz;
    struct sweep sweep = {0};
    ZydisDecoderInit(&sweep.decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    ZydisDecoderEnableMode(&sweep.decoder, ZYDIS_DECODER_MODE_MINIMAL, ZYAN_TRUE);
    for (const uint8_t *p = first; p < last && (p = memchr(p, 0x0f, (size_t)(last - p))) != NULL; p++) {
        if (!looks_trapped(p, (size_t)(last - p), tsc)) continue;
        uint64_t vaddr = load->p_vaddr + (uint64_t)(p - first), load_end = load->p_vaddr + load->p_filesz;
        if (vaddr < sweep.at || vaddr >= sweep.sure) {
            uint64_t start, end;
            bool known = elf_module_function(m, vaddr, &start, &end);
            if (!known) unknown_run(m, load, vaddr, &start, &end);
            if (start < load->p_vaddr || end > load_end) continue;
            if (start != sweep.start || end != sweep.end) {
                sweep.start = sweep.at = start;
                sweep.end = end;
                sweep.code = first + (start - load->p_vaddr);
            }
            sweep.sure = known ? end : 0;
        }
        struct trap_site site;
        if (trapped_at(&sweep, vaddr, tsc, &site) != 0 && !add_site(list, site)) return;
    }
}

static int compare_sites(const void *left, const void *right) {
    const struct trap_site *a = left, *b = right;
    return a->vaddr < b->vaddr ? -1 : a->vaddr > b->vaddr;
}

struct trap_site *elf_module_trap_sites(const struct elf_module *m, bool tsc, size_t *count) {
    struct site_list list = {0};
    for (size_t i = 0; i < m->load_count; i++)
        if ((m->loads[i].p_flags & PF_X) && m->loads[i].p_filesz) scan_load(m, &m->loads[i], tsc, &list);
    if (list.count) qsort(list.v, list.count, sizeof *list.v, compare_sites);
    *count = list.count;
    return list.v;
}
