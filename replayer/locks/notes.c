#include "replayer/locks/notes.h"

#include "core/atomic_emulate.h"
#include "core/code_operands.h"
#include "core/elf/elf_inside.h"
#include "core/elf/elf_module.h"
#include "core/probe.h"

struct lock_note lock_note_of(const struct lock_module *m, size_t i) {
    const struct lock_module_site *site = &m->sites[i];
    uint64_t offset;
    if (!elf_module_to_offset(m->elf, site->vaddr, &offset) || offset >= m->elf->size)
        return (struct lock_note){0};
    const uint8_t *code = m->elf->image + offset;
    size_t len = m->elf->size - offset;
    struct lock_note note = {.probe = {.kind = PROBE_OPERAND}};
    struct atomic_instruction what;
    if (site->kind == LOCK_SITE_STORE) {
        note.probe.size = 4;
    } else if (site->kind == LOCK_SITE_ATOMIC && atomic_decode(code, len, &what) && what.size <= 8) {
        note.probe.size = what.size;
        note.operation = what.operation;
    }
    // In a lock function it is asked whether a register points to the word.
    bool known = code_operand_register(code, len, &note.displacement);
    if (!known) note.displacement = 0;
    if (site->family == LOCK_WORD || site->family == LOCK_NONE) return note;
    bool points = !note.displacement || (site->family == LOCK_MUTEX && note.displacement == 4);
    note.probe.registers = !known || !points;
    return note;
}

void lock_note_registers(struct user_regs_struct *u, const uint64_t *g) {
    unsigned long long *const to[PROBE_REGISTERS] = {&u->rax, &u->rbx, &u->rcx, &u->rdx, &u->rsi, &u->rdi,
                                                     &u->rbp, &u->rsp, &u->r8,  &u->r9,  &u->r10, &u->r11,
                                                     &u->r12, &u->r13, &u->r14, &u->r15};
    for (int i = 0; i < PROBE_REGISTERS; i++)
        *to[i] = g[i];
}
