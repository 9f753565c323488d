// Who can reach a futex word besides its own address space? Memory that processes share and that has no name in the file
// system is reached by fork alone, or by its fd. A file, what shm_open and sem_open made, a segment of System V with a key can
// be mapped by anybody who knows the name: whether somebody outside of the recording has is read from /proc.
#include "recorder/waits/shared_memory.h"

#include "core/guard.h"
#include "core/proc_maps.h"
#include "recorder/task.h"
#include "recorder/waits/state.h"

#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK_AGAIN_US = 200000 };

static bool maps_it(int pid, const struct proc_map *wanted) {
    scoped_maps struct proc_maps maps;
    struct proc_map m;
    proc_maps_open(&maps, pid);
    while (proc_maps_next(&maps, &m))
        if (m.inode == wanted->inode && m.device == wanted->device) return true;
    return false;
}

static bool recorded(const struct recorder *r, int pid) {
    for (const struct process *p = r->processes; p; p = p->next)
        if (p->pid == pid) return true;
    return false;
}

// (Of another user's process it is not known: its memory is taken for a stranger to this one.)
static bool strangers_map(const struct recorder *r, const struct proc_map *m) {
    scoped_dir DIR *d = opendir("/proc");
    bool found = !d;
    for (struct dirent *e; d && !found && (e = readdir(d));)
        found = isdigit((unsigned char)*e->d_name) && !recorded(r, atoi(e->d_name)) &&
                maps_it(atoi(e->d_name), m);
    return found;
}

static enum reach named_reach(struct recorder *r, const struct proc_map *m) {
    struct named_memory *seen = &r->waits->named_memory;
    bool same = seen->inode == m->inode && seen->device == m->device;
    if (!same || r->clock_us - seen->looked_us > LOOK_AGAIN_US)
        *seen = (struct named_memory){m->inode, m->device, r->clock_us, strangers_map(r, m)};
    return seen->strangers ? REACH_ANYBODY : REACH_NAMED;
}

enum reach shared_memory_reach(struct recorder *r, int tid, uint64_t address) {
    scoped_maps struct proc_maps maps;
    struct proc_map m;
    bool found = false;
    proc_maps_open(&maps, tid);
    while (!found && proc_maps_next(&maps, &m))
        found = address >= m.start && address < m.end;
    if (!found) return REACH_ANYBODY;
    if (!m.shared) return REACH_OWN;
    bool keyed = !strncmp(m.name, "/SYSV", 5) && strncmp(m.name, "/SYSV00000000", 13) != 0;
    if (strstr(m.name, " (deleted)") && !keyed) return r->waits->fds_passed ? REACH_ANYBODY : REACH_FAMILY;
    return named_reach(r, &m);
}
