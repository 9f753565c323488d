#include "core/proc_maps.h"

#include <stdlib.h>
#include <sys/mman.h>

bool proc_maps_open(struct proc_maps *m, pid_t pid) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/maps", pid);
    *m = (struct proc_maps){.file = fopen(path, "re")};
    return m->file;
}

// 7ffff7dd5000-7ffff7dfb000 r-xp 00001000 08:01 2883 /usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2
bool proc_maps_next(struct proc_maps *m, struct proc_map *out) {
    ssize_t len;
    while (m->file && (len = getline(&m->line, &m->size, m->file)) > 0) {
        char flags[5];
        int name = 0;
        if (m->line[len - 1] == '\n') m->line[len - 1] = 0;
        if (sscanf(m->line, "%lx-%lx %4s %lx %*s %*s%n", &out->start, &out->end, flags, &out->offset, &name) <
                4 ||
            !name)
            continue;
        while (m->line[name] == ' ')
            name++;
        out->prot = (flags[0] == 'r' ? PROT_READ : 0) | (flags[1] == 'w' ? PROT_WRITE : 0) |
                    (flags[2] == 'x' ? PROT_EXEC : 0);
        out->shared = flags[3] == 's';
        out->name = m->line + name;
        return true;
    }
    return false;
}

void proc_maps_close(struct proc_maps *m) {
    if (m->file) fclose(m->file);
    free(m->line);
    *m = (struct proc_maps){0};
}

bool proc_maps_find(pid_t pid, uint64_t address, struct proc_map *out) {
    struct proc_maps m;
    bool found = false;
    proc_maps_open(&m, pid);
    while (!found && proc_maps_next(&m, out))
        found = address >= out->start && address < out->end;
    proc_maps_close(&m);
    out->name = NULL;
    return found;
}
