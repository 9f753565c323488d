#include "replayer/engine/scratch.h"

#include "core/array.h"
#include "core/tracee.h"
#include "replayer/engine/kernel_task.h"
#include "replayer/engine/memory.h"
#include "replayer/engine/space.h"
#include "replayer/engine/vtask.h"
#include "replayer/engine/page_watch.h"

#include <errno.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { INT3 = 0xcc };

struct scratch {
    int tid, thread_group;
    pid_t pid;
    int mem_fd;
    struct user_regs_struct regs;
    struct scratch_break {
        uint64_t address;
        uint8_t original;
    } * breaks;
    size_t break_count;
    const struct scratch_client *client; // while it runs
    bool stopped;                        // for the client
};

static bool poke(struct scratch *s, uint64_t address, const void *bytes, size_t len) {
    return tracee_poke(s->pid, s->mem_fd, address, bytes, len);
}

// The copy has the int3s of the replay's client in its memory: they go.
static void restore_code(struct scratch *s, const struct space *from) {
    for (size_t i = 0; i < from->break_count; i++) {
        uint64_t address = from->breaks[i].address;
        uint8_t now, own;
        if (!tracee_read(s->pid, s->mem_fd, address, &now, 1) || now != INT3) continue;
        if (space_read(from, address, &own, 1) && own != INT3) poke(s, address, &own, 1);
    }
}

int scratch_new(struct replay *r, int tid, const struct user_regs_struct *regs, struct scratch **out,
                struct rf_error *err) {
    struct vtask *v = vtask_find(r, tid);
    if (!v || !v->space) return rf_fail(err, RF_CANNOT, "task %d does not exist at this event", tid);
    struct vtask *loaded = v->space->loaded;
    struct scratch *s = calloc(1, sizeof *s);
    rf_assert(s);
    *s = (struct scratch){.tid = tid, .thread_group = v->pub.pid, .regs = *regs, .mem_fd = -1};
    vtask_load(v);
    vtask_unload(v->space); // its extended registers are in v->xstate now
    if (loaded && loaded != v) vtask_load(loaded);
    page_watch_lift(v->space);
    if ((s->pid = kernel_task_fork(v->space->pid, err)) < 0) {
        free(s);
        return -1;
    }
    if ((s->mem_fd = tracee_open_mem(s->pid)) < 0) {
        rf_fail_errno(err, RF_CANNOT, "cannot open /proc/%d/mem", s->pid);
        scratch_free(s);
        return -1;
    }
    if (v->xstate_size) tracee_set_xstate(s->pid, v->xstate, v->xstate_size);
    restore_code(s, v->space);
    *out = s;
    return 0;
}

void scratch_free(struct scratch *s) {
    if (!s) return;
    kernel_task_kill(s->pid);
    if (s->mem_fd >= 0) close(s->mem_fd);
    free(s->breaks);
    free(s);
}

int scratch_tid(const struct scratch *s) {
    return s->tid;
}

struct user_regs_struct *scratch_regs(struct scratch *s) {
    return &s->regs;
}

size_t scratch_get_xstate(struct scratch *s, void *out, size_t room) {
    return tracee_get_xstate(s->pid, out, room);
}

bool scratch_set_xstate(struct scratch *s, const void *bytes, size_t len) {
    return tracee_set_xstate(s->pid, bytes, len);
}

static struct scratch_break *break_at(struct scratch *s, uint64_t address) {
    for (size_t i = 0; i < s->break_count; i++)
        if (s->breaks[i].address == address) return &s->breaks[i];
    return NULL;
}

bool scratch_read(struct scratch *s, uint64_t address, void *buffer, size_t len) {
    if (!tracee_read(s->pid, s->mem_fd, address, buffer, len)) return false;
    for (size_t i = 0; i < s->break_count; i++)
        if (s->breaks[i].address - address < len)
            ((uint8_t *)buffer)[s->breaks[i].address - address] = s->breaks[i].original;
    return true;
}

bool scratch_write(struct scratch *s, uint64_t address, const void *bytes, size_t len) {
    if (!poke(s, address, bytes, len)) return false;
    const uint8_t int3 = INT3;
    for (size_t i = 0; i < s->break_count; i++) {
        struct scratch_break *b = &s->breaks[i];
        if (b->address - address >= len) continue;
        b->original = ((const uint8_t *)bytes)[b->address - address];
        poke(s, b->address, &int3, 1);
    }
    return true;
}

bool scratch_break(struct scratch *s, uint64_t address, bool on) {
    struct scratch_break *b = break_at(s, address);
    const uint8_t int3 = INT3;
    if (!on) {
        if (!b) return true;
        poke(s, address, &b->original, 1);
        size_t i = (size_t)(b - s->breaks);
        array_remove(s->breaks, s->break_count, i);
        return true;
    }
    uint8_t original;
    if (b) return true;
    if (!tracee_read(s->pid, s->mem_fd, address, &original, 1) || !poke(s, address, &int3, 1)) return false;
    array_push(s->breaks, s->break_count, (struct scratch_break){address, original});
    return true;
}

// A system call of the copy. true: it has ended itself.
static bool answer(struct scratch *s, const struct scratch_client *client) {
    struct user_regs_struct *u = &s->regs;
    long nr = (long)u->orig_rax, result = -ENOSYS;
    switch (nr) {
    case SYS_exit:
    case SYS_exit_group:
        return true;
    case SYS_write: {
        char text[4096];
        size_t len = u->rdx < sizeof text ? u->rdx : sizeof text;
        if (u->rdi != 1 && u->rdi != 2) break;
        result = scratch_read(s, u->rsi, text, len) ? (long)len : -EFAULT;
        if (result > 0) client->output(client->context, text, len);
        break;
    }
    case SYS_mmap: // anonymous memory only: there is no file
        if (u->r10 & 0x20)
            result = KERNEL_TASK_CALL(s->pid, nr, u->rdi, u->rsi, u->rdx, (u->r10 & ~0x0full) | 2, ~0ull);
        break;
    case SYS_munmap:
    case SYS_mprotect:
    case SYS_mremap:
    case SYS_madvise:
        result = KERNEL_TASK_CALL(s->pid, nr, u->rdi, u->rsi, u->rdx, u->r10, u->r8, u->r9);
        break;
    case SYS_getpid:
        result = s->thread_group;
        break;
    case SYS_gettid:
        result = s->tid;
        break;
    case SYS_futex: // nobody else runs: a wake wakes nobody, a wait would never end
        result = (u->rsi & 0x7f) == 1 ? 0 : -EAGAIN;
        break;
    default:
        break;
    }
    u->rax = (uint64_t)result;
    u->orig_rax = ~0ull;
    return false;
}

static bool resume(struct scratch *s, bool one, int *status) {
    s->regs.orig_rax = ~0ull;
    return tracee_set_regs(s->pid, &s->regs) &&
           ptrace(one ? PTRACE_SYSEMU_SINGLESTEP : PTRACE_SYSEMU, s->pid, 0, 0) == 0 &&
           kernel_task_wait_asking(s->pid, status, s->client->interrupted, s->client->context, &s->stopped) &&
           tracee_get_regs(s->pid, &s->regs);
}

static bool step_over_break(struct scratch *s, int *status) {
    struct scratch_break *b = break_at(s, s->regs.rip);
    const uint8_t int3 = INT3;
    if (b) poke(s, b->address, &b->original, 1);
    bool done = resume(s, true, status);
    if (b) poke(s, b->address, &int3, 1);
    return done;
}

enum scratch_end scratch_run(struct scratch *s, bool one, const struct scratch_client *client, int *signal) {
    *signal = 0;
    s->client = client;
    for (bool first = true;; first = false) {
        int status;
        bool step = one || (first && break_at(s, s->regs.rip));
        if (!(step ? step_over_break(s, &status) : resume(s, false, &status))) return SCRATCH_ENDED;
        if (s->stopped || client->interrupted(client->context)) return SCRATCH_INTERRUPTED;
        int sig = WSTOPSIG(status);
        if (sig == (SIGTRAP | 0x80)) {
            if (answer(s, client)) return SCRATCH_ENDED;
            if (one) return SCRATCH_STEP;
            continue;
        }
        siginfo_t info = {0};
        ptrace(PTRACE_GETSIGINFO, s->pid, 0, &info);
        if (sig == SIGTRAP && info.si_code == SI_KERNEL && break_at(s, s->regs.rip - 1)) {
            s->regs.rip--;
            return SCRATCH_BREAK;
        }
        if (sig == SIGTRAP && (info.si_code == TRAP_TRACE || info.si_code == TRAP_HWBKPT)) {
            if (one) return SCRATCH_STEP;
            if (break_at(s, s->regs.rip)) return SCRATCH_BREAK;
            continue;
        }
        if (status >> 16 || info.si_code <= 0) continue; // from outside: not for the copy
        *signal = sig;
        return SCRATCH_SIGNAL;
    }
}
