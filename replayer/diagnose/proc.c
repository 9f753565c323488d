#include "replayer/diagnose/proc.h"

#include "core/array.h"
#include "core/error.h"
#include "core/guard.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// Of the kernel's sched.h, in the flags of /proc/PID/stat: PF_KTHREAD, PF_FORKNOEXEC.
#define KERNEL_THREAD 0x00200000
#define FORK_NO_EXEC  0x00000040

// /proc/TID/stat: "1234 (any name) S 1 ...": fields are counted from behind the last parenthesis.
static bool read_stat(int tid, struct proc_task *out) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", tid);
    FILE *f = fopen(path, "re");
    if (!f) return false;
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = 0;
    char *open = strchr(text, '('), *close = strrchr(text, ')');
    if (!open || !close || close < open) return false;
    snprintf(out->name, sizeof out->name, "%.*s", (int)(close - open - 1), open + 1);
    unsigned flags;
    unsigned long start, user, system;
    // state ppid pgrp session tty tpgid flags minflt cminflt majflt cmajflt utime stime ..., field 22: starttime
    if (sscanf(close + 1, " %c %d %*d %*d %*d %*d %u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %*d %*d %lu",
               &out->state, &out->parent, &flags, &user, &system, &start) != 6)
        return false;
    out->kernel = flags & KERNEL_THREAD;
    out->forked = flags & FORK_NO_EXEC;
    out->user = user;
    out->system = system;
    out->start = start;
    return true;
}

static int last_number(const char *text, int *count) {
    int last = 0;
    for (char *end; *text; text = end) {
        long value = strtol(text, &end, 10);
        if (end == text) break;
        last = (int)value;
        (*count)++;
    }
    return last;
}

bool proc_task(int tid, struct proc_task *out) {
    char path[64], line[512];
    *out = (struct proc_task){.tid = tid, .inside = tid, .depth = 1};
    if (!read_stat(tid, out)) return false;
    snprintf(path, sizeof path, "/proc/%d/status", tid);
    FILE *f = fopen(path, "re");
    if (!f) return false;
    while (fgets(line, sizeof line, f)) {
        if (!strncmp(line, "Tgid:", 5)) out->process = atoi(line + 5);
        if (!strncmp(line, "TracerPid:", 10)) out->tracer = atoi(line + 10);
        if (!strncmp(line, "SigCgt:", 7)) out->caught = strtoull(line + 7, NULL, 16);
        if (!strncmp(line, "voluntary_ctxt_switches:", 24)) out->switches += strtoull(line + 24, NULL, 10);
        if (!strncmp(line, "nonvoluntary_ctxt_switches:", 27)) out->switches += strtoull(line + 27, NULL, 10);
        if (strncmp(line, "NSpid:", 6)) continue;
        out->depth = 0;
        out->inside = last_number(line + 6, &out->depth);
    }
    fclose(f);
    return out->process != 0;
}

static int compare(const void *a, const void *b) {
    return *(const int *)a - *(const int *)b;
}

// The numbers among the names in a folder of /proc that `wanted` likes.
static int *numbers(const char *folder, bool (*wanted)(int number, int context), int context, size_t *count) {
    int *list = NULL;
    *count = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));)
        if (isdigit((unsigned char)e->d_name[0]) && wanted(atoi(e->d_name), context))
            array_push(list, *count, atoi(e->d_name));
    if (d) closedir(d);
    if (*count) qsort(list, *count, sizeof *list, compare);
    return list;
}

static bool any(int number, int context) {
    (void)context;
    return number > 0;
}

static bool is_child(int number, int parent) {
    struct proc_task t;
    return read_stat(number, &t) && t.parent == parent;
}

int *proc_threads(int pid, size_t *count) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    return numbers(path, any, 0, count);
}

int *proc_children(int pid, size_t *count) {
    return numbers("/proc", is_child, pid, count);
}

// "running", "-1 SP PC", or "NR ARG0..ARG5 SP PC"
void proc_call(int tid, struct proc_call *out) {
    char path[64], line[512] = "";
    *out = (struct proc_call){.where = PROC_RUNNING};
    snprintf(path, sizeof path, "/proc/%d/syscall", tid);
    errno = 0;
    scoped_file FILE *f = fopen(path, "re");
    bool read = f && fgets(line, sizeof line, f);
    out->denied = !read && (errno == EACCES || errno == EPERM);
    if (!read) return;
    uint64_t *a = out->args;
    int n = sscanf(line, "%d %lx %lx %lx %lx %lx %lx %lx %lx", &out->nr, &a[0], &a[1], &a[2], &a[3], &a[4],
                   &a[5], &out->sp, &out->pc);
    if (n == 9) {
        out->where = PROC_IN_CALL;
    } else if (n == 3 && out->nr == -1) {
        out->where = PROC_ELSEWHERE;
        out->sp = a[0];
        out->pc = a[1];
    }
}

bool proc_same_namespace(const struct proc_task *a, const struct proc_task *b) {
    char path[2][64], link[2][64] = {"", ""};
    if (a->depth != b->depth) return false;
    snprintf(path[0], sizeof path[0], "/proc/%d/ns/pid", a->process);
    snprintf(path[1], sizeof path[1], "/proc/%d/ns/pid", b->process);
    for (int i = 0; i < 2; i++)
        if (readlink(path[i], link[i], sizeof link[i] - 1) < 0) return true;
    return !strcmp(link[0], link[1]);
}

bool proc_same_program(int pid, int other) {
    char path[64];
    struct stat a, b;
    snprintf(path, sizeof path, "/proc/%d/exe", pid);
    if (stat(path, &a)) return false;
    snprintf(path, sizeof path, "/proc/%d/exe", other);
    return !stat(path, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}
