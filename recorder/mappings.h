// What is mapped in an address space: into the trace.
#ifndef REFORK_RECORDER_MAPPINGS_H
#define REFORK_RECORDER_MAPPINGS_H

#include "recorder/log.h"

// refork's own pages, into a fresh image.
void annex_map(struct recorder *r, struct task *t, struct batch *b);
// After a successful mmap of `fd` (-1: of shared memory without a file): MAP and SHARE pieces, trap sites, eager binding.
void image_mapped(struct recorder *r, struct task *t, struct batch *b, const struct piece_map *wanted,
                  int fd);
// After a successful shmat.
void image_attached(struct recorder *r, struct task *t, struct batch *b, uint64_t address, int shmid,
                    bool read_only);
// A pair of an auxiliary vector: AT_SYSINFO_EHDR becomes AT_IGNORE, so that time calls are real calls, and the words on the CPU's
// features agree with cpuid. False: it stays as it is.
bool exec_auxv_pair(const struct recorder *r, uint64_t pair[2]);
void image_exec_maps(struct recorder *r, struct task *t, struct batch *b);
// A write-like call has put `length` bytes into `fd`: FILE pieces when that file is mapped MAP_SHARED
// somewhere.
void image_file_written(struct recorder *r, struct task *t, struct batch *b, int fd, int64_t offset,
                        uint64_t length);
// A file, by descriptor or (fd < 0) by the path at `path`, may have another size now.
void image_file_cut(struct recorder *r, struct task *t, struct batch *b, int fd, uint64_t path);

#endif
