#include "replayer/rr/snapshot.h"

#include "core/array.h"
#include "core/guard.h"
#include "core/proc_maps.h"
#include "replayer/rr/hook.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct rr_process {
    struct snapshot base;
    struct remote *remote;
    struct view_map *maps;
    char **names; // of the maps
    size_t name_count;
};

static void release(struct snapshot *s) {
    struct rr_process *p = (struct rr_process *)s;
    for (size_t i = 0; i < p->name_count; i++)
        free(p->names[i]);
    free(p->names);
    free(p->maps);
    free(p);
}

static bool read_memory(void *context, uint64_t address, void *buffer, size_t len) {
    return remote_read(((struct rr_process *)context)->remote, address, buffer, len);
}

static const void *blob(void *context, uint64_t id, size_t *size) {
    return file_store_bytes(((struct rr_process *)context)->base.files, id, size);
}

// ---- the files of the trace: mmap_hardlink_27_libc.so.6, mmap_copy_5_server

static bool is_copy_of(const char *entry, const char *path) {
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    size_t len = strlen(entry), tail = strlen(base);
    // rr cuts long names off at their end, so only what it has is compared.
    if (strncmp(entry, "mmap_", 5) || len <= tail) return false;
    return entry[len - tail - 1] == '_' && !strcmp(entry + len - tail, base);
}

enum { COPIES_MOST = 32 };

// Versions of a file with that name; the last place is for the path itself.
static size_t copies_of(const char *folder, const char *path, char *copies[COPIES_MOST + 1]) {
    size_t count = 0;
    scoped_dir DIR *d = opendir(folder);
    for (struct dirent *e; d && count < COPIES_MOST && (e = readdir(d));)
        if (is_copy_of(e->d_name, path) && asprintf(&copies[count], "%s/%s", folder, e->d_name) > 0) count++;
    if ((copies[count] = strdup(path))) count++;
    return count;
}

static void name_files(struct rr_process *p, const char *folder) {
    size_t count = p->base.view.map_count;
    for (size_t i = 0, end; i < count; i = end) {
        char *copies[COPIES_MOST + 1];
        end = i + 1;
        if (p->maps[i].name[0] != '/' || p->base.shared[i]) continue;
        while (end < count && !strcmp(p->maps[end].name, p->maps[i].name) &&
               p->maps[end].offset >= p->maps[end - 1].offset)
            end++;
        size_t n = copies_of(folder, p->maps[i].name, copies);
        snapshot_name_file(&p->base, p->maps, i, end, (const char *const *)copies, n);
        while (n > 0)
            free(copies[--n]);
    }
}

// ---- maps

static int read_maps(struct rr_process *p, struct remote *remote, int tid, struct rf_error *err) {
    char path[48];
    size_t len = 0, shared_count = 0;
    snprintf(path, sizeof path, "/proc/%d/maps", tid);
    scoped_free char *text = remote_file(remote, path, &len);
    struct proc_map map;
    struct proc_maps maps = {.file = text && len ? fmemopen(text, len, "r") : NULL};
    while (proc_maps_next(&maps, &map)) {
        // rr calls the stack of each thread by that name; of a process only one is the kernel's.
        bool stack = !strcmp(map.name, "[stack]");
        for (size_t i = 0; stack && i < p->base.view.map_count; i++)
            if (!strcmp(p->maps[i].name, "[stack]")) p->maps[i].name = "";
        char *name = strdup(map.name);
        rf_assert(name);
        array_push(p->names, p->name_count, name);
        array_push(
            p->maps, p->base.view.map_count,
            (struct view_map){
                .start = map.start, .end = map.end, .offset = map.offset, .prot = map.prot, .name = name});
        array_push(p->base.shared, shared_count, map.shared);
    }
    proc_maps_close(&maps);
    p->base.view.maps = p->maps;
    if (p->base.view.map_count) return 0;
    return rf_fail(err, RF_CANNOT, "the replay does not tell what process %d has mapped", p->base.pid);
}

// ---- all of it

static int read_threads(struct rr_process *p, const struct rr_trace *t, struct remote *remote,
                        struct rf_error *err) {
    struct snapshot *s = &p->base;
    size_t count;
    struct remote_thread *list;
    if (remote_threads(remote, &list, &count, err)) return -1;
    scoped_free struct remote_thread *threads = list;
    s->threads = calloc(count + 1, sizeof *s->threads);
    rf_assert(s->threads);
    for (size_t i = 0; i < count; i++) {
        const struct rr_task *task = rr_trace_task(t, threads[i].tid, 0);
        if (!task || task->pid != s->pid) continue;
        struct snapshot_thread *to = &s->threads[s->thread_count];
        *to = (struct snapshot_thread){.tid = threads[i].tid, .inside = threads[i].tid, .stopped = true};
        memcpy(to->name, threads[i].name, sizeof to->name);
        if (remote_registers(remote, &threads[i], &to->regs, err)) return -1;
        s->thread_count++;
    }
    if (s->thread_count) return 0;
    return rf_fail(err, RF_CANNOT, "the replay shows no thread of process %d", s->pid);
}

static bool is_syscall(const struct view *v, uint64_t pc) {
    uint8_t code[2];
    return v->read(v->context, pc, code, sizeof code) && code[0] == 0x0f && code[1] == 0x05;
}

// The end of a process cuts its threads off in calls, or right before them: those have not the registers yet by which a call
// that sleeps is known. rr shows -ENOSYS within a call, refork's server the call's number.
static void complete_call(struct snapshot_thread *t, const struct rr_task *task, const struct view *v) {
    enum { CALLS = 1024 };
    if (t->in_call || !task || !task->in_call) return;
    if (is_syscall(v, t->regs.rip))
        t->regs.rip += 2;
    else if (!is_syscall(v, t->regs.rip - 2))
        return;
    if (t->regs.rax < CALLS)
        t->regs.orig_rax = t->regs.rax;
    else if ((int64_t)t->regs.rax != -ENOSYS)
        return;
    t->regs.rax = (uint64_t)-512; // ERESTARTSYS
    snapshot_read_call(t, v);
}

static int fill(struct rr_process *p, const struct rr_trace *t, struct remote *remote, struct rf_error *err) {
    struct snapshot *s = &p->base;
    if (read_threads(p, t, remote, err) || read_maps(p, remote, s->threads[0].tid, err)) return -1;
    name_files(p, t->path);
    for (size_t i = 0; i < s->thread_count; i++) {
        struct snapshot_thread *thread = &s->threads[i];
        snapshot_read_call(thread, &s->view);
        complete_call(thread, rr_trace_task(t, thread->tid, 0), &s->view);
        thread->in_call = thread->in_call && snapshot_would_sleep(thread, &s->view);
        thread->running = !thread->in_call;
        rr_leave_hook(&s->view, &thread->regs);
    }
    return 0;
}

int rr_snapshot(const struct rr_trace *t, const struct rr_task *first, struct remote *remote,
                struct file_store *files, struct snapshot **out, struct rf_error *err) {
    struct rr_process *p = calloc(1, sizeof *p);
    rf_assert(p);
    p->base = (struct snapshot){.pid = first->pid,
                                .inside = first->pid,
                                .core = true, // nothing of it is on this machine
                                .handlers = true,
                                .alone = !first->shares_memory,
                                .complete = true,
                                .view = {.read = read_memory, .blob = blob, .context = p},
                                .files = files,
                                .release = release};
    p->remote = remote;
    const struct rr_task *forker = rr_trace_forker(t, first);
    p->base.parent = forker ? forker->pid : 0;
    snprintf(p->base.program, sizeof p->base.program, "%s", t->program);
    if (fill(p, t, remote, err)) {
        snapshot_free(&p->base);
        return -1;
    }
    *out = &p->base;
    return 0;
}
