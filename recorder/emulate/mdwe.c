#include "recorder/emulate/mdwe.h"

#include "core/abi.h"
#include "core/proc_maps.h"
#include "recorder/answers.h"
#include "recorder/hooks.h"
#include "recorder/space.h"
#include "recorder/syscall.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum {
    SET_MDWE = 65,
    GET_MDWE = 66,
    REFUSE_EXEC_GAIN = 1,
    NO_INHERIT = 2, // since Linux 6.6
};

// kernel/sys.c: once set it stays; without it, only both together mean something.
static int64_t set(struct mm *mm, const uint64_t *a) {
    const uint64_t bits = a[1];
    if (a[2] | a[3] | a[4] || bits & ~(uint64_t)(REFUSE_EXEC_GAIN | NO_INHERIT)) return -EINVAL;
    if (bits & NO_INHERIT && !(bits & REFUSE_EXEC_GAIN)) return -EINVAL;
    if (mm->mdwe && mm->mdwe != bits) return -EPERM;
    mm->mdwe = (uint8_t)bits;
    return 0;
}

// mprotect: memory does not become executable, or that and writable. As far as mappings follow each other: a hole is the
// kernel's matter.
static bool gains(const struct task *t, uint64_t start, uint64_t end, int protection) {
    scoped_maps struct proc_maps maps;
    struct proc_map m;
    proc_maps_open(&maps, t->tid);
    while (start < end && proc_maps_next(&maps, &m)) {
        if (m.end <= start) continue;
        if (m.start > start) return false;
        if (protection & PROT_WRITE || !(m.prot & PROT_EXEC)) return true;
        start = m.end;
    }
    return false;
}

static bool forbidden(const struct task *t) {
    const uint64_t *a = t->call.args;
    const int protection = (int)a[2], both = PROT_WRITE | PROT_EXEC;
    if (t->call.nr == SYS_mmap) return (protection & both) == both && a[1];
    if (t->call.nr != SYS_mprotect && t->call.nr != SYS_pkey_mprotect) return false;
    return protection & PROT_EXEC && a[0] == page_down(a[0]) &&
           gains(t, a[0], a[0] + page_up(a[1]), protection);
}

static bool answered(struct recorder *r, struct task *t, struct user_regs_struct *regs) {
    const uint64_t *a = t->call.args;
    int64_t result;
    if (t->call.nr == SYS_prctl && (uint32_t)a[0] == SET_MDWE)
        result = set(t->mm, a);
    else if (t->call.nr == SYS_prctl && (uint32_t)a[0] == GET_MDWE)
        result = a[1] | a[2] | a[3] | a[4] ? -EINVAL : t->mm->mdwe;
    else if (t->mm->mdwe && forbidden(t))
        result = -EACCES;
    else
        return false;
    syscall_answered(r, t, regs, &(struct own_answer){.result = result});
    return true;
}

static const struct recorder_hooks mdwe_hooks = {.lasting = true, .answer = answered};

void mdwe_begin(struct recorder *r) {
    hooks_add(r, &mdwe_hooks);
}
