#include "recorder/calls/sites.h"

#include "core/calls/call_rows.h"
#include "core/calls/call_site.h"
#include "core/elf/elf_functions.h"
#include "core/proc_maps.h"
#include "recorder/log.h"
#include "recorder/preempt.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OFTEN = 12, SYSCALL_LENGTH = 2, FUNCTION_MAX = 1 << 16 };

// ---- the code that leads up to the instruction

struct code {
    uint64_t start;
    size_t len;
    uint8_t bytes[FUNCTION_MAX];
};

// Where the function begins that `address` is in; 0: not known. `map`: the mapping, `path`: its file.
static uint64_t function_start(const struct proc_map *map, const char *path, uint64_t address) {
    struct stat st;
    uint64_t result = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    bool good = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 64;
    void *image = good ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    close(fd);
    if (image == MAP_FAILED) return 0;
    struct elf_module *m = elf_module_parse(image, (size_t)st.st_size);
    uint64_t bias, start, end;
    if (m && elf_module_bias(m, map->offset, map->start, &bias) &&
        elf_module_function(m, address - bias, &start, &end) && start <= address - bias)
        result = start + bias;
    if (m) elf_module_free(m);
    munmap(image, (size_t)st.st_size);
    return result;
}

// Code of a file that cannot be written, from the beginning of the function to the end of the `syscall` at `address`.
static bool leading_code(const struct task *t, uint64_t address, struct code *out) {
    struct proc_maps maps;
    struct proc_map map;
    bool found = false;
    for (proc_maps_open(&maps, t->tid); !found && proc_maps_next(&maps, &map);)
        found = address >= map.start && address < map.end;
    bool file =
        found && map.name[0] == '/' && !map.shared && (map.prot & (PROT_EXEC | PROT_WRITE)) == PROT_EXEC;
    out->start = file ? function_start(&map, map.name, address) : 0;
    bool within = out->start >= map.start;
    proc_maps_close(&maps);
    if (!out->start || !within || address + SYSCALL_LENGTH - out->start > sizeof out->bytes) return false;
    out->len = address + SYSCALL_LENGTH - out->start;
    return tracee_read(t->tid, t->mm->mem_fd, out->start, out->bytes, out->len);
}

// ---- the jump

static bool overlaps(const struct task *t, const struct call_site *site) {
    uint64_t from = site->address, to = from + site->patch_len;
    if (breakpoints_within(t->mm, from, to)) return true;
    for (int i = 0; i < t->mm->sites.count; i++) {
        const struct loop_site *s = &t->mm->sites.all[i];
        if (s->address < to && from < s->address + loop_site_reach(s)) return true;
    }
    return false;
}

static void patch(struct recorder *r, struct task *t, uint64_t address) {
    static struct code code; // too large for the stack
    struct call_site site;
    if (!leading_code(t, address, &code) || !call_site_build(code.bytes, code.start, address, address, &site))
        return;
    uint64_t stub = preempt_stub_room(r, t, address);
    if (!stub || !call_site_build(code.bytes, code.start, address, stub, &site) || overlaps(t, &site)) return;
    struct batch b;
    t->mm->calls.sited = true;
    batch_init(r, &b, EV_PATCH, t);
    batch_write(r, &b, t, stub, site.stub, site.stub_len);
    batch_write(r, &b, t, site.address, site.patch, site.patch_len);
    batch_log(r, t, &b);
}

// A signal that the call has made (EPIPE) comes with the next resume: not into the middle of what is injected for a patch.
static bool signals_pending(const struct task *t) {
    char path[64], line[256];
    unsigned long long own = 0, common = 0;
    snprintf(path, sizeof path, "/proc/%d/status", t->tid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "SigPnd: %llx", &own) != 1 && sscanf(line, "ShdPnd: %llx", &common) == 1) break;
    if (f) fclose(f);
    return own || common;
}

void call_site_used(struct recorder *r, struct task *t) {
    struct mm_calls *c = &t->mm->calls;
    if (!c->on || t->call.legacy || !call_row_has(t->call.nr) || t->mm->slots.pending) return;
    enum { N = sizeof c->counts / sizeof *c->counts };
    uint64_t address = t->call.regs.rip - SYSCALL_LENGTH;
    for (size_t i = 0, at = address / 2 % N; i < N; i++, at = (at + 1) % N) {
        if (c->counts[at].address != address && c->counts[at].address) continue;
        c->counts[at].address = address;
        if (++c->counts[at].count != OFTEN) return;
        if (signals_pending(t))
            c->counts[at].count--;
        else
            patch(r, t, address);
        return;
    }
}
