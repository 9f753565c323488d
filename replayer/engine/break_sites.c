// Loops' stubs, which the recorder puts over a loop and a search for a state puts there anew: the program's instructions
// that they displace run in the stub, so a breakpoint over one stands there as well.
#include "replayer/engine/break_sites.h"

#include "core/abi.h"
#include "core/annex.h"
#include "core/array.h"
#include "core/tracee.h"
#include "replayer/engine/engine.h"
#include "replayer/engine/memory.h"
#include "replayer/engine/probes.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { SITES_MAX = 4096 };

bool break_sites_may_plant(const struct space *s, uint64_t address) {
    if (annex_contains(address) || (address >= REPLAY_PAGE && address < REPLAY_PAGE + PAGE)) return false;
    for (size_t i = 0; i < s->map_count; i++) {
        const struct space_map *m = &s->maps[i];
        if (address < m->v.start || address >= m->v.end) continue;
        return !m->identity && (m->v.prot & PROT_EXEC) && !(m->v.prot & PROT_WRITE);
    }
    return false;
}

void break_sites_add(struct space *s, const struct loop_site *site) {
    bool fits = site->patch_len && site->patch_len <= sizeof site->patch &&
                site->map_count <= sizeof site->map / sizeof *site->map &&
                site->stub_len <= sizeof site->stub;
    if (!fits || s->site_count == SITES_MAX) return;
    array_push(s->sites, s->site_count, *site);
}

// The displaced copy, at `base` + its offset in the stub, of each covered breakpoint under the site's patch.
void break_sites_copy(struct space *s, const struct loop_site *site, uint64_t base, uint8_t flags) {
    for (size_t i = 0; i < site->map_count; i++) {
        uint64_t at = base + site->map[i].stub;
        const struct planted *p =
            site->map[i].site < site->patch_len ? planted_find(s, site->address + site->map[i].site) : NULL;
        if (!p || planted_find(s, at) || !break_sites_may_plant(s, at)) continue;
        struct planted copy = {
            .address = at, .program = p->program, .tag = p->tag, .wish = p->wish, .flags = flags};
        if (!tracee_read(s->pid, s->mem_fd, at, copy.original, 1)) continue;
        probes_make_way(s, at);
        planted_insert(s, copy);
        planted_write_out(s, at, at + 1);
        probes_promote(s, planted_first(s, at));
    }
}

static bool is_installed(const struct space *s, const struct loop_site *site) {
    uint8_t now[sizeof site->patch];
    return space_read(s, site->address, now, site->patch_len) && !memcmp(now, site->patch, site->patch_len);
}

const struct loop_site *break_sites_over(const struct space *s, uint64_t address) {
    for (size_t i = s->site_count; i-- > 0;) {
        const struct loop_site *site = &s->sites[i];
        if (address - site->address < site->patch_len && is_installed(s, site)) return site;
    }
    return NULL;
}

bool break_sites_in_jump(const struct space *s, const struct loop_site *site) {
    uint64_t end = site->address + loop_site_reach(site);
    for (size_t i = planted_first(s, site->address + site->patch_len);
         i < s->break_count && s->breaks[i].address < end; i++)
        if (!(s->breaks[i].flags & PLANTED_COVERED)) return true;
    return false;
}

static void bridge(struct space *s, const struct loop_site *site) {
    struct planted *p = planted_find(s, site->address);
    if (!p) {
        probes_make_way(s, site->address);
        planted_insert(s, (struct planted){.address = site->address});
        p = planted_find(s, site->address);
    }
    p->original[1] = p->original[0];
    p->original[0] = site->patch[0];
    p->flags = (uint8_t)((p->flags & ~PLANTED_COVERED) | PLANTED_BRIDGE);
    if (planted_in_memory(p)) planted_put(s, p);
}

static void take_bridge(struct space *s, struct planted *p) {
    p->flags |= PLANTED_MUTED;
    planted_put(s, p);
    p->flags = PLANTED_COVERED;
    p->original[0] = p->original[1];
    if (!p->program) planted_erase(s, (size_t)(p - s->breaks), 1);
}

void break_sites_bridge(struct space *s) {
    for (size_t i = 0; s->break_count && i < s->site_count; i++) {
        const struct loop_site *site = &s->sites[i];
        if (site->patch_len >= loop_site_reach(site)) continue;
        struct planted *p = planted_find(s, site->address);
        bool there = p && p->flags & PLANTED_BRIDGE, wanted = break_sites_in_jump(s, site);
        if (there && !wanted) take_bridge(s, p);
        if (wanted && !there && is_installed(s, site)) bridge(s, site);
    }
}

bool break_sites_cross(const struct space *s, unsigned long long *pc) {
    const struct planted *p = s->break_count ? planted_find(s, *pc) : NULL;
    const struct loop_site *site = p && p->flags & PLANTED_BRIDGE ? break_sites_over(s, *pc) : NULL;
    if (site) *pc = site->stub_address;
    return site;
}

void break_sites_patched(struct space *s) {
    if (!s->break_count || !s->site_count) return;
    const struct loop_site *site = &s->sites[s->site_count - 1];
    if (is_installed(s, site)) break_sites_copy(s, site, site->stub_address, PLANTED_STUB);
    break_sites_bridge(s);
}

void break_sites_search(struct space *s, const struct loop_site *site, uint64_t address, size_t len,
                        size_t displaced) {
    planted_cut(s, address);
    for (size_t i = planted_first(s, address); i < s->break_count && s->breaks[i].address - address < len;
         i++)
        s->breaks[i].flags |= PLANTED_LIFTED;
    planted_write_out(s, address, address + len);
    if (!site || !site->map_count) return;
    // what an earlier search of the same site left is gone with its stub
    size_t first = planted_first(s, site->stub_address);
    while (first < s->break_count && s->breaks[first].address - site->stub_address < LOOP_COMPARE_MAX)
        if (s->breaks[first].flags & PLANTED_SEARCHED)
            planted_erase(s, first, 1);
        else
            s->breaks[first++].flags |= PLANTED_LIFTED;
    break_sites_copy(s, site, site->stub_address + displaced - site->map[0].stub,
                     PLANTED_STUB | PLANTED_SEARCHED);
}

void break_sites_search_again(struct space *s, const struct loop_site *site) {
    if (s->break_count) planted_write_out(s, site->stub_address, site->stub_address + LOOP_COMPARE_MAX);
}

void break_sites_searched(struct space *s, const struct loop_site *site, uint64_t address, size_t len) {
    const struct {
        uint64_t start, len;
    } ranges[] = {{address, len}, {site ? site->stub_address : 0, site ? LOOP_COMPARE_MAX : 0}};
    for (int k = 0; k < 2; k++) {
        size_t i = planted_first(s, ranges[k].start);
        while (i < s->break_count && s->breaks[i].address - ranges[k].start < ranges[k].len) {
            if (s->breaks[i].flags & PLANTED_SEARCHED) {
                planted_erase(s, i, 1);
                continue;
            }
            s->breaks[i++].flags &= (uint8_t)~PLANTED_LIFTED;
        }
        if (ranges[k].len) planted_write_out(s, ranges[k].start, ranges[k].start + ranges[k].len);
    }
}
