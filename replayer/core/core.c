#include "replayer/core/core.h"

#include "core/abi.h"
#include "core/array.h"
#include "core/guard.h"
#include "core/tracee.h"
#include "core/cpu/xsave.h"
#include "core/cpu/xstate.h"
#include "core/elf/core_writer.h"
#include "replayer/core/image.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/procfs.h>
#include <unistd.h>

enum {
    FX_BYTES = 512,
    XCR0_AT = 464,
    XSTATE_KNOWN = 0x2ff,
    ERESTARTSYS = 512,
    AUXV_MOST = 256,
};

struct process {
    struct timeline *timeline;
    struct replay *replay;
    struct view view;
    int pid, first;
};

// ---- threads

// The signal that the task has at the position: the one that was just delivered, or the one that will end it where it stands. False:
// none; *info is zero then. Of a signal that ends the task the recording knows the number alone.
static bool signal_of(const struct process *p, const struct replay_task *t, siginfo_t *info) {
    enum { AHEAD = 20000 }; // events that are looked through for the task's next one
    struct event e;
    memset(info, 0, sizeof *info);
    if (t->last_event && !timeline_event(p->timeline, t->last_event, &e, NULL) && e.kind == EV_SIGNAL) {
        const struct piece *piece = event_piece(&e, PIECE_SIGINFO, NULL);
        if (piece && piece->len == sizeof *info) memcpy(info, piece->data, sizeof *info);
        info->si_signo = e.nr;
        return true;
    }
    uint64_t at = timeline_position(p->timeline), last = timeline_last(p->timeline);
    for (uint64_t n = at + 1; n <= last && n <= at + AHEAD; n++) {
        if (timeline_event(p->timeline, n, &e, NULL)) return false;
        if (e.tid != t->tid) continue;
        if (e.kind == EV_DEATH && e.flags & EVF_KILLED) info->si_signo = (int)e.ret;
        return info->si_signo != 0;
    }
    return false;
}

// gdb 13 knows the components up to PKRU where Intel's CPUs have them (AMD's have opmask at 832). It takes those that it finds from the
// word at 464 (sw_reserved of the FXSAVE area, where the kernel puts XCR0), and wants just as many bytes. Returns how many.
static size_t in_intels_layout(uint8_t *xstate, size_t size) {
    enum { HEADER_END = 576 };
    static const struct {
        uint16_t offset, size;
    } intels[] = {[2] = {576, 256},  [3] = {960, 64},    [4] = {1024, 64}, [5] = {1088, 64},
                  [6] = {1152, 512}, [7] = {1664, 1024}, [9] = {2688, 8}};
    const uint64_t components = xsave_xcr0() & XSTATE_KNOWN;
    if (!components || size < HEADER_END) return size;
    struct xstate_layout here;
    size_t end = HEADER_END;
    uint8_t *out = calloc(1, XSTATE_MAX);
    rf_assert(out);
    xstate_layout_here(&here);
    memcpy(out, xstate, HEADER_END);
    memcpy(out + XCR0_AT, &components, sizeof components);
    for (size_t i = 2; i < sizeof intels / sizeof *intels; i++) {
        if (!(components >> i & 1) || !intels[i].size) continue;
        size_t from = here.component[i].offset;
        if (here.component[i].size >= intels[i].size && from + intels[i].size <= size)
            memcpy(out + intels[i].offset, xstate + from, intels[i].size);
        end = (size_t)intels[i].offset + intels[i].size;
    }
    memcpy(xstate, out, end);
    free(out);
    return end;
}

static int thread_notes(FILE *out, struct process *p, const struct replay_task *t, struct rf_error *err) {
    struct user_regs_struct regs;
    siginfo_t info;
    if (replay_task_regs(p->replay, t->tid, &regs, err)) return -1;
    if (t->in_syscall) { // as the kernel leaves a call that a fatal signal ended (arch/x86/kernel/signal.c)
        regs.orig_rax = (uint64_t)t->nr;
        regs.rax = (uint64_t)-ERESTARTSYS;
    }
    struct elf_prstatus status = {.pr_pid = t->tid, .pr_pgrp = p->pid, .pr_sid = p->pid, .pr_fpvalid = 1};
    memcpy(status.pr_reg, &regs, sizeof regs);
    if (signal_of(p, t, &info)) {
        status.pr_cursig = (short)info.si_signo;
        status.pr_info = (struct elf_siginfo){info.si_signo, info.si_code, info.si_errno};
    }
    core_note(out, "CORE", NT_PRSTATUS, &status, sizeof status);
    uint8_t *xstate = calloc(1, XSTATE_MAX);
    rf_assert(xstate);
    size_t size = replay_task_xstate(p->replay, t->tid, xstate, XSTATE_MAX);
    size = in_intels_layout(xstate, size);
    // struct user_fpregs_struct is the FXSAVE area, which XSAVE begins with (Intel SDM vol. 1, 13.4.1).
    if (size >= FX_BYTES) core_note(out, "CORE", NT_FPREGSET, xstate, FX_BYTES);
    if (size > FX_BYTES) core_note(out, "LINUX", NT_X86_XSTATE, xstate, size);
    free(xstate);
    return 0;
}

static bool lives(const struct process *p, const struct replay_task *t) {
    return !t->death && t->pid == p->pid;
}

// The command line as execve was given it, with blanks between the arguments, as far as there is room (fs/binfmt_elf.c, fill_psinfo).
static void command_line(const struct process *p, const struct image *image, char *out, size_t size) {
    struct event e;
    const struct piece *text;
    size_t used = 0;
    if (!image->exec_event || timeline_event(p->timeline, image->exec_event, &e, NULL)) return;
    for (size_t at = 0; (text = event_piece(&e, PIECE_TEXT, &at)) && used + 1 < size;) {
        if (text->text.kind != TEXT_ARG) continue;
        if (used) out[used++] = ' ';
        size_t len = text->len < size - 1 - used ? text->len : size - 1 - used;
        if (len) memcpy(out + used, text->data, len);
        used += len;
    }
}

// Whose it is: what the kernel told it at its exec. A setuid() since then is not in there.
static void users(const Elf64_auxv_t *auxv, size_t n, struct elf_prpsinfo *info) {
    for (size_t i = 0; i < n; i++) {
        if (auxv[i].a_type == AT_UID) info->pr_uid = (unsigned)auxv[i].a_un.a_val;
        if (auxv[i].a_type == AT_GID) info->pr_gid = (unsigned)auxv[i].a_un.a_val;
    }
}

static void process_note(FILE *out, const struct process *p, const struct replay_task *first) {
    struct elf_prpsinfo info = {.pr_sname = 'S', .pr_pid = p->pid};
    const struct replay_task *leader = replay_task_find(p->replay, p->pid);
    const struct replay_task *named = leader ? leader : first;
    const struct replay_task *parent = replay_task_find(p->replay, named->parent_tid);
    info.pr_ppid = parent ? parent->pid : 0;
    memcpy(info.pr_fname, named->name, strnlen(named->name, sizeof info.pr_fname - 1));
    Elf64_auxv_t auxv[AUXV_MOST];
    struct image image = image_find(p->timeline, timeline_position(p->timeline), p->pid);
    users(auxv, image_auxv(&image, p->view.read, p->view.context, auxv, AUXV_MOST), &info);
    command_line(p, &image, info.pr_psargs, sizeof info.pr_psargs);
    if (!*info.pr_psargs) memcpy(info.pr_psargs, named->name, strnlen(named->name, sizeof named->name - 1));
    core_note(out, "CORE", NT_PRPSINFO, &info, sizeof info);
}

static int all_thread_notes(FILE *out, struct process *p, struct rf_error *err) {
    const struct replay_task *first = replay_task_find(p->replay, p->first);
    if (thread_notes(out, p, first, err)) return -1;
    // gdb and lldb take the process-wide notes behind the first thread's, as the kernel writes them.
    process_note(out, p, first);
    siginfo_t info;
    signal_of(p, first, &info);
    core_note(out, "CORE", NT_SIGINFO, &info, sizeof info);
    for (size_t i = 0; i < replay_task_count(p->replay); i++) {
        const struct replay_task *t = replay_task_at(p->replay, i);
        if (lives(p, t) && t->tid != p->first && thread_notes(out, p, t, err)) return -1;
    }
    return 0;
}

// ---- auxv and files

static void auxv_note(FILE *out, struct process *p) {
    Elf64_auxv_t auxv[AUXV_MOST];
    struct image image = image_find(p->timeline, timeline_position(p->timeline), p->pid);
    size_t n = image_auxv(&image, p->view.read, p->view.context, auxv, AUXV_MOST);
    if (n) core_note(out, "CORE", NT_AUXV, auxv, n * sizeof *auxv);
}

int core_write(FILE *out, struct timeline *t, int pid, int first, struct rf_error *err) {
    struct process p = {.timeline = t, .replay = timeline_replay(t), .pid = pid};
    for (size_t i = 0; i < replay_task_count(p.replay); i++) {
        const struct replay_task *task = replay_task_at(p.replay, i);
        if (lives(&p, task) && (!p.first || task->tid == first)) p.first = task->tid;
    }
    if (!p.first)
        return rf_fail(err, RF_CANNOT,
                       "process %d does not live at event %" PRIu64 ": 'refork info' lists the processes",
                       pid, timeline_position(t));
    char *notes;
    size_t len;
    FILE *text = open_memstream(&notes, &len);
    rf_assert(text);
    int failed = replay_view(p.replay, p.first, &p.view, err) || all_thread_notes(text, &p, err);
    if (!failed) {
        auxv_note(text, &p);
        core_files_note(text, &p.view);
    }
    fclose(text);
    if (!failed && core_body(out, &p.view, notes, len))
        failed = rf_fail_errno(err, RF_CANNOT, "cannot write the core");
    free(notes);
    return failed ? -1 : 0;
}
