#include "recorder/cpus.h"

#include "core/tracee.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <string.h>

void cpus_remember(struct recorder *r) {
    static_assert(sizeof r->cpus == sizeof(cpu_set_t), "as the kernel fills it");
    sched_getaffinity(0, sizeof r->cpus, (cpu_set_t *)r->cpus);
}

// Of pid 0 the caller, else a task of the recording; NULL: somebody else.
static struct task *meant(struct recorder *r, struct task *t) {
    return t->call.args[0] ? task_find(r, (int)t->call.args[0]) : t;
}

void cpus_tell(struct recorder *r, struct task *t, int64_t ret) {
    const struct task *of = meant(r, t);
    if (!of || ret <= 0 || (size_t)ret > sizeof r->cpus) return;
    tracee_poke(t->tid, t->mm->mem_fd, t->call.args[2], of->own_cpus ? of->cpus : r->cpus, (size_t)ret);
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
    return 0;
}
