#include "recorder/emulate/ptrace.h"
#include "recorder/emulate/tracee.h"
#include "core/array.h"
#include "recorder/hooks.h"
#include "recorder/log.h"
#include "recorder/mask.h"
#include "recorder/plt_clock.h"
#include "recorder/run.h"
#include "recorder/signals.h"
#include "recorder/syscall.h"
#include "recorder/traps.h"

#include <elf.h>
#include <linux/capability.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    OPTIONS_OF_KERNEL = 0xff | PTRACE_O_EXITKILL | 1 << 21, // PTRACE_O_MASK of the kernel
    OPTIONS_KNOWN = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                    PTRACE_O_TRACECLONE | PTRACE_O_TRACEVFORKDONE | PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL,
    RESTARTS = 512, // ERESTARTSYS and ERESTARTNOHAND (include/linux/errno.h)
    RESTARTS_WITHOUT_HANDLER = 514,
    RESTARTS_LAST = 516
};

// ---- answers

struct reply {
    int64_t result;
    uint64_t address; // what the call writes
    const void *bytes;
    size_t size;
    struct task *other; // whose memory it writes, and there
};

static void reply(struct recorder *r, struct task *t, struct user_regs_struct *regs, const struct reply *a) {
    struct batch b;
    batch_entry(r, &b, EV_SYSCALL, t);
    b.e.ret = a->result;
    if (a->size && a->other) {
        struct task *o = a->other;
        if (!tracee_poke(o->tid, o->mm->mem_fd, a->address, a->bytes, a->size)) {
            b.e.ret = -EIO;
        } else {
            memcpy(batch_piece(&b, PIECE_TASKMEM, a->size), a->bytes, a->size);
            batch_last(&b)->taskmem.address = a->address;
            batch_last(&b)->taskmem.tid = (uint64_t)o->tid;
        }
    } else if (a->size && !task_can_write(t, a->address, a->size)) {
        b.e.ret = -EFAULT;
    } else if (a->size) {
        batch_write(r, &b, t, a->address, a->bytes, a->size);
    }
    regs->orig_rax = ~0ull;
    regs->rax = (unsigned long long)b.e.ret;
    if (!tracee_set_regs(t->tid, regs)) return; // killed: its exit stop follows
    set_landmark(t, regs);
    t->state = TASK_READY;
    batch_log(r, t, &b);
}

static void answer(struct recorder *r, struct task *t, struct user_regs_struct *regs, int64_t result) {
    reply(r, t, regs, &(struct reply){.result = result});
}

// ---- requests

struct credentials {
    unsigned uid[3], gid[3]; // real, effective, saved
    unsigned long long permitted, effective;
};

static bool read_credentials(int tid, struct credentials *c) {
    char path[64], line[256];
    int found = 0;
    snprintf(path, sizeof path, "/proc/%d/status", tid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f)) {
        found += sscanf(line, "Uid: %u %u %u", &c->uid[0], &c->uid[1], &c->uid[2]) == 3;
        found += sscanf(line, "Gid: %u %u %u", &c->gid[0], &c->gid[1], &c->gid[2]) == 3;
        found += sscanf(line, "CapPrm: %llx", &c->permitted) == 1;
        found += sscanf(line, "CapEff: %llx", &c->effective) == 1;
    }
    if (f) fclose(f);
    return found == 4;
}

// As the kernel decides within a user namespace (ptrace_may_access, cap_ptrace_access_check): a program that has become somebody
// else does not trace the one that it was.
static bool may_attach(const struct task *t, const struct task *o) {
    struct credentials own, other;
    if (!read_credentials(t->tid, &own) || !read_credentials(o->tid, &other)) return true; // gone
    if (own.effective >> CAP_SYS_PTRACE & 1) return true;
    for (int i = 0; i < 3; i++)
        if (other.uid[i] != own.uid[0] || other.gid[i] != own.gid[0]) return false;
    return !(other.permitted & ~own.permitted);
}

static int64_t attach(struct recorder *r, struct task *t, struct task *o, bool seize) {
    if (o->process == t->process || o->traced.by || !may_attach(t, o)) return -EPERM;
    if (seize && (t->call.args[2] || t->call.args[3] & ~(uint64_t)OPTIONS_KNOWN)) return -EIO;
    r->any_traced = true;
    o->traced.by = t->process->pid;
    o->traced.seized = seize;
    o->traced.options = seize ? t->call.args[3] : 0;
    o->traced.stopped = o->traced.at_entry = o->traced.entered = o->traced.exit_due = false;
    o->traced.due = 0;
    o->traced.mode = GOES_FREELY;
    if (seize && o->state == TASK_JOB_STOPPED)
        ptrace(PTRACE_INTERRUPT, o->tid, 0, 0); // a stop, of which it tells
    if (!seize) tracee_want_stop(r, o, STOPPED_BY_SIGNAL);
    return 0;
}

// Registers as at the landmark at which o stands: what a replay has there.
static void register_set(struct recorder *r, struct task *t, struct task *o, struct user_regs_struct *regs) {
    static char bytes[XSTATE_MAX];
    struct iovec wanted, got = {bytes, sizeof bytes};
    uint64_t at = t->call.args[3], kind = t->call.args[2];
    if (!task_read(t, at, &wanted, sizeof wanted) || !task_can_write(t, at, sizeof wanted)) {
        answer(r, t, regs, -EFAULT);
        return;
    }
    if (kind == NT_PRSTATUS) {
        const struct user_regs_struct now = tracee_standing(o);
        memcpy(bytes, &now, sizeof now);
        got.iov_len = sizeof o->landmark;
    } else if (ptrace(PTRACE_GETREGSET, o->tid, kind, &got) < 0) {
        answer(r, t, regs, -errno);
        return;
    }
    if (wanted.iov_len < got.iov_len) got.iov_len = wanted.iov_len;
    if (got.iov_len && !task_can_write(t, (uint64_t)wanted.iov_base, got.iov_len)) {
        answer(r, t, regs, -EFAULT);
        return;
    }
    struct batch b;
    batch_entry(r, &b, EV_SYSCALL, t);
    if (got.iov_len) batch_write(r, &b, t, (uint64_t)wanted.iov_base, bytes, got.iov_len);
    batch_write(r, &b, t, at + offsetof(struct iovec, iov_len), &got.iov_len, sizeof got.iov_len);
    regs->orig_rax = ~0ull;
    regs->rax = 0;
    if (!tracee_set_regs(t->tid, regs)) return;
    set_landmark(t, regs);
    t->state = TASK_READY;
    batch_log(r, t, &b);
}

static void peek_user(struct recorder *r, struct task *t, struct task *o, struct user_regs_struct *regs) {
    uint64_t at = t->call.args[2];
    long word = 0;
    errno = 0;
    const struct user_regs_struct now = tracee_standing(o);
    if (at < sizeof now && !(at & 7))
        memcpy(&word, (const char *)&now + at, sizeof word);
    else
        word = ptrace(PTRACE_PEEKUSER, o->tid, at, 0);
    if (errno)
        answer(r, t, regs, -errno);
    else
        reply(r, t, regs, &(struct reply){.address = t->call.args[3], .bytes = &word, .size = sizeof word});
}

// o goes on with that signal (0: with none). One that it stands at comes as it was.
static void go_on(struct recorder *r, struct task *t, struct task *o, int sig, bool for_good) {
    bool by_signal = o->traced.by_signal,
         here = by_signal && o->in_signal_stop && o->traced.at != SIGNAL_AT_ENTRY;
    siginfo_t info = {.si_signo = sig, .si_code = SI_USER, .si_pid = task_tid_for(o, t)};
    if (by_signal && o->traced.info.si_signo == sig) info = o->traced.info;
    tracee_release(r, o, for_good);
    // (The signal of a stop that is none of a signal's own is not delivered.)
    if (!sig || (!by_signal && WSTOPSIG(o->traced.status) != SIGSTOP)) return;
    if (!for_good) o->traced.passing = sig;
    if (here) {
        signal_now(r, o, &info);
        if (o->traced.mode == GOES_STEPWISE)
            tracee_step_made(o); // in front of the handler's first instruction
    } else if (by_signal) {
        signal_keep(o, &info);
        if (o->state == TASK_READY) landmark_soon(o);
    } else {
        signal_again(o, &info);
    }
}

// A debugger puts o back in front of its breakpoint, or elsewhere. Not where the kernel has a word in it: a call that is to be
// made again.
static bool set_registers(struct recorder *r, struct task *t, struct task *o, struct user_regs_struct *regs,
                          const struct user_regs_struct *wanted) {
    struct batch b;
    struct user_regs_struct new = *wanted;
    int64_t was = (int64_t)o->landmark.rax;
    if (o->traced.at_entry) {
        if (!tracee_set_at_entry(o, &new)) return false;
    } else if ((was <= -RESTARTS && was >= -RESTARTS_LAST) ||
               (o->traced.by_signal && o->traced.at == SIGNAL_AT_ENTRY))
        return false;
    canonical_regs(&new);
    if (!tracee_set_regs(o->tid, &new)) {
        answer(r, t, regs, -EIO); // a segment that there cannot be
        return true;
    }
    answer(r, t, regs, 0);
    bool in_code = o->in_code;
    set_landmark(o, &new);
    o->in_code = in_code;
    o->traced.regs = new;
    batch_init(r, &b, EV_PATCH, o);
    batch_regs(&b, &new);
    batch_log(r, o, &b);
    return true;
}

static bool poke_user(struct recorder *r, struct task *t, struct task *o, struct user_regs_struct *regs) {
    struct user_regs_struct new = tracee_standing(o);
    uint64_t at = t->call.args[2];
    if (at >= sizeof new || at & 7) return false; // debug registers
    memcpy((char *)&new + at, &t->call.args[3], sizeof(long));
    return set_registers(r, t, o, regs, &new);
}

// Extended registers, which the kernel checks. False: they cannot be set.
static bool set_fp_registers(struct recorder *r, struct task *t, struct task *o,
                             struct user_regs_struct *regs, const struct iovec *from, uint64_t kind) {
    static char bytes[XSTATE_MAX];
    struct iovec set = {bytes, sizeof bytes};
    struct batch b;
    // What the program knows of the area may be less than the kernel has, which sets all of it or nothing.
    if (from->iov_len > sizeof bytes || ptrace(PTRACE_GETREGSET, o->tid, kind, &set) < 0 ||
        from->iov_len > set.iov_len)
        return false;
    if (!task_read(t, (uint64_t)from->iov_base, bytes, from->iov_len)) {
        answer(r, t, regs, -EFAULT);
        return true;
    }
    if (ptrace(PTRACE_SETREGSET, o->tid, kind, &set) < 0) {
        answer(r, t, regs, -errno);
        return true;
    }
    answer(r, t, regs, 0);
    batch_init(r, &b, EV_PATCH, o);
    batch_xstate(r, &b, o);
    batch_log(r, o, &b);
    return true;
}

static bool set_register_set(struct recorder *r, struct task *t, struct task *o,
                             struct user_regs_struct *regs) {
    const uint64_t *a = t->call.args;
    struct iovec from;
    struct user_regs_struct wanted = tracee_standing(o);
    if (!task_read(t, a[3], &from, sizeof from)) {
        answer(r, t, regs, -EFAULT);
        return true;
    }
    if (a[2] == NT_PRFPREG || a[2] == NT_X86_XSTATE) return set_fp_registers(r, t, o, regs, &from, a[2]);
    if (a[2] != NT_PRSTATUS) return false;
    if (from.iov_len > sizeof wanted) from.iov_len = sizeof wanted;
    if (from.iov_len % 8)
        answer(r, t, regs, -EINVAL);
    else if (!task_read(t, (uint64_t)from.iov_base, &wanted, from.iov_len))
        answer(r, t, regs, -EFAULT);
    else
        return set_registers(r, t, o, regs, &wanted);
    return true;
}

// How a task goes on by a request of its tracer; GOES_FREELY: by PTRACE_CONT and PTRACE_DETACH as well.
static enum tracee_mode mode_of(uint64_t request) {
    switch (request) {
    case PTRACE_SYSCALL:
        return GOES_TO_CALL;
    case PTRACE_SYSEMU:
        return GOES_TO_EMULATED_CALL;
    case PTRACE_SINGLESTEP:
        return GOES_STEPWISE;
    case PTRACE_SYSEMU_SINGLESTEP:
        return GOES_STEPWISE_EMULATED;
    default:
        return GOES_FREELY;
    }
}

// PTRACE_CONT, PTRACE_SYSCALL and the like, PTRACE_DETACH
static void let_go_on(struct recorder *r, struct task *t, struct task *o, struct user_regs_struct *regs) {
    const uint64_t *a = t->call.args;
    if (a[3] > 64) {
        answer(r, t, regs, -EIO);
        return;
    }
    answer(r, t, regs, 0);
    o->traced.mode = mode_of(a[0]);
    go_on(r, t, o, (int)a[3], a[0] == PTRACE_DETACH);
}

// PTRACE_LISTEN: o stays stopped by job control, which tells when it ends. False: it is not stopped so.
static bool listen_to(struct recorder *r, struct task *t, struct task *o, struct user_regs_struct *regs) {
    const bool group = o->traced.seized && o->traced.status >> 16 == PTRACE_EVENT_STOP;
    if (group && WSTOPSIG(o->traced.status) == SIGTRAP) return false;
    answer(r, t, regs, group ? 0 : -EIO);
    if (group) tracee_listens(r, o);
    return true;
}

// PTRACE_SETSIGMASK
static int64_t set_mask(struct task *t, struct task *o) {
    const uint64_t *a = t->call.args, never = 1ull << (SIGKILL - 1) | 1ull << (SIGSTOP - 1);
    uint64_t mask;
    if (a[2] != sizeof mask) return -EINVAL;
    if (!task_read(t, a[3], &mask, sizeof mask)) return -EFAULT;
    o->mask = mask & ~never;
    mask_restore(o);
    return 0;
}

// Changes a task that is stopped, or lets it go on. False: not one of those.
static bool changed(struct recorder *r, struct task *t, struct task *o, struct user_regs_struct *regs) {
    const uint64_t *a = t->call.args;
    long word;
    struct user_regs_struct wanted;
    switch (a[0]) {
    case PTRACE_POKETEXT:
    case PTRACE_POKEDATA:
        word = (long)a[3];
        trapped_keep(o, a[2], (uint8_t *)&word, sizeof word);
        reply(r, t, regs, &(struct reply){.address = a[2], .bytes = &word, .size = sizeof word, .other = o});
        return true;
    case PTRACE_SETREGS:
        if (task_read(t, a[3], &wanted, sizeof wanted)) return set_registers(r, t, o, regs, &wanted);
        answer(r, t, regs, -EFAULT);
        return true;
    case PTRACE_SETREGSET:
        return set_register_set(r, t, o, regs);
    case PTRACE_SETFPREGS:
        return set_fp_registers(r, t, o, regs,
                                &(struct iovec){(void *)a[3], sizeof(struct user_fpregs_struct)}, NT_PRFPREG);
    case PTRACE_POKEUSER:
        return poke_user(r, t, o, regs);
    case PTRACE_SETSIGMASK:
        answer(r, t, regs, set_mask(t, o));
        return true;
    case PTRACE_SETOPTIONS:
        if (a[3] & ~(uint64_t)OPTIONS_OF_KERNEL) {
            answer(r, t, regs, -EINVAL);
            return true;
        }
        if (a[3] & ~(uint64_t)OPTIONS_KNOWN) return false;
        o->traced.options = a[3];
        answer(r, t, regs, 0);
        return true;
    case PTRACE_CONT:
    case PTRACE_SYSCALL:
    case PTRACE_SYSEMU:
    case PTRACE_SINGLESTEP:
    case PTRACE_SYSEMU_SINGLESTEP:
    case PTRACE_DETACH:
        let_go_on(r, t, o, regs);
        return true;
    case PTRACE_LISTEN:
        return listen_to(r, t, o, regs);
    default:
        return false;
    }
}

// PTRACE_GET_SYSCALL_INFO: its result is the size that there is, whatever room was given.
static void call_info(struct recorder *r, struct task *t, struct task *o, struct user_regs_struct *regs) {
    struct __ptrace_syscall_info info;
    size_t size = tracee_call_info(o, &info), room = t->call.args[2];
    reply(r, t, regs,
          &(struct reply){.result = (int64_t)size,
                          .address = t->call.args[3],
                          .bytes = &info,
                          .size = room < size ? room : size});
}

// PTRACE_PEEKSIGINFO: what is pending for o. (Of signals that it does not block, the recorder may hold some.)
static void pending(struct recorder *r, struct task *t, struct task *o, struct user_regs_struct *regs) {
    enum { MOST = 32 };
    siginfo_t found[MOST];
    struct __ptrace_peeksiginfo_args which;
    struct reply reply_to = {.result = -EFAULT, .address = t->call.args[3], .bytes = found};
    if (task_read(t, t->call.args[2], &which, sizeof which)) {
        if (which.nr > MOST) which.nr = MOST;
        long count = ptrace(PTRACE_PEEKSIGINFO, o->tid, &which, found);
        reply_to.result = count < 0 ? -errno : count;
        reply_to.size = count < 0 ? 0 : (size_t)count * sizeof *found;
    }
    reply(r, t, regs, &reply_to);
}

// The signal that a stopped task stands at, and its mask. False: not one of those.
static bool its_signals(struct recorder *r, struct task *t, struct task *o, struct user_regs_struct *regs) {
    const uint64_t *a = t->call.args;
    struct reply to_data = {.address = a[3]};
    uint64_t mask;
    siginfo_t info;
    switch (a[0]) {
    case PTRACE_GETSIGINFO:
        info = tracee_siginfo(o);
        to_data.bytes = &info;
        to_data.size = sizeof info;
        break;
    case PTRACE_SETSIGINFO: // at a signal: it comes so, if it is that one with which it is let go on
        if (!o->traced.by_signal) return false;
        if (task_read(t, a[3], &info, sizeof info))
            o->traced.info = info;
        else
            to_data.result = -EFAULT;
        break;
    case PTRACE_PEEKSIGINFO:
        pending(r, t, o, regs);
        return true;
    case PTRACE_GETSIGMASK:
        if (a[2] != sizeof mask)
            to_data.result = -EINVAL;
        else if (ptrace(PTRACE_GETSIGMASK, o->tid, sizeof mask, &mask) < 0)
            return false;
        to_data.bytes = &mask;
        to_data.size = to_data.result ? 0 : sizeof mask;
        break;
    default:
        return false;
    }
    reply(r, t, regs, &to_data);
    return true;
}

// Looks at a task that is stopped. False: not one of those.
static bool looked_at(struct recorder *r, struct task *t, struct task *o, struct user_regs_struct *regs) {
    const uint64_t *a = t->call.args;
    struct reply to_data = {.address = a[3]};
    uint64_t word = 0;
    struct user_fpregs_struct fp;
    struct user_regs_struct now;
    switch (a[0]) {
    case PTRACE_PEEKTEXT:
    case PTRACE_PEEKDATA:
        to_data.result = task_read(o, a[2], &word, sizeof word) ? 0 : -EIO;
        if (!to_data.result) trapped_hide(o, a[2], (uint8_t *)&word, sizeof word);
        to_data.bytes = &word;
        to_data.size = to_data.result ? 0 : sizeof word;
        break;
    case PTRACE_PEEKUSER:
        peek_user(r, t, o, regs);
        return true;
    case PTRACE_GETREGS:
        now = tracee_standing(o);
        to_data.bytes = &now;
        to_data.size = sizeof o->landmark;
        break;
    case PTRACE_GETFPREGS:
        if (ptrace(PTRACE_GETFPREGS, o->tid, 0, &fp) < 0) return false;
        to_data.bytes = &fp;
        to_data.size = sizeof fp;
        break;
    case PTRACE_GETREGSET:
        register_set(r, t, o, regs);
        return true;
    case PTRACE_GET_SYSCALL_INFO:
        call_info(r, t, o, regs);
        return true;
    case PTRACE_GETEVENTMSG:
        word = o->traced.message;
        to_data.bytes = &word;
        to_data.size = sizeof word;
        break;
    default:
        return its_signals(r, t, o, regs);
    }
    reply(r, t, regs, &to_data);
    return true;
}

// By its parent; where that is outside of the recording nobody comes.
static int64_t trace_me(struct recorder *r, struct task *t) {
    if (t->traced.by) return -EPERM;
    t->traced.by = -1;
    for (const struct process *p = r->processes; p; p = p->next)
        if (p->pid == t->process->parent_pid) t->traced.by = p->pid;
    r->any_traced = true;
    t->traced.seized = false;
    t->traced.options = 0;
    return 0;
}

static bool requested(struct recorder *r, struct task *t, struct user_regs_struct *regs) {
    const uint64_t *a = t->call.args;
    if (a[0] == PTRACE_TRACEME) {
        answer(r, t, regs, trace_me(r, t));
        return true;
    }
    struct task *o = task_called(r, t, (int)a[1]);
    if (a[0] == PTRACE_ATTACH || a[0] == PTRACE_SEIZE) {
        if (!o && kill((pid_t)a[1], 0) == 0 && !t->names.depth) return false; // a stranger
        const bool wrong = a[0] == PTRACE_SEIZE && (a[2] || a[3] & ~(uint64_t)OPTIONS_OF_KERNEL);
        int64_t result = o && !wrong ? attach(r, t, o, a[0] == PTRACE_SEIZE) : -ESRCH;
        if (result == -EIO) return false;
        if (o && wrong) result = -EIO;
        answer(r, t, regs, result);
        return true;
    }
    if (!o || !tracee_traced(t, o)) {
        answer(r, t, regs, -ESRCH);
        return true;
    }
    if (a[0] == PTRACE_KILL || a[0] == PTRACE_INTERRUPT) {
        bool wrong = a[0] == PTRACE_INTERRUPT && !o->traced.seized;
        answer(r, t, regs, wrong ? -EIO : 0);
        if (a[0] == PTRACE_KILL)
            kill(o->process->pid, SIGKILL);
        else if (!wrong && !o->traced.stopped)
            tracee_want_stop(r, o, tracee_interrupted(o));
        return true;
    }
    if (!o->traced.stopped) {
        answer(r, t, regs, -ESRCH);
        return true;
    }
    if (changed(r, t, o, regs) || looked_at(r, t, o, regs)) return true;
    // What no kernel knows (up to PTRACE_SET_SYSCALL_INFO of Linux 6.16, and some more) is no request.
    enum { OLD_LAST = 33, NEW_FIRST = 0x4200, NEW_LAST = 0x421f };
    if (a[0] <= OLD_LAST || (a[0] >= NEW_FIRST && a[0] <= NEW_LAST)) return false;
    answer(r, t, regs, -EIO);
    return true;
}

// ---- waiting

// What the call of t waits for: 0 any, a TID, or -1 something that no tracee is.
static int awaited(const struct task *t) {
    const uint64_t *a = t->call.args;
    if (t->call.nr == SYS_wait4) return (int)a[0] == -1 ? 0 : (int)a[0] > 0 ? (int)a[0] : -1;
    return a[0] == P_ALL ? 0 : a[0] == P_PID ? (int)a[1] : -1;
}

// `status` of `tid`, as this call tells it.
static void tell(struct recorder *r, struct task *t, struct user_regs_struct *regs, int tid, int status) {
    if (t->call.nr == SYS_wait4) {
        bool wanted = t->call.args[1] != 0;
        reply(r, t, regs,
              &(struct reply){.result = tid,
                              .address = t->call.args[1],
                              .bytes = &status,
                              .size = wanted ? sizeof status : 0});
        return;
    }
    siginfo_t info = {.si_signo = SIGCHLD, .si_pid = tid};
    bool ended = WIFEXITED(status) || WIFSIGNALED(status);
    info.si_code = WIFEXITED(status) ? CLD_EXITED : ended ? CLD_KILLED : CLD_TRAPPED;
    info.si_status = WIFEXITED(status) ? WEXITSTATUS(status) : ended ? WTERMSIG(status) : status >> 8;
    bool wanted = t->call.args[2] != 0;
    reply(r, t, regs,
          &(struct reply){.address = t->call.args[2], .bytes = &info, .size = wanted ? sizeof info : 0});
}

static bool has_child(const struct recorder *r, const struct task *t) {
    for (const struct process *p = r->processes; p; p = p->next)
        if (p->parent_pid == t->process->pid && p != t->process) return true;
    return false;
}

// A wait of somebody who traces. False: the kernel shall do it.
static bool waited(struct recorder *r, struct task *t, struct user_regs_struct *regs) {
    int want = awaited(t);
    bool any = false, child = false;
    bool now = t->call.args[t->call.nr == SYS_wait4 ? 2 : 3] & WNOHANG;
    for (size_t i = 0; i < r->ended_tracee_count; i++) {
        struct ended_tracee e = r->ended_tracees[i];
        if (e.tracer != t->process->pid || (want && want != e.tid)) continue;
        r->ended_tracees[i] = r->ended_tracees[--r->ended_tracee_count];
        tell(r, t, regs, e.tid, e.status);
        return true;
    }
    for (struct task *o = r->tasks; o; o = o->next) {
        int tid = task_tid_for(t, o);
        if (!tracee_traced(t, o) || (want && want != tid)) continue;
        any = true;
        // (A thread of a child is no child of the kernel's.)
        child |= o->process->parent_pid == t->process->pid && o->tid == o->process->pid;
        if (!o->traced.stopped || o->traced.reported) continue;
        o->traced.reported = true;
        tell(r, t, regs, tid, o->traced.status);
        return true;
    }
    if (!any || child || (!want && has_child(r, t))) return false; // its stop interrupts the kernel's wait
    if (now) {
        answer(r, t, regs, 0);
        return true;
    }
    // It sleeps until it is interrupted, and then makes its wait again.
    t->traced.pauses = true;
    regs->orig_rax = SYS_pause;
    tracee_set_regs(t->tid, regs);
    return false;
}

static bool answered(struct recorder *r, struct task *t, struct user_regs_struct *regs) {
    if (tracee_at_call(r, t)) return true;
    if (t->call.nr == SYS_ptrace && !t->call.legacy) return requested(r, t, regs);
    return tracee_is_wait(t->call.nr) && r->any_traced && waited(r, t, regs);
}

// The pause that stood for a wait: the kernel shall make the wait again.
static int64_t tells(struct recorder *r, struct task *t, int64_t ret) {
    (void)r;
    if (!t->traced.pauses) return ret;
    t->traced.pauses = false;
    ptrace(PTRACE_POKEUSER, t->tid, offsetof(struct user, regs.orig_rax), t->call.nr);
    return ret == -RESTARTS_WITHOUT_HANDLER ? -RESTARTS : ret;
}

static const struct recorder_hooks ptrace_hooks = {.lasting = true, .answer = answered, .tells = tells};

void ptrace_begin(struct recorder *r) {
    tracees_begin(r);
    hooks_add(r, &ptrace_hooks);
}
