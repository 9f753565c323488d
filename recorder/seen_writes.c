#include "recorder/seen_writes.h"

#include "core/abi.h"
#include "core/array.h"
#include "core/proc_maps.h"
#include "core/calls/syscalls.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { IOVECS = 1024 };

struct seen_file {
    uint64_t dev, ino, size;       // size: as it was seen last
    bool mapped, shared, writable; // mapped privately, MAP_SHARED, opened for writing: ever
};

struct seen_writes {
    struct seen_file *files;
    size_t count;
    size_t contested;  // files that are mapped privately and writable
    bool memory_files; // somebody has opened a /proc/PID/mem
    struct call_seen seen;
};

static struct seen_writes *state_of(struct recorder *r) {
    if (!r->seen_writes) r->seen_writes = calloc(1, sizeof *r->seen_writes);
    rf_assert(r->seen_writes);
    return r->seen_writes;
}

void seen_writes_free(struct recorder *r) {
    if (r->seen_writes) free(r->seen_writes->files);
    free(r->seen_writes);
    r->seen_writes = NULL;
}

static struct seen_file *find(const struct seen_writes *w, const struct stat *st) {
    for (size_t i = 0; i < w->count; i++)
        if (w->files[i].ino == st->st_ino && w->files[i].dev == st->st_dev) return &w->files[i];
    return NULL;
}

enum seen_how { MAPPED, SHARED, WRITABLE };

static void note(struct recorder *r, const struct stat *st, enum seen_how how) {
    struct seen_writes *w = state_of(r);
    struct seen_file *f = find(w, st);
    if (!f) {
        f = array_add(w->files, w->count);
        *f = (struct seen_file){.dev = st->st_dev, .ino = st->st_ino};
    }
    bool before = f->mapped && f->writable, seen = before || (f->shared && f->writable);
    if (how == MAPPED) f->size = (uint64_t)st->st_size; // an inode may be of a new file meanwhile
    *(how == MAPPED ? &f->mapped : how == SHARED ? &f->shared : &f->writable) = true;
    if (!f->writable) return;
    if (!before && f->mapped) w->contested++;
    if (seen || !(f->mapped || f->shared)) return;
    if (w->seen.count < CALL_SEEN_FILES) {
        w->seen.files[w->seen.count].dev = f->dev;
        w->seen.files[w->seen.count].ino = f->ino;
    }
    w->seen.count++;
}

void seen_writes_mapped(struct recorder *r, const struct stat *file, bool shared) {
    note(r, file, shared ? SHARED : MAPPED);
}

const struct call_seen *seen_writes_files(const struct recorder *r) {
    static const struct call_seen none, all = {.count = ~0ull};
    const struct seen_writes *w = r->seen_writes;
    return !w ? &none : w->memory_files ? &all : &w->seen;
}

// ---- pieces

static struct task *task_of_process(struct recorder *r, int pid) {
    struct task *t = task_find(r, pid);
    for (struct task *o = r->tasks; o && !t; o = o->next)
        if (o->process->pid == pid) t = o;
    return t;
}

// What `o` sees at [address, address + length) now; page by page where not all of it can be read.
static void task_memory(struct batch *b, struct task *o, uint64_t address, uint64_t length) {
    for (uint64_t at = address, end = address + length; at < end;) {
        uint64_t next = next_page(at) < end ? next_page(at) : end;
        char page[PAGE];
        if (tracee_read(o->tid, o->mm->mem_fd, at, page, next - at)) {
            memcpy(batch_piece(b, PIECE_TASKMEM, next - at), page, next - at);
            batch_last(b)->taskmem = (struct piece_taskmem){at, (uint64_t)o->tid, 0};
        }
        at = next;
    }
}

// Of the pages in [start, end) of a private mapping those that still are the file's, as they are now. Copied ones stay as they are.
static void file_pages(struct batch *b, struct task *o, uint64_t start, uint64_t end) {
    enum { RUN = 64 };
    char path[64], bytes[RUN * PAGE];
    snprintf(path, sizeof path, "/proc/%d/pagemap", o->tid);
    int pagemap = open(path, O_RDONLY | O_CLOEXEC);
    size_t run = 0;
    for (uint64_t at = start; pagemap >= 0 && at <= end; at += PAGE) {
        uint64_t entry = 0; // bit 63: present, 62: swapped, 61: of a file
        bool copied = pread(pagemap, &entry, 8, (off_t)(at / PAGE * 8)) == 8 &&
                      ((entry >> 63 && !(entry >> 61 & 1)) || entry >> 62 & 1);
        bool more = at < end && !copied && run < RUN &&
                    tracee_read(o->tid, o->mm->mem_fd, at, bytes + run * PAGE, PAGE);
        if (more) {
            run++;
            continue;
        }
        if (!run) continue;
        memcpy(batch_piece(b, PIECE_TASKMEM, run * PAGE), bytes, run * PAGE);
        batch_last(b)->taskmem = (struct piece_taskmem){at - run * PAGE, (uint64_t)o->tid, 1};
        at -= run == RUN ? PAGE : 0; // this page begins the next run
        run = 0;
    }
    if (pagemap >= 0) close(pagemap);
}

static void extent(struct batch *b, const struct task *o, uint64_t start, uint64_t end, bool present) {
    if (start >= end) return;
    batch_piece(b, PIECE_EXTENT, 0);
    batch_last(b)->extent = (struct piece_extent){start, end - start, (uint64_t)o->tid, present};
}

// ---- files

static bool stat_fd(const struct task *t, int fd, struct stat *st) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd/%d", t->tid, fd);
    return stat(path, st) == 0 && S_ISREG(st->st_mode);
}

static int64_t position_of(const struct task *t, int fd) {
    char path[64], line[128];
    long long position = -1;
    snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", t->tid, fd);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "pos: %lld", &position) == 1) break;
    if (f) fclose(f);
    return position;
}

// [from, to) of a file is new; the file was `old` bytes long and has `now`.
struct file_change {
    uint64_t from, to, old, now;
};

// m: one private mapping of the file in o's address space.
static void in_mapping(struct batch *b, struct task *o, const struct proc_map *m,
                       const struct file_change *c) {
    uint64_t start = m->start, end = m->end, offset = m->offset;
    uint64_t old_end = page_up(c->old), now_end = page_up(c->now);
    uint64_t top = offset + (end - start);
#define WITHIN(x) ((x) < offset ? start : (x) > top ? end : start + ((x)-offset))
    if (now_end > old_end) extent(b, o, WITHIN(old_end), WITHIN(now_end), true);
    if (now_end < old_end) extent(b, o, WITHIN(now_end), WITHIN(old_end), false);
    uint64_t from = page_down(c->from), to = page_up(c->to < now_end ? c->to : now_end);
    if (WITHIN(from) < WITHIN(to)) file_pages(b, o, WITHIN(from), WITHIN(to));
#undef WITHIN
}

static void in_space(struct batch *b, struct task *o, uint64_t ino, const struct file_change *c) {
    scoped_maps struct proc_maps maps;
    struct proc_map m;
    proc_maps_open(&maps, o->tid);
    while (proc_maps_next(&maps, &m))
        if (m.inode == ino && !m.shared) in_mapping(b, o, &m, c);
}

// [from, to) of a file has been written.
static void file_changed(struct recorder *r, struct batch *b, const struct stat *st, uint64_t from,
                         uint64_t to) {
    struct seen_file *f = find(r->seen_writes, st);
    if (!f || !f->mapped) return;
    uint64_t old = f->size, now = (uint64_t)st->st_size;
    f->size = now;
    // Behind the shorter end the last page that is left shows zeros.
    uint64_t low = old < now ? old : now;
    if (old != now && low < from) from = low;
    if (old != now && to < page_up(low)) to = page_up(low);
    const struct file_change change = {from, to, old, now};
    for (struct task *o = r->tasks; o; o = o->next) {
        bool seen = false;
        for (struct task *p = r->tasks; p != o && !seen; p = p->next)
            seen = p->mm == o->mm;
        if (!seen) in_space(b, o, st->st_ino, &change);
    }
}

// ---- /proc/PID/mem

static bool memory_file(const struct task *t, int fd, int *pid) {
    char path[64], name[64];
    int length = 0, tid;
    snprintf(path, sizeof path, "/proc/%d/fd/%d", t->tid, fd);
    ssize_t n = readlink(path, name, sizeof name - 1);
    if (n <= 0) return false;
    name[n] = 0;
    if (sscanf(name, "/proc/%d/mem%n", pid, &length) == 1 && length == n) return true;
    return sscanf(name, "/proc/%d/task/%d/mem%n", pid, &tid, &length) == 2 && length == n;
}

static void memory_written(struct recorder *r, struct batch *b, int pid, uint64_t address, uint64_t length) {
    struct task *o = task_of_process(r, pid);
    if (o) task_memory(b, o, address, length);
}

// ---- calls

static void opened(struct recorder *r, struct task *t, struct batch *b, int64_t fd) {
    uint64_t flags;
    if (!syscall_effect_value(t->call.nr, t->call.args, task_read, t, &flags))
        flags = O_WRONLY | O_TRUNC; // creat, memfd_create
    if ((flags & O_ACCMODE) == O_RDONLY || flags & O_PATH) return;
    int pid;
    if (memory_file(t, (int)fd, &pid)) state_of(r)->memory_files = true;
    struct stat st;
    if (!stat_fd(t, (int)fd, &st)) return;
    note(r, &st, WRITABLE);
    if (flags & O_TRUNC) file_changed(r, b, &st, 0, 0);
}

static void written(struct recorder *r, struct task *t, struct batch *b, int fd, int64_t offset,
                    uint64_t length) {
    struct seen_writes *w = r->seen_writes;
    struct stat st;
    int pid;
    if (offset < 0) offset = position_of(t, fd) - (int64_t)length;
    if (offset < 0) return;
    if (w->memory_files && memory_file(t, fd, &pid)) memory_written(r, b, pid, (uint64_t)offset, length);
    if (w->contested && stat_fd(t, fd, &st))
        file_changed(r, b, &st, (uint64_t)offset, (uint64_t)offset + length);
}

// process_vm_writev has written `left` bytes.
static void written_into(struct recorder *r, struct task *t, struct batch *b, uint64_t left) {
    int pid = (int)t->call.args[0];
    uint64_t address = t->call.args[3], count = t->call.args[4]; // the list of where to
    struct {
        uint64_t base, len;
    } v;
    for (uint64_t i = 0; i < count && i < IOVECS && left; i++) {
        if (!tracee_read(t->tid, t->mm->mem_fd, address + i * sizeof v, &v, sizeof v)) return;
        uint64_t n = v.len < left ? v.len : left;
        memory_written(r, b, pid, v.base, n);
        left -= n;
    }
}

static void cut(struct recorder *r, struct task *t, struct batch *b, int fd) {
    struct stat st;
    if (stat_fd(t, fd, &st)) file_changed(r, b, &st, 0, 0);
}

static void cut_by_path(struct recorder *r, struct task *t, struct batch *b) {
    char name[4200], given[4097] = "";
    struct stat st;
    for (size_t i = 0; i < sizeof given - 1; i++)
        if (!tracee_read(t->tid, t->mm->mem_fd, t->call.args[0] + i, &given[i], 1) || !given[i]) break;
    snprintf(name, sizeof name, "/proc/%d/%s/%s", t->tid, given[0] == '/' ? "root" : "cwd", given);
    if (stat(name, &st) == 0) file_changed(r, b, &st, 0, 0);
}

bool file_write_of(struct task *t, int64_t ret, struct file_write *out) {
    enum syscall_effect effect = syscall_effect(t->call.nr);
    uint64_t offset;
    if (effect != EFFECT_WRITE && effect != EFFECT_COPY) return false;
    *out = (struct file_write){(int)syscall_effect_on(t->call.nr, t->call.args), -1, (uint64_t)ret};
    if (!syscall_effect_value(t->call.nr, t->call.args, task_read, t, &offset) || (int64_t)offset < 0)
        return true;
    out->offset = (int64_t)offset - (effect == EFFECT_COPY ? ret : 0); // a copy has moved it on
    return true;
}

static bool matters(const struct recorder *r) {
    const struct seen_writes *w = r->seen_writes;
    return w && (w->contested || w->memory_files);
}

void seen_writes_received(struct recorder *r, const struct task *t, int fd) {
    char path[64];
    struct stat link, st;
    int pid;
    snprintf(path, sizeof path, "/proc/%d/fd/%d", t->tid, fd);
    if (lstat(path, &link) < 0 || !(link.st_mode & S_IWUSR)) return; // as what the descriptor may do
    if (memory_file(t, fd, &pid)) state_of(r)->memory_files = true;
    if (stat_fd(t, fd, &st)) note(r, &st, WRITABLE);
}

void seen_writes_inherited(struct recorder *r, const struct task *t) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd", t->tid);
    DIR *all = opendir(path);
    for (struct dirent *d; all && (d = readdir(all));)
        if (d->d_name[0] != '.') seen_writes_received(r, t, atoi(d->d_name));
    if (all) closedir(all);
}

void seen_writes_call(struct recorder *r, struct task *t, struct batch *b, int64_t ret) {
    const uint64_t *a = t->call.args;
    if (ret < 0) return;
    if (syscall_effect(t->call.nr) == EFFECT_OPEN) opened(r, t, b, ret);
    switch (t->call.nr) {
    case SYS_memfd_create:
        opened(r, t, b, ret);
        return;
    case SYS_process_vm_writev:
        written_into(r, t, b, (uint64_t)ret);
        return;
    case SYS_truncate:
        if (r->seen_writes) cut_by_path(r, t, b);
        return;
    default:
        break;
    }
    if (!matters(r)) return;
    struct file_write now;
    if (file_write_of(t, ret, &now)) written(r, t, b, now.fd, now.offset, now.length);
    if (t->call.nr == SYS_ftruncate) cut(r, t, b, (int)a[0]);
    if (t->call.nr == SYS_fallocate) written(r, t, b, (int)a[0], (int64_t)a[2], a[3]);
}
