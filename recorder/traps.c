// Instructions that refork carries out itself, because their results differ from run to run: found in mapped
// files and patched (core/elf/trap_sites.c), or trapped by the CPU.
#include "recorder/traps.h"

#include "core/abi.h"
#include "core/abi.h"
#include "core/clock.h"
#include "core/elf/trap_sites.h"
#include "core/code_operands.h"
#include "core/cpu/xsave.h"
#include "recorder/cpus.h"
#include "recorder/hooks.h"
#include "recorder/log.h"
#include "recorder/signals.h"

#include <cpuid.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <x86intrin.h>

static void set_register(struct user_regs_struct *regs, int number, int width, uint64_t value) {
    unsigned long long *to = abi_register(regs, number);
    if (width == 64) *to = value;
    if (width == 32) *to = (uint32_t)value;
    if (width == 16) *to = (*to & ~0xffffull) | (uint16_t)value;
}

static void emulate(const struct recorder *r, const struct task *t, struct user_regs_struct *regs,
                    const struct trap_instruction *in) {
    uint32_t out[4], aux = 0;
    uint64_t value = 0;
    switch (in->kind) {
    case TRAP_CPUID:
        __cpuid_count((uint32_t)regs->rax, (uint32_t)regs->rcx, out[0], out[1], out[2], out[3]);
        cpu_model_mask(&r->model, (uint32_t)regs->rax, (uint32_t)regs->rcx, out);
        regs->rax = out[0];
        regs->rbx = out[1];
        regs->rcx = out[2];
        regs->rdx = out[3];
        break;
    case TRAP_RDTSCP:
        regs->rcx = cpus_aux(r, t);
        __attribute__((fallthrough));
    case TRAP_RDTSC:
        // This thread traps rdtsc itself (see engine_run).
        clock_trap_tsc(false);
        value = __rdtscp(&aux);
        clock_trap_tsc(true);
        regs->rax = (uint32_t)value;
        regs->rdx = value >> 32;
        break;
    case TRAP_RDRAND:
    case TRAP_RDSEED:
        if (getrandom(&value, sizeof value, 0) != sizeof value) value = 0x9e3779b97f4a7c15ull;
        set_register(regs, in->reg, in->width, value);
        regs->eflags = (regs->eflags & ~0x8d4ull) | 1; // CF set; OF SF ZF AF PF cleared
        break;
    case TRAP_XGETBV:
        // ECX 1: all that is enabled is in use, see core/cpu/xsave.h.
        value = r->model.shown.word[CPU_XCR0];
        regs->rax = (uint32_t)value;
        regs->rdx = value >> 32;
        break;
    case TRAP_RDPID:
        set_register(regs, in->reg, in->width, cpus_aux(r, t));
        break;
    }
}

// What an fxsave stores; the bytes behind are left as they are. NT_X86_XSTATE begins with it, in the 64-bit form: there the
// upper halves of the last x87 addresses are where the other form has selectors, which new CPUs give as 0.
static void fxsave_area(const struct trapped *x, const uint8_t *xstate) {
    enum { FIP_UPPER = 12, FDP_UPPER = 20 };
    memcpy(x->area, xstate, x->size);
    if (x->instruction.width == 64) return;
    memset(x->area + FIP_UPPER, 0, 4);
    memset(x->area + FDP_UPPER, 0, 4);
}

// What an xsave stores: x->area. False: it would fault.
static bool xsave_area(const struct recorder *r, struct task *t, const struct user_regs_struct *regs,
                       const uint8_t code[16], struct trapped *x) {
    enum { FXSAVE_STORES = 416 };
    const bool compact = x->instruction.compact, legacy = x->instruction.legacy;
    struct user_regs_struct at = *regs;
    uint64_t request = (uint64_t)(uint32_t)regs->rdx << 32 | (uint32_t)regs->rax;
    uint8_t xstate[XSTATE_MAX];
    size_t xstate_size = tracee_get_xstate(t->tid, xstate, sizeof xstate);
    request &= r->model.shown.word[CPU_XCR0];
    at.rip = x->at;
    if (!code_memory_address(code, 16, &at, &x->address) || x->address % (legacy ? 16 : 64) ||
        xstate_size < FXSAVE_STORES)
        return false;
    x->size = legacy ? FXSAVE_STORES : xsave_area_size(request, compact);
    x->area = malloc(x->size);
    rf_assert(x->area);
    bool stored = tracee_read(t->tid, t->mm->mem_fd, x->address, x->area, x->size) &&
                  (legacy || xsave_store(request, compact, xstate, xstate_size, x->area));
    if (stored && legacy) fxsave_area(x, xstate);
    if (stored) return true;
    free(x->area);
    x->area = NULL;
    return false;
}

// The first byte of the instruction whose place refork's int3 at `at` takes.
static uint8_t first_byte(const struct task *t, uint64_t at) {
    for (int i = 0; i < t->mm->saved.count; i++)
        if (t->mm->saved.all[i].address == at) return t->mm->saved.all[i].byte;
    return 0x0f;
}

void trapped_hide(const struct task *t, uint64_t address, uint8_t *bytes, size_t len) {
    struct trap_instruction in;
    for (size_t i = 0; i < len; i++) {
        uint8_t code[16] = {0};
        if (bytes[i] != 0xcc || !tracee_read(t->tid, t->mm->mem_fd, address + i, code, 4)) continue;
        tracee_read(t->tid, t->mm->mem_fd, address + i, code, 15);
        code[0] = first_byte(t, address + i);
        if (code_trap_instruction(code, sizeof code, &in)) bytes[i] = code[0];
    }
}

void trapped_keep(const struct task *t, uint64_t address, uint8_t *bytes, size_t len) {
    for (size_t i = 0; i < len; i++) {
        uint8_t now, shown;
        if (!tracee_read(t->tid, t->mm->mem_fd, address + i, &now, 1)) return;
        shown = now;
        trapped_hide(t, address + i, &shown, 1);
        if (shown != now && bytes[i] == shown) bytes[i] = now;
    }
}

bool trapped_find(const struct recorder *r, struct task *t, const struct user_regs_struct *regs, bool int3,
                  struct trapped *out) {
    uint8_t code[16] = {0};
    uint64_t at = regs->rip - int3;
    if (!tracee_read(t->tid, t->mm->mem_fd, at, code, 15) && !tracee_read(t->tid, t->mm->mem_fd, at, code, 4))
        return false;
    if (int3) {
        if (code[0] != 0xcc) return false;
        code[0] = first_byte(t, at);
    }
    *out = (struct trapped){.at = at};
    if (!code_trap_instruction(code, sizeof code, &out->instruction)) return false;
    int kind = out->instruction.kind;
    if (t->tsc_forbidden && r->tsc_traps && (kind == TRAP_RDTSC || kind == TRAP_RDTSCP)) return false;
    return kind != TRAP_XSAVE || xsave_area(r, t, regs, code, out);
}

// Code that was made at run time asks xgetbv right after cpuid (a JVM does), and only the CPU's trap on cpuid tells of it: what
// follows up to the function's end is patched as what is found in files is.
static void patch_ahead(struct recorder *r, struct batch *b, struct task *t, const struct trapped *x) {
    enum { AHEAD = 2048 };
    uint8_t code[AHEAD];
    const uint64_t start = x->at + (uint64_t)x->instruction.length;
    size_t len = sizeof code;
    if (start >= t->mm->looked_at && start < t->mm->looked_end) return;
    if (!tracee_read(t->tid, t->mm->mem_fd, start, code, len)) {
        len = page_up(start) - start;
        if (len > AHEAD || !tracee_read(t->tid, t->mm->mem_fd, start, code, len)) return;
    }
    t->mm->looked_at = t->mm->looked_end = start;
    struct saved_bytes *saved = &t->mm->saved;
    for (size_t i = 0; (i = code_trap_ahead(code, len, i)) < len;) {
        struct trap_instruction in;
        bool prefix = code[i] != 0x0f, room = saved->count < (int)(sizeof saved->all / sizeof *saved->all);
        if (!code_trap_instruction(code + i, len - i, &in) || (prefix && !room)) return;
        if (prefix) saved->all[saved->count++] = (struct saved_byte){start + i, code[i]};
        batch_write(r, b, t, start + i, "\xcc", 1);
        i += (size_t)in.length;
        t->mm->looked_end = start + i;
    }
}

void trapped_carry_out(struct recorder *r, struct task *t, struct user_regs_struct *regs, struct trapped *x) {
    hooks_disturbed(r, t);
    struct batch b;
    batch_init(r, &b, EV_TRAP, t);
    b.e.nr = x->instruction.kind;
    b.e.aux = regs->rip == x->at ? TRAP_BY_CPU : TRAP_BY_INT3;
    b.e.flags |= EVF_REGS;
    b.e.regs = *regs;
    if (x->area) batch_write(r, &b, t, x->address, x->area, x->size);
    free(x->area);
    x->area = NULL;
    emulate(r, t, regs, &x->instruction);
    if (x->instruction.kind == TRAP_CPUID && b.e.aux == TRAP_BY_CPU) patch_ahead(r, &b, t, x);
    regs->rip = x->at + (uint64_t)x->instruction.length;
    regs->orig_rax = ~0ull;
    tracee_set_regs(t->tid, regs);
    batch_regs(&b, regs);
    set_landmark_in_code(t, regs);
    batch_log(r, t, &b);
    // The instruction has not been executed, so the trap behind it does not come by itself.
    if (!(regs->eflags & EFLAGS_TF)) return;
    const siginfo_t step = {.si_signo = SIGTRAP, .si_code = TRAP_TRACE, .si_addr = (void *)regs->rip};
    signal_now(r, t, &step);
}
