// The program image that a process of a recording runs, and the auxiliary vector that the kernel gave it.
#ifndef REFORK_REPLAYER_CORE_IMAGE_H
#define REFORK_REPLAYER_CORE_IMAGE_H

#include "replayer/timeline.h"

#include <elf.h>

struct image {
    uint64_t exec_event, stack; // the exec that made it, and the stack pointer then; 0: not found
};

// The image of process `pid` at `event`, which is the timeline's position. That of a forked child is its parent's.
struct image image_find(struct timeline *t, uint64_t event, int pid);

typedef bool (*image_reader)(void *context, uint64_t address, void *to, size_t len);

// Its auxiliary vector, AT_NULL included, by `read`, which reads the process's memory. The number of entries, at most `most`;
// 0: it cannot be read, or has more.
size_t image_auxv(const struct image *image, image_reader read, void *context, Elf64_auxv_t *out,
                  size_t most);

#endif
