#include "recorder/emulate/status.h"

#include "core/calls/call_page.h"
#include "core/calls/call_rows.h"
#include "core/calls/syscalls.h"
#include "core/tracee.h"
#include "recorder/cpus.h"
#include "recorder/emulate/cpu_files.h"
#include "recorder/emulate/filters.h"
#include "recorder/hooks.h"
#include "recorder/task.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MOST = 8192, MOST_CPU_TEXT = 5000 }; // every second of 1024 CPUs is a list of some 2500 bytes

// The task whose status t's descriptor is of; NULL: it is another file, or a stranger's.
static struct task *whose(struct recorder *r, const struct task *t, int fd) {
    char path[64], file[128];
    int pid, tid, length = 0;
    snprintf(path, sizeof path, "/proc/%d/fd/%d", t->tid, fd);
    ssize_t n = readlink(path, file, sizeof file - 1);
    if (n <= 0) return NULL;
    file[n] = 0;
    if (sscanf(file, "/proc/%d/task/%d/status%n", &pid, &tid, &length) == 2 && length == n)
        return task_find(r, tid);
    if (sscanf(file, "/proc/%d/status%n", &pid, &length) == 1 && length == n) return task_find(r, pid);
    return NULL;
}

struct text {
    char bytes[MOST + 1];
    size_t length, room; // `room`: of the program's buffer
};

// Puts `value` where a line of that name has another one. What there is no room for in the program's buffer stays as it is.
static void put(struct text *x, const char *line, const char *value) {
    char *at = memmem(x->bytes, x->length, line, strlen(line));
    if (!at) return;
    at += strlen(line);
    const size_t left = x->length - (size_t)(at - x->bytes), new = strlen(value);
    const char *end = memchr(at, '\n', left);
    if (!end) return; // cut off by the end of the read
    const size_t old = (size_t)(end - at);
    if (new > old && x->length + new - old > x->room) return;
    memmove(at + new, end, left - old);
    memcpy(at, value, new);
    x->length = x->length - old + new;
}

static void put_number(struct text *x, const char *line, unsigned long value) {
    char number[24];
    snprintf(number, sizeof number, "%lu", value);
    put(x, line, number);
}

// A place that reads much makes its reads without a stop: nobody would change what they tell.
static void reads_stop(const struct task *t) {
    static const int reads[] = {SYS_read, SYS_pread64};
    for (size_t i = 0; t->mm->calls.on && i < sizeof reads / sizeof *reads; i++) {
        struct call_row row = call_rows[reads[i]];
        row.kind = CALL_DECLINED;
        tracee_write(t->mm->mem_fd, CALL_ROWS + (uint64_t)reads[i] * sizeof row, &row, sizeof row);
    }
}

static int64_t tells(struct recorder *r, struct task *t, int64_t ret) {
    struct text x;
    char cpus[MOST_CPU_TEXT];
    if (syscall_effect(t->call.nr) == EFFECT_OPEN && ret >= 0 && whose(r, t, (int)ret)) reads_stop(t);
    if ((t->call.nr != SYS_read && t->call.nr != SYS_pread64) || ret < 16 || ret > MOST) return ret;
    uint64_t address = t->call.args[1];
    bool begins = task_read(t, address, x.bytes, 6) && !memcmp(x.bytes, "Name:\t", 6);
    bool goes_on = t->status_fd == (int)t->call.args[0] + 1;
    if (!begins && !goes_on) return ret;
    const struct task *of = whose(r, t, (int)t->call.args[0]);
    t->status_fd = of ? (int)t->call.args[0] + 1 : 0;
    if (!of || !task_read(t, address, x.bytes, (size_t)ret)) return ret;
    x.bytes[ret] = 0;
    x.length = (size_t)ret;
    x.room = t->call.args[2] < MOST ? t->call.args[2] : MOST;
    put_number(&x, "\nTracerPid:\t", 0);
    put_number(&x, "\nNoNewPrivs:\t", of->seccomp.no_new_privileges);
    put_number(&x, "\nSeccomp:\t", (unsigned long)of->seccomp.mode);
    put_number(&x, "\nSeccomp_filters:\t", filters_count(of->seccomp.filters));
    cpu_mask_text(cpus_of(r, of), cpus, sizeof cpus);
    put(&x, "\nCpus_allowed:\t", cpus);
    cpu_list_text(cpus_of(r, of), cpus, sizeof cpus);
    put(&x, "\nCpus_allowed_list:\t", cpus);
    return tracee_poke(t->tid, t->mm->mem_fd, address, x.bytes, x.length) ? (int64_t)x.length : ret;
}

static const struct recorder_hooks status_hooks = {.lasting = true, .tells = tells};

void status_begin(struct recorder *r) {
    hooks_add(r, &status_hooks);
}
