// Which file each descriptor of each process leads to, at any event: a model that is made of the events alone, in their order.
// Names are as the program gave them: a path, "pipe:[EVENT]" and "socket:[EVENT]" with the event that made it (both ends of
// a pipe have the same), "UNIX", "TCP" and "UDP" with the address of the other end.
#ifndef REFORK_CORE_DECODE_DESCRIPTORS_H
#define REFORK_CORE_DECODE_DESCRIPTORS_H

#include "core/decode/form.h"
#include "core/event.h"

struct descriptors;

struct descriptors *descriptors_new(void);
void descriptors_free(struct descriptors *d); // NULL is fine

// The next event. `memory`: of the task, behind the event; what it cannot read stays unnamed.
void descriptors_event(struct descriptors *d, const struct event *e, struct decode_memory memory);

// The file of the task's descriptor right behind event `number` (UINT64_MAX: the last one that was given); false: unknown, or closed.
bool descriptors_name(const struct descriptors *d, int tid, uint64_t number, int fd, char *name, size_t size);

// The arguments of the call that the task is in, or was in last; NULL: it made none.
const uint64_t *descriptors_arguments(const struct descriptors *d, int tid);

#endif
