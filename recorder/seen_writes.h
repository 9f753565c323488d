// Writes that show in memory by another way than a call's own buffers: into files that are mapped privately, whose pages show the
// file until they are copied; into a process's memory through /proc/PID/mem or by process_vm_writev.
#ifndef REFORK_RECORDER_SEEN_WRITES_H
#define REFORK_RECORDER_SEEN_WRITES_H

#include "recorder/log.h"

#include <sys/stat.h>

struct seen_writes;

// A regular file was mapped MAP_PRIVATE.
void seen_writes_mapped(struct recorder *r, const struct stat *file);
// At the exit of t's call with result `ret`: TASKMEM and EXTENT pieces for what others see of it.
void seen_writes_call(struct recorder *r, struct task *t, struct batch *b, int64_t ret);

// What a call of t, which ended with `ret` (0 or more), wrote into a file. False: it is no such call.
struct file_write {
    int fd;
    int64_t offset; // -1: at the file's position, which is behind the bytes now
    uint64_t length;
};
bool file_write_of(struct task *t, int64_t ret, struct file_write *out);
// Does any write to a file show so now?
bool seen_writes_matter(const struct recorder *r);
void seen_writes_free(struct recorder *r);

#endif
