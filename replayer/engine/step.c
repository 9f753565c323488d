#include "replayer/engine/step.h"

#include "core/abi.h"

#include "core/annex.h"
#include "core/calls/syscalls.h"
#include "core/cpu/debug_registers.h"
#include "core/tracee.h"
#include "replayer/engine/break_sites.h"
#include "replayer/engine/call_feed.h"
#include "replayer/engine/check.h"
#include "replayer/engine/engine.h"
#include "replayer/engine/memory.h"
#include "replayer/engine/run.h"
#include "replayer/engine/state_search.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

// The kernel's restart codes (include/linux/errno.h): a call that ended with one is made again unless a
// handler runs.
enum { ERESTARTSYS = 512, ERESTARTNOINTR = 513, ERESTARTNOHAND = 514, ERESTART_RESTARTBLOCK = 516 };

// ---- effects

static int write_mem(struct replay *r, const struct event *e, struct vtask *v, struct space *s,
                     const struct piece *p, struct rf_error *err) {
    uint64_t address = p->kind == PIECE_MEM ? p->mem.address : p->childmem.address;
    if (address + p->len > REPLAY_PAGE && address < REPLAY_PAGE + 4096)
        return rf_fail(err, RF_BAD_TRACE, "event %llu writes to refork's own page",
                       (unsigned long long)e->number);
    if (r->watch.on) watch_before_kernel_write(r);
    if (space_poke(s, address, p->data, p->len)) {
        if (r->watch.on) watch_kernel_write(r, v, s, address, p->len);
        return 0;
    }
    return diverged(err, e, v, "%zu bytes at 0x%llx were written in the recording and cannot be in replay",
                    p->len, (unsigned long long)address);
}

static int check_hash(struct replay *r, const struct event *e, struct vtask *v, const struct piece *p,
                      struct rf_error *err) {
    uint64_t address = p->hash.address, len = p->hash.length;
    if (len > 1ull << 31)
        return rf_fail(err, RF_BAD_TRACE, "event %llu: impossible length of written data",
                       (unsigned long long)e->number);
    char small[8192], *bytes = len <= sizeof small ? small : malloc(len);
    int result = 0;
    if (!bytes || !space_read(v->space, address, bytes, len))
        result = diverged(err, e, v, "the %llu bytes at 0x%llx that the program wrote cannot be read",
                          (unsigned long long)len, (unsigned long long)address);
    else
        result = check_written(r, e, v, &p->hash, bytes, err);
    if (bytes != small) free(bytes);
    return result;
}

static int set_registers(struct replay *r, const struct event *e, struct vtask *v, const struct piece *p,
                         struct rf_error *err) {
    uint64_t lost = vtask_unpack_xstate(v, p->data, p->len);
    if (!lost) return 0;
    char names[100];
    struct cpu_features lacking = {{[CPU_XCR0] = (uint32_t)lost}};
    cpu_features_text(&lacking, names, sizeof names);
    const enum cpu_level level = trace_get_header(r->trace)->cpu.level;
    return rf_fail(
        err, RF_CANNOT,
        "this CPU lacks the %s, which the program uses at event %llu: replay it on a CPU that has them, or "
        "record with --cpu %s",
        *names ? names : "extended registers", (unsigned long long)e->number,
        cpu_level_name(level == CPU_NATIVE ? CPU_V3 : CPU_V2));
}

static int apply_pieces(struct replay *r, const struct event *e, struct vtask *v, struct rf_error *err) {
    for (size_t i = 0; i < e->piece_count; i++) {
        const struct piece *p = &e->pieces[i];
        switch (p->kind) {
        case PIECE_MEM:
            if (write_mem(r, e, v, v->space, p, err) < 0) return -1;
            break;
        case PIECE_HASH:
            if (check_hash(r, e, v, p, err) < 0) return -1;
            break;
        case PIECE_TASKMEM: {
            struct vtask *o = vtask_find(r, (int)p->taskmem.tid);
            if (!o || !o->space) break;
            if (p->taskmem.file ? space_file_pages(r, o->space, p, err) < 0
                                : write_mem(r, e, o, o->space, p, err) < 0)
                return -1;
            break;
        }
        case PIECE_EXTENT: {
            struct vtask *o = vtask_find(r, (int)p->extent.tid);
            if (o && o->space && space_extent(r, o->space, p, err) < 0) return -1;
            break;
        }
        case PIECE_REGS:
            if (e->kind == EV_BIRTH) break;
            memcpy(&v->pub.regs, p->data, sizeof v->pub.regs);
            break;
        case PIECE_FILE:
            if (space_write_file(r, p, err) < 0) return -1;
            break;
        case PIECE_XSTATE:
            if (set_registers(r, e, v, p, err) < 0) return -1;
            break;
        default:
            break;
        }
    }
    return 0;
}

static bool read_vtask(void *context, uint64_t address, void *buffer, size_t len) {
    struct vtask *v = context;
    return space_read(v->space, address, buffer, len);
}

static void set_name(struct vtask *v, const void *text, size_t len) {
    memset(v->pub.name, 0, sizeof v->pub.name);
    memcpy(v->pub.name, text, strnlen(text, len < sizeof v->pub.name - 1 ? len : sizeof v->pub.name - 1));
}

// pthread_setname_np of another thread: glibc opens that task's comm and writes into it.
static void follow_comm(struct replay *r, const struct event *e, struct vtask *v) {
    const uint64_t *a = v->pub.args;
    char text[64] = "";
    if (e->nr == SYS_openat || e->nr == SYS_open) {
        int pid, tid, length = 0;
        uint64_t path = a[e->nr == SYS_openat];
        for (size_t i = 0; i < sizeof text - 1 && read_vtask(v, path + i, &text[i], 1) && text[i]; i++)
            continue;
        bool other = sscanf(text, "/proc/self/task/%d/comm%n", &tid, &length) == 1 && length > 0;
        if (!other) other = sscanf(text, "/proc/%d/task/%d/comm%n", &pid, &tid, &length) == 2 && length > 0;
        if (!other || text[length]) return;
        v->comm_fd = (int)e->ret;
        v->comm_tid = tid;
    } else if (v->comm_tid && (int)a[0] == v->comm_fd) {
        if (e->nr == SYS_close) v->comm_tid = 0;
        if (e->nr != SYS_write) return;
        struct vtask *named = vtask_find(r, v->comm_tid);
        size_t len = a[2] < 15 ? (size_t)a[2] : 15;
        if (!named || !read_vtask(v, a[1], text, len)) return;
        text[strcspn(text, "\n")] = 0;
        set_name(named, text, len);
    }
}

static int memory_call(struct replay *r, const struct event *e, struct vtask *v, struct rf_error *err) {
    uint64_t args[6];
    memcpy(args, v->pub.args, sizeof args);
    bool protection = e->nr == SYS_mmap || syscall_effect(e->nr) == EFFECT_PROTECT;
    if (v->reads_run && protection && args[2] & PROT_READ) args[2] |= PROT_EXEC;
    v->space->heap_runs = v->reads_run;
    return space_syscall(r, v->space, e, args, err);
}

// What a call that has returned did to the task itself.
static int syscall_effects(struct replay *r, const struct event *e, struct vtask *v, struct rf_error *err) {
    int64_t ret = e->ret;
    const uint64_t *a = v->pub.args;
    v->pub.regs.rax = (uint64_t)ret;
    v->at_entry = false;
    v->restart = ret <= -ERESTARTSYS && ret >= -ERESTART_RESTARTBLOCK ? ret : 0;
    if (syscall_row(e->nr)->policy == POLICY_MEMORY && memory_call(r, e, v, err) < 0) return -1;
    if (e->nr == SYS_personality && (uint32_t)a[0] != UINT32_MAX) v->reads_run = a[0] & READ_IMPLIES_EXEC;
    const struct piece *reach = event_piece(e, PIECE_REACH, NULL);
    if (reach && syscall_row(e->nr)->policy != POLICY_MEMORY &&
        space_stack_floor(r, v->space, reach->reach.address, err) < 0)
        return -1;
    if (apply_pieces(r, e, v, err) < 0) return -1;
    v->fds = fdtable_syscall(v->fds, e->nr, a, ret, read_vtask, v);
    for (size_t i = 0; i < e->piece_count; i++)
        if (e->pieces[i].kind == PIECE_STREAM)
            fdtable_received(v->fds, (int)e->pieces[i].stream.fd, (int)e->pieces[i].stream.stream);
    if (ret < 0 && ret > -4096) return 0;
    if (e->nr == SYS_arch_prctl && a[0] == 0x1002) v->pub.regs.fs_base = a[1];
    if (e->nr == SYS_arch_prctl && a[0] == 0x1001) v->pub.regs.gs_base = a[1];
    if (e->nr == SYS_prctl && a[0] == PR_SET_NAME) {
        char name[16] = "";
        if (read_vtask(v, a[1], name, 15)) set_name(v, name, 15);
    }
    follow_comm(r, e, v);
    return 0;
}

// ---- running to a landmark

// A call that was interrupted and is made again: the kernel puts the pc back onto the syscall instruction.
static void restart(struct vtask *v) {
    if (!v->restart) return;
    v->pub.regs.rip -= 2;
    v->pub.regs.rax = v->restart == -ERESTART_RESTARTBLOCK ? SYS_restart_syscall : (uint64_t)v->pub.nr;
    v->restart = 0;
}

static int run_to_syscall(struct replay *r, const struct event *e, struct vtask *v, struct rf_error *err) {
    int status = 0;
    restart(v);
    if (v->at_entry) return diverged(err, e, v, "the task is in a syscall already");
    if (vtask_run(r, v, &status, err) < 0) return -1;
    if (WSTOPSIG(status) != (SIGTRAP | 0x80)) {
        char how[64], regs[600];
        describe_status(how, sizeof how, status);
        divergence_regs(regs, sizeof regs, &e->regs, &v->pub.regs);
        return diverged(err, e, v, "instead the program %s at pc 0x%llx%s", how, v->pub.regs.rip, regs);
    }
    return check_regs(r, e, v, err);
}

static int enter(struct replay *r, const struct event *e, struct vtask *v, struct rf_error *err) {
    if (run_to_syscall(r, e, v, err) < 0) return -1;
    // (A call by the 32-bit gate has no number.)
    if (e->nr >= 0 && (int32_t)e->regs.rax != e->nr)
        return rf_fail(err, RF_BAD_TRACE, "event %llu: its registers say another call than %s",
                       (unsigned long long)e->number, syscall_name(e->nr));
    v->at_entry = v->pub.in_syscall = true;
    v->pub.nr = e->nr;
    uint64_t a[6];
    abi_arguments(&e->regs, a);
    memcpy(v->pub.args, a, sizeof a);
    if (r->at_entry) r->at_entry(r->at_entry_context, e);
    return e->kind == EV_ENTER ? apply_pieces(r, e, v, err) : 0;
}

static int on_syscall(struct replay *r, const struct event *e, struct vtask *v, struct rf_error *err) {
    if (enter(r, e, v, err) < 0) return -1;
    v->pub.in_syscall = false;
    return syscall_effects(r, e, v, err);
}

static int on_exit_event(struct replay *r, const struct event *e, struct vtask *v, struct rf_error *err) {
    if (!v->at_entry || v->pub.nr != e->nr) return diverged(err, e, v, "the task is not in that call");
    v->pub.in_syscall = false;
    return syscall_effects(r, e, v, err);
}

static int on_birth(struct replay *r, const struct event *e, struct vtask *v, struct rf_error *err) {
    const struct piece *regs = event_piece(e, PIECE_REGS, NULL);
    if (!regs || regs->len != sizeof(struct user_regs_struct))
        return rf_fail(err, RF_BAD_TRACE, "event %llu: a birth without registers",
                       (unsigned long long)e->number);
    const struct vtask *same = vtask_find(r, (int)e->ret);
    if (same && same->space)
        return rf_fail(err, RF_BAD_TRACE, "event %llu: task %lld is born, which lives already",
                       (unsigned long long)e->number, (long long)e->ret);
    struct space *s = v->space;
    vtask_load(v);
    vtask_unload(s); // the child begins with its parent's extended registers
    if (!(e->flags & EVF_VM)) {
        if (!(s = space_fork(r, s, err))) return -1;
        watch_forked(r, v->space, s);
    }
    struct vtask *c = vtask_new(r, (int)e->ret, (int)e->aux, e->number);
    c->space = s;
    s->refs++;
    c->pub.parent_tid = v->pub.tid;
    memcpy(c->pub.name, v->pub.name, sizeof c->pub.name);
    c->reads_run = v->reads_run;
    memcpy(&c->pub.regs, regs->data, sizeof c->pub.regs);
    if (v->xstate_size) vtask_set_xstate(c, v->xstate, v->xstate_size);
    uint64_t flags = v->pub.nr == SYS_clone ? v->pub.args[0] : 0;
    if (v->pub.nr == SYS_clone3) read_vtask(v, v->pub.args[0], &flags, 8);
    c->fds = flags & 0x400 /* CLONE_FILES */ ? fdtable_ref(v->fds) : fdtable_clone(v->fds);
    for (size_t i = 0; i < e->piece_count; i++)
        if (e->pieces[i].kind == PIECE_CHILDMEM && write_mem(r, e, c, s, &e->pieces[i], err) < 0) return -1;
    return apply_pieces(r, e, v, err);
}

static int on_death(struct replay *r, const struct event *e, struct vtask *v, struct rf_error *err) {
    if (apply_pieces(r, e, v, err) < 0) return -1;
    v->pub.death = e->number;
    v->pub.in_syscall = false;
    vtask_leave_space(r, v);
    return 0;
}

static int on_exec(struct replay *r, const struct event *e, struct vtask *v, struct rf_error *err) {
    if (e->aux && (int)e->aux != e->tid) {
        struct vtask *former = vtask_find(r, (int)e->aux);
        if (former && former->space) v = former;
    }
    if (!v) {
        v = vtask_new(r, e->tid, e->tid, e->number);
        v->fds = fdtable_new();
    } else {
        for (size_t i = 0; i < r->task_count; i++) {
            struct vtask *o = r->tasks[i];
            if (o == v || !o->space || o->pub.pid != v->pub.pid) continue;
            o->pub.death = e->number;
            vtask_leave_space(r, o);
        }
        vtask_leave_space(r, v);
        v->pub.tid = e->tid;
        v->fds = fdtable_exec(v->fds);
    }
    struct space *s = space_new(r, err);
    if (!s) return -1;
    v->space = s;
    s->refs = 1;
    v->at_entry = v->pub.in_syscall = v->reads_run = false;
    v->restart = 0;
    const struct piece *limit = event_piece(e, PIECE_LIMIT, NULL);
    if (limit) s->stack_limit = limit->limit.stack;
    for (size_t i = 0; i < e->piece_count; i++) {
        const struct piece *p = &e->pieces[i];
        if (p->kind == PIECE_MAP && space_map(r, s, p, NULL, true, err) < 0) return -1;
        if (p->kind == PIECE_TEXT && p->text.kind == TEXT_NAME) set_name(v, p->data ? p->data : "", p->len);
    }
    call_feed_install(s);
    return apply_pieces(r, e, v, err);
}

static int on_tick(struct replay *r, const struct event *e, struct vtask *v, struct rf_error *err) {
    uint64_t limit = (uint64_t)e->ret, none = ~0ull, count = 0;
    int status = 0;
    restart(v);
    struct space *s = v->space;
    if (!tracee_poke(s->pid, s->mem_fd, ANNEX_LIMIT, &limit, 8))
        return diverged(err, e, v, "there is no PLT clock");
    if (vtask_run(r, v, &status, err) < 0) return -1;
    tracee_read(s->pid, s->mem_fd, ANNEX_COUNT, &count, 8);
    tracee_poke(s->pid, s->mem_fd, ANNEX_LIMIT, &none, 8);
    if (WSTOPSIG(status) != SIGTRAP || count != limit) {
        char how[64], regs[500];
        describe_status(how, sizeof how, status);
        divergence_regs(regs, sizeof regs, &e->regs, &v->pub.regs);
        return diverged(err, e, v,
                        "at count %llu of the PLT clock instead of %llu the program %s at pc 0x%llx%s",
                        (unsigned long long)count, (unsigned long long)limit, how, v->pub.regs.rip, regs);
    }
    if (annex_contains(v->pub.regs.rip)) {
        v->pub.regs.r11 = 0;
        v->pub.regs.eflags = ANNEX_TRAP_FLAGS(v->pub.regs.eflags);
    }
    return check_regs(r, e, v, err);
}

static int run_to_signal(struct replay *r, const struct event *e, struct vtask *v, int sig,
                         struct rf_error *err) {
    int status = 0;
    restart(v);
    if (vtask_run(r, v, &status, err) < 0) return -1;
    int got = WSTOPSIG(status);
    // An instruction that refork carries out shows as SIGSEGV (trapped) or SIGTRAP (patched): the event says
    // which by its pc.
    if (sig ? got != sig : got != SIGSEGV && got != SIGTRAP) {
        char how[64];
        describe_status(how, sizeof how, status);
        return diverged(err, e, v, "instead the program %s at pc 0x%llx", how, v->pub.regs.rip);
    }
    return check_regs(r, e, v, err);
}

static int on_signal(struct replay *r, const struct event *e, struct vtask *v, struct rf_error *err) {
    if (e->aux == SIGNAL_AT_ENTRY && run_to_syscall(r, e, v, err) < 0) return -1;
    if (e->aux == SIGNAL_BY_INSTRUCTION && run_to_signal(r, e, v, e->nr, err) < 0) return -1;
    v->restart = 0; // the frame says how the interrupted call goes on
    v->at_entry = false;
    return apply_pieces(r, e, v, err);
}

static int on_state(struct replay *r, const struct event *e, struct vtask *v, struct rf_error *err) {
    restart(v);
    if (state_search(r, v, e, err) < 0) return -1;
    struct loop_site site;
    const struct piece *p = event_piece(e, PIECE_SITE, NULL);
    if (p) {
        memcpy(&site, p->data, sizeof site);
        break_sites_add(v->space, &site);
    }
    return check_regs(r, e, v, err);
}

// The int3 is there only while the task runs towards it: whatever looks at memory afterwards sees the program's own
// byte. A task that starts at the address has not come to it.
static int come_to(struct replay *r, const struct event *e, struct vtask *v, uint64_t at,
                   struct rf_error *err) {
    struct space *s = v->space;
    for (uint64_t arrivals = 0; arrivals < e->aux;) {
        // The instruction under the int3 by itself. It may lead back to where it stands.
        if (v->pub.regs.rip == at) {
            if (vtask_single_step(r, v, err) < 0) return -1;
            if (v->pub.regs.rip == at) {
                arrivals++;
                continue;
            }
        }
        int status = 0;
        uint8_t own;
        if (!tracee_read(s->pid, s->mem_fd, at, &own, 1) || !tracee_write(s->mem_fd, at, "\xcc", 1))
            return diverged(err, e, v, "there is no code at 0x%llx", (unsigned long long)at);
        int result = vtask_run(r, v, &status, err);
        tracee_write(s->mem_fd, at, &own, 1);
        if (result < 0) return -1;
        if (WSTOPSIG(status) != SIGTRAP || v->pub.regs.rip != at + 1) {
            char how[64], regs[500];
            describe_status(how, sizeof how, status);
            divergence_regs(regs, sizeof regs, &e->regs, &v->pub.regs);
            return diverged(err, e, v, "before arrival %llu of %llu at 0x%llx the program %s at pc 0x%llx%s",
                            (unsigned long long)arrivals + 1, (unsigned long long)e->aux,
                            (unsigned long long)at, how, v->pub.regs.rip, regs);
        }
        v->pub.regs.rip = at;
        arrivals++;
    }
    return e->nr == BREAK_BEHIND ? vtask_single_step(r, v, err) : 0;
}

static int on_break(struct replay *r, const struct event *e, struct vtask *v, struct rf_error *err) {
    uint64_t at = (uint64_t)e->ret;
    if (!e->aux || (at >= REPLAY_PAGE && at < REPLAY_PAGE + 4096))
        return rf_fail(err, RF_BAD_TRACE, "event %llu: impossible arrival %llu at 0x%llx",
                       (unsigned long long)e->number, (unsigned long long)e->aux, (unsigned long long)at);
    restart(v);
    // A breakpoint of the analysis at the same place makes room; it is told of each arrival by the single steps.
    break_sites_search(v->space, NULL, at, 1, 0);
    int result = come_to(r, e, v, at, err);
    break_sites_searched(v->space, NULL, at, 1);
    return result < 0 ? -1 : check_regs(r, e, v, err);
}

// Is the instruction at `at` in memory already? (The task may only now write the code.)
static bool trapped_code_at(const struct space *s, uint64_t at, uint64_t kind) {
    static const struct {
        uint8_t kind, length, code[3];
    } forms[] = {
        {TRAP_CPUID, 2, {0x0f, 0xa2}}, {TRAP_RDTSC, 2, {0x0f, 0x31}}, {TRAP_RDTSCP, 3, {0x0f, 0x01, 0xf9}}};
    uint8_t code[3];
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (forms[i].kind == kind)
            return space_read(s, at, code, forms[i].length) && !memcmp(code, forms[i].code, forms[i].length);
    return false;
}

// The recording's CPU trapped this instruction, which no int3 hides, and this one does not. Each of them is an event, so the one at
// the event's pc is the next one that the task comes to.
static int come_to_trapped(struct replay *r, const struct event *e, struct vtask *v, struct rf_error *err) {
    struct space *s = v->space;
    const uint64_t at = e->regs.rip;
    int status = 0;
    restart(v);
    // Without debug registers no stop can be set where the code is not there yet.
    while (v->pub.regs.rip != at && !debug_registers_work() && !trapped_code_at(s, at, (uint64_t)e->nr))
        if (vtask_single_step(r, v, err) < 0) return -1;
    if (v->pub.regs.rip != at) {
        s->stop_at = at;
        int result = vtask_run(r, v, &status, err);
        s->stop_at = 0;
        if (result < 0) return -1;
        if (WSTOPSIG(status) != SIGTRAP || v->pub.regs.rip != at) {
            char how[64];
            describe_status(how, sizeof how, status);
            return diverged(err, e, v, "before the instruction at 0x%llx the program %s at pc 0x%llx",
                            (unsigned long long)at, how, v->pub.regs.rip);
        }
    }
    return check_regs(r, e, v, err);
}

static int on_trap(struct replay *r, const struct event *e, struct vtask *v, struct rf_error *err) {
    bool tsc = e->nr == TRAP_RDTSC || e->nr == TRAP_RDTSCP;
    bool alone =
        e->aux == TRAP_BY_CPU && ((e->nr == TRAP_CPUID && !r->cpuid_faults) || (tsc && !r->tsc_traps));
    if ((alone ? come_to_trapped(r, e, v, err) : run_to_signal(r, e, v, 0, err)) < 0) return -1;
    return apply_pieces(r, e, v, err);
}

static int on_patch(struct replay *r, const struct event *e, struct vtask *v, struct rf_error *err) {
    for (size_t i = 0; i < e->piece_count; i++)
        if (e->pieces[i].kind == PIECE_MAP && space_map(r, v->space, &e->pieces[i], NULL, false, err) < 0)
            return -1;
    struct loop_site call;
    bool calls = call_feed_patch(v->space, e, &call);
    if (apply_pieces(r, e, v, err) < 0) return -1;
    if (calls) break_sites_add(v->space, &call);
    break_sites_patched(v->space);
    return 0;
}

static int on_other(struct replay *r, const struct event *e, struct vtask *v, struct rf_error *err) {
    (void)r, (void)e, (void)v, (void)err;
    return 0;
}

static const struct {
    int (*step)(struct replay *, const struct event *, struct vtask *, struct rf_error *);
    bool needs_task, needs_regs;
} steps[EV_KINDS] = {
    [EV_EXEC] = {on_exec, false, false},  [EV_SYSCALL] = {on_syscall, true, true},
    [EV_ENTER] = {enter, true, true},     [EV_EXIT] = {on_exit_event, true, false},
    [EV_BIRTH] = {on_birth, true, false}, [EV_DEATH] = {on_death, true, false},
    [EV_TICK] = {on_tick, true, true},    [EV_STATE] = {on_state, true, true},
    [EV_TRAP] = {on_trap, true, true},    [EV_SIGNAL] = {on_signal, true, false},
    [EV_PATCH] = {on_patch, true, false}, [EV_STUCK] = {on_other, false, false},
    [EV_NOTE] = {on_other, false, false}, [EV_END] = {on_other, false, false},
    [EV_BREAK] = {on_break, true, true},
};

int step_event(struct replay *r, const struct event *e, struct rf_error *err) {
    rf_work = (struct rf_work){e->tid, e->number};
    if (e->kind >= EV_KINDS || !steps[e->kind].step)
        return rf_fail(err, RF_BAD_TRACE, "event %llu is of the unknown kind %d",
                       (unsigned long long)e->number, e->kind);
    struct vtask *v = vtask_find(r, e->tid);
    if (steps[e->kind].needs_task && (!v || !v->space))
        return rf_fail(err, RF_BAD_TRACE, "event %llu is of task %d, which does not exist then",
                       (unsigned long long)e->number, e->tid);
    bool regs = steps[e->kind].needs_regs || (e->kind == EV_SIGNAL && e->aux != SIGNAL_AT_LANDMARK);
    if (regs && !(e->flags & EVF_REGS))
        return rf_fail(err, RF_BAD_TRACE, "event %llu lacks its registers", (unsigned long long)e->number);
    if (e->kind == EV_EXEC && v && !v->space) v = NULL;
    if (steps[e->kind].step(r, e, v, err) < 0) return -1;
    if ((v = vtask_find(r, e->tid))) v->pub.last_event = e->number;
    return 0;
}
