// Breakpoints: each space has a sorted table of them. Everything of the replayer that reads or writes memory of the
// program goes through space_read, space_write and space_poke, which hide and keep the int3 bytes.
#include "replayer/engine/breakpoints.h"
#include "replayer/engine/engine.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

enum {
    PAGE = 4096,
    INT3 = 0xcc,
    LONGEST = 15, // instruction, bytes
    SITES_MAX = 4096,
};

enum {
    LIFTED = 1,   // a state search has its own patch over it
    MUTED = 2,    // until the end of the step
    COVERED = 4,  // other bytes were written over it: nothing is planted
    STUB = 8,     // in a loop's stub, for the instruction at `program`
    SEARCHED = 16 // STUB, in a comparing stub: gone when the search is over
};

struct planted {
    uint64_t address, program, tag;
    const uint8_t *code; // the file's bytes there, LONGEST of them; NULL: read them
    uint8_t original, flags;
};

static bool in_memory(const struct planted *p) {
    return !(p->flags & (LIFTED | MUTED | COVERED));
}

// The first at or after `address`.
static size_t first_at(const struct space *s, uint64_t address) {
    size_t low = 0, high = s->break_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->breaks[middle].address < address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct planted *find(const struct space *s, uint64_t address) {
    size_t i = first_at(s, address);
    return i < s->break_count && s->breaks[i].address == address ? &s->breaks[i] : NULL;
}

// ---- memory of the program

static void hide(const struct space *s, uint64_t address, void *buffer, size_t len) {
    if (!s->break_count) return;
    for (size_t i = first_at(s, address); i < s->break_count && s->breaks[i].address - address < len; i++)
        if (in_memory(&s->breaks[i]))
            ((uint8_t *)buffer)[s->breaks[i].address - address] = s->breaks[i].original;
}

static void put_byte(const struct space *s, const struct planted *p) {
    uint8_t byte = in_memory(p) ? INT3 : p->original;
    tracee_write(s->mem_fd, p->address, &byte, 1);
}

// Other bytes have just been written to [address, address + len).
static void written(struct space *s, uint64_t address, const void *bytes, size_t len) {
    if (!s->break_count) return;
    size_t near = first_at(s, address > LONGEST ? address - LONGEST : 0);
    for (; near < s->break_count && s->breaks[near].address < address + len; near++)
        s->breaks[near].code = NULL;
    for (size_t i = first_at(s, address); i < s->break_count && s->breaks[i].address - address < len; i++) {
        struct planted *p = &s->breaks[i];
        if (((const uint8_t *)bytes)[p->address - address] != p->original) {
            p->flags |= COVERED;
            continue;
        }
        p->flags &= (uint8_t)~COVERED;
        if (in_memory(p)) put_byte(s, p);
    }
}

bool space_read(const struct space *s, uint64_t address, void *buffer, size_t len) {
    if (!tracee_read(s->pid, s->mem_fd, address, buffer, len)) return false;
    hide(s, address, buffer, len);
    return true;
}

bool space_write(struct space *s, uint64_t address, const void *bytes, size_t len) {
    if (!tracee_write(s->mem_fd, address, bytes, len)) return false;
    written(s, address, bytes, len);
    return true;
}

bool space_poke(struct space *s, uint64_t address, const void *bytes, size_t len) {
    if (!tracee_poke(s->pid, s->mem_fd, address, bytes, len)) return false;
    written(s, address, bytes, len);
    return true;
}

static struct space *space_of(struct replay *r, uint32_t id) {
    for (size_t i = 0; i < r->space_count; i++)
        if (r->spaces[i]->id == id) return r->spaces[i];
    return NULL;
}

bool replay_space_read(struct replay *r, uint32_t space, uint64_t address, void *buffer, size_t len) {
    const struct space *s = space_of(r, space);
    return s && space_read(s, address, buffer, len);
}

bool replay_space_shared(struct replay *r, uint32_t space, uint64_t address, uint64_t *identity,
                         uint64_t *offset) {
    const struct space *s = space_of(r, space);
    for (size_t i = 0; s && i < s->map_count; i++) {
        const struct space_map *m = &s->maps[i];
        if (address < m->v.start || address >= m->v.end) continue;
        *identity = m->identity;
        *offset = m->v.offset + (address - m->v.start);
        return m->identity != 0;
    }
    return false;
}

uint32_t replay_space_of(const struct replay *r, int tid) {
    const struct vtask *v = vtask_find(r, tid);
    return v && v->space ? v->space->id : 0;
}

// ---- the table

static void insert(struct space *s, struct planted p) {
    if (s->break_count == s->break_room) {
        s->break_room = s->break_room ? s->break_room * 2 : 64;
        s->breaks = realloc(s->breaks, s->break_room * sizeof *s->breaks);
        rf_assert(s->breaks);
    }
    size_t at = first_at(s, p.address);
    memmove(s->breaks + at + 1, s->breaks + at, (s->break_count - at) * sizeof *s->breaks);
    s->breaks[at] = p;
    s->break_count++;
}

// While a mapping is announced breakpoints are gathered, and then merged into the table at once.
static void push_fresh(struct replay *r, struct planted p) {
    if (r->breaks.fresh_count == r->breaks.fresh_room) {
        r->breaks.fresh_room = r->breaks.fresh_room ? r->breaks.fresh_room * 2 : 1024;
        r->breaks.fresh = realloc(r->breaks.fresh, r->breaks.fresh_room * sizeof *r->breaks.fresh);
        rf_assert(r->breaks.fresh);
    }
    r->breaks.fresh[r->breaks.fresh_count++] = p;
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
    s->break_room = s->break_count = old + kept;
    s->breaks = realloc(s->breaks, s->break_room * sizeof *s->breaks);
    rf_assert(s->breaks);
    for (size_t to = s->break_count; kept;) { // from the end
        bool take = !old || fresh[kept - 1].address > s->breaks[old - 1].address;
        s->breaks[--to] = take ? fresh[--kept] : s->breaks[--old];
    }
}

static void erase(struct space *s, size_t first, size_t n) {
    if (!n) return; // there may be no table at all
    memmove(s->breaks + first, s->breaks + first + n, (s->break_count - first - n) * sizeof *s->breaks);
    s->break_count -= n;
}

static void erase_range(struct space *s, uint64_t start, uint64_t end) {
    size_t first = first_at(s, start);
    erase(s, first, first_at(s, end) - first);
}

// Puts all bytes of [start, end) into memory as the table says, a page at a time.
static void write_out(struct space *s, uint64_t start, uint64_t end) {
    uint8_t page[PAGE];
    for (size_t i = first_at(s, start); i < s->break_count && s->breaks[i].address < end;) {
        uint64_t at = s->breaks[i].address & ~(uint64_t)(PAGE - 1);
        bool have = tracee_read(s->pid, s->mem_fd, at, page, PAGE);
        for (; i < s->break_count && s->breaks[i].address - at < PAGE; i++)
            if (!(s->breaks[i].flags & COVERED))
                page[s->breaks[i].address - at] = in_memory(&s->breaks[i]) ? INT3 : s->breaks[i].original;
        if (have) tracee_write(s->mem_fd, at, page, PAGE);
    }
}

// A page that is the file's again is given back to the file: as a private copy it would be in the digest of
// memory once it is no longer code.
static void give_back(struct replay *r, struct space *s, const struct space_map *m, uint64_t page) {
    size_t size;
    uint8_t now[PAGE];
    uint64_t offset = m->v.offset + (page - m->v.start);
    const uint8_t *file = m->v.blob && !m->identity ? replay_blob(r, m->v.blob, &size) : NULL;
    if (!file || offset > size || size - offset < PAGE || !tracee_read(s->pid, s->mem_fd, page, now, PAGE))
        return;
    if (!memcmp(now, file + offset, PAGE)) stub_call(s->pid, SYS_madvise, page, PAGE, MADV_DONTNEED, 0, 0, 0);
}

// Takes out what is in [start, end), memory included.
static void take_out(struct space *s, uint64_t start, uint64_t end) {
    for (size_t i = first_at(s, start); i < s->break_count && s->breaks[i].address < end; i++)
        s->breaks[i].flags |= MUTED;
    write_out(s, start, end);
    erase_range(s, start, end);
}

void breaks_unmapped(struct space *s, uint64_t start, uint64_t end) {
    erase_range(s, start, end);
}

void breaks_take_out(struct replay *r, struct space *s, uint64_t start, uint64_t end) {
    size_t first = first_at(s, start), n = first_at(s, end) - first;
    if (!n) return;
    uint64_t *pages = malloc(n * sizeof *pages);
    rf_assert(pages);
    size_t count = 0;
    for (size_t i = first; i < first + n; i++) {
        uint64_t page = s->breaks[i].address & ~(uint64_t)(PAGE - 1);
        if (!count || pages[count - 1] != page) pages[count++] = page;
    }
    take_out(s, start, end);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < s->map_count; k++)
            if (pages[i] >= s->maps[k].v.start && pages[i] < s->maps[k].v.end)
                give_back(r, s, &s->maps[k], pages[i]);
    free(pages);
}

void breaks_copy(struct space *to, const struct space *from) {
    to->breaks = NULL;
    to->break_count = to->break_room = from->break_count;
    to->sites = NULL;
    to->site_count = from->site_count;
    if (from->break_count) {
        to->breaks = malloc(from->break_count * sizeof *to->breaks);
        rf_assert(to->breaks);
        memcpy(to->breaks, from->breaks, from->break_count * sizeof *to->breaks);
    }
    if (from->site_count) {
        to->sites = malloc(from->site_count * sizeof *to->sites);
        rf_assert(to->sites);
        memcpy(to->sites, from->sites, from->site_count * sizeof *to->sites);
    }
    to->breaks_of = from->breaks_of;
}

void breaks_free(struct space *s) {
    free(s->breaks);
    free(s->sites);
    s->breaks = NULL;
    s->sites = NULL;
    s->break_count = s->site_count = 0;
}

// ---- loops' stubs

static bool may_plant(const struct space *s, uint64_t address) {
    if (annex_contains(address) || (address >= REPLAY_PAGE && address < REPLAY_PAGE + PAGE)) return false;
    for (size_t i = 0; i < s->map_count; i++) {
        const struct space_map *m = &s->maps[i];
        if (address < m->v.start || address >= m->v.end) continue;
        return !m->identity && (m->v.prot & PROT_EXEC) && !(m->v.prot & PROT_WRITE);
    }
    return false;
}

void breaks_site(struct space *s, const struct loop_site *site) {
    bool fits = site->patch_len && site->patch_len <= sizeof site->patch &&
                site->map_count <= sizeof site->map / sizeof *site->map &&
                site->stub_len <= sizeof site->stub;
    if (!fits || s->site_count == SITES_MAX) return;
    struct loop_site *grown = realloc(s->sites, (s->site_count + 1) * sizeof *grown);
    rf_assert(grown);
    s->sites = grown;
    s->sites[s->site_count++] = *site;
}

// The displaced copy, at `base` + its offset in the stub, of each covered breakpoint under the site's patch.
static void plant_copies(struct space *s, const struct loop_site *site, uint64_t base, uint8_t flags) {
    for (size_t i = 0; i < site->map_count; i++) {
        uint64_t at = base + site->map[i].stub;
        const struct planted *p =
            site->map[i].site < site->patch_len ? find(s, site->address + site->map[i].site) : NULL;
        if (!p || find(s, at) || !may_plant(s, at)) continue;
        struct planted copy = {.address = at, .program = p->program, .tag = p->tag, .flags = flags};
        if (!tracee_read(s->pid, s->mem_fd, at, &copy.original, 1)) continue;
        insert(s, copy);
        write_out(s, at, at + 1);
    }
}

static bool is_installed(const struct space *s, const struct loop_site *site) {
    uint8_t now[sizeof site->patch];
    return space_read(s, site->address, now, site->patch_len) && !memcmp(now, site->patch, site->patch_len);
}

static const struct loop_site *site_over(const struct space *s, uint64_t address) {
    for (size_t i = s->site_count; i-- > 0;) {
        const struct loop_site *site = &s->sites[i];
        if (address - site->address < site->patch_len && is_installed(s, site)) return site;
    }
    return NULL;
}

void breaks_patched(struct space *s) {
    if (!s->break_count || !s->site_count) return;
    const struct loop_site *site = &s->sites[s->site_count - 1];
    if (is_installed(s, site)) plant_copies(s, site, site->stub_address, STUB);
}

void breaks_search(struct space *s, const struct loop_site *site, uint64_t address, size_t len,
                   size_t displaced) {
    for (size_t i = first_at(s, address); i < s->break_count && s->breaks[i].address - address < len; i++)
        s->breaks[i].flags |= LIFTED;
    write_out(s, address, address + len);
    if (!site || !site->map_count) return;
    // what an earlier search of the same site left is gone with its stub
    size_t first = first_at(s, site->stub_address);
    while (first < s->break_count && s->breaks[first].address - site->stub_address < LOOP_COMPARE_MAX)
        if (s->breaks[first].flags & SEARCHED)
            erase(s, first, 1);
        else
            s->breaks[first++].flags |= LIFTED;
    plant_copies(s, site, site->stub_address + displaced - site->map[0].stub, STUB | SEARCHED);
}

void breaks_search_again(struct space *s, const struct loop_site *site) {
    if (s->break_count) write_out(s, site->stub_address, site->stub_address + LOOP_COMPARE_MAX);
}

void breaks_searched(struct space *s, const struct loop_site *site, uint64_t address, size_t len) {
    const struct {
        uint64_t start, len;
    } ranges[] = {{address, len}, {site ? site->stub_address : 0, site ? LOOP_COMPARE_MAX : 0}};
    for (int k = 0; k < 2; k++) {
        size_t i = first_at(s, ranges[k].start);
        while (i < s->break_count && s->breaks[i].address - ranges[k].start < ranges[k].len) {
            if (s->breaks[i].flags & SEARCHED) {
                erase(s, i, 1);
                continue;
            }
            s->breaks[i++].flags &= (uint8_t)~LIFTED;
        }
        if (ranges[k].len) write_out(s, ranges[k].start, ranges[k].start + ranges[k].len);
    }
}

// ---- the client

// A breakpoint for each instruction of a module is added in a row: a page is read once for them.
struct code_page {
    uint64_t start; // 0: none
    uint8_t bytes[PAGE + LONGEST];
};

static bool read_code(struct replay *r, const struct space *s, uint64_t address, uint8_t *out,
                      size_t length) {
    struct code_page *page = r->breaks.page;
    if (!page) return space_read(s, address, out, length);
    uint64_t start = address & ~(uint64_t)(PAGE - 1);
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
// file's bytes, when there are LONGEST of them.
static bool is_pristine(struct replay *r, const struct space *s, uint64_t address, const uint8_t *now,
                        size_t length, const uint8_t **code) {
    *code = NULL;
    for (size_t i = 0; i < s->map_count; i++) {
        const struct space_map *m = &s->maps[i];
        if (address < m->v.start || address >= m->v.end) continue;
        if (!m->v.blob) return true;
        size_t size;
        uint64_t offset = m->v.offset + (address - m->v.start);
        const uint8_t *file = replay_blob(r, m->v.blob, &size);
        if (!file || offset >= size || size - offset < length || memcmp(now, file + offset, length) != 0)
            return false;
        if (size - offset >= LONGEST && m->v.end - address >= LONGEST) *code = file + offset;
        return true;
    }
    return false;
}

bool replay_break_add(struct replay *r, uint32_t space, uint64_t address, size_t length, uint64_t tag) {
    struct space *s = space_of(r, space);
    if (!s || !may_plant(s, address)) return false;
    struct planted *there = find(s, address);
    if (there) {
        there->tag = tag;
        return !(there->flags & COVERED);
    }
    if (!length || length > LONGEST) length = 1;
    uint8_t now[LONGEST];
    const uint8_t *code;
    bool all = read_code(r, s, address, now, LONGEST);
    if (!all && !read_code(r, s, address, now, length)) return false;
    struct planted p = {.address = address, .program = address, .tag = tag, .original = now[0]};
    if (!is_pristine(r, s, address, now, length, &code)) {
        const struct loop_site *site = site_over(s, address);
        if (!site) return false;
        p.original = site->original[address - site->address];
        p.flags = COVERED;
        insert(s, p);
        plant_copies(s, site, site->stub_address, STUB);
        return true;
    }
    if (p.original == INT3) return false; // a trap of the program's own
    // What follows the instruction may be patched; then its bytes are read at each hit.
    if (all && code && !memcmp(now, code, LONGEST)) p.code = code;
    if (r->breaks.page) {
        push_fresh(r, p);
        return true;
    }
    insert(s, p);
    write_out(s, address, address + 1);
    return true;
}

void replay_break_remove(struct replay *r, uint32_t space, uint64_t address) {
    struct space *s = space_of(r, space);
    for (size_t i = 0; s && i < s->break_count;) {
        struct planted *p = &s->breaks[i];
        if (p->program != address) {
            i++;
            continue;
        }
        bool there = in_memory(p);
        p->flags |= MUTED;
        if (there) put_byte(s, p);
        erase(s, i, 1);
    }
}

void replay_break_mute(struct replay *r, uint32_t space, uint64_t address) {
    struct space *s = space_of(r, space);
    for (size_t i = 0; s && i < s->break_count; i++) {
        struct planted *p = &s->breaks[i];
        if (p->program != address || !in_memory(p)) continue;
        p->flags |= MUTED;
        put_byte(s, p);
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
        write_out(s, mapping.map.start, mapping.map.end);
    }
}

// Breakpoints of an earlier client go.
static void sync_space(struct replay *r, struct space *s) {
    if (s->breaks_of == r->breaks.generation) return;
    take_out(s, 0, ~0ull);
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
        if (!(s->breaks[i].flags & MUTED)) continue;
        s->breaks[i].flags &= (uint8_t)~MUTED;
        if (in_memory(&s->breaks[i])) put_byte(s, &s->breaks[i]);
    }
}

void breaks_stepped(struct replay *r) {
    if (!r->breaks.on) return;
    for (size_t i = 0; i < r->space_count; i++) {
        struct space *s = r->spaces[i];
        if (s->breaks_of != r->breaks.generation) sync_space(r, s); // a new image
        if (s->maps_changed) announce(r, s);
        if (s->breaks_muted) unmute(s);
    }
    if (r->breaks.client.stepped) r->breaks.client.stepped(r->breaks.client.context, r, &r->event);
}

void replay_break_counts(const struct replay *r, struct break_counts *out) {
    *out = r->breaks.counts;
}

// ---- hits

static bool program_read(void *context, uint64_t address, void *buffer, size_t len) {
    const struct space *s = context;
    struct iovec local = {buffer, len}, remote = {(void *)(uintptr_t)address, len};
    if (process_vm_readv(s->pid, &local, 1, &remote, 1, 0) != (ssize_t)len) return false;
    hide(s, address, buffer, len);
    return true;
}

static bool program_write(void *context, uint64_t address, const void *buffer, size_t len) {
    const struct space *s = context;
    struct iovec local = {(void *)(uintptr_t)buffer, len}, remote = {(void *)(uintptr_t)address, len};
    return process_vm_writev(s->pid, &local, 1, &remote, 1, 0) == (ssize_t)len;
}

int replay_break_atomic(struct replay *r, struct break_hit *hit, struct atomic_result *out) {
    struct space *s = space_of(r, hit->space);
    if (!s) return -1;
    const struct atomic_memory memory = {program_read, program_write, s};
    return atomic_emulate(hit->code, hit->code_len, hit->regs, &memory, out);
}

static unsigned long long *numbered_register(struct user_regs_struct *u, int number) {
    unsigned long long *const registers[16] = {&u->rax, &u->rcx, &u->rdx, &u->rbx, &u->rsp, &u->rbp,
                                               &u->rsi, &u->rdi, &u->r8,  &u->r9,  &u->r10, &u->r11,
                                               &u->r12, &u->r13, &u->r14, &u->r15};
    return registers[number & 15];
}

// movl $imm,(reg), C7 /0 without displacement: a plain store that takes or frees a lock.
static bool carry_out_store(struct space *s, const uint8_t *c, size_t len, struct user_regs_struct *u) {
    size_t rex = len > 6 && c[0] == 0x41 ? 1 : 0;
    if (len < 6 + rex || c[rex] != 0xc7 || (c[rex + 1] & 0xf8) != 0) return false;
    int rm = c[rex + 1] & 7;
    if (rm == 4 || rm == 5 || !program_write(s, *numbered_register(u, (int)rex * 8 + rm), c + rex + 2, 4))
        return false;
    u->rip += 6 + rex;
    return true;
}

// Instructions that functions begin with: endbr64, push of a register, mov between 64-bit registers. A single
// step costs 20 us and more, this nothing.
static bool carry_out(struct space *s, const uint8_t *c, size_t len, struct user_regs_struct *u) {
    static const uint8_t endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};
    if (len >= 4 && !memcmp(c, endbr64, 4)) {
        u->rip += 4;
        return true;
    }
    size_t rex = len > 3 && (c[0] & 0xf0) == 0x40 ? 1 : 0;
    if (len > 3 && (rex == 0 || c[0] == 0x41) && (c[rex] & 0xf8) == 0x50) {
        uint64_t value = *numbered_register(u, (rex ? 8 : 0) | (c[rex] & 7));
        if (!program_write(s, u->rsp - 8, &value, 8)) return false;
        u->rsp -= 8;
        u->rip += rex + 1;
        return true;
    }
    if (rex && c[0] & 8 && !(c[0] & 2) && (c[1] == 0x89 || c[1] == 0x8b) && c[2] >= 0xc0) {
        unsigned long long *reg = numbered_register(u, (c[0] & 4) << 1 | (c[2] >> 3 & 7)),
                           *rm = numbered_register(u, (c[0] & 1) << 3 | (c[2] & 7));
        if (c[1] == 0x89)
            *rm = *reg;
        else
            *reg = *rm;
        u->rip += 3;
        return true;
    }
    return false;
}

// The instruction at rip in place, without breakpoints on it. 0: *status is of the stop behind it.
static int step_over(struct replay *r, struct vtask *v, int *status, struct rf_error *err) {
    struct space *s = v->space;
    uint64_t at = v->pub.regs.rip;
    size_t first = first_at(s, at), n = first_at(s, at + LONGEST) - first;
    uint8_t before[LONGEST];
    for (size_t i = 0; i < n; i++) {
        before[i] = s->breaks[first + i].flags;
        s->breaks[first + i].flags |= MUTED;
        if (!(before[i] & (LIFTED | MUTED | COVERED))) put_byte(s, &s->breaks[first + i]);
    }
    r->breaks.counts.steps++;
    int failed = vtask_resume(r, v, true, status, err);
    for (size_t i = 0; i < n; i++) {
        s->breaks[first + i].flags = before[i];
        if (in_memory(&s->breaks[first + i])) put_byte(s, &s->breaks[first + i]);
    }
    return failed;
}

int breaks_hit(struct replay *r, struct vtask *v, int *status, struct rf_error *err) {
    struct space *s = v->space;
    struct user_regs_struct *regs = &v->pub.regs;
    const struct planted *p = find(s, regs->rip);
    rf_assert(p);
    struct break_hit hit = {.tid = v->pub.tid,
                            .pid = v->pub.pid,
                            .space = s->id,
                            .next_event = r->position + 1,
                            .address = p->program,
                            .tag = p->tag,
                            .regs = regs,
                            .code_len = sizeof hit.code};
    if (p->code) {
        memcpy(hit.code, p->code, hit.code_len = LONGEST);
    } else {
        while (hit.code_len && !tracee_read(s->pid, s->mem_fd, regs->rip, hit.code, hit.code_len))
            hit.code_len--;
        hide(s, regs->rip, hit.code, hit.code_len);
    }
    r->breaks.counts.hits++;
    enum break_action action = r->breaks.client.hit(r->breaks.client.context, r, &hit);
    if (action == BREAK_STOP) return rf_fail(err, RF_CANNOT, "interrupted");
    if (action == BREAK_DONE || carry_out_store(s, hit.code, hit.code_len, regs) ||
        carry_out(s, hit.code, hit.code_len, regs)) {
        if (s->watched) watch_hit_now(r, v); // emulated writes pass the debug registers by
        return 1;
    }
    if (step_over(r, v, status, err) < 0) return -1;
    siginfo_t info;
    bool stepped = WSTOPSIG(*status) == SIGTRAP && ptrace(PTRACE_GETSIGINFO, s->pid, 0, &info) == 0 &&
                   (info.si_code == TRAP_TRACE || info.si_code == TRAP_HWBKPT);
    if (stepped && s->watched) watch_hit_now(r, v);
    return stepped ? 1 : 0;
}

bool breaks_at(const struct space *s, uint64_t address, bool lifted) {
    const struct planted *p = s->break_count ? find(s, address) : NULL;
    return p && (lifted ? p->flags == LIFTED : in_memory(p));
}
