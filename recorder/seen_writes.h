// Writes that show in memory by another way than a call's own buffers: into files that are mapped privately, whose pages show the
// file until they are copied; into a process's memory through /proc/PID/mem or by process_vm_writev.
#ifndef REFORK_RECORDER_SEEN_WRITES_H
#define REFORK_RECORDER_SEEN_WRITES_H

#include "core/calls/call_page.h"
#include "recorder/log.h"

#include <sys/stat.h>

struct seen_writes;

// A regular file was mapped, MAP_PRIVATE or MAP_SHARED.
void seen_writes_mapped(struct recorder *r, const struct stat *file, bool shared);
// t has a descriptor that it did not open in the recording: it may write to its file.
void seen_writes_received(struct recorder *r, const struct task *t, int fd);
// ... all that t has, when the recording begins.
void seen_writes_inherited(struct recorder *r, const struct task *t);
// At the exit of t's call with result `ret`: TASKMEM and EXTENT pieces for what others see of it.
void seen_writes_call(struct recorder *r, struct task *t, struct batch *b, int64_t ret);

// What a call of t, which ended with `ret` (0 or more), wrote into a file. False: it is no such call.
struct file_write {
    int fd;
    int64_t offset; // -1: at the file's position, which is behind the bytes now
    uint64_t length;
};
bool file_write_of(struct task *t, int64_t ret, struct file_write *out);
// The files of which a write may show in memory from now on: they are mapped, and somebody in the recording can write to them.
const struct call_seen *seen_writes_files(const struct recorder *r);
void seen_writes_free(struct recorder *r);

#endif
