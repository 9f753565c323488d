// Memory for the stubs of probes (core/probe.h) in the replay's kernel tasks, and the ring that all of them share: one task runs
// at a time, and the ring is emptied at each of its stops.
//
// An island is a range of addresses near code, where the recording has nothing: a page that shows the ring's control page, then
// stubs. All is memory that kernel tasks share with refork, so forks and checkpoints have it as well, and it is in no digest.
#ifndef REFORK_REPLAYER_ENGINE_ISLANDS_H
#define REFORK_REPLAYER_ENGINE_ISLANDS_H

#include "core/probe.h"
#include "replayer/engine/space.h"

struct island;

struct stub { // a probe whose code is in its island
    struct probe probe;
    struct island *island;
    int refs;
    uint32_t strays;       // times that a jump led into the middle of its patch
    uint64_t program, tag; // of the breakpoint that it is
};

struct probe_ring {
    int fd;
    uint64_t file_size;
    struct probe_control *control;
    uint8_t *bytes;      // REPLAY_RING_SIZE of them
    struct stub **stubs; // by id; NULL: free
    size_t stub_count;
    uint64_t start;                   // where in the ring this stretch of notes began
    uint64_t pause_event, pause_left; // notes to come in the step to that event before the pause
    uint32_t *free_ids;
    size_t free_count;
};

// NULL: the kernel gives no such memory; then there are no probes.
struct probe_ring *ring_new(void);
void ring_free(struct probe_ring *ring);

// Builds a stub for the instruction, of the first of `forms` (a set of 1 << enum probe_form) for which there is room. The
// caller has checked that the `displaced` bytes may run elsewhere: *limit of them at most. NULL: not possible.
struct stub *stub_new(struct space *s, const struct probe_request *request, unsigned forms, size_t limit);
struct stub *stub_ref(struct stub *stub);
void stub_unref(struct stub *stub); // NULL is fine
// The stub in which `pc` is; NULL.
struct stub *stub_at(const struct space *s, uint64_t pc);

// Does the space have an island, or the ring, in [start, end)? Then all its stubs must go, and islands_leave.
bool islands_in_the_way(const struct space *s, uint64_t start, uint64_t end);
void islands_leave(struct space *s); // unmaps them all; no stub may be in use
void islands_copy(struct space *to, const struct space *from);
void islands_free(struct space *s); // the space's memory is gone

#endif
