// The mappings of a process that runs here, from /proc/PID/maps: the one reader of that file.
#ifndef REFORK_CORE_PROC_MAPS_H
#define REFORK_CORE_PROC_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct proc_map {
    uint64_t start, end, offset;
    uint64_t inode; // 0: no file
    dev_t device;   // as maps has it: on overlayfs another one than stat() gives
    int prot;       // PROT_READ | PROT_WRITE | PROT_EXEC
    bool shared;    // MAP_SHARED
    // A path, perhaps with " (deleted)" behind it, "[heap]" and the like, or ""; until the next mapping is read.
    const char *name;
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
#define scoped_maps __attribute__((cleanup(proc_maps_close))) // closed at the end of its scope (core/guard.h)

// Begins with the first mapping of /proc/PID/smaps, which is slower: the kernel walks all pages. Then
// proc_maps_has_flag tells of the mapping that was read last whether its VmFlags have `flag`, as "lo" (locked); asked
// once for a mapping, whose name goes with it.
bool proc_maps_open_flags(struct proc_maps *m, pid_t pid);
bool proc_maps_has_flag(struct proc_maps *m, const char *flag);

// The mapping that `address` is in; false: none. Its name is not kept (NULL).
bool proc_maps_find(pid_t pid, uint64_t address, struct proc_map *out);

#endif
