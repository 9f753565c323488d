#include "replayer/diagnose/write_core.h"

#include "core/elf/core_writer.h"
#include "replayer/diagnose/proc.h"
#include "replayer/diagnose/wait.h"

#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>
#include <unistd.h>

enum { ERESTARTSYS = 512, PROC_FILE_MOST = 4096 };

// A call that sleeps, as the kernel leaves it in a core (arch/x86/kernel/signal.c).
static struct user_regs_struct regs_of(const struct snapshot_thread *t) {
    struct user_regs_struct regs = t->regs;
    if (t->stopped || !t->in_call) return regs;
    regs.orig_rax = (uint64_t)t->nr;
    regs.rax = (uint64_t)-ERESTARTSYS;
    regs.rdi = t->args[0];
    regs.rsi = t->args[1];
    regs.rdx = t->args[2];
    regs.r10 = t->args[3];
    regs.r8 = t->args[4];
    regs.r9 = t->args[5];
    return regs;
}

static void thread_note(FILE *out, const struct snapshot *s, const struct snapshot_thread *t) {
    struct elf_prstatus status = {
        .pr_pid = t->tid, .pr_ppid = s->parent, .pr_pgrp = s->pid, .pr_sid = s->pid};
    struct user_regs_struct regs = regs_of(t);
    memcpy(status.pr_reg, &regs, sizeof regs);
    core_note(out, "CORE", NT_PRSTATUS, &status, sizeof status);
}

static size_t read_proc(int pid, const char *name, char *out, size_t size) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, out, size);
    if (fd >= 0) close(fd);
    return n > 0 ? (size_t)n : 0;
}

static void process_notes(FILE *out, const struct snapshot *s) {
    struct elf_prpsinfo info = {.pr_sname = 'S', .pr_pid = s->pid, .pr_ppid = s->parent};
    struct proc_task task;
    char text[PROC_FILE_MOST];
    if (proc_task(s->pid, &task))
        memcpy(info.pr_fname, task.name, strnlen(task.name, sizeof info.pr_fname - 1));
    size_t n = read_proc(s->pid, "cmdline", text, sizeof info.pr_psargs - 1);
    for (size_t i = 0; i < n; i++)
        info.pr_psargs[i] = text[i] ? text[i] : ' ';
    core_note(out, "CORE", NT_PRPSINFO, &info, sizeof info);
    n = read_proc(s->pid, "auxv", text, sizeof text);
    if (n) core_note(out, "CORE", NT_AUXV, text, n);
}

static const struct snapshot *snapshot_of(const struct diagnosis *d, int pid) {
    for (size_t i = 0; i < d->party_count; i++)
        if (d->parties[i].snapshot->pid == pid) return d->parties[i].snapshot;
    return NULL;
}

// What debuggers take for the current thread comes first, and behind it what is about the process.
static bool all_notes(FILE *out, const struct snapshot *s, int first) {
    const struct snapshot_thread *shown = NULL;
    for (size_t i = 0; i < s->thread_count; i++)
        if (s->threads[i].regs.rsp && (!shown || s->threads[i].tid == first)) shown = &s->threads[i];
    if (!shown) return false;
    thread_note(out, s, shown);
    process_notes(out, s);
    for (size_t i = 0; i < s->thread_count; i++)
        if (s->threads[i].regs.rsp && &s->threads[i] != shown) thread_note(out, s, &s->threads[i]);
    core_files_note(out, &s->view);
    return true;
}

int diagnosis_write_core(FILE *out, const struct diagnosis *d, int pid, int first, struct rf_error *err) {
    const struct snapshot *s = snapshot_of(d, pid);
    char *notes;
    size_t len;
    if (!s || s->core) return rf_fail(err, RF_CANNOT, "process %d was not looked into: no core of it", pid);
    FILE *text = open_memstream(&notes, &len);
    rf_assert(text);
    bool known = all_notes(text, s, first);
    fclose(text);
    int failed = known ? 0 : rf_fail(err, RF_CANNOT, "no thread of process %d is known: no core of it", pid);
    if (!failed && core_body(out, &s->view, notes, len))
        failed = rf_fail_errno(err, RF_CANNOT, "cannot write the core of process %d", pid);
    free(notes);
    return failed;
}
