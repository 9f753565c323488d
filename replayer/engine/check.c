#include "replayer/engine/check.h"

#include "core/abi.h"
#include "core/cpu/machine.h"
#include "core/cpu/needs.h"

#include "core/calls/syscalls.h"
#include "core/tracee.h"
#include "replayer/engine/engine.h"
#include "replayer/engine/memory.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <xxhash.h>

// The registers that are compared, in the order in which a difference is told. rax is the syscall's number at
// an entry.
static const struct {
    const char *name;
    size_t offset;
} compared[] = {
#define R(n)                                                                                                 \
    { #n, offsetof(struct user_regs_struct, n) }
    R(rip), R(rsp), R(rax), R(rdi), R(rsi), R(rdx), R(r10), R(r8),     R(r9),      R(rbx),
    R(rcx), R(rbp), R(r11), R(r12), R(r13), R(r14), R(r15), R(eflags), R(fs_base), R(gs_base),
#undef R
};

static uint64_t value_of(const struct user_regs_struct *regs, size_t i) {
    uint64_t v;
    memcpy(&v, (const char *)regs + compared[i].offset, 8);
    if (compared[i].offset == offsetof(struct user_regs_struct, eflags)) v &= ~EFLAGS_IGNORED;
    return v;
}

void divergence_regs(char *out, size_t size, const struct user_regs_struct *want,
                     const struct user_regs_struct *have) {
    size_t used = 0;
    *out = 0;
    for (size_t i = 0; i < sizeof compared / sizeof *compared && used < size; i++) {
        uint64_t w = value_of(want, i), h = value_of(have, i);
        if (w == h) continue;
        used += (size_t)snprintf(out + used, size - used, "\n  %-7s recorded 0x%lx, replayed 0x%lx",
                                 compared[i].name, w, h);
    }
}

void describe_status(char *out, size_t size, int status) {
    if (WIFEXITED(status))
        snprintf(out, size, "ended with status %d", WEXITSTATUS(status));
    else if (WIFSIGNALED(status))
        snprintf(out, size, "was killed by SIG%s", sigabbrev_np(WTERMSIG(status)));
    else if (WSTOPSIG(status) == (SIGTRAP | 0x80))
        snprintf(out, size, "made a syscall");
    else
        snprintf(out, size, "stopped with SIG%s", sigabbrev_np(WSTOPSIG(status)));
}

int diverged(struct rf_error *err, const struct event *e, const struct vtask *v, const char *format, ...) {
    char what[700];
    va_list ap;
    va_start(ap, format);
    vsnprintf(what, sizeof what, format, ap);
    va_end(ap);
    char call[120] = "";
    if (e->kind == EV_SYSCALL || e->kind == EV_ENTER) {
        uint64_t a[6];
        abi_arguments(&e->regs, a);
        syscall_format(e->nr, a, call, sizeof call);
    } else if (e->kind == EV_SIGNAL) {
        snprintf(call, sizeof call, "SIG%s", sigabbrev_np(e->nr) ? sigabbrev_np(e->nr) : "?");
    }
    return rf_fail(err, RF_DIVERGED,
                   "replay diverged at event %llu, task %d (%s): recorded %s %s at pc 0x%llx\n%s",
                   (unsigned long long)e->number, e->tid, v ? v->pub.name : "?", event_kind_name(e->kind),
                   call, e->flags & EVF_REGS ? e->regs.rip : 0, what);
}

// Behind a shift or a logical instruction the adjust flag is undefined: Intel's CPUs clear it, AMD's set it behind a shift. A program
// has no use for it, but a call's r11 is a copy of the flags. The recording's value is taken.
static void undefined_flag(const struct event *e, struct vtask *v) {
    enum { ADJUST = 0x10 };
    uint64_t differ = (e->regs.eflags ^ v->pub.regs.eflags) & ADJUST;
    bool call = e->kind == EV_SYSCALL || e->kind == EV_ENTER;
    v->pub.regs.eflags ^= differ;
    if (call && (e->regs.r11 ^ v->pub.regs.r11) == differ) v->pub.regs.r11 = e->regs.r11;
}

int check_regs(const struct replay *r, const struct event *e, struct vtask *v, struct rf_error *err) {
    if (r->foreign) undefined_flag(e, v);
    for (size_t i = 0; i < sizeof compared / sizeof *compared; i++) {
        if (value_of(&e->regs, i) == value_of(&v->pub.regs, i)) continue;
        char text[700];
        divergence_regs(text, sizeof text, &e->regs, &v->pub.regs);
        return diverged(err, e, v, "registers differ:%s", text);
    }
    return 0;
}

static void way_out(const struct trace_header *h, char *text, size_t size) {
    if (h->cpu.level == CPU_V2)
        snprintf(text, size, "replay it on a CPU that has it (it was recorded on '%s')", h->machine_id);
    else
        snprintf(text, size,
                 "replay it on a CPU that has it (it was recorded on '%s'), or record with --cpu %s",
                 h->machine_id, cpu_level_name(h->cpu.level == CPU_NATIVE ? CPU_V3 : CPU_V2));
}

void check_cause(struct replay *r, struct rf_error *err) {
    const struct trace_header *h = trace_get_header(r->trace);
    const struct vtask *v = vtask_find(r, r->event.tid);
    if (!err || err->status != RF_DIVERGED) return;
    uint8_t code[15] = {0};
    char name[32], set[32], here[40], way[200];
    int sig = v && v->space && WIFSTOPPED(v->stopped_by) ? WSTOPSIG(v->stopped_by) : 0;
    uint64_t pc = v ? v->pub.regs.rip : 0;
    bool read =
        v && v->space && (space_read(v->space, pc, code, sizeof code) || space_read(v->space, pc, code, 4));
    cpu_describe(here, sizeof here);
    way_out(h, way, sizeof way);
    if (read && sig == SIGILL && cpu_needed(code, sizeof code, name, set)) {
        rf_fail(err, RF_CANNOT,
                "this CPU, '%s', lacks %s, which the program uses at event %llu (%s at pc 0x%llx): %s", here,
                set, (unsigned long long)r->event.number, name, (unsigned long long)pc, way);
    } else if (read && sig == SIGSEGV && r->foreign && cpu_restores_registers(code, sizeof code)) {
        rf_fail(err, RF_CANNOT,
                "this CPU, '%s', lacks registers that the program saved, and restores at event %llu (pc "
                "0x%llx): %s",
                here, (unsigned long long)r->event.number, (unsigned long long)pc, way);
    } else if (r->foreign) {
        size_t used = strlen(err->text);
        snprintf(err->text + used, sizeof err->text - used,
                 "\nthis CPU is '%s', the recording's was '%s': some instructions give other results on "
                 "another CPU",
                 here, h->machine_id);
    }
}

static void echo(struct replay *r, struct vtask *v, const void *bytes, size_t len) {
    int stream = fdtable_stream(v->fds, (int)v->pub.args[0]);
    FILE *out = stream == FDTABLE_STDOUT || stream == FDTABLE_TERMINAL ? r->options.echo_out
                : stream == FDTABLE_STDERR                             ? r->options.echo_err
                                                                       : NULL;
    if (out) fwrite(bytes, 1, len, out);
}

int check_written(struct replay *r, const struct event *e, struct vtask *v, const struct piece_hash *hash,
                  const void *bytes, struct rf_error *err) {
    if (XXH3_64bits(bytes, hash->length) != hash->xxh3)
        return diverged(
            err, e, v,
            "the program wrote other data than in the recording (%llu bytes at 0x%llx); replayed: \"%.*s\"",
            (unsigned long long)hash->length, (unsigned long long)hash->address,
            (int)(hash->length < 60 ? hash->length : 60), (const char *)bytes);
    echo(r, v, bytes, hash->length);
    return 0;
}
