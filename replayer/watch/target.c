#include "replayer/watch/target.h"

#include "core/array.h"
#include "core/guard.h"
#include "core/path.h"
#include "replayer/diagnose/proc.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { GROUPS_DEEP = 32 };

struct list {
    int *pids;
    size_t count;
};

int watch_target_pid(int pid, struct watch_target *out, struct rf_error *err) {
    struct proc_task t;
    if (!proc_task(pid, &t)) return rf_fail(err, RF_CANNOT, "no process %d: give the PID of a live one", pid);
    *out = (struct watch_target){.pid = t.process, .start = t.start};
    if (t.process != pid && !proc_task(t.process, &t))
        return rf_fail(err, RF_CANNOT, "no process %d: it has just ended", out->pid);
    out->start = t.start;
    return 0;
}

// Version 2 has one tree; version 1 one for each controller, and the service manager's own in "systemd".
static bool find_group(const char *name, char *out, size_t size) {
    static const char *const forms[] = {"%s", "/sys/fs/cgroup/%s", "/sys/fs/cgroup/unified/%s",
                                        "/sys/fs/cgroup/systemd/%s", "/sys/fs/cgroup/pids/%s"};
    for (size_t i = name[0] == '/' ? 0 : 1; i < sizeof forms / sizeof *forms; i++) {
        char procs[PATH_MAX + 16];
        int n = snprintf(out, size, forms[i], name);
        if (n < 0 || (size_t)n >= size) continue;
        snprintf(procs, sizeof procs, "%s/cgroup.procs", out);
        if (!access(procs, R_OK)) return true;
    }
    return false;
}

int watch_target_cgroup(const char *name, char *room, size_t size, struct watch_target *out,
                        struct rf_error *err) {
    if (!find_group(name, room, size))
        return rf_fail(err, RF_CANNOT,
                       "no control group '%s': give its folder, or its path below /sys/fs/cgroup as "
                       "system.slice/nginx.service ('systemd-cgls' and /proc/PID/cgroup name them)",
                       name);
    *out = (struct watch_target){.cgroup = room};
    return 0;
}

static bool has(const struct list *l, int pid) {
    for (size_t i = 0; i < l->count; i++)
        if (l->pids[i] == pid) return true;
    return false;
}

static void add(struct list *l, int pid) {
    if (pid > 0 && !has(l, pid)) array_push(l->pids, l->count, pid);
}

// ---- by name

static bool file_is_named(int pid, const char *name) {
    char path[64], link[PATH_MAX];
    snprintf(path, sizeof path, "/proc/%d/exe", pid);
    ssize_t n = readlink(path, link, sizeof link - 1);
    if (n <= 0) return false;
    link[n] = 0;
    char *deleted = strstr(link, " (deleted)");
    if (deleted && !deleted[10]) *deleted = 0;
    return !strcmp(base_name(link), name);
}

// The kernel keeps 15 characters of a name (TASK_COMM_LEN).
static bool is_named(const struct proc_task *t, const char *name) {
    return !t->kernel && (!strncmp(t->name, name, 15) || file_is_named(t->tid, name));
}

// Everybody, once: asking each process for its children would read /proc as often as there are processes.
struct everybody {
    struct proc_task *tasks;
    size_t count;
};

static struct everybody read_everybody(void) {
    struct everybody e = {0};
    struct proc_task t;
    scoped_dir DIR *d = opendir("/proc");
    for (struct dirent *entry; d && (entry = readdir(d));)
        if (isdigit((unsigned char)entry->d_name[0]) && proc_task(atoi(entry->d_name), &t))
            array_push(e.tasks, e.count, t);
    return e;
}

static void add_descendants(struct list *l, const struct everybody *e) {
    for (size_t before = 0; before != l->count;) {
        before = l->count;
        for (size_t i = 0; i < e->count; i++)
            if (has(l, e->tasks[i].parent)) add(l, e->tasks[i].process);
    }
}

// ---- by control group

static void add_group(struct list *l, const char *folder, int deep) {
    char path[PATH_MAX + 300];
    snprintf(path, sizeof path, "%s/cgroup.procs", folder);
    scoped_file FILE *f = fopen(path, "re");
    int pid;
    while (f && fscanf(f, "%d", &pid) == 1)
        add(l, pid);
    if (deep == GROUPS_DEEP) return;
    scoped_dir DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (e->d_type != DT_DIR || e->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        add_group(l, path, deep + 1);
    }
}

static int compare(const void *a, const void *b) {
    return *(const int *)a - *(const int *)b;
}

int *watch_target_list(const struct watch_target *target, size_t *count) {
    struct list l = {0};
    struct proc_task t;
    if (target->pid && proc_task(target->pid, &t) && t.start == target->start) add(&l, target->pid);
    struct everybody e = target->cgroup ? (struct everybody){0} : read_everybody();
    for (size_t i = 0; target->name && i < e.count; i++)
        if (is_named(&e.tasks[i], target->name)) add(&l, e.tasks[i].process);
    add_descendants(&l, &e);
    free(e.tasks);
    if (target->cgroup) add_group(&l, target->cgroup, 0);
    for (size_t i = 0; i < l.count; i++)
        if (l.pids[i] == getpid()) array_remove(l.pids, l.count, i);
    if (l.count) qsort(l.pids, l.count, sizeof *l.pids, compare);
    *count = l.count;
    return l.pids;
}
