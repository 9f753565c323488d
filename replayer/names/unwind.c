#include "replayer/names/unwind.h"

#include "core/abi.h"

#include "core/annex.h"
#include "replayer/names/unwind_entries.h"
#include "replayer/names/unwind_guess.h"
#include "replayer/names/unwind_module.h"

#include <libunwind.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

// Exported by libunwind-x86_64.so but in none of its headers; perf uses it in the same way.
extern int _Ux86_64_dwarf_search_unwind_table(unw_addr_space_t space, unw_word_t ip, unw_dyn_info_t *table,
                                              unw_proc_info_t *info, int need_unwind_info, void *context);

#define WINDOW  (64u << 10) // of the stack, read at once: 10 times faster than word by word
#define PAGES   8
#define MODULES 16
// Words that one unwind may read. A hostile trace can hold a DWARF expression that loops for ever; each of
// its opcodes is read through access_mem. 36 frames of CPython need about 20,000.
#define READ_BUDGET (4u << 20)

struct unwinder {
    const struct view *view;
    struct user_regs_struct regs;
    unsigned reads;
    bool no_tables; // find_proc_info found nothing since this was last reset

    struct frame_section frames; // .eh_frame of the module searched last
    int32_t one_entry[2];        // function, FDE; both relative to frames.address

    uint64_t window_start;
    size_t window_len;
    uint8_t window[WINDOW];

    struct page {
        uint64_t address; // 1: empty
        uint8_t bytes[PAGE];
    } pages[PAGES];

    struct cached_module {
        uint64_t start, end; // run-time range that was asked for (a map)
        bool found;
        struct module module;
    } modules[MODULES];
    size_t module_count, module_next;
};

#define ONE_ENTRY                                                                                            \
    UINT64_C(0xfff0000000000000) // no user address: the table of one entry that is in the unwinder

static const struct module *find_module(struct unwinder *u, uint64_t address) {
    for (size_t i = 0; i < u->module_count; i++) {
        struct cached_module *c = &u->modules[i];
        if (address >= c->start && address < c->end) return c->found ? &c->module : NULL;
    }
    const struct view_map *map = view_find(u->view, address);
    if (!map) return NULL;
    struct cached_module *c = &u->modules[u->module_next];
    u->module_next = (u->module_next + 1) % MODULES;
    if (u->module_count < MODULES) u->module_count++;
    c->start = map->start;
    c->end = map->end;
    c->found = module_at(u->view, address, &c->module);
    return c->found ? &c->module : NULL;
}

static const uint8_t *find_page(struct unwinder *u, uint64_t address) {
    struct page *p = &u->pages[address / PAGE % PAGES];
    if (p->address == (address & -PAGE)) return p->bytes;
    p->address = 1;
    if (!u->view->read(u->view->context, address & -PAGE, p->bytes, PAGE)) return NULL;
    p->address = address & -PAGE;
    return p->bytes;
}

// Code and tables come from the file, so that breakpoints and stubs in memory do not matter; the rest from
// memory.
static bool read_memory(void *context, uint64_t address, void *buffer, size_t len) {
    struct unwinder *u = context;
    if (u->reads >= READ_BUDGET) return false;
    u->reads++;
    if (address == ONE_ENTRY && len == sizeof u->one_entry) {
        memcpy(buffer, u->one_entry, len);
        return true;
    }
    uint64_t offset = address - u->window_start;
    if (offset < u->window_len && len <= u->window_len - offset) {
        memcpy(buffer, u->window + offset, len);
        return true;
    }
    const struct module *m = find_module(u, address);
    if (m && module_read(m, address, buffer, len)) return true;
    uint8_t *out = buffer;
    while (len) {
        const uint8_t *page = find_page(u, address);
        if (!page) return false;
        size_t n = PAGE - address % PAGE;
        if (n > len) n = len;
        memcpy(out, page + address % PAGE, n);
        out += n;
        address += n;
        len -= n;
    }
    return true;
}

static int access_mem(unw_addr_space_t space, unw_word_t address, unw_word_t *value, int write,
                      void *context) {
    (void)space;
    if (write) return -UNW_EREADONLYREG;
    return read_memory(context, address, value, sizeof *value) ? 0 : -UNW_EINVAL;
}

// .eh_frame_hdr as every x86-64 linker makes it:
//     01 1b 03 3b  version, eh_frame pointer pcrel|sdata4, count udata4, table datarel|sdata4
//     xx xx xx xx  pointer to .eh_frame
//     nn nn nn nn  count
//     {int32 start, int32 fde}[count], both relative to the header, sorted
// A table in remote format is read through access_mem at run-time addresses: nothing of it is dereferenced.
static int find_proc_info(unw_addr_space_t space, unw_word_t ip, unw_proc_info_t *info, int need_unwind_info,
                          void *context) {
    struct unwinder *u = context;
    const struct module *m = find_module(u, ip);
    uint8_t header[12];
    int result = -UNW_ENOINFO;
    uint64_t start, entry;
    if (m && m->eh_frame_hdr_size >= sizeof header && !annex_contains(ip) &&
        module_read(m, m->eh_frame_hdr + m->bias, header, sizeof header) &&
        !memcmp(header, "\1\x1b\3\x3b", 4)) {
        uint32_t count;
        memcpy(&count, header + 8, sizeof count);
        if (count <= (m->eh_frame_hdr_size - sizeof header) / 8) {
            unw_dyn_info_t table = {
                .start_ip = m->low + m->bias,
                .end_ip = m->high + m->bias,
                .format = UNW_INFO_FORMAT_REMOTE_TABLE,
            };
            table.u.rti.segbase = m->eh_frame_hdr + m->bias;
            table.u.rti.table_data = m->eh_frame_hdr + m->bias + sizeof header;
            table.u.rti.table_len = count; // in words of 8 bytes: one entry each
            result = _Ux86_64_dwarf_search_unwind_table(space, ip, &table, info, need_unwind_info, context);
        }
    }
    // Static glibc programs have .eh_frame without the header: the entry is looked for, and given as a table
    // of one.
    if (result < 0 && m && !m->eh_frame_hdr_size && !annex_contains(ip) &&
        module_frame_entry(m, ip, &u->frames, &start, &entry)) {
        u->one_entry[0] = (int32_t)(start - u->frames.address);
        u->one_entry[1] = (int32_t)(entry - u->frames.address);
        unw_dyn_info_t table = {
            .start_ip = m->low + m->bias,
            .end_ip = m->high + m->bias,
            .format = UNW_INFO_FORMAT_REMOTE_TABLE,
        };
        table.u.rti.segbase = u->frames.address;
        table.u.rti.table_data = ONE_ENTRY;
        table.u.rti.table_len = 1;
        result = _Ux86_64_dwarf_search_unwind_table(space, ip, &table, info, need_unwind_info, context);
    }
    if (result < 0) u->no_tables = true;
    return result;
}

static void put_unwind_info(unw_addr_space_t space, unw_proc_info_t *info, void *context) {
    (void)space, (void)info, (void)context; // libunwind's own pool, freed by its dwarf parser
}

static int get_dyn_info_list_addr(unw_addr_space_t space, unw_word_t *address, void *context) {
    (void)space, (void)address, (void)context;
    return -UNW_ENOINFO;
}

// libunwind numbers registers as DWARF does.
static int access_reg(unw_addr_space_t space, unw_regnum_t reg, unw_word_t *value, int write, void *context) {
    (void)space;
    uint64_t values[ABI_DWARF_REGISTERS];
    abi_dwarf_registers(&((struct unwinder *)context)->regs, values);
    if (write) return -UNW_EREADONLYREG;
    if (reg < 0 || reg >= ABI_DWARF_REGISTERS) return -UNW_EBADREG;
    *value = values[reg];
    return 0;
}

static int access_fpreg(unw_addr_space_t space, unw_regnum_t reg, unw_fpreg_t *value, int write,
                        void *context) {
    (void)space, (void)reg, (void)value, (void)write, (void)context;
    return -UNW_EBADREG;
}

static int resume(unw_addr_space_t space, unw_cursor_t *cursor, void *context) {
    (void)space, (void)cursor, (void)context;
    return -UNW_EINVAL;
}

static int get_proc_name(unw_addr_space_t space, unw_word_t address, char *name, size_t size,
                         unw_word_t *offset, void *context) {
    (void)space, (void)address, (void)name, (void)size, (void)offset, (void)context;
    return -UNW_ENOINFO;
}

// One for all views: without libunwind's cache (which is by ip only) nothing of a view stays in it.
static unw_addr_space_t address_space(void) {
    static unw_addr_space_t space; // never changed
    static unw_accessors_t accessors = {
        .find_proc_info = find_proc_info,
        .put_unwind_info = put_unwind_info,
        .get_dyn_info_list_addr = get_dyn_info_list_addr,
        .access_mem = access_mem,
        .access_reg = access_reg,
        .access_fpreg = access_fpreg,
        .resume = resume,
        .get_proc_name = get_proc_name,
    };
    if (!space) {
        space = unw_create_addr_space(&accessors, 0);
        if (space) unw_set_caching_policy(space, UNW_CACHE_NONE);
    }
    return space;
}

static bool is_code(const struct view *v, uint64_t pc) {
    const struct view_map *map = view_find(v, pc);
    return map && (map->prot & PROT_EXEC) && !annex_contains(pc);
}

static void load_window(struct unwinder *u) {
    const struct view_map *map = view_find(u->view, u->regs.rsp);
    u->window_len = 0;
    if (!map) return;
    u->window_start = (u->regs.rsp - RED_ZONE) & -8ull;
    if (u->window_start < map->start || u->window_start > u->regs.rsp) u->window_start = map->start;
    size_t len = map->end - u->window_start;
    if (len > WINDOW) len = WINDOW;
    if (u->view->read(u->view->context, u->window_start, u->window, len)) u->window_len = len;
}

static uint64_t reg_of(unw_cursor_t *cursor, int reg) {
    unw_word_t value = 0;
    return unw_get_reg(cursor, reg, &value) < 0 ? 0 : value;
}

static bool is_trampoline(struct unwinder *u, uint64_t pc) {
    return guess_is_trampoline(u->view, read_memory, u, pc);
}

// In the restorer rsp points to the ucontext_t that the kernel made: the interrupted registers.
static bool leave_signal(struct unwinder *u) {
    greg_t g[REG_RIP + 1];
    if (!read_memory(u, u->regs.rsp + offsetof(ucontext_t, uc_mcontext.gregs), g, sizeof g)) return false;
    struct user_regs_struct r = u->regs;
#define TAKE(field, index) r.field = (uint64_t)g[index]
    TAKE(r8, REG_R8), TAKE(r9, REG_R9), TAKE(r10, REG_R10), TAKE(r11, REG_R11), TAKE(r12, REG_R12);
    TAKE(r13, REG_R13), TAKE(r14, REG_R14), TAKE(r15, REG_R15), TAKE(rdi, REG_RDI), TAKE(rsi, REG_RSI);
    TAKE(rbp, REG_RBP), TAKE(rbx, REG_RBX), TAKE(rdx, REG_RDX), TAKE(rax, REG_RAX), TAKE(rcx, REG_RCX);
    TAKE(rsp, REG_RSP), TAKE(rip, REG_RIP);
#undef TAKE
    u->regs = r;
    return true;
}

static void take_saved(unw_cursor_t *cursor, struct raw_frame *frame) {
    static const int registers[RAW_FRAME_SAVED] = {UNW_X86_64_RBX, UNW_X86_64_RBP, UNW_X86_64_R12,
                                                   UNW_X86_64_R13, UNW_X86_64_R14, UNW_X86_64_R15};
    frame->saved_known = true;
    for (int i = 0; i < RAW_FRAME_SAVED; i++)
        frame->saved[i] = reg_of(cursor, registers[i]);
}

enum climb { CLIMB_END, CLIMB_LOST, CLIMB_FULL };

// Follows the tables from u->regs on. frames[*n - 1] is the frame of u->regs already. CLIMB_LOST leaves in
// u->regs the registers of frames[*n - 1].
static enum climb climb(struct unwinder *u, struct raw_frame *frames, size_t max, size_t *n) {
    unw_cursor_t cursor, before;
    if (!address_space() || unw_init_remote(&cursor, address_space(), u) < 0) return CLIMB_LOST;
    for (;;) {
        struct raw_frame *frame = &frames[*n - 1];
        before = cursor;
        u->no_tables = false;
        if (is_trampoline(u, frame->pc)) break;
        int result = unw_step(&cursor);
        // libunwind guesses by the frame pointer where there is no table: not checked, so not wanted.
        bool guessed = u->no_tables;
        uint64_t pc = reg_of(&cursor, UNW_REG_IP), sp = reg_of(&cursor, UNW_REG_SP);
        if (result == 0 && !guessed) return CLIMB_END;
        if (result < 0 || guessed || !is_code(u->view, pc)) {
            cursor = before;
            break;
        }
        frame->cfa = sp;
        if (*n == max) return CLIMB_FULL;
        frames[*n] = (struct raw_frame){.pc = pc};
        take_saved(&cursor, &frames[(*n)++]);
    }
    struct user_regs_struct r = u->regs;
    r.rip = reg_of(&cursor, UNW_REG_IP);
    r.rsp = reg_of(&cursor, UNW_REG_SP);
    r.rbp = reg_of(&cursor, UNW_X86_64_RBP);
    r.rbx = reg_of(&cursor, UNW_X86_64_RBX);
    r.r12 = reg_of(&cursor, UNW_X86_64_R12);
    r.r13 = reg_of(&cursor, UNW_X86_64_R13);
    r.r14 = reg_of(&cursor, UNW_X86_64_R14);
    r.r15 = reg_of(&cursor, UNW_X86_64_R15);
    u->regs = r;
    return CLIMB_LOST;
}

// In a PLT stub: as if the call had not happened yet.
static void step_over_stub(struct unwinder *u, struct raw_frame *frame) {
    uint64_t top;
    if (!annex_contains(u->regs.rip) || !read_memory(u, u->regs.rsp, &top, sizeof top)) return;
    *frame = (struct raw_frame){.pc = top};
    u->regs.rip = top - 1; // see guess_frame
    u->regs.rsp += 8;
}

// Where a `jmp rel32` at `at` goes in the program's memory, patches included; 0: there is none.
static uint64_t jump_target(const struct view *v, uint64_t at) {
    uint8_t code[5];
    int32_t distance;
    if (!v->read(v->context, at, code, sizeof code) || code[0] != 0xe9) return 0;
    memcpy(&distance, code + 1, sizeof distance);
    return at + sizeof code + (uint64_t)(int64_t)distance;
}

// At the trap of a counting stub (core/loop_site.h): registers and memory are the program's at the place that was patched,
// which jumps to the stub's begin; before the trap the stub ends with the jump back behind that place.
uint64_t unwind_program_pc(const struct view *v, uint64_t pc) {
    enum { STUB = 256, PATCH = 16, JUMP = 5 };
    const struct view_map *map = view_find(v, pc);
    if (!map || !map->name || strcmp(map->name, "[sites]") != 0) return pc;
    for (uint64_t at = pc - JUMP; at >= map->start && pc - at < STUB; at--) {
        uint64_t behind = jump_target(v, at);
        if (!behind || (behind >= map->start && behind < map->end)) continue;
        // The last bytes of the jump may be those of what follows (core/probe.h, PROBE_PUNNED).
        for (uint64_t site = behind - 1; site >= behind - PATCH; site--) {
            uint64_t stub = jump_target(v, site);
            if (stub >= map->start && stub < at && pc - stub < STUB) return site;
        }
    }
    return pc;
}

static void leave_counting_stub(struct unwinder *u, struct raw_frame *frame) {
    uint64_t pc = unwind_program_pc(u->view, u->regs.rip);
    if (pc != u->regs.rip) frame->pc = u->regs.rip = pc;
}

// The caller of frames[*n - 1], whose registers are u->regs, without tables.
static bool guess_frame(struct unwinder *u, struct raw_frame *frames, size_t *n) {
    struct raw_frame *frame = &frames[*n - 1];
    struct guess here = {
        .pc = frame->exact ? frame->pc : frame->pc - 1, .sp = u->regs.rsp, .bp = u->regs.rbp};
    struct guess caller;
    uint64_t target, top;
    if (is_trampoline(u, frame->pc) && leave_signal(u)) {
        frame->exact = true; // entered at its start: no call is before it
        frame->cfa = u->regs.rsp;
        frames[(*n)++] = (struct raw_frame){.pc = u->regs.rip, .exact = true};
        step_over_stub(u, &frames[*n - 1]);
        return true;
    }
    if (!is_code(u->view, here.pc) && read_memory(u, here.sp, &top, sizeof top) &&
        guess_is_return_address(u->view, read_memory, u, top, &target)) {
        // A call through NULL or into nowhere: the return address is on top and all registers are the
        // caller's.
        caller = (struct guess){.pc = top, .sp = here.sp + 8, .bp = here.bp};
    } else if (!guess_caller(u->view, read_memory, u, &here, !is_code(u->view, here.pc), &caller)) {
        return false;
    }
    frame->cfa = caller.sp;
    frames[(*n)++] = (struct raw_frame){.pc = caller.pc, .scanned = caller.scanned};
    // libunwind takes the first pc as it is, where a return address belongs to the call before it.
    u->regs.rip = caller.pc - 1;
    u->regs.rsp = caller.sp;
    u->regs.rbp = caller.bp;
    return true;
}

size_t unwind_stack(const struct view *v, const struct user_regs_struct *regs, struct raw_frame *frames,
                    size_t max) {
    if (!max) return 0;
    frames[0] = (struct raw_frame){.pc = regs->rip, .exact = true};
    struct unwinder *u = malloc(sizeof *u);
    if (!u) return 1;
    u->view = v;
    u->regs = *regs;
    u->reads = 0;
    u->module_count = u->module_next = 0;
    for (size_t i = 0; i < PAGES; i++)
        u->pages[i].address = 1;
    load_window(u);
    step_over_stub(u, &frames[0]);
    leave_counting_stub(u, &frames[0]);
    size_t n = 1;
    while (climb(u, frames, max, &n) == CLIMB_LOST && n < max && guess_frame(u, frames, &n))
        ;
    free(u);
    return n;
}
