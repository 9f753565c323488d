#include "replayer/engine/checkpoint.h"

#include "core/array.h"
#include "core/guard.h"
#include "core/tracee.h"
#include "replayer/engine/engine.h"
#include "replayer/engine/kernel_task.h"
#include "replayer/engine/memory.h"
#include "replayer/engine/page_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

// Kernel tasks that only wait to be forked again, and copies of everything that a step changes.
struct replay_checkpoint {
    uint64_t position, time_us;
    struct space *spaces; // pid: the waiting fork; mem_fd unused
    size_t space_count;
    struct vtask *tasks; // space: index + 1 into spaces, as a pointer-sized number
    size_t *task_space;
    size_t task_count;
    struct shared_object *objects;
    size_t object_count;
};

static int copy_object(int from, uint64_t size, struct rf_error *err) {
    int fd = fd_raise(memfd_create("refork-shared", MFD_CLOEXEC));
    if (fd < 0 || ftruncate(fd, (off_t)size) < 0) {
        if (fd >= 0) close(fd);
        return rf_fail_errno(err, RF_CANNOT, "cannot copy shared memory");
    }
    char buffer[65536];
    for (off_t at = 0; (at = lseek(from, at, SEEK_DATA)) >= 0;) {
        ssize_t n = pread(from, buffer, sizeof buffer, at);
        if (n <= 0) break;
        if (pwrite(fd, buffer, (size_t)n, at) != n) {
            close(fd);
            return rf_fail_errno(err, RF_CANNOT, "cannot copy shared memory");
        }
        at += n;
    }
    return fd;
}

static int copy_objects(struct shared_object **to, size_t *count, const struct shared_object *from, size_t n,
                        struct rf_error *err) {
    *to = NULL;
    for (*count = 0; *count < n;) {
        struct shared_object object = from[*count];
        if ((object.fd = copy_object(object.fd, object.size, err)) < 0) return -1;
        array_push(*to, *count, object);
    }
    return 0;
}

static void copy_task(struct vtask *to, const struct vtask *from) {
    *to = *from;
    to->xstate = NULL;
    if (from->xstate) {
        to->xstate = malloc(XSTATE_MAX);
        rf_assert(to->xstate);
        memcpy(to->xstate, from->xstate, from->xstate_size);
    }
}

// Descriptor tables keep their sharing: the same table becomes the same copy.
static void copy_tables(struct vtask **to, struct vtask **from, size_t n) {
    for (size_t i = 0; i < n; i++) {
        struct fdtable *copy = NULL;
        if (!from[i]->fds) continue;
        for (size_t k = 0; k < i && !copy; k++)
            if (from[k]->fds == from[i]->fds) copy = fdtable_ref(to[k]->fds);
        to[i]->fds = copy ? copy : fdtable_clone(from[i]->fds);
    }
}

static void copy_space(struct space *to, const struct space *from) {
    *to = *from;
    to->maps = array_copy(from->maps, from->map_count, sizeof *to->maps);
    rf_assert(to->maps || !from->map_count);
    to->loaded = NULL;
    to->watched = false;
    to->watch_count = 0;
    planted_copy(to, from);
}

int replay_save(struct replay *r, struct replay_checkpoint **out, struct rf_error *err) {
    struct replay_checkpoint *c = calloc(1, sizeof *c);
    rf_assert(c);
    c->position = r->position;
    c->time_us = r->time_us;
    c->spaces = calloc(r->space_count + 1, sizeof *c->spaces);
    c->tasks = calloc(r->task_count + 1, sizeof *c->tasks);
    c->task_space = calloc(r->task_count + 1, sizeof *c->task_space);
    rf_assert(c->spaces && c->tasks && c->task_space);
    for (size_t i = 0; i < r->space_count; i++) {
        vtask_unload(r->spaces[i]);
        page_watch_lift(r->spaces[i]);
        copy_space(&c->spaces[i], r->spaces[i]);
        c->space_count++;
        c->spaces[i].mem_fd = -1;
        if ((c->spaces[i].pid = kernel_task_fork(r->spaces[i]->pid, err)) < 0) {
            replay_checkpoint_free(c);
            return -1;
        }
    }
    struct vtask **pointers = calloc(r->task_count + 1, sizeof *pointers);
    rf_assert(pointers);
    for (size_t i = 0; i < r->task_count; i++) {
        copy_task(&c->tasks[i], r->tasks[i]);
        c->tasks[i].fds = NULL;
        pointers[i] = &c->tasks[i];
        for (size_t k = 0; k < r->space_count; k++)
            if (r->tasks[i]->space == r->spaces[k]) c->task_space[i] = k + 1;
        c->task_count++;
    }
    copy_tables(pointers, r->tasks, r->task_count);
    free(pointers);
    if (copy_objects(&c->objects, &c->object_count, r->objects, r->object_count, err) < 0) {
        replay_checkpoint_free(c);
        return -1;
    }
    *out = c;
    return 0;
}

void replay_checkpoint_free(struct replay_checkpoint *c) {
    if (!c) return;
    for (size_t i = 0; i < c->space_count; i++) {
        kernel_task_kill(c->spaces[i].pid);
        free(c->spaces[i].maps);
        planted_free(&c->spaces[i]);
    }
    for (size_t i = 0; i < c->task_count; i++) {
        fdtable_unref(c->tasks[i].fds);
        free(c->tasks[i].xstate);
    }
    for (size_t i = 0; i < c->object_count; i++)
        if (c->objects[i].fd >= 0) close(c->objects[i].fd);
    free(c->objects);
    free(c->spaces);
    free(c->tasks);
    free(c->task_space);
    free(c);
}

static uint64_t memory_of(pid_t pid) {
    char path[64], line[256];
    unsigned long long kib, sum = 0;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    scoped_file FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "Pss_Anon: %llu", &kib) == 1 || sscanf(line, "Pss_Shmem: %llu", &kib) == 1)
            sum += kib;
    return sum * 1024;
}

uint64_t replay_checkpoint_memory(const struct replay_checkpoint *c) {
    uint64_t sum = 0;
    for (size_t i = 0; i < c->space_count; i++)
        if (c->spaces[i].pid > 0) sum += memory_of(c->spaces[i].pid);
    return sum;
}

uint64_t replay_checkpoint_position(const struct replay_checkpoint *c) {
    return c->position;
}

static void forget_everything(struct replay *r) {
    for (size_t i = 0; i < r->task_count; i++)
        vtask_free(r->tasks[i]);
    r->task_count = 0;
    while (r->space_count) {
        r->spaces[0]->refs = 1;
        space_unref(r, r->spaces[0]);
    }
    for (size_t i = 0; i < r->object_count; i++)
        close(r->objects[i].fd);
    free(r->objects);
    r->objects = NULL;
    r->object_count = 0;
}

int replay_restore(struct replay *r, const struct replay_checkpoint *c, struct rf_error *err) {
    forget_everything(r);
    r->position = c->position;
    r->time_us = c->time_us;
    r->have_event = r->have_ahead = false;
    if (copy_objects(&r->objects, &r->object_count, c->objects, c->object_count, err) < 0) return -1;
    for (size_t i = 0; i < c->space_count; i++) {
        struct space *s = calloc(1, sizeof *s);
        rf_assert(s);
        copy_space(s, &c->spaces[i]);
        s->mem_fd = -1;
        array_push(r->spaces, r->space_count, s);
        if ((s->pid = kernel_task_fork(c->spaces[i].pid, err)) < 0) return -1;
        if ((s->mem_fd = tracee_open_mem(s->pid)) < 0)
            return rf_fail_errno(err, RF_CANNOT, "cannot open /proc/%d/mem", s->pid);
        if (space_remap_shared(r, s, err) < 0) return -1;
        watch_arm(r, s);
    }
    struct vtask **from = calloc(c->task_count + 1, sizeof *from);
    rf_assert(from);
    for (size_t i = 0; i < c->task_count; i++) {
        struct vtask *v = calloc(1, sizeof *v);
        rf_assert(v);
        from[i] = &c->tasks[i];
        copy_task(v, &c->tasks[i]);
        v->fds = NULL;
        v->space = c->task_space[i] ? r->spaces[c->task_space[i] - 1] : NULL;
        array_push(r->tasks, r->task_count, v);
    }
    copy_tables(r->tasks, from, c->task_count);
    free(from);
    breaks_restored(r);
    if (!c->position) return trace_seek(r->trace, 1, err);
    if (trace_seek(r->trace, c->position, err) < 0) return -1;
    if (trace_next(r->trace, &r->event, err) != 1) return -1;
    r->have_event = true;
    return 0;
}
