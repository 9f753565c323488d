#include "replayer/engine/breakpoints.h"

#include "core/abi.h"
#include "core/annex.h"
#include "core/array.h"
#include "core/tracee.h"
#include "replayer/engine/break_sites.h"
#include "replayer/engine/engine.h"
#include "replayer/engine/memory.h"
#include "replayer/engine/probes.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

// While a mapping is announced breakpoints are gathered, and then merged into the table at once.
static void push_fresh(struct replay *r, struct planted p) {
    array_push(r->breaks.fresh, r->breaks.fresh_count, p);
}

static int compare_planted(const void *left, const void *right) {
    const struct planted *a = left, *b = right;
    return a->address < b->address ? -1 : a->address > b->address;
}

static void merge_fresh(struct replay *r, struct space *s) {
    struct planted *fresh = r->breaks.fresh;
    size_t n = r->breaks.fresh_count, old = s->break_count;
    r->breaks.fresh_count = 0;
    if (!n) return;
    qsort(fresh, n, sizeof *fresh, compare_planted);
    size_t kept = 1;
    for (size_t i = 1; i < n; i++) {
        if (fresh[i].address == fresh[kept - 1].address)
            fresh[kept - 1] = fresh[i];
        else
            fresh[kept++] = fresh[i];
    }
    for (size_t i = 0; i < kept; i++)
        array_add(s->breaks, s->break_count);
    for (size_t to = s->break_count; kept;) { // from the end
        bool take = !old || fresh[kept - 1].address > s->breaks[old - 1].address;
        s->breaks[--to] = take ? fresh[--kept] : s->breaks[--old];
    }
}

// A breakpoint for each instruction of a module is added in a row: a page is read once for them.
struct code_page {
    uint64_t start; // 0: none
    uint8_t bytes[PAGE + PLANTED_CODE];
};

static bool read_code(struct replay *r, const struct space *s, uint64_t address, uint8_t *out,
                      size_t length) {
    struct code_page *page = r->breaks.page;
    if (!page) return space_read(s, address, out, length);
    uint64_t start = page_down(address);
    if (page->start != start) {
        page->start = 0;
        if (!space_read(s, start, page->bytes, sizeof page->bytes))
            return space_read(s, address, out, length);
        page->start = start;
    }
    memcpy(out, page->bytes + (address - start), length);
    return true;
}

// Is the code what the file has there? The recorder and the program itself may have written over it. *code: the
// file's bytes, when there are PLANTED_CODE of them.
static bool is_pristine(struct replay *r, const struct space *s, uint64_t address, const uint8_t *now,
                        size_t length, const uint8_t **code) {
    *code = NULL;
    for (size_t i = 0; i < s->map_count; i++) {
        const struct space_map *m = &s->maps[i];
        if (address < m->v.start || address >= m->v.end) continue;
        if (!m->v.blob) return true;
        size_t size;
        uint64_t offset = m->v.offset + (address - m->v.start);
        const uint8_t *file = blobs_get(r, m->v.blob, &size);
        if (!file || offset >= size || size - offset < length || memcmp(now, file + offset, length) != 0)
            return false;
        if (size - offset >= PLANTED_CODE && m->v.end - address >= PLANTED_CODE) *code = file + offset;
        return true;
    }
    return false;
}

static bool add(struct replay *r, uint32_t space, uint64_t address, size_t length, uint64_t tag,
                const struct break_probe *wish) {
    struct space *s = space_by_id(r, space);
    if (!s || !break_sites_may_plant(s, address)) return false;
    struct planted *there = planted_find(s, address);
    if (there && !there->program) {
        planted_remove(s, address, address + 1);
        there = NULL;
    }
    if (there) {
        there->tag = tag;
        if (there->stub) there->stub->tag = tag;
        return !(there->flags & PLANTED_COVERED);
    }
    if (!length || length > PLANTED_CODE) length = 1;
    uint8_t now[PLANTED_CODE];
    const uint8_t *code;
    bool all = read_code(r, s, address, now, PLANTED_CODE);
    if (!all && !read_code(r, s, address, now, length)) return false;
    struct planted p = {.address = address, .program = address, .tag = tag, .original = {now[0]}};
    if (wish) p.wish = *wish;
    bool pristine = is_pristine(r, s, address, now, length, &code);
    // The recorder has put an int3 in the instruction's place (cpuid, where it does not trap): that stop is told of first.
    bool trapped = !pristine && now[0] == PLANTED_BYTE && !wish && !break_sites_over(s, address);
    if (trapped) {
        code = NULL;
    } else if (!pristine) {
        const struct loop_site *site = break_sites_over(s, address);
        if (!site) return false;
        p.original[0] = site->original[address - site->address];
        p.flags = PLANTED_COVERED;
        planted_insert(s, p);
        break_sites_copy(s, site, site->stub_address, PLANTED_STUB);
        break_sites_bridge(s);
        return true;
    }
    if (p.original[0] == PLANTED_BYTE && !trapped) return false; // a trap of the program's own
    // What follows the instruction may be patched; then its bytes are read at each hit.
    if (all && code && !memcmp(now, code, PLANTED_CODE)) p.code = code;
    if (r->breaks.page) {
        push_fresh(r, p);
        return true;
    }
    probes_make_way(s, address);
    planted_insert(s, p);
    planted_write_out(s, address, address + 1);
    probes_promote(s, planted_first(s, address));
    break_sites_bridge(s);
    return true;
}

bool replay_break_add(struct replay *r, uint32_t space, uint64_t address, size_t length, uint64_t tag) {
    return add(r, space, address, length, tag, NULL);
}

bool replay_probe_add(struct replay *r, uint32_t space, uint64_t address, size_t length, uint64_t tag,
                      const struct break_probe *probe) {
    return add(r, space, address, length, tag, probe);
}

void replay_break_remove(struct replay *r, uint32_t space, uint64_t address) {
    struct space *s = space_by_id(r, space);
    for (size_t i = 0; s && i < s->break_count;) {
        struct planted *p = &s->breaks[i];
        if (p->program != address) {
            i++;
            continue;
        }
        bool there = planted_in_memory(p);
        p->flags |= PLANTED_MUTED;
        if (there) planted_put(s, p);
        planted_erase(s, i, 1);
    }
    if (s) break_sites_bridge(s);
}

void replay_break_mute(struct replay *r, uint32_t space, uint64_t address) {
    struct space *s = space_by_id(r, space);
    for (size_t i = 0; s && i < s->break_count; i++) {
        struct planted *p = &s->breaks[i];
        if (p->program != address || !planted_in_memory(p) || p->flags & PLANTED_BRIDGE) continue;
        p->flags |= PLANTED_MUTED;
        planted_put(s, p);
        s->breaks_muted = true;
    }
}

static int some_task_in(const struct replay *r, const struct space *s) {
    for (size_t i = 0; i < r->task_count; i++)
        if (r->tasks[i]->space == s) return r->tasks[i]->pub.tid;
    return 0;
}

static bool is_code(const struct space_map *m) {
    return !m->identity && (m->v.prot & PROT_EXEC) && !(m->v.prot & PROT_WRITE) &&
           !annex_contains(m->v.start);
}

static void announce(struct replay *r, struct space *s) {
    s->maps_changed = false;
    int tid = some_task_in(r, s);
    if (!tid) return;
    for (size_t i = 0; i < s->map_count; i++) {
        struct space_map *m = &s->maps[i];
        if (m->announced || !is_code(m)) continue;
        m->announced = true;
        const struct break_mapping mapping = {.space = s->id, .tid = tid, .map = m->v};
        struct code_page page = {.start = 0};
        r->breaks.page = &page;
        r->breaks.client.mapped(r->breaks.client.context, r, &mapping);
        r->breaks.page = NULL;
        merge_fresh(r, s);
        break_sites_bridge(s);
        for (size_t k = planted_first(s, mapping.map.start);
             k < s->break_count && s->breaks[k].address < mapping.map.end; k++)
            probes_promote(s, k);
        planted_write_out(s, mapping.map.start, mapping.map.end);
    }
}

// Breakpoints of an earlier client go.
static void sync_space(struct replay *r, struct space *s) {
    s->ring = r->ring;
    if (s->breaks_of == r->breaks.generation) return;
    planted_remove(s, 0, ~0ull);
    if (s->island_count) islands_leave(s);
    s->breaks_of = r->breaks.generation;
    for (size_t i = 0; i < s->map_count; i++)
        s->maps[i].announced = false;
    s->maps_changed = true;
}

int replay_breaks(struct replay *r, const struct break_client *client, struct rf_error *err) {
    if (client && r->breaks.on) return rf_fail(err, RF_CANNOT, "breakpoints are in use by another analysis");
    r->breaks.on = client != NULL;
    r->breaks.client = client ? *client : (struct break_client){0};
    r->breaks.generation++;
    if (client && client->noted && !r->options.no_probes && !r->ring) r->ring = ring_new();
    for (size_t i = 0; i < r->space_count; i++) {
        sync_space(r, r->spaces[i]);
        if (client) announce(r, r->spaces[i]);
    }
    return 0;
}

void breaks_restored(struct replay *r) {
    for (size_t i = 0; i < r->space_count; i++) {
        sync_space(r, r->spaces[i]);
        if (r->breaks.on) announce(r, r->spaces[i]);
    }
}

static void unmute(struct space *s) {
    s->breaks_muted = false;
    for (size_t i = 0; i < s->break_count; i++) {
        if (!(s->breaks[i].flags & PLANTED_MUTED)) continue;
        s->breaks[i].flags &= (uint8_t)~PLANTED_MUTED;
        if (planted_in_memory(&s->breaks[i])) planted_put(s, &s->breaks[i]);
    }
}

void breaks_stepped(struct replay *r) {
    if (!r->breaks.on) return;
    for (size_t i = 0; i < r->space_count; i++) {
        struct space *s = r->spaces[i];
        if (s->breaks_of != r->breaks.generation) sync_space(r, s); // a new image
        if (s->maps_changed) announce(r, s);
        if (s->stubs_wanted) probes_again(s);
        if (s->breaks_muted) unmute(s);
    }
    if (r->breaks.client.stepped) r->breaks.client.stepped(r->breaks.client.context, r, &r->event);
}

void replay_break_counts(const struct replay *r, struct break_counts *out) {
    *out = r->breaks.counts;
}
