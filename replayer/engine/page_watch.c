#include "replayer/engine/page_watch.h"

#include "core/abi.h"
#include "core/code_operands.h"
#include "core/tracee.h"
#include "replayer/engine/kernel_task.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

// The protection that the program gave a page; -1: there is none.
static int protection_of(const struct space *s, uint64_t page) {
    for (size_t i = 0; i < s->map_count; i++)
        if (page >= s->maps[i].v.start && page < s->maps[i].v.end) return s->maps[i].v.prot;
    return -1;
}

static void protect_page(struct space *s, uint64_t page, bool reads) {
    struct space_guard *g = &s->guard;
    int own = protection_of(s, page), now = reads ? PROT_NONE : own & ~PROT_WRITE, i = 0;
    if (own < 0 || now == own) return;
    while (i < g->count && g->pages[i].address != page)
        i++;
    if (i < g->count && !reads) return;
    if (KERNEL_TASK_CALL(s->pid, SYS_mprotect, page, PAGE, (uint64_t)now) < 0) return;
    g->pages[i].address = page;
    g->pages[i].prot = own;
    if (i == g->count) g->count++;
}

void page_watch_protect(struct space *s) {
    if (!s->watched || !s->watch_pages || s->guard.count) return;
    for (int i = 0; i < s->watch_count; i++)
        protect_page(s, page_down(s->watch_at[i]), s->watch_reads >> i & 1);
}

void page_watch_make_way(struct space *s, uint64_t address, size_t len) {
    for (int i = 0; i < s->guard.count; i++)
        if (address < s->guard.pages[i].address + PAGE && s->guard.pages[i].address < address + len)
            page_watch_lift(s);
}

void page_watch_lift(struct space *s) {
    for (int i = 0; i < s->guard.count; i++)
        KERNEL_TASK_CALL(s->pid, SYS_mprotect, s->guard.pages[i].address, PAGE,
                         (uint64_t)s->guard.pages[i].prot);
    s->guard.count = 0;
}

bool page_watch_faulted(const struct space *s, int status, uint64_t *address) {
    siginfo_t info;
    if (!s->guard.count || status >> 16 || WSTOPSIG(status) != SIGSEGV ||
        ptrace(PTRACE_GETSIGINFO, s->pid, 0, &info) < 0 || info.si_code != SEGV_ACCERR)
        return false;
    *address = (uint64_t)info.si_addr;
    for (int i = 0; i < s->guard.count; i++)
        if (page_down(*address) == s->guard.pages[i].address) return true;
    return false;
}

static uint8_t overlapped(const struct space *s, uint64_t from, uint64_t to, bool written) {
    uint8_t bits = 0;
    for (int i = 0; i < s->watch_count; i++)
        if (from < s->watch_at[i] + s->watch_len[i] && s->watch_at[i] < to &&
            (written || s->watch_reads >> i & 1))
            bits |= (uint8_t)(1u << i);
    return bits;
}

// The operands of a string instruction: an element at rdi, at rsi, or at both.
static const struct string_op {
    uint8_t opcode; // the one of bytes; the next one is that of larger elements
    bool rdi, rsi, writes;
} string_ops[] = {
    {0xa4, true, true, true},   // movs
    {0xa6, true, true, false},  // cmps
    {0xaa, true, false, true},  // stos
    {0xac, false, true, false}, // lods
    {0xae, true, false, false}, // scas
};

static uint8_t touched_by_string(const struct space *s, const struct user_regs_struct *regs,
                                 const uint8_t *code, uint64_t iterations) {
    enum { OPERAND_SIZE = 0x66, REX = 0x40, REX_W = 8, BACKWARD = 0x400 };
    bool half = false, wide = false;
    for (;; code++) {
        if (*code == OPERAND_SIZE)
            half = true;
        else if ((*code & 0xf0) == REX)
            wide = *code & REX_W;
        else if (*code != 0xf2 && *code != 0xf3 && *code != 0x67 && (*code < 0x64 || *code > 0x65))
            break;
    }
    uint64_t size = !(*code & 1) ? 1
                    : wide       ? 8
                    : half       ? 2
                                 : 4,
             before = regs->eflags & BACKWARD ? (iterations - 1) * size : 0;
    for (size_t i = 0; i < sizeof string_ops / sizeof *string_ops; i++) {
        const struct string_op *o = &string_ops[i];
        if (o->opcode != (*code & 0xfe)) continue;
        uint64_t to = regs->rdi - before, from = regs->rsi - before, length = iterations * size;
        return (uint8_t)((o->rdi ? overlapped(s, to, to + length, o->writes) : 0) |
                         (o->rsi ? overlapped(s, from, from + length, false) : 0));
    }
    return 0; // ins, outs
}

uint8_t page_watch_touched(const struct space *s, const struct user_regs_struct *regs, uint64_t address,
                           bool *apart) {
    uint8_t code[CODE_LONGEST];
    struct memory_operand operands[4];
    if (apart) *apart = false;
    tracee_read_code(s->pid, s->mem_fd, regs->rip, code);
    if (code_repeats(code, sizeof code)) {
        // More than the address space has would wrap around.
        uint64_t left = regs->rcx < 1ull << 43 ? regs->rcx : 1ull << 43;
        if (apart) *apart = !touched_by_string(s, regs, code, left);
        return left ? touched_by_string(s, regs, code, 1) : 0;
    }
    int count = code_memory_operands(code, sizeof code, regs, operands);
    // xsave, gathers, enter: somewhere behind what was accessed, and before it where the fault is in its second page.
    if (count < 0) return overlapped(s, address - PAGE, address + PAGE, true);
    uint8_t bits = 0;
    for (int i = 0; i < count; i++)
        bits |=
            overlapped(s, operands[i].address, operands[i].address + operands[i].size, operands[i].written);
    return bits;
}
