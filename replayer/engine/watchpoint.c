// A hardware watchpoint on one word, kept over task switches (the debug registers belong to the kernel task,
// so to the space). The CPU does not report kernel writes and no-change writes look like any other: both are
// sorted out here.
#include "replayer/engine/watchpoint.h"

#include "core/tracee.h"
#include "replayer/engine/engine.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>

static uint64_t read_value(struct replay *r, struct space *s) {
    uint64_t value = 0;
    tracee_read(s->pid, s->mem_fd, r->watch.address, &value, (size_t)r->watch.len);
    return value;
}

void watch_arm(struct replay *r, struct space *s) {
    bool on = r->watch.address && s->id == r->watch.space;
    if (!on && !s->watched) return;
    // DR7: enable bit 0, RW0 (16-17) 1 = write, LEN0 (18-19) 0 1 3 2 for 1 2 4 8 bytes (Intel SDM vol.
    // 3, 17.2.4).
    static const uint64_t length_code[9] = {[1] = 0, [2] = 1, [4] = 3, [8] = 2};
    uint64_t dr7 = on ? 1 | 1ull << 16 | length_code[r->watch.len] << 18 : 0;
    if (on) ptrace(PTRACE_POKEUSER, s->pid, offsetof(struct user, u_debugreg[0]), r->watch.address);
    if (ptrace(PTRACE_POKEUSER, s->pid, offsetof(struct user, u_debugreg[7]), dr7) == 0) s->watched = on;
    if (on) r->watch.value = read_value(r, s);
}

static void report(struct replay *r, struct vtask *v, bool kernel) {
    uint64_t now = read_value(r, v->space);
    if (now == r->watch.value && !r->watch.all) return; // a failed cmpxchg, or the same value again
    struct watch_hit hit = {.tid = v->pub.tid,
                            .pid = v->pub.pid,
                            .next_event = r->position + 1,
                            .old_value = r->watch.value,
                            .new_value = now,
                            .from_kernel = kernel,
                            .regs = &v->pub.regs};
    r->watch.value = now;
    if (r->watch.hit) r->watch.hit(r->watch.context, r, &hit);
}

void watch_hit_now(struct replay *r, struct vtask *v) {
    // DR6 is sticky.
    ptrace(PTRACE_POKEUSER, v->space->pid, offsetof(struct user, u_debugreg[6]), 0);
    report(r, v, false);
}

void watch_kernel_write(struct replay *r, struct vtask *v, uint64_t address, size_t len) {
    if (v->space->id != r->watch.space) return;
    if (address < r->watch.address + (uint64_t)r->watch.len && address + len > r->watch.address)
        report(r, v, true);
}

void watch_forked(struct replay *r, struct space *from, struct space *to) {
    (void)r, (void)from;
    // fork does not inherit debug registers, although PEEKUSER shows stale ones.
    to->watched = false;
}

int replay_watch(struct replay *r, int tid, uint64_t address, int len, watch_callback hit, void *context,
                 struct rf_error *err) {
    struct vtask *v = vtask_find(r, tid);
    if (address && (!v || !v->space))
        return rf_fail(err, RF_CANNOT, "task %d does not exist at this event", tid);
    if (address && (len < 1 || len > 8 || (len & (len - 1)) || address % (uint64_t)len))
        return rf_fail(err, RF_CANNOT, "cannot watch %d bytes at 0x%llx", len, (unsigned long long)address);
    uint32_t old = r->watch.space;
    r->watch = (struct watch){address, len, address ? v->space->id : 0, 0, hit, context, false};
    for (size_t i = 0; i < r->space_count; i++)
        if (r->spaces[i]->id == old || r->spaces[i]->id == r->watch.space) watch_arm(r, r->spaces[i]);
    if (address && !v->space->watched)
        return rf_fail_errno(err, RF_CANNOT, "the kernel refused a hardware watchpoint");
    return 0;
}

void replay_watch_all_writes(struct replay *r) {
    r->watch.all = true;
}
