#include "replayer/calls/strace.h"

#include "core/abi.h"
#include "core/array.h"
#include "core/decode/calls.h"
#include "core/decode/descriptors.h"
#include "core/decode/structs.h"
#include "core/decode/values.h"
#include "core/printable.h"
#include "core/calls/syscalls.h"
#include "replayer/engine/replay.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

// strace's: the result of a short call begins in this column.
enum { RESULT_COLUMN = 40, LINE_ROOM = 64 << 10 };

struct caller {
    int tid;
    struct decode_call call;
    bool inside;     // its call has not returned
    bool unfinished; // its line was ended by another task's
};

struct strace {
    FILE *out;
    struct replay *replay;
    struct descriptors *descriptors;
    struct caller *callers;
    size_t count;
    struct hash by_tid;
    int open; // the task whose line has no end yet, 0: none
    int tid;  // whose call is being written
    struct text line;
    char data[LINE_ROOM];
};

static uint64_t caller_key(const void *callers, size_t i) {
    return hash_mix((uint64_t)((const struct caller *)callers)[i].tid);
}

static bool caller_same(const void *callers, size_t i, const void *tid) {
    return ((const struct caller *)callers)[i].tid == *(const int *)tid;
}

static bool name_descriptor(void *context, int fd, char *name, size_t size) {
    const struct strace *s = context;
    return descriptors_name(s->descriptors, s->tid, UINT64_MAX, fd, name, size);
}

static struct caller *caller_of(struct strace *s, int tid) {
    s->tid = tid;
    uint32_t i = hash_find(&s->by_tid, hash_mix((uint64_t)tid), caller_same, s->callers, &tid);
    if (i) return &s->callers[i - 1];
    rf_assert(hash_room(&s->by_tid, s->count, caller_key, s->callers));
    array_push(s->callers, s->count, (struct caller){.tid = tid});
    *hash_slot(&s->by_tid, hash_mix((uint64_t)tid), caller_same, s->callers, &tid) = (uint32_t)s->count;
    return &s->callers[s->count - 1];
}

static struct decode_memory memory_of(struct strace *s, int tid) {
    struct view view;
    if (replay_view(s->replay, tid, &view, NULL) < 0) return (struct decode_memory){0};
    return (struct decode_memory){view.read, view.context};
}

// ---- lines
// A line is written piece by piece: its begin when the call does, its end when it returns.
static void put(struct strace *s) {
    printable(s->line.data);
    fputs(s->line.data, s->out);
}

// Begins a line of the task, or goes on with the one that is open.
static void begin(struct strace *s, int tid) {
    if (s->open && s->open != tid) {
        struct caller *other = caller_of(s, s->open);
        other->unfinished = true;
        fputs(" <unfinished ...>\n", s->out);
        s->open = 0;
    }
    s->tid = tid;
    s->line = text_in(s->data, sizeof s->data);
    if (s->open != tid) text_add(&s->line, "%-5d ", tid);
}

static void end(struct strace *s) {
    put(s);
    fputc('\n', s->out);
    s->open = 0;
}

static void resume(struct strace *s, struct caller *c) {
    begin(s, c->tid);
    if (c->unfinished) text_add(&s->line, "<... %s resumed>", syscall_name(c->call.nr));
    c->unfinished = false;
}

// ---- events
// The task is at its call's entry: the line begins here, with the memory that the kernel will read.
static void at_entry(void *context, const struct event *e) {
    struct strace *s = context;
    struct caller *c = caller_of(s, e->tid);
    begin(s, e->tid);
    c->call = (struct decode_call){
        .nr = e->nr, .in = memory_of(s, e->tid), .descriptor = name_descriptor, .descriptor_context = s};
    abi_arguments(&e->regs, c->call.args);
    c->inside = true;
    decode_entry(&s->line, &c->call);
    put(s);
    s->open = e->tid;
}

// Pads to the column where results stand; what the line has already was put before.
static void returned(struct strace *s, const struct event *e, struct caller *c, size_t column) {
    c->call.result = e->ret;
    c->call.out = memory_of(s, e->tid);
    c->inside = false;
    decode_exit(&s->line, &c->call, column);
    end(s);
}

static void on_syscall(struct strace *s, const struct event *e) {
    struct caller *c = caller_of(s, e->tid);
    size_t begun = s->line.used; // by at_entry, in the same step
    s->line = text_in(s->data, sizeof s->data);
    returned(s, e, c, begun < RESULT_COLUMN ? RESULT_COLUMN - begun : 0);
}

// A call that does not return has its whole line at once.
static void on_enter(struct strace *s, const struct event *e) {
    if (syscall_effect(e->nr) == EFFECT_END) on_syscall(s, e);
}

static void on_exit_event(struct strace *s, const struct event *e) {
    struct caller *c = caller_of(s, e->tid);
    if (!c->inside) return;
    resume(s, c);
    returned(s, e, c, 0);
}

// The kernel puts argc, the arguments, a zero, the environment and a zero where the stack pointer is (fs/binfmt_elf.c, create_elf_tables).
static int variables_of(struct strace *s, int tid, uint64_t *at) {
    enum { MOST = 100000 };
    struct decode_memory memory = memory_of(s, tid);
    struct user_regs_struct regs;
    uint64_t argc, variable;
    int count = 0;
    *at = 0;
    if (!memory.read || replay_task_regs(s->replay, tid, &regs, NULL) < 0 ||
        !memory.read(memory.context, regs.rsp, &argc, sizeof argc))
        return 0;
    *at = regs.rsp + 8 * (argc + 2);
    while (count < MOST &&
           memory.read(memory.context, *at + 8 * (uint64_t)count, &variable, sizeof variable) && variable)
        count++;
    return count;
}

static void add_arguments(struct strace *s, const struct event *e) {
    struct text *t = &s->line;
    const struct piece *p;
    uint64_t environment;
    int arguments = 0, variables = variables_of(s, e->tid, &environment);
    text_add(t, "[");
    for (size_t at = 0; (p = event_piece(e, PIECE_TEXT, &at));) {
        if (p->text.kind != TEXT_ARG) continue;
        text_add(t, arguments++ ? ", " : "");
        text_quoted(t, p->data ? p->data : "", p->len < 32 ? p->len : 32, p->len > 32);
    }
    text_add(t, "], %#llx /* %d var%s */) = 0", (unsigned long long)environment, variables,
             variables == 1 ? "" : "s");
}

// The first program was not executed by anybody who is recorded: the event itself says with what.
static void on_exec(struct strace *s, const struct event *e) {
    struct caller *c = caller_of(s, e->tid);
    if (c->inside) {
        resume(s, c);
        c->inside = false;
        text_add(&s->line, ") = 0");
        end(s);
        return;
    }
    begin(s, e->tid);
    const struct piece *p = NULL;
    for (size_t at = 0; (p = event_piece(e, PIECE_TEXT, &at)) && p->text.kind != TEXT_PATH;)
        continue;
    text_add(&s->line, "execve(");
    text_quoted(&s->line, p && p->data ? p->data : "", p ? p->len : 0, 0);
    text_add(&s->line, ", ");
    add_arguments(s, e);
    end(s);
}

// The last line of a task that a signal ends within a call.
static void give_up(struct strace *s, int tid) {
    struct caller *c = caller_of(s, tid);
    if (!c->inside) return;
    resume(s, c);
    c->inside = false;
    text_add(&s->line, ") = ?");
    end(s);
}

static void on_signal(struct strace *s, const struct event *e) {
    const struct piece *p = event_piece(e, PIECE_SIGINFO, NULL);
    begin(s, e->tid);
    text_add(&s->line, "--- ");
    decode_signal(&s->line, e->nr);
    text_add(&s->line, " ");
    if (p && p->len == sizeof(siginfo_t)) decode_siginfo(&s->line, &(struct decode_call){0}, p->data);
    text_add(&s->line, " ---");
    end(s);
}

static void on_death(struct strace *s, const struct event *e) {
    give_up(s, e->tid);
    begin(s, e->tid);
    text_add(&s->line, "+++ ");
    if (e->flags & EVF_KILLED) {
        text_add(&s->line, "killed by ");
        decode_signal(&s->line, (int)e->ret);
    } else {
        text_add(&s->line, "exited with %lld", (long long)e->ret);
    }
    text_add(&s->line, " +++");
    end(s);
}

static void (*const writers[EV_KINDS])(struct strace *, const struct event *) = {
    [EV_SYSCALL] = on_syscall, [EV_ENTER] = on_enter,   [EV_EXIT] = on_exit_event,
    [EV_EXEC] = on_exec,       [EV_SIGNAL] = on_signal, [EV_DEATH] = on_death,
};

static void write_event(struct strace *s, const struct event *e) {
    descriptors_event(s->descriptors, e, memory_of(s, e->tid));
    if (e->kind < EV_KINDS && writers[e->kind]) writers[e->kind](s, e);
}

int strace_write(FILE *out, const char *path, struct rf_error *err) {
    struct strace *s = calloc(1, sizeof *s);
    if (!s) return rf_fail(err, RF_CANNOT, "out of memory");
    s->out = out;
    int more = -1;
    if (replay_open(path, &(struct replay_options){0}, &s->replay, err) == 0) {
        s->descriptors = descriptors_new();
        replay_watch_calls(s->replay, at_entry, s);
        while ((more = replay_step(s->replay, err)) == 1 && !ferror(out))
            write_event(s, replay_event(s->replay));
        if (s->open) fputs(" <unfinished ...>\n", out);
        replay_close(s->replay);
    }
    descriptors_free(s->descriptors);
    free(s->callers);
    hash_release(&s->by_tid);
    free(s);
    errno = 0;
    if ((fflush(out) || ferror(out)) && more >= 0)
        return rf_fail_errno(err, RF_CANNOT, "cannot write the output");
    return more < 0 ? -1 : 0;
}
