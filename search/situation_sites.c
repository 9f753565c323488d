// Where another build takes the recorded lock: the calls or lock instructions in the function of the same name, at the
// line with the same text, else (without sources) at the nearest line.
#include "search/situation_sites.h"

#include "core/array.h"
#include "core/elf/lock_sites.h"
#include "core/path.h"
#include "search/same_code.h"
#include "replayer/names/short_name.h"
#include "replayer/names/unwind_module.h"
#include "core/code_operands.h"
#include "core/elf/elf_functions.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <xxhash.h>

enum { INSTRUCTION_MAX = 15, RANGES_MAX = 4096, FRAMES = 64 };

// Code of a function in one module: runs of instructions.
struct code {
    struct module module;
    struct range_of_code {
        uint64_t start, end;
    } * v;
    size_t count;
};

struct candidate {
    uint64_t address; // behind the call, or the lock instruction
    uint8_t operation, size;
    int line; // of the function that was asked for
    const char *file;
};

struct candidates {
    struct candidate *v;
    size_t count;
};

// ---- the code of a function

static void add_range(void *context, uint64_t start, uint64_t end) {
    struct code *c = context;
    if (c->count == RANGES_MAX) return;
    array_push(c->v, c->count, (struct range_of_code){start, end});
}

static int by_start(const void *left, const void *right) {
    const struct range_of_code *a = left, *b = right;
    return a->start != b->start ? (a->start < b->start ? -1 : 1) : (a->end < b->end) - (a->end > b->end);
}

// Overlapping ones become one: the code of a function as the symbol and as the debug information have it.
static void merge(struct code *c) {
    size_t kept = 0;
    if (c->count) qsort(c->v, c->count, sizeof *c->v, by_start);
    for (size_t i = 0; i < c->count; i++) {
        if (kept && c->v[i].start < c->v[kept - 1].end) {
            if (c->v[i].end > c->v[kept - 1].end) c->v[kept - 1].end = c->v[i].end;
        } else {
            c->v[kept++] = c->v[i];
        }
    }
    c->count = kept;
}

// The code of `function` in the modules called `name`; NULL: in any other one.
static bool find_code(struct timeline *t, const struct view *v, const char *function, const char *name,
                      const char *but, struct code *out) {
    uint64_t last = 0;
    for (size_t i = 0; i < v->map_count; i++) {
        const struct view_map *map = &v->maps[i];
        if (!map->blob || map->blob == last || !(map->prot & PROT_EXEC)) continue;
        last = map->blob;
        const char *base = base_name(map->name);
        bool wanted = name ? !strcmp(base, name) : !but || strcmp(base, but) != 0;
        if (!wanted || !module_at(v, map->start, &out->module)) continue;
        symbols_code(timeline_symbols(t), v, map->start, function, add_range, out);
        merge(out);
        if (out->count) return true;
    }
    return false;
}

static bool inside(const struct code *c, uint64_t address) {
    for (size_t i = 0; i < c->count; i++)
        if (address >= c->v[i].start && address < c->v[i].end) return true;
    return false;
}

// ---- calls and lock instructions in it

// The line of `function` in the code of `address` (behind a call, or an instruction's own); false: that is not its code.
static bool line_of(struct timeline *t, const struct view *v, uint64_t address, bool exact,
                    const char *function, struct candidate *out) {
    struct frame frames[FRAMES];
    const struct raw_frame raw = {.pc = address, .exact = exact};
    size_t n = symbols_frames(timeline_symbols(t), v, &raw, 1, frames, FRAMES);
    for (size_t i = 0; i < n; i++) {
        if (!frames[i].function || !same_function(frames[i].function, function)) continue;
        out->line = frames[i].line;
        out->file = frames[i].file;
        return true;
    }
    return false;
}

static void add_candidate(struct candidates *list, struct candidate c) {
    array_push(list->v, list->count, c);
}

// call rel32, or call through a register or memory.
static bool is_call(const uint8_t *code, int length) {
    static const uint8_t prefixes[] = {0x66, 0x67, 0xf2, 0xf3, 0x2e, 0x3e, 0x26, 0x36, 0x64, 0x65};
    int i = 0;
    while (i < length && (memchr(prefixes, code[i], sizeof prefixes) || (code[i] & 0xf0) == 0x40))
        i++;
    if (i == length) return false;
    return code[i] == 0xe8 || (code[i] == 0xff && i + 1 < length && (code[i + 1] >> 3 & 7) == 2);
}

static void find_calls(struct timeline *t, const struct view *v, const struct code *c, const char *function,
                       struct candidates *out) {
    for (size_t i = 0; i < c->count; i++) {
        for (uint64_t at = c->v[i].start; at < c->v[i].end;) {
            uint8_t code[INSTRUCTION_MAX] = {0};
            uint64_t target, room = c->v[i].end - at;
            size_t len = room < sizeof code ? (size_t)room : sizeof code;
            if (!module_read(&c->module, at, code, len)) break;
            int length = code_length(code, len, at, &target);
            if (!length) {
                at++; // data among the code
                continue;
            }
            struct candidate found = {.address = at + (uint64_t)length};
            if (is_call(code, length) && line_of(t, v, found.address, false, function, &found))
                add_candidate(out, found);
            at += (uint64_t)length;
        }
    }
}

static void find_locks(struct timeline *t, const struct view *v, const struct code *c, const char *function,
                       struct candidates *out) {
    size_t count = 0;
    struct elf_module *elf = elf_module_parse(c->module.image, c->module.size);
    struct lock_site *sites = elf ? elf_module_lock_sites(elf, &count) : NULL;
    for (size_t i = 0; i < count; i++) {
        struct candidate found = {.address = sites[i].vaddr + c->module.bias,
                                  .operation = sites[i].operation,
                                  .size = sites[i].size};
        if (!(sites[i].flags & LOCK_SITE_SECOND_ENTRY) && inside(c, found.address) &&
            line_of(t, v, found.address, true, function, &found))
            add_candidate(out, found);
    }
    free(sites);
    if (elf) elf_module_free(elf);
}

// ---- lines

static void keep_line(struct candidates *list, int line) {
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++)
        if (list->v[i].line == line) list->v[kept++] = list->v[i];
    list->count = kept;
}

static void add_line(struct situation_sites *out, int line) {
    for (size_t i = 0; i < out->line_count; i++)
        if (out->lines[i] == line) return;
    if (out->line_count < SITUATION_LINES) out->lines[out->line_count++] = line;
}

// Keeps those at lines with the recorded text. False: there are none; *read: the sources are at hand.
static bool keep_by_text(const struct situation *s, struct timeline *t, struct candidates *list,
                         struct situation_sites *out, bool *read) {
    size_t kept = 0;
    *read = false;
    if (!s->acquired.text) return false;
    for (size_t i = 0; i < list->count; i++) {
        const struct candidate c = list->v[i];
        char *text = trimmed_line(timeline_source_line(t, c.file, c.line));
        *read |= text != NULL;
        if (text && !strcmp(text, s->acquired.text)) {
            list->v[kept++] = c;
            add_line(out, c.line);
        }
        free(text);
    }
    if (!kept) return false;
    list->count = kept;
    return true;
}

// Which of the candidates may be the recorded one. False: none.
static bool keep_matching(const struct situation *s, struct timeline *t, struct candidates *list,
                          struct situation_sites *out) {
    const struct situation_frame *f = &s->acquired;
    bool read;
    if (!list->count) return false;
    if (keep_by_text(s, t, list, out, &read)) {
        snprintf(out->how, sizeof out->how, "line %d, by its text", out->lines[0]);
        return true;
    }
    if (read) {
        // The line was edited. Another call in the function may be meant; that it takes the same lock tells.
        snprintf(out->how, sizeof out->how, "any line that takes it, for line %d was changed", f->line);
        return s->variable[0];
    }
    int nearest = 0;
    for (size_t i = 0; i < list->count; i++)
        if (list->v[i].line && (!nearest || abs(list->v[i].line - f->line) < abs(nearest - f->line)))
            nearest = list->v[i].line;
    if (!nearest || !f->line) {
        snprintf(out->how, sizeof out->how, "any line, for no line numbers are known");
        return true;
    }
    keep_line(list, nearest);
    add_line(out, nearest);
    snprintf(out->how, sizeof out->how, "line %d, the nearest one", nearest);
    return true;
}

// ---- the plan

static struct situation_place place_of(const struct module *m, uint64_t address) {
    struct situation_place p = {.offset = address - m->bias};
    snprintf(p.module, sizeof p.module, "%s", base_name(m->path));
    return p;
}

static void add_sites(const struct candidates *list, const struct module *m,
                      const struct situation_instruction *like, struct situation_sites *out) {
    bool any = false;
    for (int pass = 0; pass < 2 && !any; pass++) // those like the recorded one, else all
        for (size_t i = 0; i < list->count && out->site_count < SITUATION_SITES; i++) {
            const struct candidate *c = &list->v[i];
            if (!pass && like->size && (c->operation != like->operation || c->size != like->size)) continue;
            out->sites[out->site_count++] = place_of(m, c->address);
            any = true;
        }
}

static void locate_in_library(const struct situation *s, struct timeline *t, const struct view *v,
                              struct situation_sites *out) {
    const struct situation_instruction *at = &s->instruction;
    struct module m;
    if (at->size && same_file(v, at->module, at->content, &m)) {
        out->sites[out->site_count++] = place_of(&m, at->offset + m.bias);
    }
    // The recorded holder had to wait for the lock itself: without a wait another instruction takes it.
    const char *functions[] = {out->site_count ? NULL : at->function, s->helper_of};
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        struct code c = {.count = 0};
        struct candidates locks = {.count = 0};
        if (functions[i] && find_code(t, v, functions[i], at->module, NULL, &c)) {
            find_locks(t, v, &c, functions[i], &locks);
            add_sites(&locks, &c.module, i ? &(struct situation_instruction){.size = 0} : at, out);
        }
        free(c.v);
        free(locks.v);
    }
    if (!out->site_count)
        snprintf(out->why, sizeof out->why, "%.100s has no lock instruction in %.200s any more",
                 at->module ? at->module : "the program", at->function ? at->function : "its function");
}

static bool function_module(const struct view *v, const char *function, const char *recorded, const char *own,
                            char *out, size_t size) {
    const char *names[] = {recorded, own, NULL};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        for (size_t i = 0; i < v->map_count; i++) {
            const struct view_map *map = &v->maps[i];
            struct module m;
            uint64_t vaddr;
            if (!map->blob || !(map->prot & PROT_EXEC) || (k < 2 && !names[k])) continue;
            if (names[k] && strcmp(base_name(map->name), names[k]) != 0) continue;
            if (!module_at(v, map->start, &m)) continue;
            struct elf_module *elf = elf_module_parse(m.image, m.size);
            bool has = elf && elf_module_symbol(elf, function, &vaddr);
            if (elf) elf_module_free(elf);
            if (!has) continue;
            snprintf(out, size, "%s", base_name(map->name));
            return true;
        }
    return false;
}

static void locate_calls(const struct situation *s, struct timeline *t, const struct view *v,
                         const struct code *c, struct situation_sites *out) {
    struct candidates calls = {.count = 0};
    if (s->acquired.inner_count) {
        add_candidate(&calls, (struct candidate){.address = s->acquired.inner[0] + c->module.bias});
        snprintf(out->how, sizeof out->how, "the recorded place, for the file is the same");
    } else {
        find_calls(t, v, c, s->acquired.function, &calls);
    }
    if (!s->acquired.inner_count && !keep_matching(s, t, &calls, out)) calls.count = 0;
    for (size_t i = 0; i < calls.count && out->call_count < SITUATION_CALLS; i++)
        out->calls[out->call_count++] = place_of(&c->module, calls.v[i].address);
    if (!calls.count)
        snprintf(out->why, sizeof out->why, "%.200s does not take the lock any more: it has no %s%.100s%s",
                 s->acquired.function, s->acquired.text ? "line '" : "such call",
                 s->acquired.text ? s->acquired.text : "", s->acquired.text ? "'" : "");
    else if (!s->lock_function)
        locate_in_library(s, t, v, out);
    else if (!function_module(v, s->lock_function, s->instruction.module, s->acquired.module,
                              out->function_module, sizeof out->function_module))
        snprintf(out->why, sizeof out->why, "no file of the program has %.100s", s->lock_function);
    free(calls.v);
}

int situation_locate(const struct situation *s, struct timeline *t, int tid, struct situation_sites *out,
                     struct rf_error *err) {
    struct view v;
    struct code c = {.count = 0};
    memset(out, 0, sizeof *out);
    if (replay_view(timeline_replay(t), tid, &v, err) < 0) return -1;
    const char *function = s->acquired.function;
    if (s->acquired.inner_count && !same_file(&v, s->acquired.module, s->acquired.content, &c.module)) {
        snprintf(out->why, sizeof out->why,
                 "%.100s is another build, and the function in it that took the lock has no name",
                 s->acquired.module);
        return 0;
    }
    if (!find_code(t, &v, function, s->acquired.module, NULL, &c) &&
        !find_code(t, &v, function, NULL, s->acquired.module, &c)) {
        snprintf(out->why, sizeof out->why, "no file of the program has the function %.200s", function);
    } else if (s->instruction.own && !s->lock_function) {
        struct candidates locks = {.count = 0};
        find_locks(t, &v, &c, function, &locks);
        if (keep_matching(s, t, &locks, out)) add_sites(&locks, &c.module, &s->instruction, out);
        if (!out->site_count)
            snprintf(out->why, sizeof out->why,
                     "%.200s does not take the lock any more: it has no lock instruction", function);
        free(locks.v);
    } else {
        locate_calls(s, t, &v, &c, out);
    }
    free(c.v);
    return 0;
}
