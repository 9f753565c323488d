#include "recorder/memory_calls.h"

#include "core/abi.h"
#include "core/proc_maps.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

enum { GUARD_GAP = 256 * PAGE }; // stack_guard_gap: the kernel leaves so much below a stack that grows

static void reach_piece(struct batch *b, uint64_t address) {
    batch_piece(b, PIECE_REACH, 0);
    batch_last(b)->reach.address = address;
}

// mprotect works from the start on and leaves what it has done when it meets a hole or what it may not change. madvise passes
// over holes and then fails with ENOMEM; it ends at memory that it does not apply to, locked pages for example, with EINVAL.
static void in_part(struct task *t, struct batch *b, int64_t ret) {
    const uint64_t *a = t->call.args;
    bool protect = t->call.nr != SYS_madvise;
    uint64_t at = a[0], end = a[0] + page_up(a[1]);
    if (at != page_down(at) || end <= at) return;
    if (!protect && ret == -ENOMEM) {
        reach_piece(b, end);
        return;
    }
    scoped_maps struct proc_maps maps;
    struct proc_map m;
    proc_maps_open_flags(&maps, t->tid);
    while (at < end && proc_maps_next(&maps, &m)) {
        if (m.end <= at) continue;
        if (protect ? m.start > at || m.prot != (int)(a[2] & 7) : proc_maps_has_flag(&maps, "lo")) break;
        at = m.end;
    }
    if (at > end) at = end;
    if (at > a[0]) reach_piece(b, at);
}

// How far an madvise of [start, end) that failed has come: see in_part.
static uint64_t advised_until(struct task *t, uint64_t start, uint64_t end) {
    uint64_t at = start;
    if (start != page_down(start)) return start;
    scoped_maps struct proc_maps maps;
    struct proc_map m;
    proc_maps_open_flags(&maps, t->tid);
    bool hole = false;
    while (at < end && proc_maps_next(&maps, &m)) {
        if (m.end <= at) continue;
        hole |= m.start > at;
        if (m.start >= end) break;
        if (proc_maps_has_flag(&maps, "lo")) return m.start > at ? m.start : at;
        at = m.end;
    }
    return hole || at < end ? end : start;
}

// process_madvise tells how many bytes of whole ranges it has done, and nothing of the range at which it failed.
static void advised_in_part(struct task *t, struct batch *b, int64_t ret) {
    const uint64_t *a = t->call.args;
    uint64_t done = is_error(ret) ? 0 : (uint64_t)ret, range[2];
    if (is_error(ret) && (a[4] || (ret != -ENOMEM && ret != -EINVAL))) return;
    for (uint64_t i = 0; i < a[2] && task_read(t, a[1] + i * sizeof range, range, sizeof range); i++) {
        if (range[1] <= done) {
            done -= range[1];
            continue;
        }
        uint64_t reached = advised_until(t, range[0], range[0] + page_up(range[1]));
        if (reached > range[0]) reach_piece(b, reached);
        return;
    }
}

// Down to which address the stack may grow.
static void stack_floor(struct task *t, struct batch *b) {
    struct rlimit limit;
    if (prlimit(t->process->pid, RLIMIT_STACK, NULL, &limit) < 0) return;
    uint64_t before = 0;
    scoped_maps struct proc_maps maps;
    struct proc_map m;
    proc_maps_open(&maps, t->tid);
    while (proc_maps_next(&maps, &m)) {
        if (strstr(m.name, "[stack]")) {
            uint64_t room = page_down(limit.rlim_cur), low = before ? before + GUARD_GAP : 0;
            uint64_t floor = room < m.end ? m.end - room : 0;
            if (floor < low) floor = low;
            reach_piece(b, floor < m.start ? floor : m.start);
            break;
        }
        before = m.end;
    }
}

void memory_call_done(struct task *t, struct batch *b, int64_t ret) {
    const uint64_t *a = t->call.args;
    bool failed = is_error(ret);
    int pid = (int)a[0];
    switch (t->call.nr) {
    case SYS_mprotect:
    case SYS_pkey_mprotect:
    case SYS_madvise:
        if (failed) in_part(t, b, ret);
        break;
    case SYS_process_madvise:
        advised_in_part(t, b, ret);
        break;
    case SYS_setrlimit:
        if (!failed && a[0] == RLIMIT_STACK) stack_floor(t, b);
        break;
    case SYS_prlimit64:
        if (!failed && a[1] == RLIMIT_STACK && a[2] && (!pid || pid == t->process->pid)) stack_floor(t, b);
        break;
    default:
        break;
    }
}
