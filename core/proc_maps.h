// The mappings of a process that runs here, from /proc/PID/maps.
#ifndef REFORK_CORE_PROC_MAPS_H
#define REFORK_CORE_PROC_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct proc_map {
    uint64_t start, end, offset;
    int prot;    // PROT_READ | PROT_WRITE | PROT_EXEC
    bool shared; // MAP_SHARED
    const char
        *name; // a path, perhaps with " (deleted)" behind it, "[heap]" and the like, or ""; until the next
};

struct proc_maps {
    FILE *file; // NULL: the process is gone, or not ours to look at
    char *line;
    size_t size;
};

// Begins with the first mapping of the task `pid`; false with errno when there is nothing to read (proc_maps_next
// then returns false at once). proc_maps_close is due in both cases.
bool proc_maps_open(struct proc_maps *m, pid_t pid);
// The next mapping, in the order of addresses; false: that was all.
bool proc_maps_next(struct proc_maps *m, struct proc_map *out);
void proc_maps_close(struct proc_maps *m);

// The mapping that `address` is in; false: none. Its name is not kept (NULL).
bool proc_maps_find(pid_t pid, uint64_t address, struct proc_map *out);

#endif
