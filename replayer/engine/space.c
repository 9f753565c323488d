#include "replayer/engine/space.h"

#include "core/abi.h"
#include "core/annex.h"
#include "core/array.h"
#include "core/calls/syscalls.h"
#include "core/tracee.h"
#include "replayer/engine/engine.h"
#include "replayer/engine/kernel_task.h"
#include "replayer/engine/memory.h"
#include "replayer/engine/space_maps.h"
#include "replayer/engine/probes.h"
#include "replayer/engine/page_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *intern(struct replay *r, const void *text, size_t len) {
    if (!text) text = "";
    for (size_t i = 0; i < r->name_count; i++)
        if (strlen(r->names[i]) == len && !memcmp(r->names[i], text, len)) return r->names[i];
    char *name = strndup(text, len);
    rf_assert(name);
    array_push(r->names, r->name_count, name);
    return name;
}

// ---- spaces

static struct space *adopt(struct replay *r, pid_t pid, struct rf_error *err) {
    struct space *s = calloc(1, sizeof *s);
    rf_assert(s);
    s->pid = pid;
    s->id = ++r->space_ids;
    s->mem_fd = tracee_open_mem(pid);
    if (s->mem_fd < 0) {
        rf_fail_errno(err, RF_CANNOT, "cannot open /proc/%d/mem", pid);
        kernel_task_kill(pid);
        free(s);
        return NULL;
    }
    array_push(r->spaces, r->space_count, s);
    s->ring = r->ring;
    return s;
}

struct space *space_by_id(const struct replay *r, uint32_t id) {
    for (size_t i = 0; i < r->space_count; i++)
        if (r->spaces[i]->id == id) return r->spaces[i];
    return NULL;
}

struct space *space_new(struct replay *r, struct rf_error *err) {
    pid_t pid = kernel_task_fork(r->template_pid, err);
    return pid < 0 ? NULL : adopt(r, pid, err);
}

struct space *space_fork(struct replay *r, struct space *from, struct rf_error *err) {
    page_watch_lift(from);
    pid_t pid = kernel_task_fork(from->pid, err);
    struct space *s = pid < 0 ? NULL : adopt(r, pid, err);
    if (!s) return NULL;
    s->brk = from->brk;
    s->stack_limit = from->stack_limit;
    s->calls = from->calls;
    s->map_count = from->map_count;
    s->maps = array_copy(from->maps, from->map_count, sizeof *s->maps);
    rf_assert(s->maps || !s->map_count);
    planted_copy(s, from);
    s->maps_changed = from->maps_changed;
    return s;
}

void space_unref(struct replay *r, struct space *s) {
    if (--s->refs > 0) return;
    kernel_task_kill(s->pid);
    close(s->mem_fd);
    for (size_t i = 0; i < r->space_count; i++)
        if (r->spaces[i] == s) {
            r->spaces[i] = r->spaces[--r->space_count];
            break;
        }
    free(s->maps);
    planted_free(s);
    free(s);
}

// ---- mappings

static int mapped_at(long result, uint64_t address, const char *what, struct rf_error *err) {
    if (result == (long)address) return 0;
    errno = result < 0 ? (int)-result : EADDRINUSE;
    return rf_fail_errno(err, RF_CANNOT, "cannot map %s at 0x%llx in a replay task", what,
                         (unsigned long long)address);
}

static bool bad_range(uint64_t address, uint64_t length) {
    return address % PAGE || !length || address + length < address || address + length > USER_END ||
           (address < REPLAY_PAGE + PAGE && address + length > REPLAY_PAGE);
}

// Up to the end of the page in which `map` ends.
static int map_anonymous(struct replay *r, struct space *s, struct space_map map, struct rf_error *err) {
    map.v.end = page_up(map.v.end);
    uint64_t address = map.v.start, length = map.v.end - map.v.start;
    if (bad_range(address, length))
        return rf_fail(err, RF_BAD_TRACE, "event %llu maps the impossible range 0x%llx+0x%llx",
                       (unsigned long long)r->position + 1, (unsigned long long)address,
                       (unsigned long long)length);
    probes_evict(s, map.v.start, map.v.end);
    uint64_t grows = (uint64_t)map.flags & MAP_GROWSDOWN; // as it did there
    long at = KERNEL_TASK_CALL(s->pid, SYS_mmap, address, length, (uint64_t)map.v.prot,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE | grows, ~0ull);
    if (mapped_at(at, address, "memory", err) < 0) return -1;
    space_maps_add(s, map);
    return 0;
}

// Holes stay holes, and become some.
static int fill_object(int to, int from, struct rf_error *err) {
    char buffer[65536];
    off_t behind = 0, at = 0, end = lseek(from, 0, SEEK_END);
    for (; behind < end; behind = at) {
        at = lseek(from, behind, SEEK_DATA);
        if (at < 0) at = end;
        if (at > behind) fallocate(to, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, behind, at - behind);
        ssize_t n = at < end ? pread(from, buffer, sizeof buffer, at) : 0;
        if (n < 0 || (n > 0 && pwrite(to, buffer, (size_t)n, at) != n))
            return rf_fail_errno(err, RF_CANNOT, "cannot fill a memory file");
        at += n;
    }
    return 0;
}

static struct shared_object *shared_object(struct replay *r, uint64_t identity, uint64_t blob, uint64_t size,
                                           struct rf_error *err) {
    struct shared_object *o = NULL;
    for (size_t i = 0; i < r->object_count; i++)
        if (r->objects[i].identity == identity) o = &r->objects[i];
    if (!o) {
        int fd = fd_raise(memfd_create("refork-shared", MFD_CLOEXEC));
        if (fd < 0) {
            rf_fail_errno(err, RF_CANNOT, "cannot make a memory file");
            return NULL;
        }
        o = array_add(r->objects, r->object_count);
        o->identity = identity;
        o->fd = fd;
    }
    // Beyond the end of a file there is SIGBUS, so it is as long as it was at this mapping.
    if (blob ? size != o->size || blob != o->blob : size > o->size) {
        if (size > 1ull << 46 || ftruncate(o->fd, (off_t)size) < 0) {
            rf_fail_errno(err, RF_CANNOT, "cannot make a memory file of %llu bytes",
                          (unsigned long long)size);
            return NULL;
        }
        o->size = size;
    }
    // The file as it was at this mapping: what was mapped before already shows the same bytes, or is gone.
    if (blob && blob != o->blob) {
        o->blob = blob;
        int from = trace_blob_fd(r->trace, blob, err);
        if (from < 0 || fill_object(o->fd, from, err) < 0) return NULL;
    }
    return o;
}

bool space_shared_read(const struct replay *r, uint64_t identity, uint64_t offset, void *buffer, size_t len) {
    for (size_t i = 0; i < r->object_count; i++)
        if (r->objects[i].identity == identity)
            return pread(r->objects[i].fd, buffer, len, (off_t)offset) == (ssize_t)len;
    return false;
}

int space_write_file(struct replay *r, const struct piece *p, struct rf_error *err) {
    for (size_t i = 0; i < r->object_count; i++) {
        struct shared_object *o = &r->objects[i];
        if (o->identity != p->file.identity) continue;
        bool cut = p->file.cut == 1;
        off_t offset = (off_t)p->file.offset;
        if (cut ? p->file.offset > 1ull << 46 || ftruncate(o->fd, offset) < 0
                : pwrite(o->fd, p->data, p->len, offset) != (ssize_t)p->len)
            return rf_fail_errno(err, RF_CANNOT, "cannot write into a memory file");
        if (cut) o->size = p->file.offset;
    }
    return 0;
}

int space_map(struct replay *r, struct space *s, const struct piece *map, const struct piece *share,
              bool exec_image, struct rf_error *err) {
    page_watch_lift(s);
    const struct piece_map *m = &map->map;
    uint64_t address = m->address, length = page_up(m->length), blob = m->blob, offset = m->offset;
    int prot = (int)m->prot & (PROT_READ | PROT_WRITE | PROT_EXEC), flags = (int)m->flags;
    const char *name = intern(r, map->data, map->len);
    if (bad_range(address, length) || offset % PAGE)
        return rf_fail(err, RF_BAD_TRACE, "event %llu maps the impossible range 0x%llx+0x%llx",
                       (unsigned long long)r->event.number, (unsigned long long)address,
                       (unsigned long long)length);
    if (exec_image && !strcmp(name, "[stack]") && s->stack_limit) {
        // Stacks grow by themselves: all that may come is there from the start, and not a page more, so that
        // an overflow faults where it did.
        uint64_t limit = s->stack_limit > 1ull << 30 ? 1ull << 30 : page_down(s->stack_limit),
                 end = address + length;
        if (limit > length && limit < end) {
            address = end - limit;
            length = limit;
        }
    }
    int fd = -1;
    uint64_t identity = 0, flag = MAP_PRIVATE;
    if (share) {
        struct shared_object *o =
            shared_object(r, identity = share->share.identity, blob, share->share.size, err);
        if (!o) return -1;
        fd = o->fd;
        flag = MAP_SHARED;
    } else if (blob) {
        if ((fd = trace_blob_fd(r->trace, blob, err)) < 0) return -1;
    } else {
        flag |= MAP_ANONYMOUS | MAP_NORESERVE;
    }
    probes_evict(s, address, address + length);
    long at = KERNEL_TASK_CALL(s->pid, SYS_mmap, address, length, (uint64_t)prot, flag | MAP_FIXED,
                               (uint64_t)(int64_t)fd, fd < 0 ? 0 : offset);
    if (mapped_at(at, address, name, err) < 0) return -1;
    space_maps_add(
        s, (struct space_map){{address, address + length, blob || share ? offset : 0, blob, prot, name},
                              flags,
                              identity,
                              false});
    return 0;
}

int space_remap_shared(struct replay *r, struct space *s, struct rf_error *err) {
    page_watch_lift(s);
    for (size_t i = 0; i < s->map_count; i++) {
        struct space_map *m = &s->maps[i];
        if (!m->identity) continue;
        for (size_t k = 0; k < r->object_count; k++) {
            if (r->objects[k].identity != m->identity) continue;
            long at =
                KERNEL_TASK_CALL(s->pid, SYS_mmap, m->v.start, m->v.end - m->v.start, (uint64_t)m->v.prot,
                                 MAP_SHARED | MAP_FIXED, (uint64_t)r->objects[k].fd, m->v.offset);
            if (mapped_at(at, m->v.start, "shared memory", err) < 0) return -1;
        }
    }
    return 0;
}

// ---- calls that change the space

static int do_brk(struct replay *r, struct space *s, uint64_t now, struct rf_error *err) {
    uint64_t old = s->brk;
    s->brk = now;
    if (!old) return 0;
    uint64_t from = page_up(old), to = page_up(now);
    if (to > from) {
        struct space_map heap = {.v = {from, to,
                                       .prot = PROT_READ | PROT_WRITE | (s->heap_runs ? PROT_EXEC : 0),
                                       .name = "[heap]"},
                                 .flags = MAP_PRIVATE | MAP_ANONYMOUS};
        return map_anonymous(r, s, heap, err);
    }
    if (to < from && !bad_range(to, from - to)) {
        probes_evict(s, to, from);
        kernel_task_unmap(s->pid, to, from - to);
        space_maps_remove(s, to, from);
    }
    return 0;
}

static int do_mremap(struct replay *r, struct space *s, const uint64_t a[6], uint64_t ret,
                     struct rf_error *err) {
    uint64_t old_len = page_up(a[1]), new_len = page_up(a[2]);
    if (bad_range(a[0], new_len) || bad_range(ret, new_len) || (old_len && bad_range(a[0], old_len)))
        return rf_fail(err, RF_BAD_TRACE, "event %llu remaps an impossible range",
                       (unsigned long long)r->event.number);
    if (old_len) space_maps_new_code(r, s, a[0], a[0] + old_len);
    uint64_t flags = ret == a[0] ? 0 : MREMAP_MAYMOVE | MREMAP_FIXED | (a[3] & MREMAP_DONTUNMAP);
    probes_evict(s, a[0], a[0] + (old_len > new_len ? old_len : new_len));
    probes_evict(s, ret, ret + new_len);
    long at = KERNEL_TASK_CALL(s->pid, SYS_mremap, a[0], old_len, new_len, flags, ret);
    if (mapped_at(at, ret, "moved memory", err) < 0) return -1;
    const struct space_map *was = NULL;
    for (size_t i = 0; i < s->map_count; i++)
        if (a[0] >= s->maps[i].v.start && a[0] < s->maps[i].v.end) was = &s->maps[i];
    if (!was) return 0;
    struct space_map m = *was;
    m.v.offset += a[0] - m.v.start;
    if (old_len && !(flags & MREMAP_DONTUNMAP)) space_maps_remove(s, a[0], a[0] + old_len);
    m.v.start = ret;
    m.v.end = ret + new_len;
    space_maps_add(s, m);
    return 0;
}

// PROT_GROWSDOWN: from the begin of the mapping on. The stack is there at its full length, and grows no more.
static bool from_stack_floor(const struct space *s, uint64_t *from, uint64_t *length) {
    for (size_t i = 0; i < s->map_count; i++) {
        const struct view_map *m = &s->maps[i].v;
        if (*from < m->start || *from >= m->end || strcmp(m->name, "[stack]") != 0) continue;
        *length += *from - m->start;
        *from = m->start;
        return true;
    }
    return false;
}

// 0, or a negative errno.
static int protect(struct replay *r, struct space *s, uint64_t from, uint64_t length, uint64_t how) {
    const int prot = (int)how & (PROT_READ | PROT_WRITE | PROT_EXEC);
    length = page_up(length);
    uint64_t grows = how & PROT_GROWSDOWN;
    if (grows && from_stack_floor(s, &from, &length)) grows = 0;
    if (bad_range(from, length)) return 0;
    probes_evict(s, from, from + length);
    long x = KERNEL_TASK_CALL(s->pid, SYS_mprotect, from, length, (uint64_t)prot | grows);
    if (!x) space_maps_protect(r, s, from, from + length, prot);
    return (int)x;
}

static void do_madvise(struct replay *r, struct space *s, uint64_t from, uint64_t length, uint64_t advice) {
    enum { DONTNEED_LOCKED = 24, GUARD_INSTALL = 102, GUARD_REMOVE = 103 }; // the last two since Linux 6.13
    static const uint64_t done[] = {MADV_DONTNEED,   MADV_FREE,     MADV_REMOVE, MADV_WIPEONFORK,
                                    MADV_KEEPONFORK, MADV_DONTFORK, MADV_DOFORK, DONTNEED_LOCKED,
                                    GUARD_INSTALL,   GUARD_REMOVE};
    bool known = false;
    for (size_t i = 0; i < sizeof done / sizeof *done; i++)
        known |= advice == done[i];
    if (!known || bad_range(from, page_up(length))) return;
    probes_evict(s, from, from + page_up(length));
    // MADV_FREE was carried out as MADV_DONTNEED, and nothing is locked here.
    bool empties = advice == MADV_DONTNEED || advice == MADV_FREE || advice == DONTNEED_LOCKED;
    if (empties) space_maps_new_code(r, s, from, from + page_up(length));
    KERNEL_TASK_CALL(s->pid, SYS_madvise, from, length, empties ? MADV_DONTNEED : advice);
}

// The ranges up to the result, and what was done of the one at which it failed.
static void do_process_madvise(struct replay *r, struct space *s, const struct event *e,
                               const uint64_t a[6]) {
    const struct piece *reach = event_piece(e, PIECE_REACH, NULL);
    uint64_t done = is_error(e->ret) ? 0 : (uint64_t)e->ret, range[2];
    for (uint64_t i = 0; i < a[2] && space_read(s, a[1] + i * sizeof range, range, sizeof range); i++) {
        if (range[1] <= done) {
            do_madvise(r, s, range[0], range[1], a[3]);
            done -= range[1];
            continue;
        }
        if (reach && reach->reach.address > range[0])
            do_madvise(r, s, range[0], reach->reach.address - range[0], a[3]);
        return;
    }
}

// An mprotect or madvise that failed in its middle. What was done of it may be done in a part of this space only (the stack is
// mapped at full length here): what fails is left out.
static void do_in_part(struct replay *r, struct space *s, const struct event *e, const uint64_t a[6]) {
    const struct piece *reach = event_piece(e, PIECE_REACH, NULL);
    if (!reach || reach->reach.address <= a[0]) return;
    if (e->nr == SYS_madvise) do_madvise(r, s, a[0], reach->reach.address - a[0], a[2]);
    if (syscall_effect(e->nr) == EFFECT_PROTECT) protect(r, s, a[0], reach->reach.address - a[0], a[2]);
}

// Maps [from, to) anew, each mapping in it with its own protection: anonymously (fd -1), or a memory file from its begin on.
static int map_over(struct replay *r, struct space *s, uint64_t from, uint64_t to, int fd,
                    struct rf_error *err) {
    int result = 0;
    if (bad_range(from, to - from) || to % PAGE)
        return rf_fail(err, RF_BAD_TRACE, "event %llu changes an impossible range",
                       (unsigned long long)r->event.number);
    probes_evict(s, from, to);
    for (size_t i = 0; i < s->map_count && !result; i++) {
        const struct view_map *m = &s->maps[i].v;
        uint64_t start = m->start > from ? m->start : from, end = m->end < to ? m->end : to;
        if (start >= end) continue;
        uint64_t flags = MAP_PRIVATE | MAP_FIXED | (fd < 0 ? MAP_ANONYMOUS | MAP_NORESERVE : 0);
        long at = KERNEL_TASK_CALL(s->pid, SYS_mmap, start, end - start, (uint64_t)m->prot, flags,
                                   (uint64_t)(int64_t)fd, fd < 0 ? 0 : start - from);
        result = mapped_at(at, start, "a part of a file", err);
    }
    return result;
}

// A page that is the file's stays one: copied by a write, it would count as the program's own (memory_digest).
int space_file_pages(struct replay *r, struct space *s, const struct piece *p, struct rf_error *err) {
    page_watch_lift(s);
    int fd = fd_raise(memfd_create("refork-pages", MFD_CLOEXEC));
    if (fd < 0 || write(fd, p->data, p->len) != (ssize_t)p->len) {
        if (fd >= 0) close(fd);
        return rf_fail_errno(err, RF_CANNOT, "cannot make a memory file");
    }
    int result = map_over(r, s, p->taskmem.address, p->taskmem.address + p->len, fd, err);
    close(fd);
    return result;
}

int space_extent(struct replay *r, struct space *s, const struct piece *p, struct rf_error *err) {
    page_watch_lift(s);
    uint64_t from = p->extent.address, to = from + p->extent.length;
    if (p->extent.present) return map_over(r, s, from, to, -1, err);
    int empty = fd_raise(memfd_create("refork-empty", MFD_CLOEXEC));
    if (empty < 0) return rf_fail_errno(err, RF_CANNOT, "cannot make a memory file");
    int result = map_over(r, s, from, to, empty, err);
    close(empty);
    return result;
}

int space_stack_floor(struct replay *r, struct space *s, uint64_t floor, struct rf_error *err) {
    page_watch_lift(s);
    size_t at = 0, stack = 0;
    while (at < s->map_count && strcmp(s->maps[at].v.name, "[stack]"))
        at++;
    if (at == s->map_count || floor % PAGE) return 0;
    stack = at;
    uint64_t start = s->maps[stack].v.start;
    if (floor > start && floor < s->maps[stack].v.end) {
        kernel_task_unmap(s->pid, start, floor - start);
        space_maps_remove(s, start, floor);
        return 0;
    }
    uint64_t before = stack ? s->maps[stack - 1].v.end : 0;
    if (floor < before) floor = before;
    if (floor >= start || start - floor > 1ull << 30) return 0;
    struct space_map m = s->maps[stack];
    m.v.start = floor;
    m.v.end = start;
    return map_anonymous(r, s, m, err);
}

int space_syscall(struct replay *r, struct space *s, const struct event *e, const uint64_t a[6],
                  struct rf_error *err) {
    page_watch_lift(s);
    int64_t ret = e->ret;
    if (e->nr == SYS_process_madvise) {
        do_process_madvise(r, s, e, a);
        return 0;
    }
    if (is_error(ret)) {
        do_in_part(r, s, e, a);
        return 0;
    }
    switch (e->nr) {
    case SYS_brk:
        return do_brk(r, s, (uint64_t)ret, err);
    case SYS_shmdt:
        for (size_t i = 0; i < s->map_count; i++) {
            struct view_map m = s->maps[i].v;
            if (m.start != a[0] || !s->maps[i].identity) continue;
            kernel_task_unmap(s->pid, m.start, m.end - m.start);
            space_maps_remove(s, m.start, m.end);
            break;
        }
        return 0;
    case SYS_shmat:
    case SYS_mmap: {
        size_t i = 0;
        const struct piece *map = event_piece(e, PIECE_MAP, &i);
        if (map) {
            const struct piece *share =
                i < e->piece_count && e->pieces[i].kind == PIECE_SHARE ? &e->pieces[i] : NULL;
            return space_map(r, s, map, share, false, err);
        }
        const struct space_map memory = {
            .v = {(uint64_t)ret, (uint64_t)ret + a[1], .prot = (int)a[2] & 7, .name = ""},
            .flags = (int)a[3]};
        return map_anonymous(r, s, memory, err);
    }
    case SYS_munmap:
        if (bad_range(a[0], page_up(a[1]))) return 0;
        probes_evict(s, a[0], a[0] + page_up(a[1]));
        kernel_task_unmap(s->pid, a[0], a[1]);
        space_maps_remove(s, a[0], a[0] + page_up(a[1]));
        return 0;
    case SYS_mprotect:
    case SYS_pkey_mprotect: {
        int failed = protect(r, s, a[0], a[1], a[2]);
        if (!failed) return 0;
        errno = -failed;
        return rf_fail_errno(err, RF_DIVERGED,
                             "event %llu: mprotect worked in the recording and fails in replay",
                             (unsigned long long)r->event.number);
    }
    case SYS_mremap:
        return do_mremap(r, s, a, (uint64_t)ret, err);
    case SYS_modify_ldt:
        if (ret || a[0] == 0 || a[0] == 2 || kernel_task_call(s->pid, SYS_modify_ldt, a) == 0) return 0;
        return rf_fail(err, RF_CANNOT, "event %llu: this kernel does not take the program's entry of the LDT",
                       (unsigned long long)r->event.number);
    case SYS_madvise:
        do_madvise(r, s, a[0], a[1], a[2]);
        return 0;
    default:
        return 0;
    }
}
