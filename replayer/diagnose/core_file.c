// A snapshot out of an ELF core file. Everything in it is hostile: each offset and length is checked against the
// file, and lists are bounded. The kernel writes:
//     PT_NOTE   NT_PRSTATUS per thread (registers), NT_PRPSINFO, NT_AUXV, NT_FILE (which files were mapped)
//     PT_LOAD   one per mapping; p_filesz < p_memsz: pages that are not in the core, mostly those of files
#include "replayer/diagnose/core_file.h"

#include "core/abi.h"
#include "core/array.h"
#include "replayer/diagnose/snapshot.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/procfs.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SEGMENTS_MAX = 1 << 17, // vm.max_map_count is 65530 as a rule
    NOTES_MAX = 64 << 20,
    THREADS_MAX = 1 << 16,
};

struct segment {
    uint64_t start, end; // in memory, page-aligned
    uint64_t offset;     // in the core
    uint64_t len;        // bytes that the core has
    int prot;
};

struct mapped_file {
    uint64_t start, end, offset;
    const char *name;
    bool module;
};

struct core {
    struct snapshot base;
    int fd;
    uint64_t size;
    struct segment *segments; // sorted
    size_t segment_count;
    uint8_t *notes;
    size_t notes_size;
    struct mapped_file *files; // of NT_FILE, sorted; names in `notes`
    size_t file_count;
    struct view_map *maps;
    uint64_t cut; // where the file ends too early; 0: it does not
};

// ---- the file

static bool at(const struct core *c, uint64_t offset, void *buffer, size_t len) {
    if (offset > c->size || len > c->size - offset) return false;
    for (size_t done = 0; done < len;) {
        ssize_t n = pread(c->fd, (char *)buffer + done, len - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        done += (size_t)n;
    }
    return true;
}

static const struct segment *segment_of(const struct core *c, uint64_t address) {
    size_t i = array_before(c->segments, c->segment_count, segment, segment->end <= address);
    return i < c->segment_count && c->segments[i].start <= address ? &c->segments[i] : NULL;
}

// Bytes of a page of a file that is not in the core: as the file has them, if it is the right one and the
// page could not be written.
static bool read_file(struct core *c, uint64_t address, void *buffer, size_t len) {
    const struct view_map *map = view_find(&c->base.view, address);
    size_t size;
    if (!map || !map->blob || map->prot & PROT_WRITE) return false;
    const uint8_t *bytes = file_store_bytes(c->base.files, map->blob, &size);
    uint64_t offset = map->offset + (address - map->start);
    if (!bytes || offset > size || len > size - offset) return false;
    memcpy(buffer, bytes + offset, len);
    return true;
}

static bool core_read(void *context, uint64_t address, void *buffer, size_t len) {
    struct core *c = context;
    for (uint8_t *out = buffer; len;) {
        const struct segment *s = segment_of(c, address);
        if (!s) return false;
        uint64_t inside = address - s->start;
        bool in_core = inside < s->len;
        uint64_t room = in_core ? s->len - inside : s->end - address;
        size_t n = len < room ? len : (size_t)room;
        if (!(in_core ? at(c, s->offset + inside, out, n) : read_file(c, address, out, n))) return false;
        out += n;
        address += n;
        len -= n;
    }
    return true;
}

static const void *core_blob(void *context, uint64_t id, size_t *size) {
    return file_store_bytes(((struct core *)context)->base.files, id, size);
}

// ---- headers

static int not_a_core(const char *path, const uint8_t *magic, struct rf_error *err) {
    static const struct {
        const char *name, *tool;
        uint8_t magic[6];
        size_t len;
    } packers[] = {
        {"gzip", "gzip -dk", {0x1f, 0x8b}, 2},
        {"zstd", "zstd -d", {0x28, 0xb5, 0x2f, 0xfd}, 4},
        {"xz", "xz -dk", {0xfd, '7', 'z', 'X', 'Z', 0}, 6},
        {"lz4", "lz4 -d", {0x04, 0x22, 0x4d, 0x18}, 4},
        {"bzip2", "bzip2 -dk", {'B', 'Z', 'h'}, 3},
    };
    for (size_t i = 0; i < sizeof packers / sizeof *packers; i++)
        if (!memcmp(magic, packers[i].magic, packers[i].len))
            return rf_fail(err, RF_BAD_TRACE,
                           "'%s' is packed with %s: unpack it first ('%s FILE'; one that systemd keeps: "
                           "'coredumpctl dump -o core PID')",
                           path, packers[i].name, packers[i].tool);
    if (!memcmp(magic, "!<arch", 6) || !memcmp(magic, "#!", 2))
        return rf_fail(err, RF_BAD_TRACE, "'%s' is no core file", path);
    return rf_fail(
        err, RF_BAD_TRACE,
        "'%s' is no core file: give an ELF core (gcore PID, ulimit -c unlimited, coredumpctl dump)", path);
}

static int read_header(struct core *c, const char *path, Elf64_Ehdr *e, struct rf_error *err) {
    uint8_t magic[EI_NIDENT] = {0};
    if (!at(c, 0, magic, sizeof magic)) return not_a_core(path, magic, err);
    if (memcmp(magic, ELFMAG, SELFMAG)) return not_a_core(path, magic, err);
    if (magic[EI_CLASS] != ELFCLASS64)
        return rf_fail(err, RF_BAD_TRACE,
                       "'%s' is of a 32-bit program: refork knows 64-bit x86 programs only", path);
    if (!at(c, 0, e, sizeof *e))
        return rf_fail(err, RF_BAD_TRACE, "'%s' is cut off at byte %lu, in its header", path, (long)c->size);
    if (e->e_type != ET_CORE)
        return rf_fail(err, RF_BAD_TRACE,
                       "'%s' is an ELF file, but no core file: give the core, or the PID of a live process",
                       path);
    if (e->e_machine != EM_X86_64)
        return rf_fail(err, RF_BAD_TRACE, "'%s' is of another kind of machine: refork knows x86-64 only",
                       path);
    if (e->e_phentsize != sizeof(Elf64_Phdr))
        return rf_fail(err, RF_BAD_TRACE, "'%s' is damaged: its program headers have %u bytes each", path,
                       e->e_phentsize);
    return 0;
}

static int by_start(const void *a, const void *b) {
    const struct segment *x = a, *y = b;
    return x->start < y->start ? -1 : x->start > y->start;
}

static void add_segment(struct core *c, const Elf64_Phdr *p) {
    uint64_t end, file_end;
    if (p->p_type != PT_LOAD || !p->p_memsz || p->p_vaddr % PAGE ||
        __builtin_add_overflow(p->p_vaddr, p->p_memsz, &end) || end > UINT64_MAX - PAGE)
        return;
    struct segment s = {.start = p->p_vaddr, .end = page_up(end), .offset = p->p_offset};
    s.len = p->p_filesz < p->p_memsz ? p->p_filesz : p->p_memsz;
    if (__builtin_add_overflow(s.offset, s.len, &file_end) || file_end > c->size) {
        c->cut = c->size;
        s.len = s.offset < c->size ? c->size - s.offset : 0;
    }
    s.prot = (p->p_flags & PF_R ? PROT_READ : 0) | (p->p_flags & PF_W ? PROT_WRITE : 0) |
             (p->p_flags & PF_X ? PROT_EXEC : 0);
    c->segments[c->segment_count++] = s;
}

// Segments must not overlap; the first one has the memory.
static void sort_segments(struct core *c) {
    size_t kept = 0;
    qsort(c->segments, c->segment_count, sizeof *c->segments, by_start);
    for (size_t i = 0; i < c->segment_count; i++)
        if (!kept || c->segments[i].start >= c->segments[kept - 1].end) c->segments[kept++] = c->segments[i];
    c->segment_count = kept;
}

static bool add_notes(struct core *c, const Elf64_Phdr *p) {
    if (p->p_type != PT_NOTE || c->notes) return true;
    uint64_t len = p->p_filesz, room = p->p_offset < c->size ? c->size - p->p_offset : 0;
    if (len > room) {
        c->cut = c->size;
        len = room;
    }
    if (!len || len > NOTES_MAX) return false;
    c->notes = malloc(len);
    rf_assert(c->notes);
    c->notes_size = len;
    return at(c, p->p_offset, c->notes, len);
}

static int read_segments(struct core *c, const char *path, const Elf64_Ehdr *e, struct rf_error *err) {
    uint64_t count = e->e_phnum;
    Elf64_Shdr first;
    // More than 65,534: the number is in the first section header (PN_XNUM, elf(5)).
    if (count == PN_XNUM && at(c, e->e_shoff, &first, sizeof first)) count = first.sh_info;
    if (!count || count > SEGMENTS_MAX)
        return rf_fail(err, RF_BAD_TRACE, "'%s' is damaged: it has %lu program headers", path, (long)count);
    c->segments = calloc(count, sizeof *c->segments);
    rf_assert(c->segments);
    for (uint64_t i = 0; i < count; i++) {
        Elf64_Phdr p;
        uint64_t offset;
        if (__builtin_add_overflow(e->e_phoff, i * sizeof p, &offset) || !at(c, offset, &p, sizeof p))
            return rf_fail(err, RF_BAD_TRACE, "'%s' is cut off at byte %lu, in its list of segments", path,
                           (long)c->size);
        add_segment(c, &p);
        if (!add_notes(c, &p))
            return rf_fail(err, RF_BAD_TRACE, "'%s' has no readable notes%s", path,
                           c->cut ? ": it is cut off before them" : "");
    }
    if (!c->notes)
        return rf_fail(err, RF_BAD_TRACE, "'%s' has no notes, so no threads: it is no core of a process",
                       path);
    sort_segments(c);
    return 0;
}

// ---- notes

static void add_thread(struct core *c, const uint8_t *data, size_t len) {
    struct snapshot *s = &c->base;
    struct elf_prstatus status;
    if (len < sizeof status || s->thread_count == THREADS_MAX) return;
    memcpy(&status, data, sizeof status);
    _Static_assert(sizeof status.pr_reg == sizeof(struct user_regs_struct),
                   "the kernel's order of registers");
    struct snapshot_thread *t = array_add(s->threads, s->thread_count);
    *t = (struct snapshot_thread){.tid = status.pr_pid, .inside = status.pr_pid, .stopped = true};
    memcpy(&t->regs, status.pr_reg, sizeof t->regs);
}

static void add_process(struct core *c, const uint8_t *data, size_t len) {
    struct elf_prpsinfo info;
    if (len < sizeof info) return;
    memcpy(&info, data, sizeof info);
    c->base.pid = info.pr_pid;
    c->base.parent = info.pr_ppid;
    snprintf(c->base.program, sizeof c->base.program, "%.*s", (int)sizeof info.pr_fname, info.pr_fname);
}

// u64 count, page size; {start, end, file offset in pages}[count]; the names, each with a NUL.
static void add_files(struct core *c, const uint8_t *data, size_t len) {
    uint64_t head[2];
    if (c->files || len < sizeof head) return;
    memcpy(head, data, sizeof head);
    uint64_t count = head[0], unit = head[1];
    if (!count || count > SEGMENTS_MAX || count > (len - sizeof head) / 24) return;
    c->files = calloc(count, sizeof *c->files);
    rf_assert(c->files);
    const uint8_t *name = data + sizeof head + count * 24, *end = data + len;
    for (uint64_t i = 0; i < count && name < end; i++) {
        uint64_t row[3];
        const uint8_t *stop = memchr(name, 0, (size_t)(end - name));
        if (!stop) return;
        memcpy(row, data + sizeof head + i * 24, sizeof row);
        struct mapped_file f = {.start = row[0], .end = row[1], .name = (const char *)name};
        name = stop + 1;
        if (f.start >= f.end || (f.start | f.end) % PAGE || __builtin_mul_overflow(row[2], unit, &f.offset) ||
            f.offset % PAGE || f.offset > INT64_MAX)
            continue;
        c->files[c->file_count++] = f;
    }
}

static void read_notes(struct core *c) {
    static const struct {
        uint32_t type;
        void (*take)(struct core *c, const uint8_t *data, size_t len);
    } rows[] = {{NT_PRSTATUS, add_thread}, {NT_PRPSINFO, add_process}, {NT_FILE, add_files}};
    for (size_t offset = 0; c->notes_size - offset >= sizeof(Elf64_Nhdr);) {
        Elf64_Nhdr note;
        memcpy(&note, c->notes + offset, sizeof note);
        uint64_t name = offset + sizeof note, data = name + ((note.n_namesz + 3ull) & ~3ull);
        uint64_t next = data + ((note.n_descsz + 3ull) & ~3ull);
        if (data > c->notes_size || note.n_descsz > c->notes_size - data) break;
        bool core = note.n_namesz == 5 && !memcmp(c->notes + name, "CORE", 5);
        for (size_t i = 0; core && i < sizeof rows / sizeof *rows; i++)
            if (rows[i].type == note.n_type) rows[i].take(c, c->notes + data, note.n_descsz);
        if (next > c->notes_size) break;
        offset = next;
    }
}

// ---- maps and files

static int by_file_start(const void *a, const void *b) {
    const struct mapped_file *x = a, *y = b;
    return x->start < y->start ? -1 : x->start > y->start;
}

// A file's mappings are neighbours. If one of them is code, its writable pages are a module's data, private to the
// process.
static void find_modules(struct core *c) {
    if (c->file_count) qsort(c->files, c->file_count, sizeof *c->files, by_file_start);
    for (size_t i = 0, end; i < c->file_count; i = end) {
        bool code = false;
        for (end = i; end < c->file_count && (end == i || !strcmp(c->files[end].name, c->files[i].name));
             end++) {
            const struct segment *s = segment_of(c, c->files[end].start);
            code |= s && s->prot & PROT_EXEC;
        }
        for (size_t k = i; k < end; k++)
            c->files[k].module = code;
    }
}

// gdb leaves code that is in files out altogether: such a mapping is there, but none of its bytes.
static void add_left_out(struct core *c) {
    size_t count = c->segment_count;
    if (!c->file_count) return;
    c->segments = reallocarray(c->segments, count + c->file_count, sizeof *c->segments);
    rf_assert(c->segments);
    for (size_t i = 0; i < c->file_count; i++) {
        const struct mapped_file *f = &c->files[i];
        struct core known = {.segments = c->segments, .segment_count = count};
        if (segment_of(&known, f->start)) continue;
        c->segments[c->segment_count++] =
            (struct segment){.start = f->start, .end = f->end, .prot = PROT_READ | PROT_EXEC};
    }
    sort_segments(c);
}

static const struct mapped_file *file_at(const struct core *c, uint64_t address) {
    size_t behind = array_before(c->files, c->file_count, file, file->start <= address);
    return behind && address < c->files[behind - 1].end ? &c->files[behind - 1] : NULL;
}

static void make_maps(struct core *c) {
    struct snapshot *s = &c->base;
    add_left_out(c);
    find_modules(c);
    c->maps = calloc(c->segment_count + 1, sizeof *c->maps);
    s->shared = calloc(c->segment_count + 1, sizeof *s->shared);
    rf_assert(c->maps && s->shared);
    for (size_t i = 0; i < c->segment_count; i++) {
        const struct segment *seg = &c->segments[i];
        const struct mapped_file *f = file_at(c, seg->start);
        struct view_map *m = &c->maps[i];
        *m = (struct view_map){.start = seg->start, .end = seg->end, .prot = seg->prot, .name = ""};
        if (!f) continue;
        m->name = f->name;
        m->offset = f->offset + (seg->start - f->start);
        // A core does not say MAP_SHARED, so whatever may be shared is taken for it.
        s->shared[i] = !f->module;
    }
    s->view.maps = c->maps;
    s->view.map_count = c->segment_count;
}

static void name_files(struct core *c) {
    for (size_t i = 0, end; i < c->segment_count; i = end) {
        end = i + 1;
        const struct view_map *m = &c->maps[i];
        if (m->name[0] != '/' || c->base.shared[i]) continue;
        while (end < c->segment_count && !strcmp(c->maps[end].name, m->name) &&
               c->maps[end].offset >= c->maps[end - 1].offset)
            end++;
        snapshot_name_file(&c->base, c->maps, i, end, &m->name, 1);
        char magic[SELFMAG];
        if (file_store_is_file(c->base.files, m->blob) || !core_read(c, m->start, magic, sizeof magic) ||
            memcmp(magic, ELFMAG, SELFMAG))
            continue;
        snapshot_note(&c->base,
                      "'%s' is not here, or not the file that was mapped: its functions have no names, and "
                      "stacks through it may end early",
                      m->name);
    }
}

// The innermost PID namespace's TIDs are in the core when the kernel wrote it. A debugger outside writes its own:
// then the C library's copy of the TID is the one that locks have.
static void find_aliases(struct core *c) {
    enum { TCB_TID = 720 }; // struct pthread of glibc 2.36; elsewhere this finds nothing that fits
    for (size_t i = 0; i < c->base.thread_count; i++) {
        struct snapshot_thread *t = &c->base.threads[i];
        uint64_t self;
        int tid;
        if (core_read(c, t->regs.fs_base + 16, &self, sizeof self) && self == t->regs.fs_base &&
            core_read(c, t->regs.fs_base + TCB_TID, &tid, sizeof tid) && tid > 0)
            t->alias = tid;
    }
}

static void release(struct snapshot *s) {
    struct core *c = (struct core *)s;
    if (c->fd >= 0) close(c->fd);
    free(c->segments);
    free(c->notes);
    free(c->files);
    free(c->maps);
    free(c);
}

static int take(struct core *c, const char *path, struct rf_error *err) {
    struct snapshot *s = &c->base;
    struct stat st;
    Elf64_Ehdr e;
    c->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (c->fd < 0) return rf_fail_errno(err, RF_BAD_TRACE, "could not open '%s'", path);
    if (fstat(c->fd, &st)) return rf_fail_errno(err, RF_BAD_TRACE, "could not read '%s'", path);
    if (!S_ISREG(st.st_mode)) return rf_fail(err, RF_BAD_TRACE, "'%s' is not a regular file", path);
    c->size = (uint64_t)st.st_size;
    if (read_header(c, path, &e, err) || read_segments(c, path, &e, err)) return -1;
    read_notes(c);
    if (!s->thread_count)
        return rf_fail(err, RF_BAD_TRACE, "'%s' has no thread's registers%s", path,
                       c->cut ? ": it is cut off before them" : ": it is no core of a process");
    make_maps(c);
    if (c->cut)
        snapshot_note(s,
                      "the core is cut off at byte %lu: memory behind that is unknown (ulimit -c, "
                      "ProcessSizeMax of coredump.conf)",
                      (long)c->cut);
    name_files(c);
    find_aliases(c);
    if (!s->pid) s->pid = s->threads[0].tid;
    for (size_t i = 0; i < s->thread_count; i++) {
        struct snapshot_thread *t = &s->threads[i];
        snapshot_read_call(t, &s->view);
        t->in_call = t->in_call && snapshot_would_sleep(t, &s->view);
    }
    return 0;
}

int snapshot_core(const char *path, struct file_store *files, struct snapshot **out, struct rf_error *err) {
    struct core *c = calloc(1, sizeof *c);
    rf_assert(c);
    c->fd = -1;
    c->base = (struct snapshot){.core = true,
                                .handlers = true,
                                .alone = true,
                                .complete = true,
                                .view = {.read = core_read, .blob = core_blob, .context = c},
                                .files = files,
                                .release = release};
    if (take(c, path, err)) {
        snapshot_free(&c->base);
        return -1;
    }
    *out = &c->base;
    return 0;
}
