// Memory of the program, and the table of the int3 bytes that are planted in it: each space has a sorted one. Everything
// of the replayer that reads or writes memory of the program goes through space_read, space_write and space_poke, which
// hide and keep them.
#include "replayer/engine/memory.h"

#include "core/abi.h"
#include "core/array.h"
#include "core/tracee.h"
#include "replayer/engine/blobs.h"
#include "replayer/engine/engine.h"
#include "replayer/engine/kernel_task.h"
#include "core/loop_site.h"
#include "replayer/engine/page_watch.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

bool planted_in_memory(const struct planted *p) {
    return !(p->flags & (PLANTED_LIFTED | PLANTED_MUTED | PLANTED_COVERED));
}

// The first at or after `address`.
size_t planted_first(const struct space *s, uint64_t address) {
    return array_before(s->breaks, s->break_count, b, b->address < address);
}

struct planted *planted_find(const struct space *s, uint64_t address) {
    size_t i = planted_first(s, address);
    return i < s->break_count && s->breaks[i].address == address ? &s->breaks[i] : NULL;
}

// ---- memory of the program

static size_t length_of(const struct planted *p) {
    return p->stub ? PROBE_JUMP : 1;
}

// The first that reaches to `address` or lies behind it.
static size_t first_reaching(const struct space *s, uint64_t address) {
    size_t i = planted_first(s, address);
    return i && address - s->breaks[i - 1].address < length_of(&s->breaks[i - 1]) ? i - 1 : i;
}

struct planted *planted_over(const struct space *s, uint64_t address) {
    size_t i = first_reaching(s, address);
    return i < s->break_count && s->breaks[i].address <= address ? &s->breaks[i] : NULL;
}

void planted_hide(const struct space *s, uint64_t address, void *buffer, size_t len) {
    if (!s->break_count) return;
    for (size_t i = first_reaching(s, address); i < s->break_count && s->breaks[i].address < address + len;
         i++) {
        const struct planted *p = &s->breaks[i];
        for (size_t k = 0; planted_in_memory(p) && k < length_of(p); k++)
            if (p->address + k - address < len)
                ((uint8_t *)buffer)[p->address + k - address] = p->original[k];
    }
}

static const uint8_t *bytes_of(const struct planted *p) {
    static const uint8_t int3 = PLANTED_BYTE;
    if (!planted_in_memory(p)) return p->original;
    return p->stub ? p->stub->probe.patch : &int3;
}

void planted_put(const struct space *s, const struct planted *p) {
    tracee_write(s->mem_fd, p->address, bytes_of(p), length_of(p));
}

// Its stub goes; what of the jump is outside of [start, end) is the program's again.
static void drop_stub(struct space *s, struct planted *p, uint64_t start, uint64_t end) {
    for (size_t k = 0; planted_in_memory(p) && k < PROBE_JUMP; k++)
        if (p->address + k < start || p->address + k >= end)
            tracee_write(s->mem_fd, p->address + k, &p->original[k], 1);
    stub_unref(p->stub);
    p->stub = NULL;
}

void planted_demote(struct space *s, struct planted *p) {
    if (!p->stub) return;
    drop_stub(s, p, 0, 0);
    if (planted_in_memory(p)) planted_put(s, p);
}

void planted_cut(struct space *s, uint64_t address) {
    struct planted *p = s->break_count ? planted_over(s, address) : NULL;
    if (p && p->address < address) planted_demote(s, p);
}

// Does what was written change an instruction that the stub has a copy of?
static bool changes_copies(const struct planted *p, uint64_t address, const uint8_t *bytes, size_t len) {
    const struct probe *probe = &p->stub->probe;
    size_t reach = probe->displaced > PROBE_JUMP ? probe->displaced : PROBE_JUMP;
    for (size_t k = 0; k < reach; k++)
        if (p->address + k - address < len && bytes[p->address + k - address] != probe->original[k])
            return true;
    return false;
}

// Other bytes have just been written to [address, address + len).
static void written(struct space *s, uint64_t address, const void *bytes, size_t len) {
    if (!s->break_count) return;
    uint64_t reach = sizeof((struct probe *)0)->original;
    size_t near = planted_first(s, address > reach ? address - reach : 0);
    for (; near < s->break_count && s->breaks[near].address < address + len; near++) {
        struct planted *p = &s->breaks[near];
        p->code = NULL;
        if (!p->stub) continue;
        if (changes_copies(p, address, bytes, len)) {
            drop_stub(s, p, address, address + len);
            if (p->address < address && planted_in_memory(p)) planted_put(s, p);
        } else if (planted_in_memory(p)) {
            planted_put(s, p);
        }
    }
    for (size_t i = planted_first(s, address); i < s->break_count && s->breaks[i].address - address < len;
         i++) {
        struct planted *p = &s->breaks[i];
        if (p->stub) continue;
        if (p->flags & PLANTED_BRIDGE && ((const uint8_t *)bytes)[p->address - address] != p->original[0]) {
            p->flags &= (uint8_t)~PLANTED_BRIDGE; // the jump is gone
            p->original[0] = p->original[1];
        }
        if (!p->program || ((const uint8_t *)bytes)[p->address - address] != p->original[0]) {
            p->flags |= PLANTED_COVERED;
            continue;
        }
        p->flags &= (uint8_t)~PLANTED_COVERED;
        if (planted_in_memory(p)) planted_put(s, p);
    }
}

bool space_read(const struct space *s, uint64_t address, void *buffer, size_t len) {
    if (!tracee_read(s->pid, s->mem_fd, address, buffer, len)) return false;
    planted_hide(s, address, buffer, len);
    return true;
}

bool space_write(struct space *s, uint64_t address, const void *bytes, size_t len) {
    page_watch_make_way(s, address, len);
    if (!tracee_write(s->mem_fd, address, bytes, len)) return false;
    written(s, address, bytes, len);
    return true;
}

bool space_poke(struct space *s, uint64_t address, const void *bytes, size_t len) {
    page_watch_make_way(s, address, len);
    if (!tracee_poke(s->pid, s->mem_fd, address, bytes, len)) return false;
    written(s, address, bytes, len);
    return true;
}

// ---- the table

void planted_insert(struct space *s, struct planted p) {
    array_insert(s->breaks, s->break_count, planted_first(s, p.address), p);
}

void planted_erase(struct space *s, size_t first, size_t n) {
    if (!n) return; // there may be no table at all
    for (size_t i = first; i < first + n; i++)
        stub_unref(s->breaks[i].stub);
    memmove(s->breaks + first, s->breaks + first + n, (s->break_count - first - n) * sizeof *s->breaks);
    s->break_count -= n;
}

static void erase_range(struct space *s, uint64_t start, uint64_t end) {
    size_t first = planted_first(s, start);
    planted_erase(s, first, planted_first(s, end) - first);
}

// Puts all bytes of [start, end) into memory as the table says, a page at a time.
void planted_write_out(struct space *s, uint64_t start, uint64_t end) {
    uint8_t page[PAGE];
    for (size_t i = planted_first(s, start); i < s->break_count && s->breaks[i].address < end;) {
        uint64_t at = page_down(s->breaks[i].address);
        bool have = tracee_read(s->pid, s->mem_fd, at, page, PAGE);
        for (; i < s->break_count && s->breaks[i].address - at < PAGE && s->breaks[i].address < end; i++) {
            const struct planted *p = &s->breaks[i];
            if (p->flags & PLANTED_COVERED) continue;
            size_t offset = p->address - at, room = PAGE - offset, n = length_of(p);
            memcpy(page + offset, bytes_of(p), n < room ? n : room);
            if (n > room) tracee_write(s->mem_fd, at + PAGE, bytes_of(p) + room, n - room);
        }
        if (have) tracee_write(s->mem_fd, at, page, PAGE);
    }
}

// A page that is the file's again is given back to the file: as a private copy it would be in the digest of
// memory once it is no longer code.
static void give_back(struct replay *r, struct space *s, const struct space_map *m, uint64_t page) {
    size_t size;
    uint8_t now[PAGE];
    uint64_t offset = m->v.offset + (page - m->v.start);
    const uint8_t *file = m->v.blob && !m->identity ? blobs_get(r, m->v.blob, &size) : NULL;
    if (!file || offset > size || size - offset < PAGE || !tracee_read(s->pid, s->mem_fd, page, now, PAGE))
        return;
    if (!memcmp(now, file + offset, PAGE)) KERNEL_TASK_CALL(s->pid, SYS_madvise, page, PAGE, MADV_DONTNEED);
}

// Takes out what is in [start, end), memory included.
void planted_remove(struct space *s, uint64_t start, uint64_t end) {
    for (size_t i = planted_first(s, start); i < s->break_count && s->breaks[i].address < end; i++)
        s->breaks[i].flags |= PLANTED_MUTED;
    planted_write_out(s, start, end);
    erase_range(s, start, end);
}

void planted_unmapped(struct space *s, uint64_t start, uint64_t end) {
    struct planted *p = s->break_count ? planted_over(s, start) : NULL;
    if (p && p->address < start && p->stub) { // what is there now is not to be written to
        drop_stub(s, p, start, ~0ull);
        if (planted_in_memory(p)) planted_put(s, p);
    }
    erase_range(s, start, end);
}

void planted_take_out(struct replay *r, struct space *s, uint64_t start, uint64_t end) {
    planted_cut(s, start);
    size_t first = planted_first(s, start), n = planted_first(s, end) - first;
    if (!n) return;
    uint64_t *pages = malloc(n * sizeof *pages);
    rf_assert(pages);
    size_t count = 0;
    for (size_t i = first; i < first + n; i++) {
        uint64_t page = page_down(s->breaks[i].address);
        if (!count || pages[count - 1] != page) pages[count++] = page;
    }
    planted_remove(s, start, end);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < s->map_count; k++)
            if (pages[i] >= s->maps[k].v.start && pages[i] < s->maps[k].v.end)
                give_back(r, s, &s->maps[k], pages[i]);
    free(pages);
}

void planted_copy(struct space *to, const struct space *from) {
    to->break_count = from->break_count;
    to->breaks = array_copy(from->breaks, from->break_count, sizeof *to->breaks);
    for (size_t i = 0; i < to->break_count; i++)
        stub_ref(to->breaks[i].stub);
    islands_copy(to, from);
    to->site_count = from->site_count;
    to->sites = array_copy(from->sites, from->site_count, sizeof *to->sites);
    rf_assert((to->breaks || !to->break_count) && (to->sites || !to->site_count));
    to->breaks_of = from->breaks_of;
}

void planted_free(struct space *s) {
    planted_erase(s, 0, s->break_count);
    islands_free(s);
    free(s->breaks);
    free(s->sites);
    s->breaks = NULL;
    s->sites = NULL;
    s->break_count = s->site_count = 0;
}

bool planted_at(const struct space *s, uint64_t address, bool lifted) {
    const struct planted *p = s->break_count ? planted_find(s, address) : NULL;
    return p && (lifted ? p->flags == PLANTED_LIFTED : planted_in_memory(p));
}
