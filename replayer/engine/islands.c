#include "replayer/engine/islands.h"

#include "core/abi.h"
#include "core/annex.h"
#include "core/array.h"
#include "core/tracee.h"
#include "replayer/engine/kernel_task.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    UNIT = 16,          // bytes of one bit in `used`
    CHUNK = 2 << 20,    // of code that one island serves
    MARGIN = 0x20000,   // an island is longer than its chunk
    PUNNED = 0x10000,   // size of an island for a distance that is given
    DISTANCE = 1 << 20, // from what the recording has mapped
    ISLANDS_MAX = 512,  // in a space
};

struct island {
    int refs; // spaces and stubs
    struct probe_ring *ring;
    uint64_t start, size; // the control page first
    uint8_t guard;        // which byte of the jumps to it traps
    uint8_t *bytes;       // refork's own view of the stubs
    uint64_t *used;       // a bit for each UNIT
    uint64_t low;         // no unit below this one is free
    struct stub **stubs;  // by address
    size_t stub_count, stub_room;
};

// Distances whose two highest bytes trap both, and so the third byte of an island's jumps does; the fourth and fifth may
// be chosen (core/probe.h, probe_guards).
static const struct {
    uint8_t guard;
    int64_t distance;
} sides[] = {{0xcc, -0x33340000ll}, {0x9a, -0x65340000ll}, {0x61, 0x61cc0000ll}, {0x2f, 0x2fcc0000ll}};

// ---- the ring

struct probe_ring *ring_new(void) {
    struct probe_ring *ring = calloc(1, sizeof *ring);
    rf_assert(ring);
    ring->fd = fd_raise(memfd_create("refork-probes", MFD_CLOEXEC));
    ring->file_size = PAGE + REPLAY_RING_SIZE;
    void *p = MAP_FAILED;
    if (ring->fd >= 0 && ftruncate(ring->fd, (off_t)ring->file_size) == 0)
        p = mmap(NULL, ring->file_size, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, 0);
    if (p == MAP_FAILED) {
        if (ring->fd >= 0) close(ring->fd);
        free(ring);
        return NULL;
    }
    ring->control = p;
    ring->bytes = (uint8_t *)p + PAGE;
    ring->control->head = ring->start = REPLAY_RING;
    return ring;
}

void ring_free(struct probe_ring *ring) {
    if (!ring) return;
    munmap(ring->control, PAGE + REPLAY_RING_SIZE);
    close(ring->fd);
    free(ring->stubs);
    free(ring->free_ids);
    free(ring);
}

static uint32_t next_id(struct probe_ring *ring) {
    if (ring->free_count) return ring->free_ids[ring->free_count - 1];
    return (uint32_t)ring->stub_count;
}

static void take_id(struct probe_ring *ring, struct stub *stub) {
    if (ring->free_count)
        ring->free_count--;
    else
        array_add(ring->stubs, ring->stub_count);
    ring->stubs[stub->probe.id] = stub;
}

static void give_id(struct probe_ring *ring, uint32_t id) {
    ring->stubs[id] = NULL;
    array_push(ring->free_ids, ring->free_count, id);
}

// ---- islands

static void island_unref(struct island *i) {
    if (--i->refs > 0) return;
    munmap(i->bytes, i->size - PAGE);
    free(i->used);
    free(i->stubs);
    free(i);
}

static bool is_free(const struct space *s, uint64_t start, uint64_t size) {
    uint64_t end = start + size;
    if (start < 2 * DISTANCE || end < start || end > USER_END - DISTANCE) return false;
    if (start < ANNEX_END + DISTANCE && end + DISTANCE > REPLAY_PAGE) return false;
    for (size_t i = 0; i < s->map_count; i++)
        if (s->maps[i].v.start < end + DISTANCE && start < s->maps[i].v.end + DISTANCE) return false;
    // Those of two neighbouring chunks reach over each other. (The kernel says so as well, for six calls of each probe.)
    for (size_t i = 0; i < s->island_count; i++)
        if (s->islands[i]->start < end && start < s->islands[i]->start + s->islands[i]->size) return false;
    return true;
}

static bool map_here(struct space *s, uint64_t address, uint64_t size, int prot, uint64_t offset) {
    long at = KERNEL_TASK_CALL(s->pid, SYS_mmap, address, size, (uint64_t)prot,
                               MAP_SHARED | MAP_FIXED_NOREPLACE, (uint64_t)s->ring->fd, offset);
    if (at == (long)address) return true;
    if (at > 0) kernel_task_unmap(s->pid, (uint64_t)at, size); // a kernel before 4.17
    return false;
}

static struct island *island_new(struct space *s, uint64_t start, uint64_t size, uint8_t guard) {
    struct probe_ring *ring = s->ring;
    if (s->island_count == ISLANDS_MAX || !is_free(s, start, size)) return NULL;
    if (!s->ring_mapped && !map_here(s, REPLAY_RING, REPLAY_RING_SIZE, PROT_READ | PROT_WRITE, PAGE))
        return NULL;
    s->ring_mapped = true;
    uint64_t offset = ring->file_size, stubs = size - PAGE;
    if (ftruncate(ring->fd, (off_t)(offset + stubs)) < 0) return NULL;
    void *bytes = mmap(NULL, stubs, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, (off_t)offset);
    if (bytes == MAP_FAILED) return NULL;
    if (!map_here(s, start, PAGE, PROT_READ | PROT_WRITE, 0)) {
        munmap(bytes, stubs);
        return NULL;
    }
    if (!map_here(s, start + PAGE, stubs, PROT_READ | PROT_EXEC, offset)) {
        kernel_task_unmap(s->pid, start, PAGE);
        munmap(bytes, stubs);
        return NULL;
    }
    ring->file_size = offset + stubs;
    struct island *i = calloc(1, sizeof *i);
    rf_assert(i);
    *i = (struct island){
        .refs = 1, .ring = ring, .start = start, .size = size, .guard = guard, .bytes = bytes};
    i->used = calloc(stubs / UNIT / 64 + 1, sizeof *i->used);
    rf_assert(i->used);
    array_push(s->islands, s->island_count, i);
    return i;
}

static bool unit_used(const struct island *i, uint64_t unit) {
    return i->used[unit / 64] >> unit % 64 & 1;
}

static void mark(struct island *i, uint64_t address, size_t len, bool used) {
    uint64_t first = (address - i->start - PAGE) / UNIT, last = (address + len - 1 - i->start - PAGE) / UNIT;
    for (uint64_t unit = first; unit <= last; unit++)
        i->used[unit / 64] = (i->used[unit / 64] & ~(1ull << unit % 64)) | (uint64_t)used << unit % 64;
    if (!used && first < i->low) i->low = first;
}

// A place for a stub of `len` bytes; 0: none.
static uint64_t place_in(struct island *i, const struct probe_plan *plan, uint64_t address, size_t len) {
    uint64_t base = i->start + PAGE, units = (i->size - PAGE) / UNIT;
    while (i->low < units && unit_used(i, i->low))
        i->low++;
    for (uint64_t from = base + i->low * UNIT;;) {
        uint64_t at = probe_place(plan, address, from);
        if (!at || at + len > i->start + i->size) return 0;
        uint64_t last = (at + len - 1 - base) / UNIT, unit = (at - base) / UNIT;
        while (unit <= last && !unit_used(i, unit))
            unit++;
        if (unit > last) return at;
        while (unit < units && unit_used(i, unit))
            unit++;
        from = base + unit * UNIT;
    }
}

// Of the first behind `address`.
static size_t stub_index(const struct island *i, uint64_t address) {
    return array_before(i->stubs, i->stub_count, stub, (*stub)->probe.stub_address <= address);
}

static void list_stub(struct island *i, struct stub *stub) {
    array_insert(i->stubs, i->stub_count, stub_index(i, stub->probe.stub_address), stub);
}

static struct stub *build_in(struct island *i, const struct probe_request *q, const struct probe_plan *plan) {
    uint8_t code[PROBE_STUB_MAX];
    struct stub *stub = calloc(1, sizeof *stub);
    rf_assert(stub);
    // How long a stub is does not depend on its place.
    uint64_t at = probe_place(plan, q->address, i->start + PAGE);
    bool good = at && at < i->start + i->size && probe_build(q, plan, at, i->start, code, &stub->probe) &&
                (at = place_in(i, plan, q->address, stub->probe.stub_len)) &&
                probe_build(q, plan, at, i->start, code, &stub->probe);
    if (!good) {
        free(stub);
        return NULL;
    }
    memcpy(i->bytes + (at - i->start - PAGE), code, stub->probe.stub_len);
    mark(i, at, stub->probe.stub_len, true);
    stub->island = i;
    stub->refs = 1;
    i->refs++;
    list_stub(i, stub);
    take_id(i->ring, stub);
    return stub;
}

static struct stub *build_near(struct space *s, const struct probe_request *q, enum probe_form form,
                               size_t limit) {
    struct probe_plan plan;
    uint64_t chunk = q->address & ~(uint64_t)(CHUNK - 1);
    for (size_t k = 0; k < sizeof sides / sizeof *sides; k++) {
        if (!probe_plan(q, form, sides[k].guard, &plan) || plan.displaced > limit) return NULL;
        uint64_t start = chunk + (uint64_t)sides[k].distance - PAGE, size = CHUNK + MARGIN;
        struct island *i = NULL;
        for (size_t n = 0; n < s->island_count; n++)
            if (s->islands[n]->start == start && s->islands[n]->guard == sides[k].guard) i = s->islands[n];
        if (!i) i = island_new(s, start, size, sides[k].guard);
        struct stub *stub = i ? build_in(i, q, &plan) : NULL;
        if (stub) return stub;
    }
    return NULL;
}

static struct stub *build_punned(struct space *s, const struct probe_request *q) {
    struct probe_plan plan;
    if (!probe_plan(q, PROBE_PUNNED, 0, &plan)) return NULL;
    for (size_t n = 0; n < s->island_count; n++) {
        struct stub *stub = build_in(s->islands[n], q, &plan);
        if (stub) return stub;
    }
    for (uint64_t from = 0, at; (at = probe_place(&plan, q->address, from)); from = at + (4 << 20)) {
        uint64_t start = page_down(at) - PAGE;
        struct island *i = island_new(s, start, PUNNED, 0);
        struct stub *stub = i ? build_in(i, q, &plan) : NULL;
        if (stub) return stub;
    }
    return NULL;
}

struct stub *stub_new(struct space *s, const struct probe_request *request, unsigned forms, size_t limit) {
    if (!s->ring) return NULL;
    struct probe_request q = *request;
    q.id = next_id(s->ring);
    struct stub *stub = NULL;
    if (forms & 1u << PROBE_LONG) stub = build_near(s, &q, PROBE_LONG, limit);
    if (!stub && forms & 1u << PROBE_FOLLOWED) stub = build_near(s, &q, PROBE_FOLLOWED, limit);
    if (!stub && forms & 1u << PROBE_PUNNED) stub = build_punned(s, &q);
    return stub;
}

struct stub *stub_ref(struct stub *stub) {
    if (stub) stub->refs++;
    return stub;
}

void stub_unref(struct stub *stub) {
    if (!stub || --stub->refs > 0) return;
    struct island *i = stub->island;
    mark(i, stub->probe.stub_address, stub->probe.stub_len, false);
    size_t at = stub_index(i, stub->probe.stub_address) - 1;
    memmove(i->stubs + at, i->stubs + at + 1, (i->stub_count - at - 1) * sizeof *i->stubs);
    i->stub_count--;
    give_id(i->ring, stub->probe.id);
    free(stub);
    island_unref(i);
}

struct stub *stub_at(const struct space *s, uint64_t pc) {
    for (size_t n = 0; n < s->island_count; n++) {
        const struct island *i = s->islands[n];
        if (pc - i->start >= i->size) continue;
        size_t at = stub_index(i, pc);
        struct stub *stub = at ? i->stubs[at - 1] : NULL;
        return stub && pc - stub->probe.stub_address < stub->probe.stub_len ? stub : NULL;
    }
    return NULL;
}

// ---- spaces

bool islands_in_the_way(const struct space *s, uint64_t start, uint64_t end) {
    if (s->ring_mapped && start < REPLAY_RING + REPLAY_RING_SIZE + PAGE && end > REPLAY_RING) return true;
    for (size_t n = 0; n < s->island_count; n++)
        if (start < s->islands[n]->start + s->islands[n]->size && end > s->islands[n]->start) return true;
    return false;
}

void islands_leave(struct space *s) {
    for (size_t n = 0; n < s->island_count; n++)
        kernel_task_unmap(s->pid, s->islands[n]->start, s->islands[n]->size);
    if (s->ring_mapped) kernel_task_unmap(s->pid, REPLAY_RING, REPLAY_RING_SIZE);
    s->ring_mapped = false;
    islands_free(s);
}

void islands_copy(struct space *to, const struct space *from) {
    to->ring = from->ring;
    to->ring_mapped = from->ring_mapped;
    to->island_count = from->island_count;
    to->islands = array_copy(from->islands, from->island_count, sizeof *to->islands);
    rf_assert(to->islands || !to->island_count);
    for (size_t n = 0; n < to->island_count; n++)
        to->islands[n]->refs++;
}

void islands_free(struct space *s) {
    for (size_t n = 0; n < s->island_count; n++)
        island_unref(s->islands[n]);
    free(s->islands);
    s->islands = NULL;
    s->island_count = 0;
}
