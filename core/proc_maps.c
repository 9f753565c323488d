#include "core/proc_maps.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

static bool open_file(struct proc_maps *m, pid_t pid, const char *which) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, which);
    *m = (struct proc_maps){.file = fopen(path, "re")};
    return m->file;
}

bool proc_maps_open(struct proc_maps *m, pid_t pid) {
    return open_file(m, pid, "maps");
}

bool proc_maps_open_flags(struct proc_maps *m, pid_t pid) {
    return open_file(m, pid, "smaps");
}

// 7ffff7dd5000-7ffff7dfb000 r-xp 00001000 08:01 2883 /usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2
bool proc_maps_next(struct proc_maps *m, struct proc_map *out) {
    ssize_t len;
    while (m->file && (len = getline(&m->line, &m->size, m->file)) > 0) {
        char flags[5];
        unsigned major, minor;
        int name = 0;
        if (m->line[len - 1] == '\n') m->line[len - 1] = 0;
        if (sscanf(m->line, "%lx-%lx %4s %lx %x:%x %lu%n", &out->start, &out->end, flags, &out->offset,
                   &major, &minor, &out->inode, &name) < 7)
            continue;
        while (m->line[name] == ' ')
            name++;
        out->prot = (flags[0] == 'r' ? PROT_READ : 0) | (flags[1] == 'w' ? PROT_WRITE : 0) |
                    (flags[2] == 'x' ? PROT_EXEC : 0);
        out->shared = flags[3] == 's';
        out->device = makedev(major, minor);
        out->name = m->line + name;
        return true;
    }
    return false;
}

// VmFlags: rd wr mr mw me lo ac sd
bool proc_maps_has_flag(struct proc_maps *m, const char *flag) {
    while (m->file && getline(&m->line, &m->size, m->file) > 0) {
        if (strncmp(m->line, "VmFlags:", 8) != 0) continue;
        for (char *save, *word = strtok_r(m->line + 8, " \n", &save); word;
             word = strtok_r(NULL, " \n", &save))
            if (!strcmp(word, flag)) return true;
        return false;
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
