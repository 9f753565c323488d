#include "replayer/rr/hook.h"

#include "replayer/names/unwind.h"

#include <string.h>
#include <sys/mman.h>

enum { FRAMES_MOST = 32, WORDS = 3 };

static bool is_rr(const struct view_map *map) {
    const char *slash = map && map->name ? strrchr(map->name, '/') : NULL;
    return slash && (!strncmp(slash, "/librrpreload", 13) || !strncmp(slash, "/librrpage", 10));
}

static bool is_code(const struct view_map *map) {
    return map && (map->prot & PROT_EXEC) && !is_rr(map);
}

// "On syscallhook entry, the stack has been switched to the end of per-task scratch space, then the old RSP and the return
// address have been pushed" (syscall_hook.S of rr 5.6 and 5.9). A call from there into the code common to all hooks comes
// between. libunwind cannot follow that: it takes the CFA for the caller's stack pointer, whatever the tables say.
static bool saved_place(const struct view *v, uint64_t sp, uint64_t *pc, uint64_t *old_sp) {
    uint64_t words[WORDS];
    const struct view_map *here = view_find(v, sp);
    if (!here || !v->read(v->context, sp, words, sizeof words)) return false;
    for (size_t i = 0; i + 1 < WORDS; i++) {
        const struct view_map *stack = view_find(v, words[i + 1]);
        if (is_code(view_find(v, words[i])) && stack && stack != here && (stack->prot & PROT_WRITE)) {
            *pc = words[i];
            *old_sp = words[i + 1];
            return true;
        }
        if (!is_rr(view_find(v, words[i]))) return false;
    }
    return false;
}

bool rr_leave_hook(const struct view *v, struct user_regs_struct *regs) {
    struct raw_frame frames[FRAMES_MOST];
    uint64_t pc, sp;
    if (!is_rr(view_find(v, regs->rip))) return false;
    size_t n = unwind_stack(v, regs, frames, FRAMES_MOST);
    for (size_t i = 0; i + 1 < n && is_rr(view_find(v, frames[i].pc)); i++) {
        if (!frames[i].cfa || !saved_place(v, frames[i].cfa, &pc, &sp)) continue;
        const struct raw_frame *caller = &frames[i + 1];
        if (caller->saved_known) {
            unsigned long long *const kept[RAW_FRAME_SAVED] = {
                (unsigned long long *)&regs->rbx, (unsigned long long *)&regs->rbp,
                (unsigned long long *)&regs->r12, (unsigned long long *)&regs->r13,
                (unsigned long long *)&regs->r14, (unsigned long long *)&regs->r15};
            for (size_t k = 0; k < RAW_FRAME_SAVED; k++)
                *kept[k] = caller->saved[k];
        }
        regs->rip = pc;
        regs->rsp = sp;
        return true;
    }
    return false;
}
