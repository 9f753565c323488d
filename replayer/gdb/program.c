#include "replayer/gdb/program.h"

#include "replayer/core/image.h"

#include <link.h>

enum { HEADERS_MOST = 64 };

static bool read_of_task(void *context, uint64_t address, void *to, size_t len) {
    struct gdb *g = context;
    return stops_read(g->stops, g->tid, address, to, len);
}

uint64_t program_auxv(const struct program *p, uint64_t type) {
    for (size_t i = 0; i < p->auxv_count; i++)
        if (p->auxv[i].a_type == type) return p->auxv[i].a_un.a_val;
    return 0;
}

void program_read(struct gdb *g, struct program *p) {
    const struct replay_task *t = replay_task_find(g->replay, g->tid);
    struct image image = image_find(g->timeline, stops_event(g->stops), t ? t->pid : 0);
    Elf64_Phdr own;
    p->auxv_count = image_auxv(&image, read_of_task, g, p->auxv, PROGRAM_AUXV);
    p->bias = 0;
    if (program_find_header(g, p, PT_PHDR, &own)) p->bias = program_auxv(p, AT_PHDR) - own.p_vaddr;
}

bool program_header(struct gdb *g, const struct program *p, uint64_t n, Elf64_Phdr *out) {
    uint64_t at = program_auxv(p, AT_PHDR), count = program_auxv(p, AT_PHNUM);
    return at && n < count && n < HEADERS_MOST &&
           stops_read(g->stops, g->tid, at + n * sizeof *out, out, sizeof *out);
}

bool program_find_header(struct gdb *g, const struct program *p, uint32_t type, Elf64_Phdr *out) {
    for (uint64_t n = 0; program_header(g, p, n, out); n++)
        if (out->p_type == type) return true;
    return false;
}

uint64_t program_link_map(struct gdb *g, const struct program *p) {
    Elf64_Phdr dynamic;
    struct r_debug debug;
    Elf64_Dyn d = {.d_tag = DT_DEBUG + 1};
    if (!program_find_header(g, p, PT_DYNAMIC, &dynamic)) return 0;
    for (uint64_t at = dynamic.p_vaddr + p->bias; d.d_tag != DT_DEBUG; at += sizeof d)
        if (!stops_read(g->stops, g->tid, at, &d, sizeof d) || d.d_tag == DT_NULL) return 0;
    bool known = d.d_un.d_ptr && stops_read(g->stops, g->tid, d.d_un.d_ptr, &debug, sizeof debug);
    return known ? (uint64_t)(uintptr_t)debug.r_map : 0;
}
