// What the writer's two threads hand each other: a chunk that is to be written.
#ifndef REFORK_CORE_TRACE_TRACE_JOB_H
#define REFORK_CORE_TRACE_TRACE_JOB_H

#include "core/trace/trace_format.h"

#include <stddef.h>
#include <stdint.h>

#define BUFFER_SPARE (64u << 10) // room of a chunk's buffer beyond EVENTS_CHUNK, for its last event
#define BUFFER_SIZE  (EVENTS_CHUNK + BUFFER_SPARE)

struct job {
    struct job *next;
    struct disk_chunk chunk; // type, first, extra and raw are set
    size_t capacity;
    uint8_t data[];
};

// Room for `capacity` bytes; nothing else is set. NULL: there is no memory.
struct job *job_new(size_t capacity);
void job_free(struct job *job);

#endif
