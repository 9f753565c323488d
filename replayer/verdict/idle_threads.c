#include "replayer/verdict/idle_threads.h"

#include "replayer/verdict/code_walk.h"

#include <stdlib.h>
#include <string.h>

enum { FRAMES = 64, PLACES = 8192, PENDING = 512 };

// A walk over all ways: every place once, whatever the registers have there. `outer`: in a function that the thread is in now,
// so that a way that returns goes on in its caller.
struct place {
    uint64_t pc;
    bool outer;
};

struct ways {
    struct code code;
    struct place seen[PLACES], pending[PENDING];
    size_t seen_count, pending_count;
    bool may_wake, returns;
};

static void go_to(struct ways *k, struct place p) {
    for (size_t i = 0; i < k->seen_count; i++)
        if (k->seen[i].pc == p.pc && k->seen[i].outer == p.outer) return;
    if (!p.pc || k->seen_count == PLACES || k->pending_count == PENDING) {
        k->may_wake = true;
        return;
    }
    k->seen[k->seen_count++] = k->pending[k->pending_count++] = p;
}

// Functions of the C and C++ libraries that wake no futex of the caller's memory, call nothing back and end no process but by a crash. (A
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

// Of the C++ library the functions that wait. (What fails there throws an error of the system, which ends the thread's program.)
static bool is_harmless_cpp(const char *name) {
    static const char *const begins[] = {"std::chrono::_V2::s", "std::this_thread::__sleep_for",
                                         "std::condition_variable::wait", "std::__throw_system_error"};
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++)
        if (!strncmp(name, begins[i], strlen(begins[i]))) return true;
    return false;
}

static bool is_cpp_library(const struct frame *f) {
    return f->module && !strncmp(f->module, "libstdc++.so", 12);
}

// Where a call, or a jump out of a function, leads. False: not back.
static bool call(struct ways *k, uint64_t target, bool outer) {
    struct frame f;
    if (!target) {
        k->may_wake = true;
        return false;
    }
    target = code_past_plt(&k->code, target);
    symbols_pc(k->code.symbols, k->code.view, target, &f);
    const char *name = f.function ? stack_plain_name(f.function) : "";
    if (stack_is_system(&f)) {
        k->may_wake |= !is_harmless(name);
    } else if (is_cpp_library(&f)) {
        k->may_wake |= !is_harmless_cpp(name);
        return strncmp(name, "std::__throw", 12) != 0;
    } else {
        go_to(k, (struct place){target, outer});
        return !outer && !code_never_returns(name);
    }
    return !code_never_returns(name);
}

static void visit(struct ways *k, struct place p) {
    struct instruction i;
    if (!code_instruction(&k->code, p.pc, &i)) {
        k->may_wake = true;
        return;
    }
    struct place next = {p.pc + i.in.length, p.outer};
    switch (i.in.meta.category) {
    case ZYDIS_CATEGORY_RET:
        k->returns |= p.outer;
        return;
    case ZYDIS_CATEGORY_SYSCALL:
    case ZYDIS_CATEGORY_INTERRUPT:
        k->may_wake = true;
        return;
    case ZYDIS_CATEGORY_CALL:
        if (call(k, code_target(&k->code, p.pc, &i), false)) go_to(k, next);
        return;
    case ZYDIS_CATEGORY_UNCOND_BR: // maybe a function's last call
        if (call(k, code_target(&k->code, p.pc, &i), p.outer)) k->returns |= p.outer;
        return;
    case ZYDIS_CATEGORY_COND_BR:
        go_to(k, (struct place){code_target(&k->code, p.pc, &i), p.outer});
        break;
    default:
        if (i.in.mnemonic == ZYDIS_MNEMONIC_UD2 || i.in.mnemonic == ZYDIS_MNEMONIC_HLT) return;
    }
    go_to(k, next);
}

static bool walk_frames(struct ways *k, const struct frame *frames, size_t n) {
    bool any = false;
    k->returns = true;
    for (size_t i = 0; i < n && k->returns && !k->may_wake; i++) {
        if (stack_is_system(&frames[i]) || frames[i].inlined) continue;
        if (is_cpp_library(&frames[i])) {
            // The thread's function has returned: what it was started with is destroyed, by a pointer.
            k->may_wake |= any;
            continue;
        }
        any = true;
        k->returns = false;
        go_to(k, (struct place){frames[i].pc, true});
        while (k->pending_count && !k->may_wake)
            visit(k, k->pending[--k->pending_count]);
    }
    return any && !k->may_wake;
}

// Does the task wait for the end of the thread that waits, or of one that does so?
static bool joins(const struct analysis *a, int tid, const struct waiter *w) {
    for (size_t hops = 0; hops <= a->waiter_count; hops++) {
        int awaited = 0;
        for (size_t i = 0; i < a->waiter_count; i++)
            if (a->waiters[i].task.tid == tid && a->waiters[i].task.pid == w->task.pid)
                awaited = a->waiters[i].joins;
        if (!awaited || awaited == w->task.tid) return awaited;
        tid = awaited;
    }
    return false;
}

// The C library's own threads, of timers and of aio, call back what only they know. `main`: when it returns, the process ends.
static bool wakes_nobody(struct analysis *a, int tid, bool main) {
    struct frame frames[FRAMES];
    struct view view;
    struct rf_error err;
    size_t n = timeline_stack(a->timeline, tid, frames, FRAMES);
    const struct stack stack = stack_of(frames, n);
    bool whole = stack_is_whole(&stack);
    free(stack.frames);
    if (!whole || replay_view(timeline_replay(a->timeline), tid, &view, &err) < 0) return false;
    struct ways *k = calloc(1, sizeof *k);
    rf_assert(k);
    code_begin(&k->code, timeline_symbols(a->timeline), &view);
    bool nobody = walk_frames(k, frames, n) && !(main && k->returns);
    free(k);
    return nobody;
}

bool idle_threads_wake_nobody(struct analysis *a, const struct waiter *w) {
    const struct history *h = &a->history;
    for (size_t i = 0; i < h->life_count; i++) {
        const struct life *l = &h->lives[i];
        if (!life_at(l, w->stuck->event) || i == w->life || l->space != h->lives[w->life].space ||
            joins(a, l->tid, w))
            continue;
        if (!wakes_nobody(a, l->tid, l->tid == l->pid)) return false;
    }
    return true;
}
