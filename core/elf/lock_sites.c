// Every atomic read-modify-write instruction of a module, by decoding all of its code once.
#include "core/elf/lock_sites.h"

#include "core/array.h"
#include "core/atomic_emulate.h"
#include "core/elf/elf_module.h"
#include "core/elf/elf_inside.h"
#include "core/elf/elf_functions.h"
#include "core/elf/elf_frames.h"

#include <Zydis/Zydis.h>
#include <stdlib.h>

enum { LOCK_PREFIX = 0xf0 };

// How far from bytes that are no plausible code a swept site must be. Of random bytes every sixth instruction
// or so is invalid or in `implausible`, so a run of 2 * 128 bytes without any is code.
enum { SWEEP_MARGIN = 128 };

// Not among them: hlt (_start) and int (Go has cd 03).
static const ZydisMnemonic implausible[] = {
    ZYDIS_MNEMONIC_IN,   ZYDIS_MNEMONIC_OUT,   ZYDIS_MNEMONIC_INSB,  ZYDIS_MNEMONIC_INSD,
    ZYDIS_MNEMONIC_INSW, ZYDIS_MNEMONIC_OUTSB, ZYDIS_MNEMONIC_OUTSD, ZYDIS_MNEMONIC_OUTSW,
    ZYDIS_MNEMONIC_INT1, ZYDIS_MNEMONIC_IRET,  ZYDIS_MNEMONIC_IRETD, ZYDIS_MNEMONIC_IRETQ,
    ZYDIS_MNEMONIC_CLI,  ZYDIS_MNEMONIC_STI,   ZYDIS_MNEMONIC_ENTER, ZYDIS_MNEMONIC_XLAT,
};

struct site_list {
    struct lock_site *v;
    size_t count;
};

// Addresses behind a byte 0xf0 to which a branch goes.
struct target_list {
    uint64_t *v;
    size_t count;
};

struct scan {
    const struct elf_module *m;
    ZydisDecoder decoder;
    const uint8_t *code; // of `base`
    uint64_t base, end;  // of the segment
    struct site_list sites;
    struct target_list targets;
};

static bool add_site(struct site_list *list, struct lock_site site) {
    struct lock_site *new = array_try_add(list->v, list->count);
    if (new) *new = site;
    return new;
}

static bool add_target(struct target_list *list, uint64_t target) {
    uint64_t *new = array_try_add(list->v, list->count);
    if (new) *new = target;
    return new;
}

static const uint8_t *code_at(const struct scan *s, uint64_t vaddr) {
    return s->code + (vaddr - s->base);
}

// Before the costly decoding: a lock prefix (any of its bytes may be one), or an xchg whose operand is not a
// register (87 /r, 86 /r; 9x is always registers).
static bool maybe_atomic(const ZydisDecodedInstruction *in, const uint8_t *code) {
    if (in->mnemonic == ZYDIS_MNEMONIC_XCHG) return true;
    for (uint8_t i = 0; i < in->raw.prefix_count && i < in->length; i++)
        if (code[i] == LOCK_PREFIX) return true;
    return false;
}

// One instruction of the walk; false: out of memory.
static bool look_at(struct scan *s, uint64_t at, const ZydisDecodedInstruction *in, uint8_t flags) {
    const uint8_t *code = code_at(s, at);
    if (in->raw.imm[0].is_relative) {
        uint64_t target = at + in->length + (uint64_t)in->raw.imm[0].value.s;
        if (target > s->base && target < s->end && code_at(s, target)[-1] == LOCK_PREFIX)
            return add_target(&s->targets, target);
        return true;
    }
    struct atomic_instruction what;
    if (!maybe_atomic(in, code) || !atomic_decode(code, in->length, &what) || !what.locked) return true;
    return add_site(&s->sites, (struct lock_site){.vaddr = at,
                                                  .length = what.length,
                                                  .operation = what.operation,
                                                  .size = what.size,
                                                  .flags = flags});
}

static bool decode_at(const struct scan *s, uint64_t at, uint64_t end, ZydisDecodedInstruction *in) {
    return ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&s->decoder, NULL, code_at(s, at), end - at, in));
}

static bool walk_function(struct scan *s, uint64_t start, uint64_t end) {
    for (uint64_t at = start; at < end;) {
        ZydisDecodedInstruction in;
        if (!decode_at(s, at, end, &in)) {
            at++; // data among the code: the walk falls into step again within a few instructions
            continue;
        }
        if (!look_at(s, at, &in, 0)) return false;
        at += in.length;
    }
    return true;
}

static bool is_plausible(const ZydisDecodedInstruction *in) {
    for (size_t i = 0; i < sizeof implausible / sizeof *implausible; i++)
        if (in->mnemonic == implausible[i]) return false;
    return true;
}

// Zeros between functions (Free Pascal's padding) would decode as "add %al,(%rax)", an odd one of them with
// the next function's first bytes. No function begins with a zero. at: no padding here.
static uint64_t after_zeros(const struct scan *s, uint64_t at, uint64_t end) {
    uint64_t next = at;
    while (next < end && *code_at(s, next) == 0)
        next++;
    if (next - at < 2) return at;
    uint64_t from, to; // a function that begins with zeros all the same is not skipped
    return elf_module_function(s->m, next - 1, &from, &to) && from > at ? from : next;
}

// No code at vaddr: what the sweep found close before it (from the `first`-th site on) is not believed.
static void drop_swept(struct site_list *list, size_t first, uint64_t vaddr) {
    while (list->count > first && vaddr - list->v[list->count - 1].vaddr < SWEEP_MARGIN)
        list->count--;
}

// Sections or a segment: functions where tables know them, a sweep between them that ends where the next one
// begins (also when that is in the middle of what was decoded as an instruction).
static bool walk_run(struct scan *s, uint64_t start, uint64_t end) {
    uint64_t from, to, doubt_until = 0; // sites of the sweep below this are not believed
    size_t first = s->sites.count;      // of this sweep
    for (uint64_t at = start; at < end;) {
        if (elf_module_function(s->m, at, &from, &to)) {
            uint64_t stop = to < end ? to : end;
            if (!walk_function(s, at, stop)) return false;
            at = stop;
            first = s->sites.count;
            doubt_until = 0;
            continue;
        }
        uint64_t padded = after_zeros(s, at, end);
        if (padded != at) {
            at = padded;
            continue;
        }
        ZydisDecodedInstruction in;
        bool good = decode_at(s, at, end, &in);
        uint64_t next = at + (good ? in.length : 1);
        bool torn = next < end && elf_module_function(s->m, next, &from, &to) && from > at && from < next;
        if (!good || torn || !is_plausible(&in)) {
            drop_swept(&s->sites, first, at);
            doubt_until = next + SWEEP_MARGIN;
        } else {
            size_t count = s->sites.count;
            if (!look_at(s, at, &in, LOCK_SITE_SWEPT)) return false;
            if (at < doubt_until) s->sites.count = count;
        }
        at = torn ? from : next;
    }
    return true;
}

static bool walk_load(struct scan *s, const Elf64_Phdr *load) {
    bool sections = false;
    s->code = s->m->image + load->p_offset;
    s->base = load->p_vaddr;
    s->end = load->p_vaddr + load->p_filesz;
    for (size_t i = 0; i < s->m->shnum; i++) {
        Elf64_Shdr section;
        if (!elf_section(s->m, i, &section) || !(section.sh_flags & SHF_EXECINSTR)) continue;
        if (section.sh_type == SHT_NOBITS || section.sh_addr < s->base || section.sh_addr >= s->end) continue;
        uint64_t left = s->end - section.sh_addr;
        uint64_t size = section.sh_size < left ? section.sh_size : left;
        sections = true;
        if (!walk_run(s, section.sh_addr, section.sh_addr + size)) return false;
    }
    return sections || walk_run(s, s->base, s->end);
}

// ---- in order

static int compare_sites(const void *left, const void *right) {
    const struct lock_site *a = left, *b = right;
    if (a->vaddr != b->vaddr) return a->vaddr < b->vaddr ? -1 : 1;
    return (a->flags & LOCK_SITE_SWEPT) - (b->flags & LOCK_SITE_SWEPT); // the sure one first
}

static void sort_sites(struct site_list *list) {
    if (list->count == 0) return;
    qsort(list->v, list->count, sizeof *list->v, compare_sites);
    size_t kept = 1;
    for (size_t i = 1; i < list->count; i++)
        if (list->v[i].vaddr != list->v[kept - 1].vaddr) list->v[kept++] = list->v[i];
    list->count = kept;
}

// The site that `vaddr` lies in the middle of, among the first `count`.
static const struct lock_site *site_around(const struct site_list *list, size_t count, uint64_t vaddr) {
    size_t low = array_before(list->v, count, site, site->vaddr < vaddr);
    if (low == 0 || (low < count && list->v[low].vaddr == vaddr)) return NULL;
    const struct lock_site *site = &list->v[low - 1];
    return vaddr - site->vaddr < site->length ? site : NULL;
}

// A branch to the byte behind a lock prefix of a site, such that the rest of the site is an instruction.
static bool add_second_entries(struct scan *s) {
    size_t count = s->sites.count;
    for (size_t i = 0; i < s->targets.count; i++) {
        uint64_t target = s->targets.v[i];
        const struct lock_site *site = site_around(&s->sites, count, target);
        if (!site) continue;
        uint8_t length = (uint8_t)(site->length - (target - site->vaddr));
        uint8_t flags = site->flags | LOCK_SITE_SECOND_ENTRY;
        struct atomic_instruction what;
        if (!atomic_decode(code_at(s, target), length, &what) || what.length != length) continue;
        if (!add_site(&s->sites, (struct lock_site){.vaddr = target,
                                                    .length = length,
                                                    .operation = what.operation,
                                                    .size = what.size,
                                                    .flags = flags}))
            return false;
    }
    sort_sites(&s->sites);
    return true;
}

struct lock_site *elf_module_lock_sites(const struct elf_module *m, size_t *count) {
    struct site_list all = {0};
    bool good = true;
    for (size_t i = 0; good && i < m->load_count; i++) {
        if (!(m->loads[i].p_flags & PF_X) || m->loads[i].p_filesz == 0) continue;
        struct scan s = {.m = m};
        ZydisDecoderInit(&s.decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
        ZydisDecoderEnableMode(&s.decoder, ZYDIS_DECODER_MODE_MINIMAL, ZYAN_TRUE);
        good = walk_load(&s, &m->loads[i]);
        sort_sites(&s.sites);
        good = good && add_second_entries(&s);
        for (size_t k = 0; good && k < s.sites.count; k++)
            good = add_site(&all, s.sites.v[k]);
        free(s.sites.v);
        free(s.targets.v);
    }
    sort_sites(&all);
    if (!good || all.count == 0) {
        free(all.v);
        all = (struct site_list){0};
    }
    *count = all.count;
    return all.v;
}
