#include "replayer/gdb/thread_local.h"

#include "replayer/gdb/program.h"
#include "replayer/gdb/target.h"
#include "replayer/timeline.h"
#include "replayer/verdict/glibc.h"

#include <inttypes.h>
#include <link.h>
#include <string.h>

enum { MODULES_MOST = 1024, VECTOR = 8 }; // where a thread's block has its vector of blocks: the psABI's

// The program's own block lies right below the thread's block, and its code counts on that (ELF Handling for Thread-Local Storage,
// variant II): with any C library.
static uint64_t own_block(struct gdb *g, const struct program *p, uint64_t thread) {
    Elf64_Phdr tls;
    if (!program_find_header(g, p, PT_TLS, &tls)) return 0;
    uint64_t align = tls.p_align ? tls.p_align : 1;
    return thread - tls.p_memsz - (-(tls.p_vaddr + tls.p_memsz) & (align - 1));
}

// Of a module in memory: has it thread-local data?
static bool has_tls(struct gdb *g, uint64_t base) {
    Elf64_Ehdr header;
    Elf64_Phdr p;
    if (!stops_read(g->stops, g->tid, base, &header, sizeof header) ||
        memcmp(header.e_ident, ELFMAG, SELFMAG))
        return false;
    for (unsigned i = 0; i < header.e_phnum; i++) {
        if (!stops_read(g->stops, g->tid, base + header.e_phoff + i * sizeof p, &p, sizeof p)) return false;
        if (p.p_type == PT_TLS) return true;
    }
    return false;
}

static bool is_musl(const struct view *v, const struct program *p) {
    const struct view_map *linker = view_find(v, program_auxv(p, AT_BASE));
    const char *name = linker && linker->name ? strrchr(linker->name, '/') : NULL;
    return name && (!strncmp(name, "/ld-musl", 8) || !strcmp(name, "/libc.so"));
}

// musl numbers the modules that have thread-local data in the order of its list, and its vector has the blocks' addresses in the order
// of these numbers (ldso/dynlink.c, load_library; src/env/__init_tls.c).
static uint64_t musl_block(struct gdb *g, const struct program *p, uint64_t thread, uint64_t link_map) {
    Elf64_Phdr own;
    uint64_t lm = program_link_map(g, p), number = program_find_header(g, p, PT_TLS, &own), vector, block;
    struct link_map m;
    for (int i = 0; lm && i < MODULES_MOST; i++, lm = (uint64_t)(uintptr_t)m.l_next) {
        if (!stops_read(g->stops, g->tid, lm, &m, sizeof m)) return 0;
        bool has = i && has_tls(g, m.l_addr);
        number += has;
        if (lm != link_map) continue;
        return has && stops_read(g->stops, g->tid, thread + VECTOR, &vector, sizeof vector) &&
                       stops_read(g->stops, g->tid, vector + number * sizeof block, &block, sizeof block)
                   ? block
                   : 0;
    }
    return 0;
}

static uint64_t find_block(struct gdb *g, const struct view *v, uint64_t thread, uint64_t link_map) {
    struct program p;
    program_read(g, &p);
    if (!link_map || link_map == program_link_map(g, &p)) return own_block(g, &p, thread);
    if (is_musl(v, &p)) return musl_block(g, &p, thread, link_map);
    return libc_tls_of(timeline_symbols(g->timeline), v, thread, link_map);
}

void thread_local_answer(struct gdb *g, int tid, uint64_t offset, uint64_t link_map) {
    struct register_file registers;
    struct view v;
    struct rf_error ignored;
    uint64_t thread = 0, block = 0;
    int looked_at = g->tid;
    g->tid = tid; // the packet names a thread, which may be another process's
    if (replay_view(g->replay, tid, &v, &ignored) == 0 && target_registers(g, tid, &registers)) {
        thread = registers.user.fs_base;
        target_registers_free(&registers);
        if (thread) block = find_block(g, &v, thread, link_map);
    }
    g->tid = looked_at;
    // A block that the thread has not touched yet is not there. gdb has no words for the reason.
    if (block)
        packet_add(g->packets, "%" PRIx64, block + offset);
    else
        packet_add(g->packets, "E01");
    packet_send(g->packets);
}
