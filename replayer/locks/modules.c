#include "replayer/locks/modules.h"

#include "core/array.h"
#include "core/atomic_emulate.h"
#include "core/elf/elf_module.h"
#include "replayer/names/cache.h"
#include "replayer/names/static_names.h"
#include "core/elf/elf_inside.h"
#include "core/elf/elf_functions.h"
#include "core/elf/elf_frames.h"

#include <Zydis/Zydis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CACHE_FROM = 256 << 10 }; // bytes of a module whose scan is worth a file

// ---- functions that are known

static const struct {
    const char *begins;
    uint8_t family, musl;
} known[] = {
#define TOUCHES(function, family, musl) {function, LOCK_##family, LOCK_##musl},
#include "replayer/locks/kinds.def"
};

struct named {
    uint64_t start, end;
    uint8_t family, musl;
    bool stores; // pthread_mutex_lock: takes with a plain store while the process has one thread
};

struct names {
    const struct lock_functions *functions;
    bool libc, musl; // has its code
    bool any;        // the module has symbols
    struct named *v;
    size_t count;
    struct lock_module_site *calls;
    size_t call_count;
};

static int compare_named(const void *left, const void *right) {
    const struct named *a = left, *b = right;
    return a->start < b->start ? -1 : a->start > b->start;
}

static void add_symbol(void *context, const char *library, const char *name, const Elf64_Sym *symbol) {
    (void)library;
    struct names *n = context;
    const struct lock_functions *functions = n->functions;
    if (ELF64_ST_TYPE(symbol->st_info) != STT_FUNC) return;
    n->any = true;
    for (size_t i = 0; functions && i < functions->count; i++) {
        if (strcmp(functions->v[i].name, name) != 0) continue;
        array_push(n->calls, n->call_count,
                   (struct lock_module_site){
                       .vaddr = symbol->st_value, .kind = LOCK_SITE_CALL, .function = (uint16_t)i});
    }
    n->libc |= !strcmp(name, "__libc_start_main");
    n->musl |= !strcmp(name, "__timedwait"); // src/thread/__timedwait.c
    const char *plain = name;
    while (*plain == '_')
        plain++;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strncmp(plain, known[i].begins, strlen(known[i].begins)) != 0) continue;
        array_push(n->v, n->count,
                   (struct named){.start = symbol->st_value,
                                  .end = symbol->st_value + symbol->st_size,
                                  .family = known[i].family,
                                  .musl = known[i].musl,
                                  .stores = !strcmp(plain, "pthread_mutex_lock")});
        return;
    }
}

static void read_symbols(const struct elf_module *m, const Elf64_Shdr *table, const Elf64_Shdr *strings,
                         struct names *out) {
    if (strings->sh_offset > m->size || strings->sh_size > m->size - strings->sh_offset) return;
    const char *text = (const char *)m->image + strings->sh_offset;
    for (uint64_t at = 0; table->sh_size - at >= sizeof(Elf64_Sym) && at < table->sh_size;
         at += sizeof(Elf64_Sym)) {
        Elf64_Sym symbol;
        if (!elf_read(m, table->sh_offset + at, &symbol, sizeof symbol)) return;
        if (!symbol.st_value || symbol.st_name >= strings->sh_size ||
            symbol.st_value > UINT64_MAX - symbol.st_size)
            continue;
        const char *name = text + symbol.st_name;
        if (memchr(name, 0, strings->sh_size - symbol.st_name)) add_symbol(out, NULL, name, &symbol);
    }
}

static void read_names(const struct elf_module *m, struct names *out) {
    for (size_t i = 0; i < m->shnum; i++) {
        Elf64_Shdr table, strings;
        if (!elf_section(m, i, &table) || (table.sh_type != SHT_DYNSYM && table.sh_type != SHT_SYMTAB))
            continue;
        if (elf_section(m, table.sh_link, &strings)) read_symbols(m, &table, &strings, out);
    }
    if (!out->any) static_names(m->image, m->size, add_symbol, out);
    for (size_t i = 0; out->musl && i < out->count; i++)
        out->v[i].family = out->v[i].musl;
    if (out->count) qsort(out->v, out->count, sizeof *out->v, compare_named);
}

static const struct named *name_of(const struct names *n, uint64_t vaddr) {
    size_t behind = array_before(n->v, n->count, name, name->start <= vaddr);
    return behind && vaddr < n->v[behind - 1].end ? &n->v[behind - 1] : NULL;
}

// ---- sites

// movl $1,(reg): C7 /0 without displacement.
static void add_stores(struct lock_module *m, const struct named *f) {
    ZydisDecoder decoder;
    uint64_t offset;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    if (!elf_module_to_offset(m->elf, f->start, &offset) || offset > m->elf->size ||
        f->end - f->start > m->elf->size - offset)
        return;
    const uint8_t *code = m->elf->image + offset;
    for (uint64_t at = 0, len = f->end - f->start; at < len;) {
        ZydisDecodedInstruction in;
        if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, NULL, code + at, len - at, &in))) return;
        bool store = in.mnemonic == ZYDIS_MNEMONIC_MOV && in.opcode == 0xc7 && in.raw.modrm.mod == 0 &&
                     in.raw.modrm.rm != 4 && in.raw.modrm.rm != 5 && in.operand_width == 32 &&
                     in.raw.imm[0].value.u == 1;
        if (store)
            array_push(m->sites, m->count,
                       (struct lock_module_site){.vaddr = f->start + at,
                                                 .kind = LOCK_SITE_STORE,
                                                 .length = in.length,
                                                 .family = f->family});
        at += in.length;
    }
}

// Does the code behind an xchg look at what it got? A sequentially consistent store is an xchg as well. What a
// function returns counts as not looked at: it cannot be told from a store at the function's end.
static bool result_is_used(const struct elf_module *elf, uint64_t vaddr) {
    enum { LOOK_AHEAD = 10 };
    ZydisDecoder decoder;
    ZydisDecodedInstruction in;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    ZydisRegister got = ZYDIS_REGISTER_NONE;
    uint64_t offset;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    if (!elf_module_to_offset(elf, vaddr, &offset)) return false;
    for (int n = 0; n <= LOOK_AHEAD && offset < elf->size; n++, offset += in.length) {
        if (!ZYAN_SUCCESS(
                ZydisDecoderDecodeFull(&decoder, elf->image + offset, elf->size - offset, &in, operands)))
            return false;
        if (!n) {
            if (operands[1].type != ZYDIS_OPERAND_TYPE_REGISTER) return false;
            got = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, operands[1].reg.value);
            continue;
        }
        bool overwritten = false;
        for (uint8_t i = 0; i < in.operand_count; i++) {
            const ZydisDecodedOperand *o = &operands[i];
            if (o->type == ZYDIS_OPERAND_TYPE_MEMORY &&
                (ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, o->mem.base) == got ||
                 ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, o->mem.index) == got))
                return true;
            if (o->type != ZYDIS_OPERAND_TYPE_REGISTER ||
                ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, o->reg.value) != got)
                continue;
            bool cleared = in.mnemonic == ZYDIS_MNEMONIC_XOR &&
                           operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER &&
                           operands[0].reg.value == operands[1].reg.value;
            if ((o->actions & ZYDIS_OPERAND_ACTION_MASK_READ) && !cleared) return true;
            overwritten = true;
        }
        bool leaves = in.meta.category == ZYDIS_CATEGORY_RET || in.meta.category == ZYDIS_CATEGORY_CALL ||
                      in.meta.category == ZYDIS_CATEGORY_UNCOND_BR;
        if (overwritten || leaves) return false;
    }
    return false;
}

static bool is_blind(const struct elf_module *elf, const struct lock_site *site) {
    if (site->operation == ATOMIC_XCHG) return !result_is_used(elf, site->vaddr);
    return site->operation == ATOMIC_OR;
}

static struct lock_site *scanned_sites(const struct elf_module *elf, bool cache, size_t *count) {
    struct cache_key key = {0};
    char *path = NULL, name[64];
    if (cache && elf->size >= CACHE_FROM) {
        key = cache_key(elf->image, elf->size);
        snprintf(name, sizeof name, "sites-%016llx%016llx", (unsigned long long)key.high,
                 (unsigned long long)key.low);
        path = cache_path(name);
    }
    size_t len;
    struct lock_site *sites = path ? cache_read(path, key, &len) : NULL;
    if (sites && len % sizeof *sites == 0) {
        *count = len / sizeof *sites;
    } else {
        free(sites);
        sites = elf_module_lock_sites(elf, count);
        if (path) cache_write(path, key, sites, *count * sizeof *sites);
    }
    free(path);
    return sites;
}

static void read_sites(const struct lock_functions *functions, bool cache, struct lock_module *out) {
    struct names names = {.functions = functions};
    size_t count;
    read_names(out->elf, &names);
    out->libc = names.libc;
    struct lock_site *sites = scanned_sites(out->elf, cache, &count);
    for (size_t i = 0; i < count; i++) {
        const struct named *f = name_of(&names, sites[i].vaddr);
        array_push(out->sites, out->count,
                   (struct lock_module_site){.vaddr = sites[i].vaddr,
                                             .kind = LOCK_SITE_ATOMIC,
                                             .length = sites[i].length,
                                             .blind = is_blind(out->elf, &sites[i]),
                                             .family = f ? f->family : LOCK_WORD});
    }
    for (size_t i = 0; i < names.count; i++)
        if (names.v[i].stores && (!i || names.v[i].start != names.v[i - 1].start))
            add_stores(out, &names.v[i]);
    // Last: a function that the user names is known better by him, also where it begins with an atomic instruction.
    for (size_t i = 0; i < names.call_count; i++)
        array_push(out->sites, out->count, names.calls[i]);
    free(sites);
    free(names.v);
    free(names.calls);
}

void lock_module_read(struct timeline *t, struct replay *r, const struct break_mapping *mapping,
                      const struct lock_functions *functions, bool cache, struct lock_module *out) {
    struct view view;
    struct rf_error ignored;
    size_t size = 0;
    bool viewed = replay_view(r, mapping->tid, &view, &ignored) == 0;
    const void *image = viewed ? view.blob(view.context, mapping->map.blob, &size) : NULL;
    timeline_foreign(t, true);
    *out = (struct lock_module){.elf = image ? elf_module_parse(image, size) : NULL};
    if (out->elf) read_sites(functions, cache, out);
    timeline_foreign(t, false);
}

void lock_module_release(struct lock_module *m) {
    if (m->elf) elf_module_free(m->elf);
    free(m->sites);
    *m = (struct lock_module){0};
}

// ---- the user's table

static int bad_line(const char *path, size_t number, const char *what, struct rf_error *err) {
    return rf_fail(err, RF_CANNOT,
                   "%s:%zu: %s (lines are like 'acquire my_lock(arg1)', 'release my_unlock(arg1)', "
                   "'try my_trylock(arg1) != 0')",
                   path, number, what);
}

static int parse_line(char *line, const char *path, size_t number, struct lock_functions *out,
                      struct rf_error *err) {
    static const char *const verbs[] = {
        [LOCK_CALL_ACQUIRE] = "acquire", [LOCK_CALL_TRY] = "try", [LOCK_CALL_RELEASE] = "release"};
    line[strcspn(line, "#")] = 0;
    char verb[16], compare[4] = "", rest[4] = "";
    long value = 0;
    struct lock_function f = {.argument = 0};
    int end = 0;
    if (sscanf(line, " %15s", verb) != 1) return 0; // empty
    int words = sscanf(line, " %15s %255[^( \t] (arg%d ) %n", verb, f.name, &f.argument, &end);
    if (words != 3 || !end || f.argument < 1 || f.argument > 6)
        return bad_line(path, number, "not understood", err);
    int kind = -1;
    for (int i = 0; i < 3; i++)
        if (!strcmp(verbs[i], verb)) kind = i;
    if (kind < 0) return bad_line(path, number, "does not begin with acquire, try or release", err);
    f.kind = (enum lock_call_kind)kind;
    words = sscanf(line + end, " %3s %ld %3s", compare, &value, rest);
    if (words > 0) {
        bool equal = !strcmp(compare, "=="), unequal = !strcmp(compare, "!=");
        if (words != 2 || value || !(equal || unequal) || f.kind != LOCK_CALL_TRY)
            return bad_line(path, number,
                            "only 'try' has '== 0' or '!= 0' behind it, what says that it succeeded", err);
        f.fails_zero = unequal;
    }
    if (out->count == UINT16_MAX) return bad_line(path, number, "too many functions", err);
    array_push(out->v, out->count, f);
    return 0;
}

int lock_functions_parse(const char *text, const char *path, struct lock_functions *out,
                         struct rf_error *err) {
    size_t number = 0;
    *out = (struct lock_functions){0};
    for (const char *p = text; *p;) {
        size_t len = strcspn(p, "\n");
        char *line = strndup(p, len);
        rf_assert(line);
        int failed = parse_line(line, path, ++number, out, err);
        free(line);
        if (failed) return -1;
        p += len + (p[len] == '\n');
    }
    return 0;
}
