#include "search/hunt_state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define TEMPORARY "tmp-"

// ---- processes

// Field 22 of /proc/PID/stat, in clock ticks since boot; 0: there is no such process.
static uint64_t start_time(long pid) {
    char path[64], line[1024];
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(line, 1, sizeof line - 1, f) : 0;
    if (f) fclose(f);
    line[n] = 0;
    const char *at = strrchr(line, ')'); // names may hold blanks
    for (int field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    return at ? strtoull(at, NULL, 10) : 0;
}

// PIDs mean the same in one PID namespace of one boot.
static uint64_t host(void) {
    char text[512] = "";
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, 200);
    if (fd >= 0) close(fd);
    if (n < 0) n = 0;
    ssize_t more = readlink("/proc/self/ns/pid", text + n, 200);
    if (more < 0) more = 0;
    return XXH3_64bits(text, (size_t)(n + more));
}

// False: of another machine.
static bool of_this_host(const struct hunt_state *s, const char *process, long *pid, uint64_t *start) {
    uint64_t on, mine = strtoull(s->process, NULL, 16);
    return sscanf(process, "%" SCNx64 "-%ld-%" SCNu64, &on, pid, start) == 3 && on == mine;
}

bool state_process_known(const struct hunt_state *s, const char *process) {
    uint64_t start;
    long pid;
    return of_this_host(s, process, &pid, &start);
}

bool state_process_ended(const struct hunt_state *s, const char *process) {
    uint64_t start;
    long pid;
    return of_this_host(s, process, &pid, &start) && start_time(pid) != start;
}

// ---- names

void state_path(const struct hunt_state *s, const char *name, char *out, size_t size) {
    snprintf(out, size, "%s/%s", s->folder, name);
}

void state_temporary(struct hunt_state *s, char *out, size_t size) {
    snprintf(out, size, "%s/" TEMPORARY "%s-%u", s->folder, s->process, s->made++);
}

bool state_has(const struct hunt_state *s, const char *name) {
    char path[4300];
    state_path(s, name, path, sizeof path);
    return access(path, F_OK) == 0;
}

// ---- files

static int write_whole(const char *path, const char *text, size_t len, struct rf_error *err) {
    FILE *f = fopen(path, "wxe");
    bool failed = !f || fwrite(text, 1, len, f) != len || fflush(f) || fsync(fileno(f));
    if (f && fclose(f)) failed = true; // a share may say only now that it is full
    if (!failed) return 0;
    rf_fail_errno(err, RF_CANNOT, "cannot write '%s'", path);
    if (f) unlink(path);
    return -1;
}

// A reply may get lost on a share: what link() says, and what it did.
static bool linked_after_all(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && st.st_nlink == 2;
}

static int give_name(const char *temporary, const char *path, struct rf_error *err) {
    if (link(temporary, path) == 0 || linked_after_all(temporary)) return 1;
    if (errno == EEXIST) return 0;
    // A file system without hard links.
    if (renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_NOREPLACE) == 0) return 1;
    if (errno == EEXIST) return 0;
    return rf_fail_errno(err, RF_CANNOT,
                         "cannot make '%s' (the shards of a hunt need a file system with hard links)", path);
}

int state_publish(struct hunt_state *s, const char *name, const json_t *value, struct rf_error *err) {
    char path[4300], temporary[4300];
    char *text = json_dumps(value, JSON_INDENT(1));
    rf_assert(text);
    state_path(s, name, path, sizeof path);
    state_temporary(s, temporary, sizeof temporary);
    int result = write_whole(temporary, text, strlen(text), err);
    if (!result) {
        result = give_name(temporary, path, err);
        unlink(temporary);
    }
    free(text);
    return result;
}

int state_read(const struct hunt_state *s, const char *name, json_t **out, struct rf_error *err) {
    char path[4300];
    json_error_t why;
    state_path(s, name, path, sizeof path);
    FILE *f = fopen(path, "re");
    if (!f && (errno == ENOENT || errno == ENOTDIR)) return 0;
    if (!f) return rf_fail_errno(err, RF_CANNOT, "cannot read '%s'", path);
    *out = json_loadf(f, 0, &why);
    fclose(f);
    if (*out) return 1;
    return rf_fail(err, RF_CANNOT, "'%s' is no file of a hunt: %s (line %d)", path, why.text, why.line);
}

// ---- the folder

static void remove_left_over(const struct hunt_state *s) {
    DIR *d = opendir(s->folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (strncmp(e->d_name, TEMPORARY, strlen(TEMPORARY)) != 0 ||
            !state_process_ended(s, e->d_name + strlen(TEMPORARY)))
            continue;
        char path[4300];
        state_path(s, e->d_name, path, sizeof path);
        unlink(path);
    }
    if (d) closedir(d);
}

int state_open(struct hunt_state *s, const char *folder, struct rf_error *err) {
    struct stat st;
    char probe[4300];
    *s = (struct hunt_state){.folder = folder};
    if (strlen(folder) > 3800) return rf_fail(err, RF_CANNOT, "the name '%.100s...' is too long", folder);
    snprintf(s->process, sizeof s->process, "%016" PRIx64 "-%d-%" PRIu64, host(), getpid(),
             start_time(getpid()));
    if (mkdir(folder, 0777) < 0 && errno != EEXIST)
        return rf_fail_errno(err, RF_CANNOT, "cannot make the folder '%s'", folder);
    if (stat(folder, &st) < 0) return rf_fail_errno(err, RF_CANNOT, "cannot read '%s'", folder);
    if (!S_ISDIR(st.st_mode))
        return rf_fail(err, RF_CANNOT, "'%s' is no folder: --state names one in which the shards meet",
                       folder);
    state_temporary(s, probe, sizeof probe);
    if (write_whole(probe, "", 0, err) < 0) return -1;
    unlink(probe);
    remove_left_over(s);
    return 0;
}
