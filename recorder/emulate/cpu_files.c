#include "recorder/emulate/cpu_files.h"

#include "core/cpu/cpuinfo.h"
#include "recorder/cpus.h"
#include "recorder/hooks.h"
#include "recorder/inject.h"
#include "recorder/mappings.h"
#include "recorder/task.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

static bool has(const uint64_t *set, unsigned cpu) {
    return set[cpu / 64] >> cpu % 64 & 1;
}

// As many digits as the numbers of this machine's CPUs need, or those of the set.
void cpu_mask_text(const uint64_t *set, char *text, size_t size) {
    unsigned bits = (unsigned)sysconf(_SC_NPROCESSORS_CONF);
    for (unsigned cpu = 0; cpu < CPU_WORDS * 64; cpu++)
        if (has(set, cpu) && cpu >= bits) bits = cpu + 1;
    size_t len = 0;
    for (unsigned digit = (bits + 3) / 4; digit-- > 0 && len + 3 < size;) {
        text[len++] = "0123456789abcdef"[set[digit / 16] >> digit % 16 * 4 & 15];
        if (digit && digit % 8 == 0) text[len++] = ',';
    }
    text[len] = 0;
}

void cpu_list_text(const uint64_t *set, char *text, size_t size) {
    size_t len = 0;
    text[0] = 0;
    for (unsigned cpu = 0, last; cpu < CPU_WORDS * 64; cpu = last + 1) {
        for (last = cpu; last + 1 < CPU_WORDS * 64 && has(set, cpu) && has(set, last + 1);)
            last++;
        if (!has(set, cpu)) continue;
        int n = last > cpu ? snprintf(text + len, size - len, "%s%u-%u", len ? "," : "", cpu, last)
                           : snprintf(text + len, size - len, "%s%u", len ? "," : "", cpu);
        if (n < 0 || (size_t)n >= size - len) return;
        len += (size_t)n;
    }
}

static void list(const struct recorder *r, const char *was, FILE *out) {
    (void)was;
    char text[4096];
    cpu_list_text(r->cpus, text, sizeof text);
    fprintf(out, "%s\n", text);
}

static void mask(const struct recorder *r, const char *was, FILE *out) {
    (void)was;
    char text[4096];
    cpu_mask_text(r->cpus, text, sizeof text);
    fprintf(out, "%s\n", text);
}

static void empty_line(const struct recorder *r, const char *was, FILE *out) {
    (void)r, (void)was;
    fputs("\n", out);
}

// cpu.max of cgroup v2 is "QUOTA PERIOD".
static void no_quota(const struct recorder *r, const char *was, FILE *out) {
    (void)r;
    const char *period = strchr(was, ' ');
    fprintf(out, "max%s", period ? period : " 100000\n");
}

static void no_quota_v1(const struct recorder *r, const char *was, FILE *out) {
    (void)r, (void)was;
    fputs("-1\n", out);
}

// "flags : fpu vme...": those that the program is shown.
static bool flags_line(const struct recorder *r, const char *line, size_t len, FILE *out) {
    const char *colon = memchr(line, ':', len), *end = line + len, *next;
    if (!colon || strncmp(line, "flags", 5) != 0) return false;
    fwrite(line, 1, (size_t)(colon + 1 - line), out);
    for (const char *word = colon + 1; word < end; word = next) {
        word += strspn(word, " ");
        next = word + strcspn(word, " \n");
        size_t length = (size_t)(next - word);
        if (length && cpuinfo_shows(&r->model.shown, word, length)) fprintf(out, " %.*s", (int)length, word);
        if (!length) break;
    }
    fputc('\n', out);
    return true;
}

// One line of /proc/cpuinfo, of CPU `cpu` of `count`, which are the cores of one package.
static void cpuinfo_line(const char *line, size_t len, unsigned cpu, unsigned count, FILE *out) {
    static const char *const own[] = {"processor", "core id", "apicid", "initial apicid"};
    static const char *const all[] = {"siblings", "cpu cores"};
    size_t name = strcspn(line, "\t:\n");
    const char *colon = memchr(line, ':', len);
    for (size_t i = 0; colon && i < sizeof own / sizeof *own; i++)
        if (strlen(own[i]) == name && !memcmp(own[i], line, name)) {
            fprintf(out, "%.*s: %u\n", (int)(colon - line), line, cpu);
            return;
        }
    for (size_t i = 0; colon && i < sizeof all / sizeof *all; i++)
        if (strlen(all[i]) == name && !memcmp(all[i], line, name)) {
            fprintf(out, "%.*s: %u\n", (int)(colon - line), line, count);
            return;
        }
    fwrite(line, 1, len, out);
}

// The first CPU's paragraph, once for each; without --cpus all, as they are.
static void cpuinfo(const struct recorder *r, const char *was, FILE *out) {
    const unsigned count = r->options->cpus;
    const char *end = count ? strstr(was, "\n\n") : NULL;
    end = end ? end + 2 : was + strlen(was);
    for (unsigned cpu = 0; cpu < (count ? count : 1); cpu++)
        for (const char *line = was; line < end;) {
            const char *newline = memchr(line, '\n', (size_t)(end - line));
            size_t len = newline ? (size_t)(newline + 1 - line) : (size_t)(end - line);
            if (flags_line(r, line, len, out))
                ;
            else if (count)
                cpuinfo_line(line, len, cpu, count, out);
            else
                fwrite(line, 1, len, out);
            line += len;
        }
}

// The lines of the machine's CPUs, by turns.
static void stat_lines(const struct recorder *r, const char *was, FILE *out) {
    const char *first = strstr(was, "\ncpu"), *at = first ? first + 1 : was + strlen(was), *line = at;
    fwrite(was, 1, (size_t)(at - was), out);
    for (unsigned cpu = 0; first && cpu < r->options->cpus; cpu++) {
        if (strncmp(line, "cpu", 3) != 0) line = at;
        const char *times = strchr(line, ' '), *end = strchr(line, '\n');
        if (!times || !end || times > end) break;
        fprintf(out, "cpu%u%.*s", cpu, (int)(end + 1 - times), times);
        line = end + 1;
    }
    for (line = at; !strncmp(line, "cpu", 3) && strchr(line, '\n');)
        line = strchr(line, '\n') + 1;
    fputs(line, out);
}

// The words as the stack has them (recorder/mappings.c). `size` bytes.
static void auxiliary(const struct recorder *r, const char *was, size_t size, FILE *out) {
    uint64_t pair[2];
    for (size_t at = 0; at + sizeof pair <= size; at += sizeof pair) {
        memcpy(pair, was + at, sizeof pair);
        exec_auxv_pair(r, pair);
        fwrite(pair, 1, sizeof pair, out);
    }
}

// A file's path, or, in a control group, its name; on which file system; and what it says.
static const struct cpu_file {
    const char *pattern;
    long systems[2];
    void (*write)(const struct recorder *r, const char *was, FILE *out);
    bool always; // without --cpus as well
    void (*write_bytes)(const struct recorder *r, const char *was, size_t size, FILE *out);
} files[] = {
    {"/proc/cpuinfo", {PROC_SUPER_MAGIC}, cpuinfo, true, NULL},
    {"/proc/[0-9]*/auxv", {PROC_SUPER_MAGIC}, NULL, true, auxiliary},
    {"/proc/stat", {PROC_SUPER_MAGIC}, stat_lines, false, NULL},
    {"/sys/devices/system/cpu/online", {SYSFS_MAGIC}, list, false, NULL},
    {"/sys/devices/system/cpu/possible", {SYSFS_MAGIC}, list, false, NULL},
    {"/sys/devices/system/cpu/present", {SYSFS_MAGIC}, list, false, NULL},
    {"/sys/devices/system/node/node0/cpulist", {SYSFS_MAGIC}, list, false, NULL},
    {"/sys/devices/system/node/node0/cpumap", {SYSFS_MAGIC}, mask, false, NULL},
    {"/sys/devices/system/node/node*/cpulist", {SYSFS_MAGIC}, empty_line, false, NULL}, // all are node 0's
    {"*/cpuset.cpus.effective", {CGROUP2_SUPER_MAGIC}, list, false, NULL},
    {"*/cpuset.cpus", {CGROUP2_SUPER_MAGIC, CGROUP_SUPER_MAGIC}, list, false, NULL},
    {"*/cpuset.effective_cpus", {CGROUP_SUPER_MAGIC}, list, false, NULL},
    {"*/cpu.max", {CGROUP2_SUPER_MAGIC}, no_quota, false, NULL},
    {"*/cpu.cfs_quota_us", {CGROUP_SUPER_MAGIC}, no_quota_v1, false, NULL},
};

// The row of the file that descriptor `fd` of t stands for, if it was opened for reading; NULL: none.
static const struct cpu_file *file_of(const struct recorder *r, const struct task *t, int fd,
                                      char *descriptor, size_t size) {
    char path[PATH_MAX], info[64], line[64];
    unsigned long flags = O_WRONLY;
    struct statfs fs;
    snprintf(descriptor, size, "/proc/%d/fd/%d", t->tid, fd);
    ssize_t n = readlink(descriptor, path, sizeof path - 1);
    if (n <= 0) return NULL;
    path[n] = 0;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if ((!files[i].always && !r->options->cpus) || fnmatch(files[i].pattern, path, 0) != 0 ||
            statfs(descriptor, &fs) != 0)
            continue;
        if (fs.f_type != files[i].systems[0] && fs.f_type != files[i].systems[1]) continue;
        snprintf(info, sizeof info, "/proc/%d/fdinfo/%d", t->tid, fd);
        FILE *in = fopen(info, "re");
        while (in && fgets(line, sizeof line, in))
            if (sscanf(line, "flags: %lo", &flags) == 1) break;
        if (in) fclose(in);
        return (flags & O_ACCMODE) == O_RDONLY && !(flags & O_PATH) ? &files[i] : NULL;
    }
    return NULL;
}

static bool write_text(const struct recorder *r, const struct cpu_file *file, const char *from,
                       const char *to) {
    char *was = NULL;
    size_t size = 0;
    FILE *in = fopen(from, "re"), *out = fopen(to, "we");
    char bytes[4096];
    size_t got = in && file->write_bytes ? fread(bytes, 1, sizeof bytes, in) : 0;
    bool good = out && got;
    if (good) file->write_bytes(r, bytes, got, out);
    if (file->write && (good = in && out && getdelim(&was, &size, 0, in) > 0)) file->write(r, was, out);
    free(was);
    if (in) fclose(in);
    return out && fclose(out) == 0 && good;
}

// PR_GET_AUXV gives the words as well: whole ones, or the first bytes of one.
static void tell_auxiliary(const struct recorder *r, struct task *t, int64_t ret) {
    enum { PR_GET_AUXV = 0x41555856 };
    const uint64_t *a = t->call.args;
    if (t->call.nr != SYS_prctl || (uint32_t)a[0] != PR_GET_AUXV || ret <= 0) return;
    const uint64_t size = a[2] < (uint64_t)ret ? a[2] : (uint64_t)ret;
    uint64_t pair[2];
    for (uint64_t at = 0; at < size; at += sizeof pair) {
        size_t some = size - at < sizeof pair ? (size_t)(size - at) : sizeof pair;
        memset(pair, 0, sizeof pair);
        if (tracee_read(t->tid, t->mm->mem_fd, a[1] + at, pair, some) && exec_auxv_pair(r, pair))
            tracee_poke(t->tid, t->mm->mem_fd, a[1] + at, pair, some);
    }
}

static int64_t tells(struct recorder *r, struct task *t, int64_t ret) {
    char opened[64], made[64];
    tell_auxiliary(r, t, ret);
    const bool opens = t->call.nr == SYS_open || t->call.nr == SYS_openat || t->call.nr == SYS_openat2;
    if (!opens || ret < 0) return ret;
    const struct cpu_file *file = file_of(r, t, (int)ret, opened, sizeof opened);
    if (!file) return ret;
    // Its name is the path that the program has opened, as far as a memfd's name may go: any text in its memory will do.
    const uint64_t *a = t->call.args, path = t->call.nr == SYS_open ? a[0] : a[1];
    long fd = inject(r, t, SYS_memfd_create, (const uint64_t[6]){path, MFD_CLOEXEC});
    if (fd < 0) return ret;
    snprintf(made, sizeof made, "/proc/%d/fd/%ld", t->tid, fd);
    bool closes = inject(r, t, SYS_fcntl, (const uint64_t[6]){(uint64_t)ret, F_GETFD}) == FD_CLOEXEC;
    if (write_text(r, file, opened, made))
        inject(r, t, SYS_dup3, (const uint64_t[6]){(uint64_t)fd, (uint64_t)ret, closes ? O_CLOEXEC : 0});
    inject(r, t, SYS_close, (const uint64_t[6]){(uint64_t)fd});
    return ret;
}

static const struct recorder_hooks cpu_files_hooks = {.lasting = true, .tells = tells};

void cpu_files_begin(struct recorder *r) {
    hooks_add(r, &cpu_files_hooks);
}
