// A snapshot of a live process. Threads are stopped for some milliseconds, all at once, and only in calls that the kernel
// makes again by itself after a stop. Nothing is written into the process.
#include "replayer/diagnose/live.h"

#include "core/abi.h"
#include "core/array.h"
#include "core/futex.h"

#include "core/proc_maps.h"
#include "core/calls/syscalls.h"
#include "core/tracee.h"
#include "replayer/diagnose/proc.h"
#include "replayer/diagnose/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    STACK_WINDOW = 64 << 10, // as much as unwinding reads at once
    WORDS = 64,              // bytes around a futex word: the lock that it belongs to
    STOP_TRIES = 2000,       // of 0.5 ms
    ROUNDS = 8,              // through the list of threads, until no new ones come
    RETURN_TRIES = 2000,     // of 0.5 ms
    CODE_SEGMENT_32 = 0x23,
};

// Memory as it was while the threads were stopped.
struct kept {
    uint64_t address;
    size_t len;
    uint8_t *bytes;
};

struct live {
    struct snapshot base;
    int via; // a thread that is alive: the first one can have ended, and then has no memory
    int mem;
    struct view_map *maps;
    char **names; // of the maps
    struct kept *kept;
    size_t kept_count;
    struct held {
        bool seized, stopped, gone;
        int signal; // that the thread was about to get; it gets it when it is let go
    } * held;       // beside base.threads
};

static void pause_briefly(void) {
    nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
}

// ---- memory

static bool live_read(void *context, uint64_t address, void *buffer, size_t len) {
    const struct live *l = context;
    for (size_t i = 0; i < l->kept_count; i++) {
        const struct kept *k = &l->kept[i];
        if (address < k->address || address - k->address > k->len || len > k->len - (address - k->address))
            continue;
        memcpy(buffer, k->bytes + (address - k->address), len);
        return true;
    }
    return tracee_read(l->via, l->mem, address, buffer, len);
}

static const void *live_blob(void *context, uint64_t id, size_t *size) {
    return file_store_bytes(((struct live *)context)->base.files, id, size);
}

bool snapshot_peek(int pid, uint64_t address, void *buffer, size_t len) {
    struct iovec local = {buffer, len}, remote = {(void *)address, len};
    return process_vm_readv(pid, &local, 1, &remote, 1, 0) == (ssize_t)len;
}

static void keep(struct live *l, uint64_t address, uint64_t most) {
    const struct view_map *map = view_find(&l->base.view, address);
    if (!map) return;
    struct kept k = {.address = address, .len = most};
    if (k.len > map->end - address) k.len = map->end - address;
    k.bytes = malloc(k.len);
    rf_assert(k.bytes);
    if (!tracee_read(l->via, l->mem, k.address, k.bytes, k.len)) {
        free(k.bytes);
        return;
    }
    array_push(l->kept, l->kept_count, k);
}

static void keep_thread(struct live *l, const struct snapshot_thread *t) {
    const struct view_map *map = view_find(&l->base.view, t->regs.rsp);
    if (!map) return;
    uint64_t stack = (t->regs.rsp - RED_ZONE) & -8ull;
    keep(l, stack < map->start || stack > t->regs.rsp ? map->start : stack, STACK_WINDOW);
    if (!t->in_call || t->nr != SYS_futex) return;
    map = view_find(&l->base.view, t->args[0]);
    if (!map) return;
    keep(l, t->args[0] - map->start < WORDS ? map->start : t->args[0] - WORDS, 2 * WORDS);
}

static void read_maps(struct live *l) {
    struct snapshot *s = &l->base;
    struct proc_maps maps;
    struct proc_map map;
    proc_maps_open(&maps, l->via);
    while (proc_maps_next(&maps, &map)) {
        size_t names = s->view.map_count, shared = names;
        char *name = strdup(map.name);
        rf_assert(name);
        array_push(l->names, names, name);
        array_push(s->shared, shared, map.shared);
        array_push(l->maps, s->view.map_count,
                   (struct view_map){
                       .start = map.start,
                       .end = map.end,
                       .offset = map.offset,
                       .prot = map.prot,
                       .name = name,
                   });
    }
    proc_maps_close(&maps);
    s->view.maps = l->maps;
}

// A file can be gone, replaced, or in another mount namespace: each way to it is tried, and its content compared.
static void name_files(struct live *l) {
    struct snapshot *s = &l->base;
    size_t count = s->view.map_count;
    for (size_t i = 0, end; i < count; i = end) {
        end = i + 1;
        const char *name = l->maps[i].name;
        bool vdso = !strcmp(name, "[vdso]");
        if (name[0] != '/' && !vdso) continue;
        while (end < count && !strcmp(l->maps[end].name, name))
            end++;
        char itself[96], rooted[4400], exe[64];
        snprintf(itself, sizeof itself, "/proc/%d/map_files/%lx-%lx", l->via, (long)l->maps[i].start,
                 (long)l->maps[i].end);
        snprintf(rooted, sizeof rooted, "/proc/%d/root%s", l->via, name);
        snprintf(exe, sizeof exe, "/proc/%d/exe", l->via);
        const char *paths[] = {itself, rooted, exe};
        snapshot_name_file(s, l->maps, i, end, paths, vdso ? 0 : 3);
        char *deleted = strstr(l->names[i], " (deleted)");
        if (deleted && !deleted[10])
            for (size_t k = i; k < end; k++)
                l->names[k][strlen(l->names[k]) - 10] = 0;
    }
}

// ---- threads

// Calls that go on after a stop as if nothing had happened: signal(7), "Interruption of system calls and library
// functions by stop signals", names those that do not; what is not in this list is not interrupted at all.
static bool goes_on(int nr) {
    enum syscall_wait wait = syscall_wait(nr);
    return wait == WAITS_FUTEX || wait == WAITS_CHILD || wait == WAITS_TIME;
}

static int no_permission(int pid, struct rf_error *err) {
    char scope = 0;
    FILE *f = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
    if (f) {
        scope = (char)fgetc(f);
        fclose(f);
    }
    if (scope == '3')
        return rf_fail(
            err, RF_CANNOT,
            "not permitted to look into process %d: the sysctl kernel.yama.ptrace_scope is 3, which "
            "forbids it to everybody until the next boot; 'refork record' the program instead",
            pid);
    if (scope == '1' || scope == '2')
        return rf_fail(
            err, RF_CANNOT,
            "not permitted to look into process %d: the sysctl kernel.yama.ptrace_scope is %c; run "
            "it as root (CAP_SYS_PTRACE), or 'sysctl kernel.yama.ptrace_scope=0'",
            pid, scope);
    return rf_fail(err, RF_CANNOT,
                   "not permitted to look into process %d: it belongs to another user, has changed its "
                   "identity, or this is a container without CAP_SYS_PTRACE; run it as root, or allow the "
                   "container that (docker run --cap-add SYS_PTRACE)",
                   pid);
}

// A thread of the process that has not ended; 0: there is none.
static int living(int pid) {
    size_t count;
    struct proc_task t;
    int *tids = proc_threads(pid, &count), found = 0;
    for (size_t i = 0; i < count && !found; i++)
        if (proc_task(tids[i], &t) && t.state != 'Z' && t.state != 'X') found = tids[i];
    free(tids);
    return found;
}

static int check(const struct proc_task *p, struct rf_error *err) {
    if (p->process == getpid()) return rf_fail(err, RF_CANNOT, "process %d is refork itself", p->process);
    if (p->kernel)
        return rf_fail(err, RF_CANNOT, "%d is a thread of the kernel: give the PID of a program", p->tid);
    if (!living(p->process))
        return rf_fail(
            err, RF_CANNOT,
            "process %d has ended and waits for its parent %d to ask for its status: nothing is left "
            "to look at",
            p->process, p->parent);
    if (!p->tracer) return 0;
    struct proc_task tracer;
    if (!proc_task(p->tracer, &tracer)) tracer.name[0] = 0;
    return rf_fail(
        err, RF_CANNOT,
        "process %d is traced by process %d (%s): end that one first, a process has one tracer at most",
        p->process, p->tracer, tracer.name);
}

static bool known(const struct live *l, int tid) {
    for (size_t i = 0; i < l->base.thread_count; i++)
        if (l->base.threads[i].tid == tid) return true;
    return false;
}

static int add_thread(struct live *l, int tid, struct rf_error *err) {
    struct snapshot *s = &l->base;
    struct proc_task task;
    if (!proc_task(tid, &task) || task.state == 'Z' || task.state == 'X') return 0;
    struct proc_call call;
    proc_call(tid, &call);
    // D: inside a vfork, or in the middle of something that cannot be interrupted.
    bool seize = call.where == PROC_IN_CALL && goes_on(call.nr) && task.state != 'D';
    if (seize && ptrace(PTRACE_SEIZE, tid, 0, 0)) return errno == ESRCH ? 0 : no_permission(s->pid, err);
    size_t held_count = s->thread_count;
    struct held *held = array_add(l->held, held_count);
    struct snapshot_thread *t = array_add(s->threads, s->thread_count);
    t->tid = tid;
    t->inside = task.inside;
    snprintf(t->name, sizeof t->name, "%s", task.name);
    held->seized = seize;
    if (seize) {
        held->gone = ptrace(PTRACE_INTERRUPT, tid, 0, 0) != 0;
    } else if (call.where == PROC_RUNNING) {
        t->running = task.state == 'R';
    } else {
        t->in_call = call.where == PROC_IN_CALL;
        t->nr = call.nr;
        memcpy(t->args, call.args, sizeof t->args);
        t->regs.rip = call.pc;
        t->regs.rsp = call.sp;
    }
    return 0;
}

static void wait_for_stop(struct live *l, size_t i) {
    struct snapshot_thread *t = &l->base.threads[i];
    struct held *h = &l->held[i];
    for (int tries = 0; h->seized && !h->stopped && !h->gone && tries < STOP_TRIES; tries++) {
        int status;
        pid_t got = waitpid(t->tid, &status, __WALL | WNOHANG);
        if (got == 0) {
            pause_briefly();
            continue;
        }
        h->gone = got < 0 || !WIFSTOPPED(status);
        h->stopped = !h->gone;
        // Not our stop: the thread is about to get this signal, and gets it when it is let go.
        if (h->stopped && status >> 16 == 0) h->signal = WSTOPSIG(status);
    }
    if (!h->stopped || !tracee_get_regs(t->tid, &t->regs)) return;
    t->stopped = true;
    if (!h->signal) snapshot_read_call(t, &l->base.view);
}

// Until the list of threads has no new ones: then it was complete while all of them were stopped.
static int stop_threads(struct live *l, struct rf_error *err) {
    struct snapshot *s = &l->base;
    for (int round = 0; round < ROUNDS && !s->complete; round++) {
        size_t count, before = s->thread_count;
        int *tids = proc_threads(s->pid, &count);
        int failed = 0;
        for (size_t i = 0; i < count && !failed; i++)
            if (!known(l, tids[i])) failed = add_thread(l, tids[i], err);
        free(tids);
        if (failed) return -1;
        for (size_t i = before; i < s->thread_count; i++)
            wait_for_stop(l, i);
        s->complete = round && before == s->thread_count;
    }
    return 0;
}

static void let_go(struct live *l) {
    for (size_t i = 0; i < l->base.thread_count; i++) {
        struct held *h = &l->held[i];
        if (h->seized && !h->stopped) wait_for_stop(l, i); // came to its stop late
        if (h->stopped) ptrace(PTRACE_DETACH, l->base.threads[i].tid, 0, (long)h->signal);
        h->seized = h->stopped = false;
    }
}

bool snapshot_still_waits(const struct snapshot *s, size_t thread) {
    const struct snapshot_thread *t = &s->threads[thread];
    const struct live *l = (const struct live *)s;
    if (s->core) return t->in_call && snapshot_would_sleep(t, &s->view);
    if (!t->in_call) return false;
    struct proc_call call;
    for (int tries = 0; tries < RETURN_TRIES; tries++) { // it may need a moment to go back to sleep
        proc_call(t->tid, &call);
        if (call.where == PROC_IN_CALL) break;
        pause_briefly();
    }
    uint32_t word;
    return call.where == PROC_IN_CALL && call.nr == t->nr && call.sp == t->regs.rsp &&
           !memcmp(call.args, t->args, sizeof call.args) &&
           (t->nr != SYS_futex || (tracee_read(l->via, l->mem, t->args[0], &word, sizeof word) &&
                                   futex_would_sleep(t->args, word)));
}

// Waits for the stop of an interrupted thread; false when it is gone, or stops for a signal, which it then gets.
static bool stopped_by_us(int tid) {
    int status;
    for (int tries = 0; tries < STOP_TRIES; tries++) {
        pid_t got = waitpid(tid, &status, __WALL | WNOHANG);
        if (got == 0) {
            pause_briefly();
            continue;
        }
        if (got < 0 || !WIFSTOPPED(status)) return false;
        if (status >> 16 == PTRACE_EVENT_STOP) return true;
        ptrace(PTRACE_DETACH, tid, 0, (long)WSTOPSIG(status));
        return false;
    }
    return false;
}

size_t snapshot_sample(const struct snapshot *s, size_t thread, struct user_regs_struct *out, size_t count) {
    int tid = s->threads[thread].tid;
    size_t n = 0;
    if (ptrace(PTRACE_SEIZE, tid, 0, 0)) return 0;
    while (n < count) {
        struct proc_call call;
        proc_call(tid, &call); // a call that it has gone into is not to be interrupted
        if (call.where != PROC_RUNNING || ptrace(PTRACE_INTERRUPT, tid, 0, 0)) break;
        if (!stopped_by_us(tid)) return n;
        if (!tracee_get_regs(tid, &out[n])) break;
        n++;
        if (n < count && (ptrace(PTRACE_CONT, tid, 0, 0) || (pause_briefly(), false))) break;
    }
    // It must be stopped to be let go.
    if (ptrace(PTRACE_DETACH, tid, 0, 0) && !ptrace(PTRACE_INTERRUPT, tid, 0, 0) && stopped_by_us(tid))
        ptrace(PTRACE_DETACH, tid, 0, 0);
    return n;
}

// ---- all of it

static bool same_memory(int a, int b) {
    return syscall(SYS_kcmp, a, b, KCMP_VM, 0, 0) == 0;
}

static bool alone(int pid, int parent) {
    size_t count;
    int *children = proc_children(pid, &count);
    bool result = !same_memory(pid, parent);
    for (size_t i = 0; i < count; i++)
        result = result && !same_memory(pid, children[i]);
    free(children);
    return result;
}

// Handlers that could run and wake somebody: not glibc's own two (32, 33) and not those of faults.
static bool catches(uint64_t caught) {
    static const int ignored[] = {4, 5, 7, 8, 11, 31, 32, 33}; // ILL TRAP BUS FPE SEGV SYS, glibc's
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        caught &= ~(1ull << (ignored[i] - 1));
    return caught;
}

static void release(struct snapshot *s) {
    struct live *l = (struct live *)s;
    for (size_t i = 0; i < s->view.map_count; i++)
        free(l->names[i]);
    for (size_t i = 0; i < l->kept_count; i++)
        free(l->kept[i].bytes);
    free(l->kept);
    free(l->names);
    free(l->maps);
    free(l->held);
    if (l->mem >= 0) close(l->mem);
    free(l);
}

static void name_program(struct live *l, const char *otherwise) {
    struct snapshot *s = &l->base;
    char path[64], link[256];
    snprintf(path, sizeof path, "/proc/%d/exe", l->via);
    ssize_t n = readlink(path, link, sizeof link - 1);
    link[n > 0 ? n : 0] = 0;
    char *deleted = strstr(link, " (deleted)");
    if (deleted && !deleted[10]) *deleted = 0;
    snprintf(s->program, sizeof s->program, "%s", link[0] ? link : otherwise);
}

static int take(struct live *l, struct rf_error *err) {
    struct snapshot *s = &l->base;
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", l->via);
    l->mem = open(path, O_RDONLY | O_CLOEXEC);
    if (l->mem < 0) return no_permission(s->pid, err);
    read_maps(l);
    if (!s->view.map_count)
        return rf_fail(err, RF_CANNOT, "process %d has no memory: is it just ending?", s->pid);
    if (stop_threads(l, err)) return -1;
    for (size_t i = 0; i < s->thread_count; i++) {
        struct snapshot_thread *t = &s->threads[i];
        if (!t->stopped) continue;
        if (t->regs.cs == CODE_SEGMENT_32)
            return rf_fail(err, RF_CANNOT,
                           "process %d is a 32-bit program: refork knows 64-bit x86 programs only", s->pid);
        keep_thread(l, t);
        t->in_call = t->in_call && snapshot_would_sleep(t, &s->view);
    }
    s->alone = alone(s->pid, s->parent);
    return 0;
}

int snapshot_live(int pid, struct file_store *files, struct snapshot **out, struct rf_error *err) {
    struct proc_task task;
    if (!proc_task(pid, &task))
        return rf_fail(err, RF_CANNOT,
                       "no process %d: give the PID of a live process, or the path of a core file", pid);
    if (task.process != pid && !proc_task(task.process, &task))
        return rf_fail(err, RF_CANNOT, "no process %d: it has just ended", task.process);
    if (check(&task, err)) return -1;
    struct live *l = calloc(1, sizeof *l);
    rf_assert(l);
    l->mem = -1;
    l->via = living(task.process);
    l->base = (struct snapshot){.pid = task.process,
                                .parent = task.parent,
                                .inside = task.inside,
                                .handlers = catches(task.caught),
                                .view = {.read = live_read, .blob = live_blob, .context = l},
                                .files = files,
                                .release = release};
    name_program(l, task.name);
    int failed = take(l, err);
    let_go(l);
    if (failed) {
        snapshot_free(&l->base);
        return -1;
    }
    name_files(l);
    *out = &l->base;
    return 0;
}
