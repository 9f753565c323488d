#include "recorder/emulate/perf.h"

#include "recorder/hooks.h"
#include "recorder/syscall.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool is_event(const struct task *t, uint64_t fd) {
    static const char name[] = "anon_inode:[perf_event]";
    char path[64], file[64];
    snprintf(path, sizeof path, "/proc/%d/fd/%d", t->tid, (int)fd);
    ssize_t n = readlink(path, file, sizeof file);
    return n == sizeof name - 1 && !memcmp(file, name, sizeof name - 1);
}

static bool answered(struct recorder *r, struct task *t, struct user_regs_struct *regs) {
    const uint64_t *args = t->call.args;
    uint32_t type;
    int64_t result = 0;
    if (t->call.nr == SYS_perf_event_open && task_read(t, args[0], &type, sizeof type) &&
        type != PERF_TYPE_SOFTWARE)
        result = -ENOENT; // "not supported by this machine"
    if (t->call.nr == SYS_mmap && !(args[3] & MAP_ANONYMOUS) && is_event(t, args[4])) result = -EPERM;
    if (!result) return false;
    syscall_refused(r, t, regs, result);
    return true;
}

static const struct recorder_hooks perf_hooks = {.lasting = true, .answer = answered};

void perf_begin(struct recorder *r) {
    hooks_add(r, &perf_hooks);
}
