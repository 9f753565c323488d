// A task that comes to a breakpoint: the client is asked, and the task gets behind the instruction.
#include "replayer/engine/break_hits.h"

#include "core/abi.h"
#include "core/tracee.h"
#include "replayer/engine/break_sites.h"
#include "replayer/engine/engine.h"
#include "replayer/engine/memory.h"
#include "replayer/engine/resume.h"
#include "replayer/engine/watchpoint.h"

#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>

static bool program_read(void *context, uint64_t address, void *buffer, size_t len) {
    const struct space *s = context;
    struct iovec local = {buffer, len}, remote = {(void *)(uintptr_t)address, len};
    if (process_vm_readv(s->pid, &local, 1, &remote, 1, 0) != (ssize_t)len) return false;
    planted_hide(s, address, buffer, len);
    return true;
}

static bool program_write(void *context, uint64_t address, const void *buffer, size_t len) {
    const struct space *s = context;
    struct iovec local = {(void *)(uintptr_t)buffer, len}, remote = {(void *)(uintptr_t)address, len};
    return process_vm_writev(s->pid, &local, 1, &remote, 1, 0) == (ssize_t)len;
}

int replay_break_atomic(struct replay *r, struct break_hit *hit, struct atomic_result *out) {
    struct space *s = space_by_id(r, hit->space);
    if (!s) return -1;
    const struct atomic_memory memory = {program_read, program_write, s};
    return atomic_emulate(hit->code, hit->code_len, hit->regs, &memory, out);
}

// movl $imm,(reg), C7 /0 without displacement: a plain store that takes or frees a lock.
static bool carry_out_store(struct space *s, const uint8_t *c, size_t len, struct user_regs_struct *u) {
    size_t rex = len > 6 && c[0] == 0x41 ? 1 : 0;
    if (len < 6 + rex || c[rex] != 0xc7 || (c[rex + 1] & 0xf8) != 0) return false;
    int rm = c[rex + 1] & 7;
    if (rm == 4 || rm == 5 || !program_write(s, *abi_register(u, (int)rex * 8 + rm), c + rex + 2, 4))
        return false;
    u->rip += 6 + rex;
    return true;
}

// Instructions that functions begin with: endbr64, push of a register, mov between 64-bit registers. A single
// step costs 20 us and more, this nothing.
static bool carry_out(struct space *s, const uint8_t *c, size_t len, struct user_regs_struct *u) {
    static const uint8_t endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};
    if (len >= 4 && !memcmp(c, endbr64, 4)) {
        u->rip += 4;
        return true;
    }
    size_t rex = len > 3 && (c[0] & 0xf0) == 0x40 ? 1 : 0;
    if (len > 3 && (rex == 0 || c[0] == 0x41) && (c[rex] & 0xf8) == 0x50) {
        uint64_t value = *abi_register(u, (rex ? 8 : 0) | (c[rex] & 7));
        if (!program_write(s, u->rsp - 8, &value, 8)) return false;
        u->rsp -= 8;
        u->rip += rex + 1;
        return true;
    }
    if (rex && c[0] & 8 && !(c[0] & 2) && (c[1] == 0x89 || c[1] == 0x8b) && c[2] >= 0xc0) {
        unsigned long long *reg = abi_register(u, (c[0] & 4) << 1 | (c[2] >> 3 & 7)),
                           *rm = abi_register(u, (c[0] & 1) << 3 | (c[2] & 7));
        if (c[1] == 0x89)
            *rm = *reg;
        else
            *reg = *rm;
        u->rip += 3;
        return true;
    }
    return false;
}

// The instruction at rip in place, without breakpoints on it. 0: *status is of the stop behind it.
static int step_over(struct replay *r, struct vtask *v, int *status, struct rf_error *err) {
    struct space *s = v->space;
    uint64_t at = v->pub.regs.rip;
    size_t first = planted_first(s, at), n = planted_first(s, at + PLANTED_CODE) - first;
    uint8_t before[PLANTED_CODE];
    for (size_t i = 0; i < n; i++) {
        before[i] = s->breaks[first + i].flags;
        s->breaks[first + i].flags |= PLANTED_MUTED;
        if (!(before[i] & (PLANTED_LIFTED | PLANTED_MUTED | PLANTED_COVERED)))
            planted_put(s, &s->breaks[first + i]);
    }
    r->breaks.counts.steps++;
    int failed = vtask_resume(r, v, true, status, err);
    for (size_t i = 0; i < n; i++) {
        s->breaks[first + i].flags = before[i];
        if (planted_in_memory(&s->breaks[first + i])) planted_put(s, &s->breaks[first + i]);
    }
    return failed;
}

int breaks_hit(struct replay *r, struct vtask *v, int *status, struct rf_error *err) {
    struct space *s = v->space;
    struct user_regs_struct *regs = &v->pub.regs;
    if (break_sites_cross(s, &regs->rip)) return 1;
    const struct planted *p = planted_find(s, regs->rip);
    rf_assert(p);
    struct break_hit hit = {.tid = v->pub.tid,
                            .pid = v->pub.pid,
                            .space = s->id,
                            .next_event = r->position + 1,
                            .address = p->program,
                            .tag = p->tag,
                            .regs = regs,
                            .code_len = sizeof hit.code};
    if (p->code) {
        memcpy(hit.code, p->code, hit.code_len = PLANTED_CODE);
    } else {
        while (hit.code_len && !tracee_read(s->pid, s->mem_fd, regs->rip, hit.code, hit.code_len))
            hit.code_len--;
        planted_hide(s, regs->rip, hit.code, hit.code_len);
    }
    r->breaks.counts.hits++;
    const bool own_trap_flag = regs->eflags & EFLAGS_TF;
    enum break_action action = r->breaks.client.hit(r->breaks.client.context, r, &hit);
    if (action == BREAK_STOP) return rf_fail(err, RF_CANNOT, "interrupted");
    bool emulate = !watch_accesses(r); // what is emulated reads without the CPU's notice
    if (action == BREAK_DONE || (emulate && (carry_out_store(s, hit.code, hit.code_len, regs) ||
                                             carry_out(s, hit.code, hit.code_len, regs)))) {
        v->trap_due = own_trap_flag;
        if (s->watched) watch_hit_now(r, v); // emulated writes pass the debug registers by
        return 1;
    }
    if (step_over(r, v, status, err) < 0) return -1;
    siginfo_t info;
    bool stepped = WSTOPSIG(*status) == SIGTRAP && ptrace(PTRACE_GETSIGINFO, s->pid, 0, &info) == 0 &&
                   (info.si_code == TRAP_TRACE || info.si_code == TRAP_HWBKPT || s->stopped_at);
    if (stepped && s->watched) watch_hit_now(r, v);
    return stepped ? 1 : 0;
}
