#include "recorder/plan/taking.h"

#include "core/atomic_emulate.h"
#include "core/tracee.h"

enum { STACK_BYTES = 65536 }; // of a stack that are looked through for a return address

static bool write_nothing(void *context, uint64_t address, const void *bytes, size_t len) {
    char now[16];
    (void)bytes;
    return len <= sizeof now && task_read(context, address, now, len);
}

static int64_t as_signed(uint64_t value, unsigned size) {
    unsigned unused = size < 8 ? 64 - size * 8 : 0;
    return (int64_t)(value << unused) >> unused;
}

// Whether the instruction has taken a lock: it changed the word from free to held. What "free" is depends on how it
// works: 0 for xchg and bts, what it was compared with for cmpxchg, 1 for a decrement (pthread_spin_lock), the bit for
// btr. Others (xadd of a ticket or of a count of readers) take whenever they change the word.
static bool takes(const struct atomic_result *a) {
    bool changed = a->before.low != a->after.low || a->before.high != a->after.high;
    int64_t after = as_signed(a->after.low, a->instruction.size);
    switch (a->instruction.operation) {
    case ATOMIC_CMPXCHG:
        return !a->failed && changed;
    case ATOMIC_XCHG:
        return !a->before.low && changed;
    case ATOMIC_BTS:
    case ATOMIC_BTR:
        return changed;
    case ATOMIC_DEC:
    case ATOMIC_SUB:
        return changed && after >= 0;
    default:
        return changed;
    }
}

bool taking_instruction(struct task *t, const struct user_regs_struct *regs, uint64_t *lock) {
    uint8_t code[16] = {0};
    struct user_regs_struct copy = *regs;
    const struct atomic_memory memory = {task_read, write_nothing, t};
    struct atomic_result a;
    if (!tracee_read(t->tid, t->mm->mem_fd, regs->rip, code, 15) &&
        !tracee_read(t->tid, t->mm->mem_fd, regs->rip, code, 4))
        return false;
    int result = atomic_emulate(code, 15, &copy, &memory, &a);
    *lock = result == 0 ? a.address : 0;
    if (result == -1) return false; // it faults
    return result != 0 || takes(&a);
}

bool taking_below(struct task *t, uint64_t rsp, const uint64_t *addresses, size_t count) {
    uint64_t words[512];
    for (uint64_t at = rsp & ~UINT64_C(7), end = at + STACK_BYTES; at < end;) {
        size_t len = sizeof words - at % sizeof words; // to the end of the page
        if (!tracee_read(t->tid, t->mm->mem_fd, at, words, len)) return false;
        for (size_t i = 0; i < len / 8; i++)
            for (size_t k = 0; k < count; k++)
                if (words[i] == addresses[k]) return true;
        at += len;
    }
    return false;
}

bool taking_is_zero(struct task *t, uint64_t lock) {
    uint32_t word = 0;
    return tracee_read(t->tid, t->mm->mem_fd, lock, &word, sizeof word) && !word;
}
