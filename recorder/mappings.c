#include "recorder/mappings.h"

#include "core/abi.h"
#include "core/annex.h"
#include "core/array.h"
#include "core/guard.h"
#include "core/proc_maps.h"
#include "recorder/hooks.h"
#include "recorder/inject.h"
#include "recorder/seen_writes.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

// ---- address spaces

// ---- injected calls

void annex_map(struct recorder *r, struct task *t, struct batch *b) {
    const uint64_t place[6] = {ANNEX_BASE, ANNEX_END - ANNEX_BASE, PROT_READ | PROT_WRITE | PROT_EXEC,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_NORESERVE, ~0ull};
    long at = inject(r, t, SYS_mmap, place);
    if (at != (long)ANNEX_BASE) {
        recorder_fail(r, "cannot map refork's own pages at 0x%llx in process %d (result %ld)", ANNEX_BASE,
                      t->tid, at);
        return;
    }
    t->mm->annex = true;
    batch_piece(b, PIECE_MAP, 7);
    struct piece *p = batch_last(b);
    p->map = (struct piece_map){.address = ANNEX_BASE,
                                .length = ANNEX_SCRATCH - ANNEX_BASE,
                                .prot = PROT_READ | PROT_WRITE | PROT_EXEC,
                                .flags = MAP_PRIVATE | MAP_ANONYMOUS};
    memcpy((void *)p->data, "[annex]", 7);
    batch_piece(b, PIECE_MAP, 7);
    p = batch_last(b);
    p->map = (struct piece_map){.address = ANNEX_CALLS,
                                .length = ANNEX_CALLS_SIZE,
                                .prot = PROT_READ | PROT_WRITE | PROT_EXEC,
                                .flags = MAP_PRIVATE | MAP_ANONYMOUS};
    memcpy((void *)p->data, "[annex]", 7);
    batch_write(r, b, t, ANNEX_CODE, "\x0f\x05\xcc", 3);
    // Nothing of the program may lie where a replay task has its own page.
    const uint64_t kept[6] = {REPLAY_PAGE, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
                              ~0ull};
    inject(r, t, SYS_mmap, kept);
    const uint64_t clock[2] = {0, ~0ull};
    batch_write(r, b, t, ANNEX_CLOCK, clock, sizeof clock);
    const uint64_t no_cpuid[6] = {0x1012 /* ARCH_SET_CPUID */};
    if (r->cpuid_faults) inject(r, t, SYS_arch_prctl, no_cpuid);
}

// ---- mappings

static void map_piece(struct batch *b, const struct piece_map *map, const char *name) {
    char *room = batch_piece(b, PIECE_MAP, strlen(name));
    if (room) memcpy(room, name, strlen(name));
    struct piece *p = batch_last(b);
    p->map = *map;
    p->map.length = page_up(map->length);
}

static void share_piece(struct batch *b, uint64_t identity, uint64_t size) {
    batch_piece(b, PIECE_SHARE, 0);
    batch_last(b)->share = (struct piece_share){identity, size};
}

static uint64_t identity_of(const struct stat *st) {
    return ((uint64_t)st->st_dev * 0x9e3779b97f4a7c15ull ^ (uint64_t)st->st_ino) | 1ull << 63;
}

static int open_target_fd(struct task *t, int fd, char *name, size_t size) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd/%d", t->tid, fd);
    ssize_t n = readlink(path, name, size - 1);
    name[n > 0 ? n : 0] = 0;
    int mine = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (mine < 0) { // no permission by now (another user's file passed as a descriptor): take a copy of the
                    // descriptor
        int pidfd = (int)syscall(SYS_pidfd_open, t->process->pid, 0);
        if (pidfd >= 0) {
            mine = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
            close(pidfd);
        }
    }
    return mine;
}

static bool is_shared(const struct recorder *r, const struct stat *st) {
    for (size_t i = 0; i < r->shared_count; i++)
        if (r->shared_files[i].dev == st->st_dev && r->shared_files[i].ino == st->st_ino) return true;
    return false;
}

static void remember_shared(struct recorder *r, const struct stat *st) {
    if (!is_shared(r, st))
        array_push(r->shared_files, r->shared_count, ((struct shared_file){st->st_dev, st->st_ino}));
}

void image_file_written(struct recorder *r, struct task *t, struct batch *b, int fd, int64_t offset,
                        uint64_t length) {
    char path[64], line[128];
    struct stat st;
    snprintf(path, sizeof path, "/proc/%d/fd/%d", t->tid, fd);
    if (stat(path, &st) < 0 || !S_ISREG(st.st_mode) || !is_shared(r, &st)) return;
    if (offset < 0) { // written at the file position, which is behind the bytes now
        snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", t->tid, fd);
        FILE *f = fopen(path, "re");
        long long position = -1;
        while (f && fgets(line, sizeof line, f))
            if (sscanf(line, "pos: %lld", &position) == 1) break;
        if (f) fclose(f);
        offset = position - (int64_t)length;
        snprintf(path, sizeof path, "/proc/%d/fd/%d", t->tid, fd);
    }
    if (offset >= 0 && (uint64_t)offset + length > (uint64_t)st.st_size)
        length = offset < st.st_size ? (uint64_t)(st.st_size - offset) : 0;
    if (!length) return;
    int mine = open(path, O_RDONLY | O_CLOEXEC);
    char *bytes = offset >= 0 && mine >= 0 ? malloc(length) : NULL;
    if (bytes && pread(mine, bytes, length, offset) == (ssize_t)length) {
        memcpy(batch_piece(b, PIECE_FILE, length), bytes, length);
        batch_last(b)->file = (struct piece_file){.identity = identity_of(&st), .offset = (uint64_t)offset};
    } else {
        recorder_fail(r, "cannot read back what process %d wrote into a file that is mapped MAP_SHARED",
                      t->process->pid);
    }
    free(bytes);
    if (mine >= 0) close(mine);
}

void image_file_cut(struct recorder *r, struct task *t, struct batch *b, int fd, uint64_t path) {
    char name[4200], given[4097] = "";
    struct stat st;
    if (fd < 0) {
        for (size_t i = 0; i < sizeof given - 1; i++)
            if (!tracee_read(t->tid, t->mm->mem_fd, path + i, &given[i], 1) || !given[i]) break;
        snprintf(name, sizeof name, "/proc/%d/%s/%s", t->tid, given[0] == '/' ? "root" : "cwd", given);
    } else {
        snprintf(name, sizeof name, "/proc/%d/fd/%d", t->tid, fd);
    }
    if (stat(name, &st) < 0 || !is_shared(r, &st)) return;
    batch_piece(b, PIECE_FILE, 0);
    batch_last(b)->file =
        (struct piece_file){.identity = identity_of(&st), .offset = (uint64_t)st.st_size, .cut = 1};
}

// A module's part, in memory of its own.
static void module_part(struct recorder *r, struct task *t, struct batch *b, const struct piece_map *map,
                        const struct mapped_file *file, bool queue_slots) {
    struct module_facts *f = module_facts(r, file->fd, map->blob);
    if (!f) return;
    module_mapped(r, t, b, f, map, queue_slots);
    if (map->prot & PROT_EXEC) hooks_mapped(r, t, f, map, file);
}

// Puts the file into the trace. Where there is none any more, its identity tells it from others: what is known of a module is
// kept by this number.
static void add_file(struct recorder *r, int fd, const char *name, uint64_t *blob) {
    struct rf_error err;
    struct stat st;
    if (r->trace_lost)
        *blob = fstat(fd, &st) == 0 ? identity_of(&st) | 1ull << 63 : 0;
    else if (trace_add_file(r->trace, fd, name, blob, &err) < 0)
        trace_failed(r, &err);
}

void image_mapped(struct recorder *r, struct task *t, struct batch *b, const struct piece_map *wanted,
                  int fd) {
    struct piece_map map = *wanted;
    bool shared = (map.flags & MAP_TYPE) != MAP_PRIVATE;
    if (fd < 0) { // MAP_SHARED | MAP_ANONYMOUS: a new object, shared by fork
        map_piece(b, &map, "");
        share_piece(b, ++r->anonymous_objects, map.length);
        return;
    }
    char name[4096];
    int mine = open_target_fd(t, fd, name, sizeof name);
    struct stat st;
    if (mine < 0 || fstat(mine, &st) < 0) {
        recorder_fail(r, "cannot read '%s', which process %d maps: %s", name, t->process->pid,
                      strerror(errno));
        if (mine >= 0) close(mine);
        return;
    }
    bool zero = S_ISCHR(st.st_mode) && major(st.st_rdev) == 1 && minor(st.st_rdev) == 5; // anonymous memory
    if (zero || !S_ISREG(st.st_mode)) {
        if (!zero)
            log_note(r, t,
                     "process %d maps '%s', which is no ordinary file: what the device writes there is not "
                     "recorded",
                     t->process->pid, name);
        map.flags |= MAP_ANONYMOUS;
        map.offset = 0;
        map_piece(b, &map, zero ? "" : name);
        if (zero && shared) share_piece(b, identity_of(&st) ^ map.address, map.length);
        close(mine);
        return;
    }
    add_file(r, mine, name, &map.blob);
    map_piece(b, &map, name);
    if (shared) {
        share_piece(b, identity_of(&st), (uint64_t)st.st_size);
        remember_shared(r, &st);
        seen_writes_mapped(r, &st, true);
    } else {
        seen_writes_mapped(r, &st, false);
        module_part(r, t, b, &map, &(struct mapped_file){mine, name}, true);
    }
    close(mine);
}

// Pages of [start, end) that differ from what a fresh mapping would show: from the file's bytes, or from
// zero.
static void differing_pages(struct task *t, struct batch *b, uint64_t start, uint64_t end, int file,
                            uint64_t offset) {
    enum { AT_ONCE = 16 };
    char now[AT_ONCE * PAGE], fresh[AT_ONCE * PAGE];
    for (uint64_t at = start, n; at < end; at += n) {
        n = end - at < sizeof now ? end - at : sizeof now;
        if (!tracee_read(t->tid, t->mm->mem_fd, at, now, n)) {
            n = PAGE; // some of them cannot be read
            if (!tracee_read(t->tid, t->mm->mem_fd, at, now, n)) continue;
        }
        ssize_t got = file >= 0 ? pread(file, fresh, n, (off_t)(offset + at - start)) : 0;
        if (got < 0) got = 0;
        memset(fresh + got, 0, n - (size_t)got);
        for (uint64_t i = 0; i < n; i += PAGE)
            if (memcmp(now + i, fresh + i, PAGE)) batch_mem(b, t, PIECE_MEM, at + i, PAGE);
    }
}

void image_attached(struct recorder *r, struct task *t, struct batch *b, uint64_t address, int shmid,
                    bool read_only) {
    struct shmid_ds info;
    if (shmctl(shmid, IPC_STAT, &info) < 0) {
        recorder_fail(r, "cannot look at the shared memory segment %d, which process %d attaches: %s", shmid,
                      t->process->pid, strerror(errno));
        return;
    }
    const struct piece_map map = {.address = address,
                                  .length = info.shm_segsz,
                                  .prot = PROT_READ | (read_only ? 0 : PROT_WRITE),
                                  .flags = MAP_SHARED | MAP_ANONYMOUS};
    map_piece(b, &map, "");
    share_piece(b, 1ull << 62 | (uint64_t)shmid, info.shm_segsz);
    static const char zero[PAGE];
    char page[PAGE];
    for (uint64_t at = 0; at < info.shm_segsz; at += PAGE) {
        if (!tracee_read(t->tid, t->mm->mem_fd, address + at, page, PAGE) || !memcmp(page, zero, PAGE))
            continue;
        memcpy(batch_piece(b, PIECE_FILE, PAGE), page, PAGE);
        batch_last(b)->file = (struct piece_file){.identity = 1ull << 62 | (uint64_t)shmid, .offset = at};
    }
}

bool exec_auxv_pair(const struct recorder *r, uint64_t pair[2]) {
    switch (pair[0]) {
    case AT_SYSINFO_EHDR:
        pair[0] = AT_IGNORE;
        return true;
    case AT_HWCAP:
        pair[1] = cpu_model_hwcap(&r->model, pair[1]);
        return true;
    case AT_HWCAP2:
        pair[1] = cpu_model_hwcap2(&r->model, pair[1]);
        return true;
    default:
        return false;
    }
}

// A new program's first words, read by pages: there are some 70 of them.
struct stack_words {
    const struct task *task;
    uint64_t page, words[PAGE / 8];
};

static bool stack_word(struct stack_words *s, uint64_t at, uint64_t *word) {
    if (page_down(at) != s->page) {
        s->page = page_down(at);
        if (!tracee_read(s->task->tid, s->task->mm->mem_fd, s->page, s->words, PAGE)) return false;
    }
    *word = s->words[at % PAGE / 8];
    return true;
}

// argc, argv, NULL, envp, NULL, auxv. AT_PLATFORM is "x86_64" on every machine.
static void change_auxv(const struct recorder *r, struct task *t) {
    struct user_regs_struct regs;
    struct stack_words s = {.task = t, .page = ~0ull};
    if (!tracee_get_regs(t->tid, &regs)) return;
    uint64_t at = regs.rsp, word, kv[2];
    if (!stack_word(&s, at, &word)) return;
    at += 8 * (word + 2);
    for (;; at += 8) {
        if (!stack_word(&s, at, &word)) return;
        if (!word) break;
    }
    for (at += 8;; at += 16) {
        if (!stack_word(&s, at, &kv[0]) || !stack_word(&s, at + 8, &kv[1]) || kv[0] == AT_NULL) return;
        if (exec_auxv_pair(r, kv)) tracee_write(t->mm->mem_fd, at, kv, 16);
    }
}

static int open_mapped(struct task *t, const char *name, uint64_t inode) {
    char exe[64];
    snprintf(exe, sizeof exe, "/proc/%d/exe", t->tid);
    const char *const paths[] = {name, exe};
    for (int i = 0; i < 2; i++) {
        struct stat st;
        int fd = open(paths[i], O_RDONLY | O_CLOEXEC);
        if (fd < 0) continue;
        // overlayfs shows another device in maps than in stat: the inode must do.
        if (fstat(fd, &st) == 0 && st.st_ino == inode) return fd;
        close(fd);
    }
    return -1;
}

void image_exec_maps(struct recorder *r, struct task *t, struct batch *b) {
    change_auxv(r, t);
    char path[64];
    scoped_maps struct proc_maps maps;
    struct proc_map m;
    if (!proc_maps_open(&maps, t->tid)) {
        recorder_fail(r, "cannot read /proc/%d/maps: %s", t->tid, strerror(errno));
        return;
    }
    snprintf(path, sizeof path, "/proc/%d/exe", t->tid);
    struct stat exe = {0};
    stat(path, &exe);
    scoped_fd int fd = -1; // of the last mapped file: a module's segments follow each other
    uint64_t inode = 0, blob = 0;
    dev_t device = 0;
    while (proc_maps_next(&maps, &m)) {
        if (annex_contains(m.start) || m.start == REPLAY_PAGE || (m.name[0] == '[' && m.name[1] == 'v'))
            continue;
        struct piece_map map = {
            .address = m.start, .length = m.end - m.start, .prot = (uint32_t)m.prot, .flags = MAP_PRIVATE};
        if (m.inode && (m.inode != inode || m.device != device || fd < 0)) {
            if (fd >= 0) close(fd);
            fd = open_mapped(t, m.name, m.inode);
            inode = m.inode;
            device = m.device;
            if (fd >= 0) add_file(r, fd, m.name, &blob);
        }
        if (!m.inode || fd < 0) {
            map.flags |= MAP_ANONYMOUS;
            map_piece(b, &map, m.name);
            differing_pages(t, b, m.start, m.end, -1, 0);
            continue;
        }
        map.offset = m.offset;
        map.blob = blob;
        map_piece(b, &map, m.name);
        if (map.prot & PROT_WRITE) differing_pages(t, b, m.start, m.end, fd, m.offset);
        // ld.so relocates itself; only the program's own slots are waited for here.
        module_part(r, t, b, &map, &(struct mapped_file){fd, m.name}, m.inode == exe.st_ino);
    }
}
