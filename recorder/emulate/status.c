#include "recorder/emulate/status.h"

#include "recorder/emulate/filters.h"
#include "recorder/hooks.h"
#include "recorder/task.h"

#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MOST = 8192 };

// The task whose status the file of the present read is; NULL: it is another file, or a stranger's.
static struct task *whose(struct recorder *r, const struct task *t) {
    char path[64], file[128];
    int pid, tid, length = 0;
    snprintf(path, sizeof path, "/proc/%d/fd/%d", t->tid, (int)t->call.args[0]);
    ssize_t n = readlink(path, file, sizeof file - 1);
    if (n <= 0) return NULL;
    file[n] = 0;
    if (sscanf(file, "/proc/%d/task/%d/status%n", &pid, &tid, &length) == 2 && length == n)
        return task_find(r, tid);
    if (sscanf(file, "/proc/%d/status%n", &pid, &length) == 1 && length == n) return task_find(r, pid);
    return NULL;
}

// Puts `value` where a line of that name has another number. Returns the text's new length.
static size_t put(char *text, size_t length, const char *line, unsigned long value) {
    char number[24];
    char *at = memmem(text, length, line, strlen(line));
    if (!at) return length;
    at += strlen(line);
    size_t old = strspn(at, "0123456789"), left = length - (size_t)(at - text);
    size_t new = (size_t)snprintf(number, sizeof number, "%lu", value);
    if (!old || old >= left || new > old) return length; // cut off by the end of the read, or no room
    memcpy(at, number, new);
    memmove(at + new, at + old, left - old);
    return length - (old - new);
}

static int64_t tells(struct recorder *r, struct task *t, int64_t ret) {
    char text[MOST + 1];
    if ((t->call.nr != SYS_read && t->call.nr != SYS_pread64) || ret < 16 || ret > MOST) return ret;
    uint64_t address = t->call.args[1];
    bool begins = task_read(t, address, text, 6) && !memcmp(text, "Name:\t", 6);
    bool goes_on = t->status_fd == (int)t->call.args[0] + 1;
    if (!begins && !goes_on) return ret;
    const struct task *of = whose(r, t);
    t->status_fd = of ? (int)t->call.args[0] + 1 : 0;
    if (!of || !task_read(t, address, text, (size_t)ret)) return ret;
    text[ret] = 0;
    size_t length = (size_t)ret;
    length = put(text, length, "\nTracerPid:\t", 0);
    length = put(text, length, "\nNoNewPrivs:\t", of->seccomp.no_new_privileges);
    length = put(text, length, "\nSeccomp:\t", (unsigned long)of->seccomp.mode);
    length = put(text, length, "\nSeccomp_filters:\t", filters_count(of->seccomp.filters));
    tracee_poke(t->tid, t->mm->mem_fd, address, text, length);
    return (int64_t)length;
}

static const struct recorder_hooks status_hooks = {.lasting = true, .tells = tells};

void status_begin(struct recorder *r) {
    hooks_add(r, &status_hooks);
}
