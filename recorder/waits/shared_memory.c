// Who can reach a futex word besides its own address space? Memory that processes share and that has no name in the file
// system is reached by fork alone, or by its fd. A file, what shm_open and sem_open made, a segment of System V with a key can
// be mapped by anybody who knows the name: whether somebody outside of the recording has is read from /proc.
#include "recorder/waits/shared_memory.h"

#include "recorder/task.h"
#include "recorder/waits/state.h"

#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK_AGAIN_US = 200000 };

struct mapping {
    uint64_t start, end, inode;
    unsigned major, minor;
    bool shared;
    char name[256];
};

static bool read_mapping(const char *line, struct mapping *m) {
    char prot[8];
    int name = 0;
    if (sscanf(line, "%lx-%lx %7s %*s %x:%x %lu %n", &m->start, &m->end, prot, &m->major, &m->minor,
               &m->inode, &name) < 6 ||
        !name)
        return false;
    m->shared = prot[3] == 's';
    snprintf(m->name, sizeof m->name, "%s", line + name);
    m->name[strcspn(m->name, "\n")] = 0;
    return true;
}

static FILE *open_maps(int pid) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/maps", pid);
    return fopen(path, "re");
}

static bool maps_it(int pid, const struct mapping *wanted) {
    char line[4400];
    struct mapping m;
    FILE *f = open_maps(pid);
    bool found = false;
    while (f && !found && fgets(line, sizeof line, f))
        found = read_mapping(line, &m) && m.inode == wanted->inode && m.major == wanted->major &&
                m.minor == wanted->minor;
    if (f) fclose(f);
    return found;
}

static bool recorded(const struct recorder *r, int pid) {
    for (const struct process *p = r->processes; p; p = p->next)
        if (p->pid == pid) return true;
    return false;
}

// (Of another user's process it is not known: its memory is taken for a stranger to this one.)
static bool strangers_map(const struct recorder *r, const struct mapping *m) {
    bool found = false;
    DIR *d = opendir("/proc");
    for (struct dirent *e; d && !found && (e = readdir(d));)
        found = isdigit((unsigned char)*e->d_name) && !recorded(r, atoi(e->d_name)) &&
                maps_it(atoi(e->d_name), m);
    if (d) closedir(d);
    return !d || found;
}

static enum reach named_reach(struct recorder *r, const struct mapping *m) {
    struct named_memory *seen = &r->waits->named_memory;
    bool same = seen->inode == m->inode && seen->major == m->major && seen->minor == m->minor;
    if (!same || r->clock_us - seen->looked_us > LOOK_AGAIN_US)
        *seen = (struct named_memory){m->inode, m->major, m->minor, r->clock_us, strangers_map(r, m)};
    return seen->strangers ? REACH_ANYBODY : REACH_NAMED;
}

enum reach shared_memory_reach(struct recorder *r, int tid, uint64_t address) {
    char line[4400];
    struct mapping m;
    bool found = false;
    FILE *f = open_maps(tid);
    while (f && !found && fgets(line, sizeof line, f))
        found = read_mapping(line, &m) && address >= m.start && address < m.end;
    if (f) fclose(f);
    if (!found) return REACH_ANYBODY;
    if (!m.shared) return REACH_OWN;
    bool keyed = !strncmp(m.name, "/SYSV", 5) && strncmp(m.name, "/SYSV00000000", 13) != 0;
    if (strstr(m.name, " (deleted)") && !keyed) return r->waits->fds_passed ? REACH_ANYBODY : REACH_FAMILY;
    return named_reach(r, &m);
}
