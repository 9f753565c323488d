#include "replayer/verdict/idle_threads.h"

#include "replayer/verdict/code_walk.h"

#include <stdlib.h>
#include <string.h>

enum { FRAMES = 64, PLACES = 4096, PENDING = 256 };

// A walk over all ways: every place once, whatever the registers have there.
struct ways {
    struct code code;
    uint64_t seen[PLACES], pending[PENDING];
    size_t seen_count, pending_count;
    bool may_wake;
};

static void go_to(struct ways *k, uint64_t pc) {
    for (size_t i = 0; i < k->seen_count; i++)
        if (k->seen[i] == pc) return;
    if (!pc || k->seen_count == PLACES || k->pending_count == PENDING) {
        k->may_wake = true;
        return;
    }
    k->seen[k->seen_count++] = k->pending[k->pending_count++] = pc;
}

// Functions of the C library that wake no futex of the caller's memory, call nothing back and end no process but by a crash. (A
// mutex is no condition: its waiters are asked about by the lock's holder.)
static bool is_harmless(const char *name) {
    static const char *const names[] = {"abort",
                                        "accept",
                                        "accept4",
                                        "assert_fail",
                                        "bind",
                                        "clock_gettime",
                                        "close",
                                        "clock_nanosleep",
                                        "epoll_create",
                                        "epoll_create1",
                                        "epoll_ctl",
                                        "epoll_pwait",
                                        "epoll_wait",
                                        "errno_location",
                                        "getpid",
                                        "gettimeofday",
                                        "libc_accept",
                                        "libc_read",
                                        "libc_pause",
                                        "libc_write",
                                        "listen",
                                        "memset",
                                        "nanosleep",
                                        "pause",
                                        "pipe",
                                        "pipe2",
                                        "poll",
                                        "ppoll",
                                        "pselect",
                                        "pthread_cond_wait",
                                        "pthread_self",
                                        "read",
                                        "recv",
                                        "pthread_mutex_lock",
                                        "pthread_mutex_unlock",
                                        "select",
                                        "sigaddset",
                                        "sigemptyset",
                                        "sigfillset",
                                        "sigsuspend",
                                        "sigtimedwait",
                                        "sigwait",
                                        "sigwaitinfo",
                                        "sleep",
                                        "socket",
                                        "socketpair",
                                        "stack_chk_fail",
                                        "time",
                                        "timerfd_create",
                                        "timerfd_settime",
                                        "usleep",
                                        "write"};
    return CODE_ONE_OF(name, names);
}

static void call(struct ways *k, uint64_t target, bool *returns) {
    struct frame f;
    *returns = true;
    if (!target) {
        k->may_wake = true;
        return;
    }
    target = code_past_plt(&k->code, target);
    symbols_pc(k->code.symbols, k->code.view, target, &f);
    const char *name = f.function ? stack_plain_name(f.function) : "";
    *returns = !code_never_returns(name);
    if (stack_is_system(&f))
        k->may_wake |= !is_harmless(name);
    else
        go_to(k, target);
}

static void visit(struct ways *k, uint64_t pc) {
    struct instruction i;
    bool returns;
    if (!code_instruction(&k->code, pc, &i)) {
        k->may_wake = true;
        return;
    }
    uint64_t next = pc + i.in.length;
    switch (i.in.meta.category) {
    case ZYDIS_CATEGORY_RET:
        return;
    case ZYDIS_CATEGORY_SYSCALL:
    case ZYDIS_CATEGORY_INTERRUPT:
        k->may_wake = true;
        return;
    case ZYDIS_CATEGORY_CALL:
        call(k, code_target(&k->code, pc, &i), &returns);
        if (returns) go_to(k, next);
        return;
    case ZYDIS_CATEGORY_UNCOND_BR: // maybe a function's last call
        call(k, code_target(&k->code, pc, &i), &returns);
        return;
    case ZYDIS_CATEGORY_COND_BR:
        go_to(k, code_target(&k->code, pc, &i));
        break;
    default:
        if (i.in.mnemonic == ZYDIS_MNEMONIC_UD2 || i.in.mnemonic == ZYDIS_MNEMONIC_HLT) return;
    }
    go_to(k, next);
}

// The C library's own threads, of timers and of aio, call back what only they know.
static bool wakes_nobody(struct analysis *a, int tid) {
    struct frame frames[FRAMES];
    struct view view;
    struct rf_error err;
    size_t n = timeline_stack(a->timeline, tid, frames, FRAMES);
    const struct stack stack = stack_of(frames, n);
    bool any = false, whole = stack_is_whole(&stack);
    free(stack.frames);
    if (!whole || replay_view(timeline_replay(a->timeline), tid, &view, &err) < 0) return false;
    struct ways *k = calloc(1, sizeof *k);
    rf_assert(k);
    code_begin(&k->code, timeline_symbols(a->timeline), &view);
    for (size_t i = 0; i < n; i++) {
        if (stack_is_system(&frames[i]) || frames[i].inlined) continue;
        any = true;
        go_to(k, frames[i].pc);
    }
    while (k->pending_count && !k->may_wake)
        visit(k, k->pending[--k->pending_count]);
    bool nobody = any && !k->may_wake;
    free(k);
    return nobody;
}

bool idle_threads_wake_nobody(struct analysis *a, const struct waiter *w) {
    const struct history *h = &a->history;
    for (size_t i = 0; i < h->life_count; i++) {
        const struct life *l = &h->lives[i];
        if (l->death || i == w->life || l->space != h->lives[w->life].space) continue;
        if (!wakes_nobody(a, l->tid)) return false;
    }
    return true;
}
