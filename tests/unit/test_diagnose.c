// `refork diagnose` on core files, which are hostile input: whole, cut at every header, damaged at random places. The core is made
// here, in the kernel's form, of a small program that waits for a mutex which it holds itself.
#include "core/abi.h"
#include "replayer/diagnose/core_file.h"
#include "replayer/diagnose/diagnose.h"
#include "replayer/diagnose/snapshot.h"
#include "tests/unit/scratch.h"

#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define CORE_MAX  (4u << 20)
#define SEGMENTS  64
#define MUTATIONS 3000

static struct {
    uint8_t bytes[CORE_MAX];
    size_t size;
    size_t notes, notes_size, segments_end;
    pid_t pid;
} core;
static char path[128];

static void put(const void *bytes, size_t len) {
    assert_true(len <= CORE_MAX - core.size);
    memcpy(core.bytes + core.size, bytes, len);
    core.size += len;
}

static void align(size_t to) {
    static const uint8_t zero[PAGE];
    put(zero, (to - core.size % to) % to);
}

static void put_note(uint32_t type, const void *data, size_t len) {
    put(&(Elf64_Nhdr){.n_namesz = 5, .n_descsz = (Elf64_Word)len, .n_type = type}, sizeof(Elf64_Nhdr));
    put("CORE\0\0\0", 8);
    put(data, len);
    align(4);
}

struct mapping {
    uint64_t start, end, offset;
    int flags;
    char name[256];
};

static size_t read_mappings(pid_t pid, struct mapping *out) {
    char maps[64], line[512];
    size_t n = 0;
    snprintf(maps, sizeof maps, "/proc/%d/maps", pid);
    FILE *f = fopen(maps, "re");
    assert_non_null(f);
    while (n < SEGMENTS && fgets(line, sizeof line, f)) {
        struct mapping *m = &out[n];
        char protection[5];
        m->name[0] = 0;
        if (sscanf(line, "%lx-%lx %4s %lx %*s %*s %255[^\n]", &m->start, &m->end, protection, &m->offset,
                   m->name) < 4 ||
            strstr(m->name, "[v"))
            continue;
        m->flags = (protection[0] == 'r' ? PF_R : 0) | (protection[1] == 'w' ? PF_W : 0) |
                   (protection[2] == 'x' ? PF_X : 0);
        n++;
    }
    fclose(f);
    return n;
}

static void put_files(const struct mapping *m, size_t n) {
    uint8_t data[SEGMENTS * 300];
    uint64_t head[2] = {0, PAGE};
    size_t used = sizeof head;
    for (size_t i = 0; i < n; i++) {
        if (m[i].name[0] != '/') continue;
        uint64_t row[3] = {m[i].start, m[i].end, m[i].offset / PAGE};
        memcpy(data + used, row, sizeof row);
        used += sizeof row;
        head[0]++;
    }
    memcpy(data, head, sizeof head);
    for (size_t i = 0; i < n; i++) {
        if (m[i].name[0] != '/') continue;
        memcpy(data + used, m[i].name, strlen(m[i].name) + 1);
        used += strlen(m[i].name) + 1;
    }
    put_note(NT_FILE, data, used);
}

// As the kernel does it (fs/binfmt_elf.c): header, program headers, notes, memory. Of what files have and nobody can write,
// only the first page.
static void make_core(pid_t pid, const struct user_regs_struct *regs) {
    static struct mapping maps[SEGMENTS];
    size_t n = read_mappings(pid, maps);
    Elf64_Ehdr e = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                    .e_type = ET_CORE,
                    .e_machine = EM_X86_64,
                    .e_version = EV_CURRENT,
                    .e_phoff = sizeof e,
                    .e_ehsize = sizeof e,
                    .e_phentsize = sizeof(Elf64_Phdr),
                    .e_phnum = (Elf64_Half)(n + 1)};
    Elf64_Phdr p[SEGMENTS + 1] = {0};
    put(&e, sizeof e);
    size_t headers = core.size;
    put(p, (n + 1) * sizeof *p);
    core.notes = core.size;
    struct elf_prstatus status = {.pr_pid = pid};
    struct elf_prpsinfo info = {.pr_pid = pid, .pr_ppid = getpid(), .pr_fname = "twice"};
    memcpy(status.pr_reg, regs, sizeof status.pr_reg);
    put_note(NT_PRSTATUS, &status, sizeof status);
    put_note(NT_PRPSINFO, &info, sizeof info);
    put_files(maps, n);
    core.notes_size = core.size - core.notes;
    p[0] = (Elf64_Phdr){.p_type = PT_NOTE, .p_offset = core.notes, .p_filesz = core.notes_size};
    align(PAGE);
    core.segments_end = core.size;
    for (size_t i = 0; i < n; i++) {
        uint64_t len = maps[i].end - maps[i].start;
        if (maps[i].name[0] == '/' && !(maps[i].flags & PF_W)) len = maps[i].offset ? 0 : PAGE;
        p[i + 1] = (Elf64_Phdr){.p_type = PT_LOAD,
                                .p_flags = (Elf64_Word)maps[i].flags,
                                .p_offset = core.size,
                                .p_vaddr = maps[i].start,
                                .p_memsz = maps[i].end - maps[i].start,
                                .p_filesz = len};
        if (!len) continue;
        assert_true(len <= CORE_MAX - core.size);
        struct iovec local = {core.bytes + core.size, len}, remote = {(void *)maps[i].start, len};
        assert_int_equal(process_vm_readv(pid, &local, 1, &remote, 1, 0), (ssize_t)len);
        core.size += len;
    }
    memcpy(core.bytes + headers, p, (n + 1) * sizeof *p);
}

static bool sleeps_in_futex(pid_t pid) {
    char name[64], line[32] = "";
    snprintf(name, sizeof name, "/proc/%d/syscall", pid);
    FILE *f = fopen(name, "re");
    if (!f) return false;
    bool read = fgets(line, sizeof line, f);
    fclose(f);
    return read && !strncmp(line, "202 ", 4);
}

static int setup(void **state) {
    (void)state;
    scratch_make();
    run("cp %s %s", built("tests/unit/subjects/twice"), scratch); // one test moves it away
    snprintf(path, sizeof path, "%s/twice", scratch);
    pid_t pid = core.pid = fork();
    assert_true(pid >= 0);
    if (!pid) {
        execl(path, path, NULL);
        _exit(127);
    }
    while (!sleeps_in_futex(pid))
        if (waitpid(pid, NULL, WNOHANG)) fail_msg("the program ended");
    struct user_regs_struct regs;
    int status;
    assert_int_equal(ptrace(PTRACE_SEIZE, pid, 0, 0), 0);
    assert_int_equal(ptrace(PTRACE_INTERRUPT, pid, 0, 0), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(ptrace(PTRACE_GETREGS, pid, 0, &regs), 0);
    make_core(pid, &regs);
    kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) == pid && !WIFSIGNALED(status))
        ;
    snprintf(path, sizeof path, "%s/core", scratch);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    scratch_remove();
    return 0;
}

// The headers and notes alone, over those of the file.
static void write_headers(void) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, core.bytes, core.segments_end, 0), (ssize_t)core.segments_end);
    close(fd);
}

static void write_core(size_t size) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, core.bytes, size), (ssize_t)size);
    close(fd);
}

// Opens what is in the file: a snapshot or a refusal that says why. Reads some memory through it.
static bool opens(void) {
    struct file_store *files = file_store_new();
    struct rf_error err = {0};
    struct snapshot *s = NULL;
    bool good = snapshot_core(path, files, &s, &err) == 0;
    if (!good) {
        assert_int_equal(err.status, RF_BAD_TRACE);
        assert_true(strlen(err.text) > 10);
        assert_non_null(strstr(err.text, path));
    } else {
        assert_true(s->thread_count > 0);
        for (size_t i = 0; i < s->view.map_count; i++) {
            uint8_t buffer[64];
            const struct view_map *m = &s->view.maps[i];
            assert_true(m->start < m->end);
            assert_true(!i || m[-1].end <= m->start);
            s->view.read(s->view.context, m->start, buffer, sizeof buffer);
            s->view.read(s->view.context, m->end - 8, buffer, sizeof buffer);
        }
        snapshot_free(s);
    }
    file_store_free(files);
    return good;
}

static struct diagnosis *diagnose(void) {
    struct rf_error err = {0};
    struct diagnosis *d = NULL;
    if (!diagnose_core(path, &d, &err)) return d;
    assert_int_equal(err.status, RF_BAD_TRACE);
    return NULL;
}

static bool has_note(const struct verdict *v, const char *text) {
    for (size_t i = 0; i < v->note_count; i++)
        if (strstr(v->notes[i], text)) return true;
    return false;
}

static void test_whole(void **state) {
    (void)state;
    write_core(core.size);
    struct diagnosis *d = diagnose();
    assert_non_null(d);
    const struct verdict *v = diagnosis_verdict(d);
    assert_true(v->deadlock && v->from_memory);
    assert_int_equal(v->count, 1);
    const struct finding *f = &v->findings[0];
    assert_int_equal(f->kind, FINDING_LOCK_CYCLE);
    assert_int_equal(f->confidence, CONFIDENCE_LIKELY); // a core does not tell the signal handlers
    assert_string_equal(f->lock.symbol, "twice");
    assert_int_equal(f->holder.tid, core.pid);
    assert_int_equal(f->waiter.tid, core.pid);
    bool in_main = false;
    for (size_t i = 0; i < f->waiting.stack.count; i++)
        in_main |= f->waiting.stack.frames[i].function &&
                   !strcmp(f->waiting.stack.frames[i].function, "main") &&
                   f->waiting.stack.frames[i].line == line_of("twice.c", "// mark waits");
    assert_true(in_main);
    diagnosis_free(d);
}

// The registers say that the call was over, or the word is no longer what was waited for: nothing is said.
static void test_woken(void **state) {
    (void)state;
    struct elf_prstatus status;
    size_t at = core.notes + sizeof(Elf64_Nhdr) + 8;
    memcpy(&status, core.bytes + at, sizeof status);
    struct elf_prstatus woken = status;
    struct user_regs_struct regs;
    memcpy(&regs, status.pr_reg, sizeof regs);
    regs.rax = 0;
    memcpy(woken.pr_reg, &regs, sizeof regs);
    memcpy(core.bytes + at, &woken, sizeof woken);
    write_core(core.size);
    struct diagnosis *d = diagnose();
    assert_non_null(d);
    assert_false(diagnosis_verdict(d)->deadlock);
    diagnosis_free(d);

    regs.rax = (uint64_t)-512;
    regs.rdx = 1; // the expected value
    memcpy(woken.pr_reg, &regs, sizeof regs);
    memcpy(core.bytes + at, &woken, sizeof woken);
    write_core(core.size);
    d = diagnose();
    assert_non_null(d);
    assert_false(diagnosis_verdict(d)->deadlock);
    diagnosis_free(d);
    memcpy(core.bytes + at, &status, sizeof status);
}

static void test_cut_everywhere(void **state) {
    (void)state;
    write_core(core.size);
    assert_true(opens());
    size_t opened = 0;
    // Every byte of the headers and notes, then every page.
    for (size_t size = core.segments_end; size-- > 0;) {
        assert_int_equal(truncate(path, (off_t)size), 0);
        bool thread = size >= core.notes + sizeof(Elf64_Nhdr) + 8 + sizeof(struct elf_prstatus);
        assert_int_equal(opens(), thread);
        opened += thread;
    }
    assert_true(opened > 0);
    for (size_t size = core.segments_end; size < core.size; size += 5 * PAGE) {
        write_core(size);
        assert_true(opens());
    }
    write_core(core.notes);
    assert_false(opens());
    write_core(core.segments_end + PAGE);
    struct diagnosis *d = diagnose();
    assert_non_null(d);
    assert_true(has_note(diagnosis_verdict(d), "cut off at byte"));
    assert_false(diagnosis_verdict(d)->deadlock); // the lock's memory is not there
    diagnosis_free(d);
}

static uint64_t seed = 1;
static uint64_t next(uint64_t below) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (seed >> 33) % below;
}

// A value that such a field does not have: extremes, and a bit or a byte changed.
static void damage(uint8_t *at, size_t room) {
    static const uint64_t extremes[] = {0,          1,         0xff,       0xffff,           0x7fffffff,
                                        0xffffffff, INT64_MAX, UINT64_MAX, UINT64_MAX - 4095};
    size_t width = 1ul << next(4);
    if (width > room) width = 1;
    if (next(2))
        memcpy(at, &extremes[next(sizeof extremes / sizeof *extremes)], width);
    else
        at[0] ^= (uint8_t)(1u << next(8));
}

static void test_damaged(void **state) {
    (void)state;
    static uint8_t good[CORE_MAX];
    memcpy(good, core.bytes, core.size);
    write_core(core.size);
    size_t opened = 0, diagnosed = 0;
    for (int i = 0; i < MUTATIONS; i++) {
        size_t end = core.notes + core.notes_size;
        for (uint64_t k = 0, n = 1 + next(4); k < n; k++) {
            size_t at = next(end) & -4ul;
            damage(core.bytes + at, end - at);
        }
        write_headers();
        opened += opens();
        if (i % 60 == 0) { // symbols are read anew each time: slow
            struct diagnosis *d = diagnose();
            diagnosed += d != NULL;
            diagnosis_free(d);
        }
        memcpy(core.bytes, good, end);
    }
    assert_true(opened > MUTATIONS / 10 && opened < MUTATIONS);
    assert_true(diagnosed > 0);
}

static void refuse(const void *bytes, size_t len, const char *text) {
    struct rf_error err = {0};
    struct diagnosis *d = NULL;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), (ssize_t)len);
    close(fd);
    assert_int_equal(diagnose_core(path, &d, &err), -1);
    assert_int_equal(err.status, RF_BAD_TRACE);
    if (!strstr(err.text, text)) fail_msg("not '%s': %s", text, err.text);
}

static void test_refused(void **state) {
    (void)state;
    refuse("", 0, "no core file");
    refuse("hello, I am a text", 18, "no core file");
    refuse("\x1f\x8b\b\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 17, "gzip");
    refuse("\x28\xb5\x2f\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0", 17, "zstd -d");
    Elf64_Ehdr e;
    memcpy(&e, core.bytes, sizeof e);
    e.e_type = ET_DYN;
    refuse(&e, sizeof e, "no core file");
    e.e_type = ET_CORE;
    e.e_machine = EM_AARCH64;
    refuse(&e, sizeof e, "another kind of machine");
    e.e_machine = EM_X86_64;
    e.e_ident[EI_CLASS] = ELFCLASS32;
    refuse(&e, sizeof e, "32-bit");
    e.e_ident[EI_CLASS] = ELFCLASS64;
    refuse(&e, sizeof e, "cut off at byte 64");
    refuse(&e, 40, "cut off at byte 40");
    e.e_phnum = 0;
    refuse(&e, sizeof e, "0 program headers");
    e.e_phentsize = 1;
    refuse(&e, sizeof e, "1 bytes each");
}

// A file that is not the one that was mapped is not used.
static void test_other_file(void **state) {
    (void)state;
    write_core(core.size);
    run("mv %s/twice %s/elsewhere", scratch, scratch);
    for (int other = 0; other < 2; other++) {
        if (other) { // as long, the same headers but for the build-id
            run("sed s/twice/other/ %stwice.c >%s/other.c", SUBJECTS, scratch);
            run("gcc -g -O0 -o %s/twice %s/other.c -pthread", scratch, scratch);
        }
        struct diagnosis *d = diagnose();
        assert_non_null(d);
        const struct verdict *v = diagnosis_verdict(d);
        assert_true(has_note(v, "not the file that was mapped"));
        assert_int_equal(v->count, 1);
        assert_int_equal(strncmp(v->findings[0].lock.symbol, "twice+0x", 8), 0);
        diagnosis_free(d);
    }
    run("mv %s/elsewhere %s/twice", scratch, scratch);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),   cmocka_unit_test(test_woken),   cmocka_unit_test(test_cut_everywhere),
        cmocka_unit_test(test_damaged), cmocka_unit_test(test_refused), cmocka_unit_test(test_other_file),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
