#include "recorder/modules.h"

#include "core/annex.h"
#include "core/elf/elf_module.h"
#include "core/elf/trap_sites.h"
#include "recorder/log.h"
#include "core/abi.h"
#include "recorder/space.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { SLOT_TRIES = 4000, SPAN_LIMIT = 1 << 20 };

static void read_headers(struct module_facts *f, const uint8_t *image, size_t size) {
    const Elf64_Ehdr *e = (const void *)image;
    if (size < sizeof *e || e->e_phentsize != sizeof(Elf64_Phdr) || e->e_phoff > size ||
        (size - e->e_phoff) / sizeof(Elf64_Phdr) < e->e_phnum)
        return;
    bool interp = false, dynamic = false;
    for (int i = 0; i < e->e_phnum; i++) {
        Elf64_Phdr ph;
        memcpy(&ph, image + e->e_phoff + (size_t)i * sizeof ph, sizeof ph);
        if (ph.p_type == PT_INTERP) interp = true;
        if (ph.p_type == PT_DYNAMIC) dynamic = true;
        if (ph.p_type == PT_LOAD && f->load_count < 16)
            f->loads[f->load_count++] =
                (struct load){ph.p_offset, ph.p_vaddr, ph.p_filesz,
                              (ph.p_flags & PF_R ? PROT_READ : 0) | (ph.p_flags & PF_W ? PROT_WRITE : 0) |
                                  (ph.p_flags & PF_X ? PROT_EXEC : 0)};
    }
    f->dynamic = interp || (dynamic && e->e_type == ET_DYN);
}

struct module_facts *module_facts(struct recorder *r, int fd, uint64_t blob) {
    for (struct module_facts *f = r->modules; f; f = f->next)
        if (f->blob == blob) return f->elf ? f : NULL;
    struct module_facts *f = calloc(1, sizeof *f);
    f->blob = blob;
    f->next = r->modules;
    r->modules = f;
    struct stat st;
    if (fstat(fd, &st) < 0 || st.st_size < (off_t)sizeof(Elf64_Ehdr)) return NULL;
    void *image = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (image == MAP_FAILED) return NULL;
    struct elf_module *m = elf_module_parse(image, (size_t)st.st_size);
    if (m) {
        f->elf = true;
        read_headers(f, image, (size_t)st.st_size);
        f->traps = elf_module_trap_sites(m, !r->tsc_traps, &f->trap_count);
        f->bind_now = elf_module_bind_now(m, &f->bind_vaddr, f->bind_bytes, &f->bind_len);
        if (f->bind_now >= 0 && f->dynamic) f->slots = elf_module_slots(m, &f->slot_count);
        elf_module_free(m);
    }
    munmap(image, (size_t)st.st_size);
    return f->elf ? f : NULL;
}

void modules_free(struct recorder *r) {
    while (r->modules) {
        struct module_facts *f = r->modules;
        r->modules = f->next;
        free(f->traps);
        free(f->slots);
        free(f);
    }
}

bool module_bias(const struct module_facts *f, uint64_t offset, uint64_t address, int prot, uint64_t *bias) {
    // The page where two segments meet in the file belongs to both: a mapping that begins with a segment's
    // first page is that segment (Debian's python3.11: RW at file offset 0x544000, R up to 0x544968). A small
    // program's R and RW begin in one page of the file (R 0x2000, RW 0x2dd0): the protection tells them apart.
    const struct load *best = NULL;
    int rank = 0;
    for (int i = 0; i < f->load_count; i++) {
        const struct load *l = &f->loads[i];
        uint64_t from = page_down(l->offset), to = l->offset + l->size;
        if (offset < from || offset >= to) continue;
        int now = 1 + 2 * (offset == from) + (prot == l->prot);
        if (now <= rank) continue;
        rank = now;
        best = l;
    }
    if (!best) return false;
    *bias = address - offset - (best->vaddr - best->offset);
    return true;
}

// A page of code that gets an int3 at some of its instructions: ld.so of Debian 12 has 62 of them in 8 pages.
struct patched_page {
    uint64_t address;
    bool changed;
    uint8_t bytes[PAGE];
};

static void page_done(struct recorder *r, struct task *t, const struct patched_page *p) {
    if (p->changed && !tracee_write(t->mm->mem_fd, p->address, p->bytes, PAGE))
        recorder_fail(r, "cannot write into the code at 0x%lx of task %d", (unsigned long)p->address, t->tid);
}

static void patch_traps(struct recorder *r, struct task *t, struct batch *b, struct module_facts *f,
                        uint64_t bias, const struct piece_map *map) {
    struct patched_page page = {.address = ~0ull};
    for (size_t i = 0; i < f->trap_count; i++) {
        uint64_t at = f->traps[i].vaddr + bias;
        if (at < map->address || at >= map->address + map->length) continue;
        if (f->traps[i].kind == TRAP_CPUID && r->cpuid_faults) continue;
        if (page_down(at) != page.address) {
            page_done(r, t, &page);
            page.address = page_down(at);
            page.changed = false;
            if (!tracee_read(t->tid, t->mm->mem_fd, page.address, page.bytes, PAGE)) {
                recorder_fail(r, "cannot read the code at 0x%lx of task %d", (unsigned long)at, t->tid);
                return;
            }
        }
        uint8_t *byte = &page.bytes[at % PAGE];
        if (*byte != 0x0f) { // a prefix: remembered, since the int3 hides it
            if (t->mm->saved.count == sizeof t->mm->saved.all / sizeof *t->mm->saved.all) continue;
            t->mm->saved.all[t->mm->saved.count++] = (struct saved_byte){at, *byte};
        }
        *byte = 0xcc;
        page.changed = true;
        memset(batch_piece(b, PIECE_MEM, 1), 0xcc, 1);
        batch_last(b)->mem.address = at;
    }
    page_done(r, t, &page);
}

void module_mapped(struct recorder *r, struct task *t, struct batch *b, struct module_facts *f,
                   const struct piece_map *map, bool queue_slots) {
    uint64_t bias, start = map->address, end = start + map->length;
    if (!module_bias(f, map->offset, start, (int)map->prot, &bias)) return;
    if (map->prot & PROT_EXEC) patch_traps(r, t, b, f, bias, map);
    if (!f->slot_count) return;
    bool writable = map->prot & PROT_WRITE;
    uint64_t at = f->bind_vaddr + bias;
    if (writable && f->bind_now == 1 && at >= start && at + f->bind_len <= end)
        batch_write(r, b, t, at, f->bind_bytes, f->bind_len);
    at = f->slots[0].vaddr + bias;
    if (!queue_slots || !writable || at < start || at >= end) return;
    for (struct pending_module *p = t->mm->slots.pending; p; p = p->next)
        if (p->facts == f && p->bias == bias) return;
    struct pending_module *p = calloc(1, sizeof *p);
    p->facts = f;
    p->bias = bias;
    p->patched = calloc(1, f->slot_count);
    p->next = t->mm->slots.pending;
    t->mm->slots.pending = p;
}

// See core/annex.h. One load of the count: it is stored and loaded again at every call, and that chain is what a call costs.
static void make_stub(uint8_t *s, uint64_t address, uint64_t target) {
    static const uint8_t code[] = {0x4c, 0x8b, 0x1d, 0, 0, 0, 0, // 0  mov count(%rip),%r11
                                   0x49, 0xff, 0xc3,             // 7  inc %r11
                                   0x4c, 0x89, 0x1d, 0, 0, 0, 0, // 10 mov %r11,count(%rip)
                                   0x4c, 0x3b, 0x1d, 0, 0, 0, 0, // 17 cmp limit(%rip),%r11
                                   0x73, 0x09,                   // 24 jae trap
                                   0x45, 0x31, 0xdb,             // 26 xor %r11d,%r11d
                                   0xff, 0x25, 0,    0, 0, 0,    // 29 jmp *target(%rip)
                                   0xcc,                         // 35 trap: int3
                                   0x45, 0x31, 0xdb,             // 36 xor %r11d,%r11d
                                   0xff, 0x25, 0,    0, 0, 0};   // 39 jmp *target(%rip)
    memset(s, 0xcc, ANNEX_STUB_SIZE);
    memcpy(s, code, sizeof code);
    const struct {
        int at;
        uint64_t to;
    } rel[] = {
        {3, ANNEX_COUNT}, {13, ANNEX_COUNT}, {20, ANNEX_LIMIT}, {31, address + 56}, {41, address + 56}};
    for (size_t i = 0; i < sizeof rel / sizeof *rel; i++) {
        int32_t d = (int32_t)(rel[i].to - (address + (uint64_t)rel[i].at + 4));
        memcpy(s + rel[i].at, &d, 4);
    }
    memcpy(s + 56, &target, 8);
}

// Returns true when the module needs no more looking at.
static bool patch_module(struct recorder *r, struct task *t, struct batch *b, struct pending_module *p) {
    struct module_facts *f = p->facts;
    uint64_t low = ~0ull, high = 0;
    for (size_t i = 0; i < f->slot_count; i++) {
        if (f->slots[i].vaddr < low) low = f->slots[i].vaddr;
        if (f->slots[i].vaddr + 8 > high) high = f->slots[i].vaddr + 8;
    }
    if (high - low > SPAN_LIMIT) return true;
    uint8_t *span = malloc(high - low);
    if (!tracee_read(t->tid, t->mm->mem_fd, p->bias + low, span, high - low)) { // unmapped again
        free(span);
        return true;
    }
    size_t fresh = 0;
    for (size_t i = 0; i < f->slot_count; i++) {
        uint64_t value;
        memcpy(&value, span + f->slots[i].vaddr - low, 8);
        uint64_t initial = f->slots[i].initial;
        if (p->patched[i] || !value || value == initial || value == initial + p->bias) continue;
        p->patched[i] = 2;
        fresh++;
    }
    if (fresh && (t->mm->slots.stubs + fresh) * ANNEX_STUB_SIZE <= ANNEX_STUBS_SIZE) {
        uint8_t *stubs = malloc(fresh * ANNEX_STUB_SIZE);
        uint64_t at = ANNEX_STUBS + (uint64_t)t->mm->slots.stubs * ANNEX_STUB_SIZE, first = at;
        size_t k = 0;
        for (size_t i = 0; i < f->slot_count; i++) {
            if (p->patched[i] != 2) continue;
            p->patched[i] = 1;
            uint8_t *slot = span + f->slots[i].vaddr - low;
            uint64_t target;
            memcpy(&target, slot, 8);
            make_stub(stubs + k++ * ANNEX_STUB_SIZE, at, target);
            memcpy(slot, &at, 8);
            at += ANNEX_STUB_SIZE;
        }
        batch_write(r, b, t, first, stubs, fresh * ANNEX_STUB_SIZE);
        batch_write(r, b, t, p->bias + low, span, high - low);
        t->mm->slots.stubs += (uint32_t)fresh;
        p->done += fresh;
        free(stubs);
    }
    free(span);
    return p->done == f->slot_count || (p->done && p->tries > SLOT_TRIES / 8);
}

void modules_patch_slots(struct recorder *r, struct task *t, struct batch *b) {
    // ld.so protects a module's RELRO after relocating it and unmaps its cache when all is done; other calls
    // are looked at now and then only.
    bool likely = t->call.nr == SYS_mprotect || t->call.nr == SYS_munmap;
    for (struct pending_module **link = &t->mm->slots.pending; *link;) {
        struct pending_module *p = *link;
        p->tries++;
        if ((likely || p->tries % 16 == 0) && (patch_module(r, t, b, p) || p->tries > SLOT_TRIES)) {
            *link = p->next;
            free(p->patched);
            free(p);
            continue;
        }
        link = &p->next;
    }
}

void slots_fork(struct mm *child, const struct mm *parent) {
    child->slots.stubs = parent->slots.stubs;
    struct pending_module **link = &child->slots.pending;
    for (struct pending_module *p = parent->slots.pending; p; p = p->next) {
        struct pending_module *c = malloc(sizeof *c);
        rf_assert(c);
        *c = *p;
        c->patched = malloc(p->facts->slot_count);
        rf_assert(c->patched);
        memcpy(c->patched, p->patched, p->facts->slot_count);
        c->next = NULL;
        *link = c;
        link = &c->next;
    }
}

void slots_release(struct mm *mm) {
    while (mm->slots.pending) {
        struct pending_module *p = mm->slots.pending;
        mm->slots.pending = p->next;
        free(p->patched);
        free(p);
    }
}
