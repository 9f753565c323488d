#include "recorder/syscall.h"

#include "recorder/cpus.h"
#include "core/abi.h"
#include "core/calls/syscall_ranges.h"
#include "core/clock.h"
#include "core/calls/syscalls.h"
#include "recorder/answers.h"
#include "recorder/hooks.h"
#include "recorder/lifecycle.h"
#include "recorder/log.h"
#include "recorder/mappings.h"
#include "recorder/mask.h"
#include "recorder/memory_calls.h"
#include "recorder/plt_clock.h"
#include "recorder/received_fds.h"
#include "recorder/seen_writes.h"
#include "recorder/signals.h"
#include "recorder/slices.h"
#include "recorder/run.h"

#include <asm/prctl.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <xxhash.h>

enum { SCRATCH_LIMIT = 256 << 10, DISK_WAIT_US = 50000, ERESTART_RESTARTBLOCK = 516 };

// Answers the call without letting it reach the kernel: with orig_rax -1 a seccomp stop skips it, and no exit
// stop follows PTRACE_CONT.
void syscall_answered(struct recorder *r, struct task *t, struct user_regs_struct *regs,
                      const struct own_answer *a) {
    struct batch b;
    batch_entry(r, &b, EV_SYSCALL, t);
    b.e.ret = a->result;
    if (a->size && !task_can_write(t, a->address, a->size))
        b.e.ret = -EFAULT;
    else if (a->size)
        batch_write(r, &b, t, a->address, a->bytes, a->size);
    regs->orig_rax = ~0ull;
    regs->rax = (uint64_t)b.e.ret;
    if (!tracee_set_regs(t->tid, regs)) return; // killed: its exit stop follows
    batch_log(r, t, &b);
    set_landmark(t, regs);
    t->state = TASK_READY;
}

static void answer(struct recorder *r, struct task *t, struct user_regs_struct *regs, int64_t result) {
    syscall_answered(r, t, regs, &(struct own_answer){.result = result});
}

static void refused(struct recorder *r, struct task *t, int64_t result) {
    enum { SAID = sizeof r->refusals.said / sizeof *r->refusals.said };
    bool multiplexed = t->call.nr == SYS_ioctl || t->call.nr == SYS_prctl || t->call.nr == SYS_fcntl;
    uint64_t request = !multiplexed ? 0 : t->call.nr == SYS_prctl ? t->call.args[0] : t->call.args[1];
    int n = r->refusals.count;
    for (int i = 0; i < n; i++)
        if (r->refusals.said[i].nr == t->call.nr && r->refusals.said[i].request == request) return;
    if (n < SAID) {
        r->refusals.said[n].nr = t->call.nr;
        r->refusals.said[n].request = request;
        r->refusals.count++;
    }
    char call[256], where[256] = "";
    syscall_format(t->call.nr, t->call.args, call, sizeof call);
    if (r->options->name_pc) { // foreign code, which may ask the vDSO for the time
        if (r->tsc_traps) clock_trap_tsc(false);
        r->options->name_pc(t->process->pid, t->call.regs.rip, where, sizeof where);
        if (r->tsc_traps) clock_trap_tsc(true);
    }
    log_refusal(r, t, result, "%s is not recorded and was answered %s (pid %d, pc 0x%llx%s%s)", call,
                strerrorname_np((int)-result), t->process->pid, t->call.regs.rip, *where ? " in " : "",
                where);
}

// int $0x80: a 32-bit call, whose number and structures are others. Answered as by a kernel without them.
void syscall_refused(struct recorder *r, struct task *t, struct user_regs_struct *regs, int64_t result) {
    answer(r, t, regs, result);
    refused(r, t, result);
}

static bool legacy_instruction(struct task *t) {
    uint8_t code[2];
    return tracee_read(t->tid, t->mm->mem_fd, t->call.regs.rip - 2, code, 2) && code[0] == 0xcd &&
           code[1] == 0x80;
}

static void legacy_call(struct recorder *r, struct task *t, struct user_regs_struct *regs) {
    long number = t->call.nr;
    t->call.nr = -1; // no call of ours
    answer(r, t, regs, -ENOSYS);
    if (!r->refusals.legacy)
        log_note(
            r, t,
            "the 32-bit call %ld (int $0x80) is not recorded and was answered ENOSYS (pid %d, pc 0x%llx)",
            number, t->process->pid, t->call.regs.rip);
    r->refusals.legacy = true;
}

// Out-buffers of a call that may sleep while other threads run go to scratch: the kernel must not write into
// memory that a running thread may read at an unknown moment. Never futex words (their value is the
// protocol).
static void redirect(struct task *t, struct user_regs_struct *regs) {
    if (t->mm->refs < 2 || t->call.nr == SYS_futex) return;
    struct syscall_range ranges[SYSCALL_RANGES];
    int n = syscall_ranges(t->call.meaning, t->call.args, NULL, task_read, t, ranges);
    uint64_t total = 0;
    for (int i = 0; i < n; i++) {
        if (ranges[i].arg < 0 || ranges[i].dir == RANGE_IN || !ranges[i].size || !ranges[i].address) continue;
        total += (ranges[i].size + 63) & ~63ull;
    }
    if (!total || total > SCRATCH_LIMIT) return;
    uint64_t at = scratch_area(t, total);
    if (!at) return;
    for (int i = 0; i < n && t->call.redirect_count < 6; i++) {
        struct syscall_range *g = &ranges[i];
        if (g->arg < 0 || g->dir == RANGE_IN || !g->size || !g->address) continue;
        // EFAULT must stay EFAULT: only memory that the program can write is redirected.
        if (!task_can_write(t, g->address, g->size)) continue;
        if (g->dir == RANGE_INOUT) {
            char *copy = malloc(g->size);
            if (!tracee_read(t->tid, t->mm->mem_fd, g->address, copy, g->size)) {
                free(copy);
                continue; // a bad pointer: the kernel shall say so
            }
            tracee_poke(t->tid, t->mm->mem_fd, at, copy, g->size);
            free(copy);
        }
        *abi_argument(regs, g->arg) = at;
        t->call.redirects[t->call.redirect_count++] = (struct redirect){g->arg, g->address, at, g->size};
        at += (g->size + 63) & ~63ull;
    }
    if (t->call.redirect_count) tracee_set_regs(t->tid, regs);
}

static void unredirect(struct task *t, struct user_regs_struct *regs) {
    int64_t ret = (int64_t)regs->rax;
    for (int i = 0; i < t->call.redirect_count; i++)
        *abi_argument(regs, t->call.redirects[i].arg) = t->call.redirects[i].real;
    struct syscall_range ranges[SYSCALL_RANGES];
    int n = syscall_ranges(t->call.meaning, t->call.args, &ret, task_read, t, ranges);
    for (int i = 0; i < t->call.redirect_count; i++) {
        struct redirect *d = &t->call.redirects[i];
        for (int k = 0; k < n; k++) {
            if (!d->size || ranges[k].dir == RANGE_IN || ranges[k].address != d->real) continue;
            uint64_t size = ranges[k].size < d->size ? ranges[k].size : d->size;
            char *copy = malloc(size + 1);
            if (tracee_read(t->tid, t->mm->mem_fd, d->temporary, copy, size))
                tracee_poke(t->tid, t->mm->mem_fd, d->real, copy, size);
            free(copy);
        }
    }
    t->call.redirect_count = 0;
    tracee_set_regs(t->tid, regs);
}

void syscall_settle(struct recorder *r, struct task *t) {
    int status;
    for (uint64_t since = 0;;) {
        sched_yield();
        if (waitpid(t->tid, &status, __WALL | WNOHANG) == t->tid) {
            leave_stop_next(r, t, status);
            return;
        }
        char state = task_state_letter(t->tid);
        if (state == 'Z' && died_unseen(t)) {
            leave_stop_next(r, t, SIGKILL);
            return;
        }
        t->call.settled = state == 'S';
        if (state == 'S') hooks_asleep(r, t);
        if (state == 'S' || !state) return;
        // A disk's or a lock's turn: bounded mostly.
        if (state != 'D') continue;
        if (!since) since = now_us(r);
        if (now_us(r) - since > DISK_WAIT_US) return;
    }
}

static void wait_or_leave(struct recorder *r, struct task *t) {
    int status;
    t->state = TASK_IN_KERNEL;
    signals_late(r, t->process, true);
    if (others_ready(r, t)) {
        syscall_settle(r, t);
        return;
    }
    // Nobody else could run: sleep until something happens; the timer breaks this after 4 ms at most, then
    // idle() looks whether everybody is stuck.
    bool alone = r->tasks == t && !t->next;
    pid_t pid = waitpid(alone ? t->tid : -1, &status, __WALL);
    struct task *o = pid > 0 ? task_find(r, pid) : NULL;
    if (o == t)
        leave_stop_next(r, t, status);
    else if (o)
        leave_stop(o, status);
}

static bool file_copy_to_echo(struct task *t) {
    // What goes from file to file inside the kernel never passes the program's memory. Towards the program's
    // own stdout or stderr the replay could not show it, so the program is told to copy by itself (EINVAL:
    // "not supported for these descriptors", all users of these calls fall back).
    return syscall_effect(t->call.nr) == EFFECT_COPY &&
           fdtable_stream(t->fds, (int)syscall_effect_on(t->call.nr, t->call.args)) != FDTABLE_NONE;
}

bool syscall_begins(struct recorder *r, struct task *t) {
    struct user_regs_struct regs;
    if (!tracee_get_regs(t->tid, &regs)) {
        t->state = TASK_IN_KERNEL; // killed: the exit stop follows
        return false;
    }
    t->call.legacy = regs.rcx != regs.rip; // `syscall` puts the next pc into rcx, int $0x80 does not
    canonical_regs(&regs);
    t->call.nr = (long)regs.orig_rax;
    abi_arguments(&regs, t->call.args);
    t->call.regs = regs;
    t->call.regs.rax = regs.orig_rax;
    t->call.since_us = r->clock_us;
    t->call.settled = false;
    if (t->mm->limit_lowered && !r->options->chaos) clock_set_limit(t->mm, ~0ull);
    return true;
}

// Calls that the kernel never sees. False: it is none of those.
static bool answered(struct recorder *r, struct task *t, struct user_regs_struct *regs) {
    int64_t result = 0;
    bool say = false;
    struct own_answer own;
    if (t->call.nr == SYS_sched_yield)
        t->yielded = true;
    else if (t->call.nr == SYS_sched_setaffinity)
        result = cpus_choose(r, t);
    else if (file_copy_to_echo(t))
        result = -EINVAL;
    else if ((say = pages_from_pipe(t)))
        result = -EINVAL;
    else if (own_answer(t, &own)) {
        syscall_answered(r, t, regs, &own);
        return true;
    } else if (!syscall_answer(t->call.nr, t->call.args, &result, &say))
        return false;
    answer(r, t, regs, result);
    if (say) refused(r, t, result);
    if (t->call.nr == SYS_sched_yield) hooks_call_waits(r, t);
    return true;
}

// With MADV_FREE the kernel would take the pages at a moment of its own choosing; MADV_DONTNEED is a MADV_FREE that takes them now.
static void free_now(struct task *t, struct user_regs_struct *regs) {
    const int arg = t->call.nr == SYS_madvise ? 2 : t->call.nr == SYS_process_madvise ? 3 : 0;
    if (!arg || t->call.args[arg] != MADV_FREE) return;
    *(arg == 2 ? &regs->rdx : &regs->r10) = MADV_DONTNEED;
    tracee_set_regs(t->tid, regs);
    t->call.redirects[t->call.redirect_count++] = (struct redirect){.arg = arg, .real = MADV_FREE};
}

// Calls that make or end tasks, or begin a program. False: it is none of those.
static bool of_a_task(struct recorder *r, struct task *t) {
    int status;
    switch (syscall_effect(t->call.nr)) {
    case EFFECT_BIRTH:
        if (!task_forks(t) || !hooks_at_clone(r, t)) task_clone(r, t);
        return true;
    case EFFECT_EXEC:
        task_exec(r, t);
        return true;
    case EFFECT_END:
        log_deferred_entry(r);
        if (run_undisturbed(r, t, PTRACE_CONT, 0, &status)) leave_stop(t, status);
        return true;
    default:
        return false;
    }
}

static bool sends_kill(const struct task *t) {
    static const struct {
        int nr, signal; // the argument
    } calls[] = {{SYS_kill, 1},
                 {SYS_tkill, 1},
                 {SYS_tgkill, 2},
                 {SYS_pidfd_send_signal, 1},
                 {SYS_rt_sigqueueinfo, 1},
                 {SYS_rt_tgsigqueueinfo, 2}};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (calls[i].nr == t->call.nr) return (int)t->call.args[calls[i].signal] == SIGKILL;
    return false;
}

void syscall_entry(struct recorder *r, struct task *t) {
    struct user_regs_struct regs = t->call.regs;
    regs.rax = (uint64_t)-ENOSYS; // as the kernel has it at an entry
    if (t->call.legacy && !legacy_instruction(t)) t->call.legacy = false;
    hooks_call_begins(r, t);
    if (hooks_answer(r, t, &regs)) return;
    if (t->call.legacy) {
        legacy_call(r, t, &regs);
        return;
    }
    if (answered(r, t, &regs)) return;
    // restart_syscall goes on with the call that was interrupted: same argument registers, same out-buffers.
    t->call.meaning = t->call.nr == SYS_restart_syscall ? t->call.interrupted : t->call.nr;
    t->call.inside = true;
    t->call.redirect_count = 0;
    if (r->deferred) log_deferred_entry(r);
    r->deferred = t;
    change_call(t, &regs);
    cpus_policy_shown(r, t);
    if (sends_kill(t)) tasks_foresee_ends(r, t);
    if (of_a_task(r, t)) return;
    free_now(t, &regs);
    hooks_call_waits(r, t);
    if (r->stop_all) return; // stuck: here it stays
    bool may_block = t->call.nr == SYS_restart_syscall || syscall_may_block(t->call.nr, t->call.args);
    if (may_block) redirect(t, &regs);
    if (!resume(r, t, PTRACE_SYSCALL, 0)) return;
    int status;
    if (may_block)
        wait_or_leave(r, t);
    else if (wait_undisturbed(t, &status))
        leave_stop_next(r, t, status);
    else
        task_ended(r, t, 0);
}

// What was mapped there is gone, and breakpoints with it.
static void mapped_over(struct task *t, int64_t ret) {
    if (is_error(ret)) return;
    const uint64_t *a = t->call.args;
    if (t->call.nr == SYS_munmap || t->call.nr == SYS_mremap) breakpoints_unmapped(t->mm, a[0], a[0] + a[1]);
    if (t->call.nr == SYS_mmap) breakpoints_unmapped(t->mm, (uint64_t)ret, (uint64_t)ret + a[1]);
    if (t->call.nr == SYS_mremap) breakpoints_unmapped(t->mm, (uint64_t)ret, (uint64_t)ret + a[2]);
}

static void map_pieces(struct recorder *r, struct task *t, struct batch *b, int64_t ret) {
    uint64_t *a = t->call.args;
    if (t->call.nr == SYS_shmat && !is_error(ret))
        image_attached(r, t, b, (uint64_t)ret, (int)a[0], a[2] & SHM_RDONLY);
    if (t->call.nr != SYS_mmap || is_error(ret)) return;
    bool anonymous = a[3] & MAP_ANONYMOUS;
    if (anonymous && (a[3] & MAP_TYPE) == MAP_PRIVATE) return;
    const struct piece_map map = {.address = (uint64_t)ret,
                                  .length = a[1],
                                  .prot = a[2],
                                  .flags = a[3],
                                  .offset = anonymous ? 0 : a[5]};
    image_mapped(r, t, b, &map, anonymous ? -1 : (int)a[4]);
}

static bool opens_empty(struct task *t) {
    uint64_t flags; // creat has none
    return !syscall_effect_value(t->call.nr, t->call.args, task_read, t, &flags) || flags & O_TRUNC;
}

static void written_file(struct recorder *r, struct task *t, struct batch *b, int64_t ret) {
    if (!r->shared_count || ret < 0) return;
    const uint64_t *a = t->call.args;
    switch (t->call.nr) {
    case SYS_ftruncate:
        image_file_cut(r, t, b, (int)a[0], 0);
        return;
    case SYS_truncate:
        image_file_cut(r, t, b, -1, a[0]);
        return;
    case SYS_fallocate:
        image_file_cut(r, t, b, (int)a[0], 0);
        if (a[1] & ~1ull) image_file_written(r, t, b, (int)a[0], (int64_t)a[2], a[3]); // not KEEP_SIZE alone
        return;
    default:
        break;
    }
    if (syscall_effect(t->call.nr) == EFFECT_OPEN && opens_empty(t)) image_file_cut(r, t, b, (int)ret, 0);
    struct file_write w;
    if (ret && file_write_of(t, ret, &w)) image_file_written(r, t, b, w.fd, w.offset, w.length);
}

// A call that failed with EFAULT may have filled the buffer up to the page that it could not write.
static void faulted_ranges(struct task *t, struct batch *b) {
    struct syscall_range ranges[SYSCALL_RANGES];
    int n = syscall_ranges(t->call.meaning, t->call.args, NULL, task_read, t, ranges);
    for (int i = 0; i < n; i++) {
        uint64_t at = ranges[i].address, end = at + ranges[i].size;
        if (ranges[i].dir == RANGE_IN || end < at) continue;
        while (at < end) {
            uint64_t next = next_page(at) < end ? next_page(at) : end;
            if (!batch_mem(b, t, PIECE_MEM, at, next - at)) break;
            at = next;
        }
    }
}

// What the recorder must remember of a call that succeeded.
static void remember(struct recorder *r, struct task *t, int64_t ret) {
    // close frees the slot even when it fails.
    t->fds = fdtable_syscall(t->fds, t->call.nr, t->call.args, ret, task_read, t);
    if (t->call.nr == SYS_rt_sigreturn) mask_changed(t);
    if (ret < 0) return;
    note_timers(t);
    switch (t->call.nr) {
    case SYS_set_tid_address:
        t->clear_tid = t->call.args[0];
        break;
    case SYS_set_robust_list:
        t->robust_list = t->call.args[0];
        break;
    case SYS_unshare:
        r->pid_namespaces |= (t->call.args[0] & CLONE_NEWPID) != 0;
        break;
    case SYS_setns: // of flags 0 the descriptor says which
        r->pid_namespaces |= !(uint32_t)t->call.args[1] || t->call.args[1] & CLONE_NEWPID;
        break;
    case SYS_rt_sigaction:
        note_dispositions(t, ret);
        break;
    case SYS_rt_sigprocmask:
        if (t->call.args[1]) mask_changed(t);
        break;
    case SYS_prctl:
        if (t->call.args[0] == PR_SET_NAME)
            tracee_read(t->tid, t->mm->mem_fd, t->call.args[1], t->name, sizeof t->name - 1);
        break;
    default:
        break;
    }
}

// The registers at the exit. Most calls change rax alone, and reading one word is cheaper than all 27 (at an exit rcx and r11 are what the
// syscall instruction made them, as at the entry).
static bool exit_regs(struct task *t, struct user_regs_struct *regs) {
    if (syscall_effect(t->call.nr) == EFFECT_REGISTERS || !t->call.inside)
        return tracee_get_regs(t->tid, regs);
    errno = 0;
    long rax = ptrace(PTRACE_PEEKUSER, t->tid, offsetof(struct user, regs.rax), 0);
    if (errno) return false;
    *regs = t->call.regs;
    regs->rax = (unsigned long)rax;
    return true;
}

// What the call wrote, and a digest of what it read.
static void returned_ranges(struct recorder *r, struct task *t, struct batch *b, int64_t ret) {
    struct syscall_range ranges[SYSCALL_RANGES];
    int n = syscall_ranges(t->call.meaning, t->call.args, &ret, task_read, t, ranges);
    if (ret == -EFAULT) faulted_ranges(t, b);
    if (n < 0) recorder_fail(r, "no row describes what %s wrote (task %d)", syscall_name(t->call.nr), t->tid);
    for (int i = 0; i < n; i++) {
        struct syscall_range *g = &ranges[i];
        if (!g->size) continue;
        if (g->dir != RANGE_IN) {
            batch_mem(b, t, PIECE_MEM, g->address, g->size);
            continue;
        }
        char small[8192], *bytes = g->size <= sizeof small ? small : malloc(g->size);
        if (bytes && tracee_read(t->tid, t->mm->mem_fd, g->address, bytes, g->size)) {
            batch_piece(b, PIECE_HASH, 0);
            batch_last(b)->hash = (struct piece_hash){g->address, g->size, XXH3_64bits(bytes, g->size)};
        }
        if (bytes != small) free(bytes);
    }
}

// What the program is told of the CPUs may be fewer bytes than the kernel wrote: the rest, behind them, is in the event as well.
static int64_t tell_program(struct recorder *r, struct task *t, struct user_regs_struct *regs) {
    int64_t ret = (int64_t)regs->rax, told = ret;
    if (t->call.nr == SYS_sched_getaffinity) told = cpus_tell(r, t, ret);
    if (t->call.nr == SYS_getcpu && !ret) cpus_tell_here(r, t);
    told = hooks_tell(r, t, personality_told(t, told));
    if (told != ret) {
        regs->rax = (unsigned long)told;
        ptrace(PTRACE_POKEUSER, t->tid, offsetof(struct user, regs.rax), regs->rax);
    }
    return told;
}

// The path of a file that was opened: it is read here anyway, and says later what its descriptor is without a replay.
static void opened_path(struct task *t, struct batch *b, int64_t ret) {
    char path[PATH_MAX];
    size_t have = 0;
    if (ret < 0 || syscall_effect(t->call.nr) != EFFECT_OPEN) return;
    uint64_t address = syscall_effect_on(t->call.nr, t->call.args);
    while (have < sizeof path) {
        size_t chunk = next_page(address + have) - (address + have);
        if (chunk > sizeof path - have) chunk = sizeof path - have;
        if (!task_read(t, address + have, path + have, chunk)) return;
        const char *end = memchr(path + have, 0, chunk);
        if (end) {
            batch_text(b, TEXT_PATH, path, (size_t)(end - path));
            return;
        }
        have += chunk;
    }
}

static void begin_exit(struct recorder *r, struct task *t, struct batch *b, int64_t ret) {
    if (r->deferred == t) {
        r->deferred = NULL;
        batch_entry(r, b, EV_SYSCALL, t);
    } else {
        batch_init(r, b, EV_EXIT, t);
        b->e.nr = (int32_t)t->call.nr;
    }
    b->e.ret = ret;
}

void syscall_returned(struct recorder *r, struct task *t) {
    struct user_regs_struct regs;
    if (!exit_regs(t, &regs)) {
        t->state = TASK_IN_KERNEL;
        return;
    }
    if (!t->call.inside) { // the exit stop of a skipped call: nothing to tell
        t->state = TASK_READY;
        t->at_landmark = true;
        return;
    }
    canonical_regs(&regs);
    if (t->call.redirect_count) unredirect(t, &regs);
    call_changed_back(t);
    cpus_policy_noted(r, t);
    int64_t was = (int64_t)regs.rax, ret = tell_program(r, t, &regs);
    if (ret == -ERESTART_RESTARTBLOCK) t->call.interrupted = t->call.meaning;
    struct batch b;
    begin_exit(r, t, &b, ret);
    if (t->call.nr == SYS_rt_sigreturn) {
        batch_regs(&b, &regs);
        batch_xstate(r, &b, t);
    } else {
        returned_ranges(r, t, &b, ret);
        if (ret < was) batch_mem(&b, t, PIECE_MEM, t->call.args[1] + (uint64_t)ret, (size_t)(was - ret));
        if (t->mm->breaks.count) mapped_over(t, ret);
        map_pieces(r, t, &b, ret);
        memory_call_done(t, &b, ret);
        written_file(r, t, &b, ret);
        seen_writes_call(r, t, &b, ret);
        opened_path(t, &b, ret);
    }
    remember(r, t, ret);
    received_fds(r, t, &b, ret);
    if (t->mm->slots.pending) modules_patch_slots(r, t, &b);
    t->call.inside = false;
    t->state = TASK_READY;
    set_landmark(t, &regs);
    batch_log(r, t, &b);
    hooks_returned(r, t, ret);
}
