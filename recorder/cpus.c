#include "recorder/cpus.h"

#include "core/calls/call_page.h"
#include "core/calls/call_rows.h"
#include "core/tracee.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

void cpus_remember(struct recorder *r) {
    static_assert(sizeof r->cpus == sizeof(cpu_set_t), "as the kernel fills it");
    sched_getaffinity(0, sizeof r->cpus, (cpu_set_t *)r->cpus);
    unsigned wanted = r->options->cpus;
    if (!wanted) return;
    memset(r->cpus, 0, sizeof r->cpus);
    for (unsigned i = 0; i < wanted; i++)
        r->cpus[i / 64] |= 1ull << i % 64;
}

// Of pid 0 the caller, else a task of the recording; NULL: somebody else.
static struct task *meant(struct recorder *r, struct task *t) {
    return t->call.args[0] ? task_called(r, t, (int)t->call.args[0]) : t;
}

const uint64_t *cpus_of(const struct recorder *r, const struct task *t) {
    return t->own_cpus ? t->cpus : r->cpus;
}

static bool has(const uint64_t *set, unsigned cpu) {
    return cpu < CPU_WORDS * 64 && (set[cpu / 64] >> cpu % 64 & 1);
}

unsigned cpus_here(const struct recorder *r, const struct task *t) {
    const uint64_t *set = cpus_of(r, t);
    unsigned cpu = 0;
    if (has(set, (unsigned)r->cpu)) return (unsigned)r->cpu;
    while (cpu < CPU_WORDS * 64 - 1 && !has(set, cpu))
        cpu++;
    return cpu;
}

unsigned cpus_node(unsigned cpu) {
    enum { NODES = 1024 }; // of the kernel's MAX_NUMNODES on x86-64
    char path[64];
    for (unsigned node = 0; node < NODES; node++) {
        snprintf(path, sizeof path, "/sys/devices/system/node/node%u", node);
        if (access(path, F_OK) != 0 && node) return 0; // numbers without gaps, on what x86-64 there is
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%u/node%u", cpu, node);
        if (access(path, F_OK) == 0) return node;
    }
    return 0;
}

uint32_t cpus_aux(const struct recorder *r, const struct task *t) {
    const unsigned cpu = cpus_here(r, t);
    return (cpu == (unsigned)r->cpu ? r->node : cpus_node(cpu)) << 12 | cpu;
}

int64_t cpus_tell(struct recorder *r, struct task *t, int64_t ret) {
    const struct task *of = meant(r, t);
    if (!of || ret <= 0 || (size_t)ret > sizeof r->cpus) return ret;
    const uint64_t *set = cpus_of(r, of);
    size_t words = CPU_WORDS, size = (size_t)ret;
    while (words > 1 && !set[words - 1])
        words--;
    // The kernel writes as many bytes as the CPUs of its machine need.
    if (words * sizeof *set > size && words * sizeof *set <= t->call.args[1]) size = words * sizeof *set;
    return tracee_poke(t->tid, t->mm->mem_fd, t->call.args[2], set, size) ? (int64_t)size : ret;
}

void cpus_tell_here(const struct recorder *r, struct task *t) {
    const uint32_t cpu = cpus_here(r, t), node = cpus_node(cpu);
    if (cpu == (unsigned)r->cpu) return;
    if (t->call.args[0]) tracee_poke(t->tid, t->mm->mem_fd, t->call.args[0], &cpu, sizeof cpu);
    if (t->call.args[1]) tracee_poke(t->tid, t->mm->mem_fd, t->call.args[1], &node, sizeof node);
}

// The program makes getcpu by itself otherwise, and the kernel tells it the CPU that refork is pinned to.
static void getcpu_stops(struct task *t) {
    struct call_row row = call_rows[SYS_getcpu];
    row.kind = CALL_DECLINED;
    if (t->mm->calls.on) tracee_write(t->mm->mem_fd, CALL_ROWS + SYS_getcpu * sizeof row, &row, sizeof row);
}

int64_t cpus_choose(struct recorder *r, struct task *t) {
    struct task *of = meant(r, t);
    uint64_t wanted[CPU_WORDS] = {0}, any = 0;
    size_t size = t->call.args[1] < sizeof wanted ? t->call.args[1] : sizeof wanted;
    if (!of) return -ESRCH;
    if (!tracee_read(t->tid, t->mm->mem_fd, t->call.args[2], wanted, size)) return -EFAULT;
    for (size_t i = 0; i < CPU_WORDS; i++)
        any |= wanted[i] &= r->cpus[i];
    if (!any) return -EINVAL;
    memcpy(of->cpus, wanted, sizeof of->cpus);
    of->own_cpus = true;
    if (cpus_here(r, of) != (unsigned)r->cpu) getcpu_stops(of);
    return 0;
}

// ---- policies

static struct task *scheduled(struct recorder *r, struct task *t) {
    switch (t->call.nr) {
    case SYS_sched_setparam:
    case SYS_sched_getparam:
    case SYS_sched_setscheduler:
    case SYS_sched_getscheduler:
    case SYS_sched_rr_get_interval:
    case SYS_sched_setattr:
    case SYS_sched_getattr:
        return meant(r, t);
    default:
        return NULL;
    }
}

void cpus_policy_shown(struct recorder *r, struct task *t) {
    struct task *of = scheduled(r, t);
    if (of && of->own_policy) syscall(SYS_sched_setattr, of->tid, &of->policy, 0);
}

enum { DEADLINE = 6, RESET_ON_FORK = 1 };

void cpus_policy_noted(struct recorder *r, struct task *t) {
    struct sched_policy now = {0};
    struct task *of = scheduled(r, t);
    if (!of || syscall(SYS_sched_getattr, of->tid, &now, sizeof now, 0) < 0) return;
    of->own_policy = now.policy == SCHED_FIFO || now.policy == SCHED_RR || now.policy == DEADLINE;
    if (!of->own_policy) return;
    of->policy = now;
    now =
        (struct sched_policy){.size = sizeof now,
                              .policy = SCHED_OTHER,
                              .flags = now.flags & RESET_ON_FORK, // which an ordinary user may not take back
                              .nice = getpriority(PRIO_PROCESS, (id_t)of->tid)};
    syscall(SYS_sched_setattr, of->tid, &now, 0);
}

void cpus_inherit_policy(const struct task *parent, struct task *child) {
    bool reset = parent->policy.flags & RESET_ON_FORK;
    child->own_policy = parent->own_policy && !reset;
    child->policy = parent->policy;
    if (parent->own_policy && reset) setpriority(PRIO_PROCESS, (id_t)child->tid, 0); // sched_fork()
}
