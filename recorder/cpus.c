#include "recorder/cpus.h"

#include "core/tracee.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
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

void cpus_tell(struct recorder *r, struct task *t, int64_t ret) {
    const struct task *of = meant(r, t);
    if (!of || ret <= 0 || (size_t)ret > sizeof r->cpus) return;
    tracee_poke(t->tid, t->mm->mem_fd, t->call.args[2], of->own_cpus ? of->cpus : r->cpus, (size_t)ret);
}

// Does the fd stand for one of the kernel's lists of CPUs, read from its beginning?
static bool reads_list(const struct task *t, int64_t ret) {
    static const char folder[] = "/sys/devices/system/cpu/";
    static const char *const names[] = {"online", "possible", "present"};
    char path[64], file[256], line[64];
    long long position = -1;
    snprintf(path, sizeof path, "/proc/%d/fd/%d", t->tid, (int)t->call.args[0]);
    ssize_t n = readlink(path, file, sizeof file - 1);
    if (n <= 0) return false;
    file[n] = 0;
    bool is_list = false;
    for (size_t i = 0; i < sizeof names / sizeof *names && !strncmp(file, folder, sizeof folder - 1); i++)
        is_list |= !strcmp(file + sizeof folder - 1, names[i]);
    if (!is_list || t->call.nr == SYS_pread64) return is_list && t->call.args[3] == 0;
    snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", t->tid, (int)t->call.args[0]);
    FILE *info = fopen(path, "re");
    if (info && fgets(line, sizeof line, info)) sscanf(line, "pos: %lld", &position);
    if (info) fclose(info);
    return position == ret;
}

int64_t cpus_told(struct recorder *r, struct task *t, int64_t ret) {
    unsigned count = r->options->cpus;
    if (!count || ret < 0) return ret;
    if (t->call.nr == SYS_getcpu && t->call.args[0]) {
        uint32_t first = 0; // one of those that it is told of
        tracee_poke(t->tid, t->mm->mem_fd, t->call.args[0], &first, sizeof first);
    }
    bool reads = t->call.nr == SYS_read || t->call.nr == SYS_pread64;
    if (!reads || !ret || !reads_list(t, ret)) return ret;
    char text[4096] = ""; // what the kernel wrote behind it becomes 0
    size_t len = (size_t)(count > 1 ? snprintf(text, sizeof text, "0-%u\n", count - 1)
                                    : snprintf(text, sizeof text, "0\n"));
    if (len > t->call.args[2]) len = t->call.args[2];
    size_t all = len < (size_t)ret && (size_t)ret <= sizeof text ? (size_t)ret : len;
    tracee_poke(t->tid, t->mm->mem_fd, t->call.args[1], text, all);
    return (int64_t)len;
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
