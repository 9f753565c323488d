// rr traces the program, so refork cannot: /proc alone tells what a thread does. That is enough for one kind of wait: when all
// threads of a process are in futex calls without a time limit, on words private to it, only a signal's handler could end that.
#include "replayer/rr/record.h"

#include "core/array.h"
#include "core/clock.h"
#include "core/futex.h"
#include "replayer/diagnose/proc.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    LOOK_MS = 100,
    STILL_MS = 1000, // so long nothing moves in a process that is stuck
    PROCESSES_MOST = 4096,
    GRACE_MS = 5000, // between SIGTERM and SIGKILL of a time limit
};

struct suspect {
    int pid;
    uint64_t moved;    // of all its threads: context switches and CPU time, mixed
    uint64_t since_ms; // so long
};

struct watch {
    int *pids; // rr's descendants
    size_t count;
    struct suspect *suspects;
    size_t suspect_count;
};

static uint64_t now_ms(void) {
    return clock_us(CLOCK_MONOTONIC) / 1000;
}

static void find_family(struct watch *w, int rr) {
    w->count = 0;
    array_push(w->pids, w->count, rr);
    for (size_t i = 0; i < w->count && w->count < PROCESSES_MOST; i++) {
        size_t count;
        int *children = proc_children(w->pids[i], &count);
        for (size_t k = 0; k < count; k++)
            array_push(w->pids, w->count, children[k]);
        free(children);
    }
}

// Handlers of these either run at the keyboard's wish, end the program, or are sent by the process itself (32 and 33 are
// glibc's, for cancellation and setuid).
static bool may_be_woken(uint64_t caught) {
    static const int harmless[] = {SIGINT,  SIGQUIT, SIGSEGV, SIGBUS, SIGFPE, SIGILL,
                                   SIGTRAP, SIGABRT, SIGSYS,  32,     33};
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
        caught &= ~(1ull << (harmless[i] - 1));
    return caught;
}

static bool waits_within(const struct proc_call *c) {
    return c->where == PROC_IN_CALL && c->nr == SYS_futex && futex_waits(c->args) && !c->args[3] &&
           (c->args[1] & FUTEX_PRIVATE_FLAG);
}

// Are all its threads in such waits? *moved: other than before if one has moved meanwhile.
static bool is_closed(int pid, uint64_t *moved) {
    size_t count;
    int *tids = proc_threads(pid, &count);
    bool closed = count > 0;
    *moved = count;
    for (size_t i = 0; i < count && closed; i++) {
        struct proc_task t;
        struct proc_call c;
        closed = proc_task(tids[i], &t) && t.forked && !may_be_woken(t.caught);
        if (!closed) break;
        proc_call(tids[i], &c);
        closed = waits_within(&c);
        *moved = hash_mix(*moved ^ t.switches ^ hash_mix(t.user + t.system) ^ hash_mix(c.args[0]));
    }
    free(tids);
    return closed;
}

static struct suspect *suspect_of(struct watch *w, int pid) {
    for (size_t i = 0; i < w->suspect_count; i++)
        if (w->suspects[i].pid == pid) return &w->suspects[i];
    array_push(w->suspects, w->suspect_count, (struct suspect){.pid = pid});
    return &w->suspects[w->suspect_count - 1];
}

// 0: none is stuck yet.
static int find_stuck(struct watch *w) {
    for (size_t i = 1; i < w->count; i++) {
        uint64_t moved;
        if (!is_closed(w->pids[i], &moved)) continue;
        struct suspect *s = suspect_of(w, w->pids[i]);
        if (!s->since_ms || s->moved != moved) *s = (struct suspect){s->pid, moved, now_ms()};
        if (now_ms() - s->since_ms >= STILL_MS) return s->pid;
    }
    return 0;
}

// rr itself stays, and writes its trace to the end.
static void stop_program(struct watch *w, int signal) {
    for (size_t i = 1; i < w->count; i++)
        kill(w->pids[i], signal);
}

static void look_on(int rr, uint64_t timeout_ms, bool keep_going, struct rr_recording *out) {
    struct watch w = {0};
    uint64_t begun = now_ms();
    for (;;) {
        pid_t done = waitpid(rr, &out->status, WNOHANG);
        if (done == rr || (done < 0 && errno != EINTR)) break;
        find_family(&w, rr);
        uint64_t age = now_ms() - begun;
        if (timeout_ms && age >= timeout_ms) {
            stop_program(&w, age >= timeout_ms + GRACE_MS ? SIGKILL : out->timed_out ? 0 : SIGTERM);
            out->timed_out = true;
        }
        int stuck = keep_going || out->stuck_pid ? 0 : find_stuck(&w);
        if (stuck) out->stuck_pid = out->stuck_tid = stuck;
        if (out->stuck_pid) stop_program(&w, SIGKILL);
        poll(NULL, 0, LOOK_MS);
    }
    free(w.pids);
    free(w.suspects);
}

int rr_record(const struct rr_line *l, uint64_t timeout_ms, bool keep_going, struct rr_recording *out,
              struct rf_error *err) {
    *out = (struct rr_recording){0};
    pid_t pid = fork();
    if (pid == 0) {
        execvp(l->argv[0], (char *const *)l->argv);
        dprintf(2, "refork: cannot run '%s': %s\n", l->argv[0], strerror(errno));
        _exit(errno == ENOENT ? 127 : 126);
    }
    if (pid < 0) return rf_fail_errno(err, RF_CANNOT, "cannot start '%s'", l->argv[0]);
    // A Ctrl-C at the terminal reaches rr and the program by itself.
    void (*interrupt)(int) = signal(SIGINT, SIG_IGN), (*quit)(int) = signal(SIGQUIT, SIG_IGN);
    look_on(pid, timeout_ms, keep_going, out);
    signal(SIGINT, interrupt);
    signal(SIGQUIT, quit);
    return 0;
}
