#include "recorder/memory_calls.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

enum { GUARD_GAP = 256 * 4096 }; // stack_guard_gap: the kernel leaves so much below a stack that grows

struct vma {
    uint64_t start, end;
    int prot;
    bool locked, stack;
};

// The next mapping of /proc/PID/smaps or maps; false at the end.
static bool next_vma(FILE *f, struct vma *v) {
    char line[4400], prots[8];
    while (fgets(line, sizeof line, f)) {
        if (!strncmp(line, "VmFlags:", 8)) {
            v->locked = strstr(line, " lo") != NULL;
            return true;
        }
        if (sscanf(line, "%lx-%lx %7s", &v->start, &v->end, prots) == 3)
            v->prot = (prots[0] == 'r' ? PROT_READ : 0) | (prots[1] == 'w' ? PROT_WRITE : 0) |
                      (prots[2] == 'x' ? PROT_EXEC : 0);
    }
    return false;
}

static FILE *open_maps(const struct task *t, const char *which) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", t->tid, which);
    return fopen(path, "re");
}

static void reach_piece(struct batch *b, uint64_t address) {
    batch_piece(b, PIECE_REACH, 0);
    batch_last(b)->reach.address = address;
}

// mprotect works from the start on and leaves what it has done when it meets a hole or what it may not change. madvise passes
// over holes and then fails with ENOMEM; it ends at memory that it does not apply to, locked pages for example, with EINVAL.
static void in_part(struct task *t, struct batch *b, int64_t ret) {
    const uint64_t *a = t->call.args;
    bool protect = t->call.nr != SYS_madvise;
    uint64_t at = a[0], end = a[0] + ((a[1] + 4095) & ~4095ull);
    if (at & 4095 || end <= at) return;
    if (!protect && ret == -ENOMEM) {
        reach_piece(b, end);
        return;
    }
    FILE *f = open_maps(t, "smaps");
    struct vma v = {0};
    while (f && at < end && next_vma(f, &v)) {
        if (v.end <= at) continue;
        if (protect ? v.start > at || v.prot != (int)(a[2] & 7) : v.locked) break;
        at = v.end;
    }
    if (f) fclose(f);
    if (at > end) at = end;
    if (at > a[0]) reach_piece(b, at);
}

// Down to which address the stack may grow.
static void stack_floor(struct task *t, struct batch *b) {
    struct rlimit limit;
    if (prlimit(t->process->pid, RLIMIT_STACK, NULL, &limit) < 0) return;
    uint64_t start, end, before = 0;
    char line[4400];
    FILE *f = open_maps(t, "maps");
    while (f && fgets(line, sizeof line, f)) {
        if (sscanf(line, "%lx-%lx", &start, &end) != 2) continue;
        if (strstr(line, "[stack]")) {
            uint64_t room = limit.rlim_cur & ~4095ull, low = before ? before + GUARD_GAP : 0;
            uint64_t floor = room < end ? end - room : 0;
            if (floor < low) floor = low;
            reach_piece(b, floor < start ? floor : start);
            break;
        }
        before = end;
    }
    if (f) fclose(f);
}

void memory_call_done(struct task *t, struct batch *b, int64_t ret) {
    const uint64_t *a = t->call.args;
    bool failed = ret < 0 && ret > -4096;
    int pid = (int)a[0];
    switch (t->call.nr) {
    case SYS_mprotect:
    case SYS_pkey_mprotect:
    case SYS_madvise:
        if (failed) in_part(t, b, ret);
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
