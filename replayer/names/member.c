#include "replayer/names/member.h"

#include "core/abi.h"
#include "replayer/names/symbols_module.h"
#include "replayer/names/symbols_variables.h"

#include <dwarf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FRAMES_MAX = 64,
    OBJECTS_MAX = 2048, // that are looked into
    HOPS = 3,           // pointers from a variable to the object
    NESTING = 12,       // members in members
    ELEMENTS = 64,      // of an array on the heap
    DIES_MAX = 400000,  // of global variables
};

struct object {
    Dwarf_Die type;
    uint64_t base;
    int hops;
};

struct search {
    const struct view *view;
    uint64_t address;
    struct object *objects;
    size_t count;
    // of the frame or module that is looked at:
    uint64_t registers[ABI_DWARF_REGISTERS];
    bool known[ABI_DWARF_REGISTERS];
    uint64_t cfa;
    uint64_t bias; // run-time address - address in the debug information
    char *out;
    size_t size;
    char pointer[128];  // "*table_lock": a global variable that points to the very address
    char variable[128]; // of a function on the stack, which has the address
    unsigned budget;
};

// ---- types

static bool type_of(Dwarf_Die *die, Dwarf_Die *type) {
    Dwarf_Attribute attribute;
    Dwarf_Die plain;
    return dwarf_attr_integrate(die, DW_AT_type, &attribute) && dwarf_formref_die(&attribute, &plain) &&
           dwarf_peel_type(&plain, type) == 0;
}

static bool is_class(Dwarf_Die *type) {
    int tag = dwarf_tag(type);
    return tag == DW_TAG_structure_type || tag == DW_TAG_class_type || tag == DW_TAG_union_type;
}

static bool points(Dwarf_Die *type) {
    int tag = dwarf_tag(type);
    return tag == DW_TAG_pointer_type || tag == DW_TAG_reference_type || tag == DW_TAG_rvalue_reference_type;
}

// C's `typedef struct {...} Config;`: the struct itself has no name.
static const char *typedef_name(Dwarf_Die *type) {
    Dwarf_Die unit, die, of;
    Dwarf_Attribute attribute;
    if (!dwarf_diecu(type, &unit, NULL, NULL) || dwarf_child(&unit, &die)) return NULL;
    do {
        if (dwarf_tag(&die) == DW_TAG_typedef && dwarf_attr(&die, DW_AT_type, &attribute) &&
            dwarf_formref_die(&attribute, &of) && dwarf_dieoffset(&of) == dwarf_dieoffset(type))
            return dwarf_diename(&die);
    } while (!dwarf_siblingof(&die, &die));
    return NULL;
}

// "net::Config"; false: it has no name. *standard: it is the library's own.
static bool class_name(Dwarf_Die *type, char *out, size_t size, bool *standard) {
    const char *name = dwarf_diename(type);
    *standard = false;
    if (!name) name = typedef_name(type);
    if (!name) return false;
    Dwarf_Die *scopes = NULL;
    int count = dwarf_getscopes_die(type, &scopes);
    size_t used = 0;
    *out = 0;
    for (int i = count - 1; i > 0; i--) {
        int tag = dwarf_tag(&scopes[i]);
        const char *outer = dwarf_diename(&scopes[i]);
        if (!outer || (tag != DW_TAG_namespace && tag != DW_TAG_structure_type && tag != DW_TAG_class_type))
            continue;
        *standard |= !strcmp(outer, "std") || !strcmp(outer, "__gnu_cxx") || !strcmp(outer, "core") ||
                     !strcmp(outer, "alloc");
        if (used < size) used += (size_t)snprintf(out + used, size - used, "%s::", outer);
    }
    free(scopes);
    if (used < size) snprintf(out + used, size - used, "%s", name);
    *standard |= name[0] == '_' || !strncmp(name, "pthread_", 8);
    return true;
}

// What a buffer of the library's is meant for: std::optional's and a tree's node have one.
static bool stored_type(Dwarf_Die *buffer, Dwarf_Die *type) {
    static const char *const buffers[] = {"__aligned_membuf<", "__aligned_buffer<"};
    const char *name = dwarf_diename(buffer);
    Dwarf_Die die;
    bool is = false;
    for (size_t i = 0; name && i < sizeof buffers / sizeof *buffers; i++)
        is |= !strncmp(name, buffers[i], strlen(buffers[i]));
    if (!is || dwarf_child(buffer, &die)) return false;
    do {
        if (dwarf_tag(&die) == DW_TAG_template_type_parameter) return type_of(&die, type);
    } while (!dwarf_siblingof(&die, &die));
    return false;
}

static uint64_t member_offset(Dwarf_Die *member) {
    Dwarf_Attribute attribute;
    Dwarf_Word offset = 0;
    if (dwarf_attr_integrate(member, DW_AT_data_member_location, &attribute))
        dwarf_formudata(&attribute, &offset);
    return offset;
}

static uint64_t size_of(Dwarf_Die *type) {
    Dwarf_Word size = 0;
    return dwarf_aggregate_size(type, &size) == 0 ? size : 0;
}

static bool member_at(Dwarf_Die *type, uint64_t offset, Dwarf_Die *member, Dwarf_Die *of, uint64_t *begin) {
    Dwarf_Die die;
    bool is_union = dwarf_tag(type) == DW_TAG_union_type;
    if (dwarf_child(type, &die)) return false;
    do {
        int tag = dwarf_tag(&die);
        if (tag != DW_TAG_member && tag != DW_TAG_inheritance) continue;
        if (!type_of(&die, of)) continue;
        *begin = member_offset(&die);
        uint64_t size = size_of(of);
        if (offset < *begin || offset - *begin >= size) continue;
        if (is_union && !is_class(of)) continue;
        Dwarf_Die stored;
        if (stored_type(of, &stored)) *of = stored;
        *member = die;
        return true;
    } while (!dwarf_siblingof(&die, &die));
    return false;
}

// What libc has in a pthread_mutex_t.
static bool is_internal(const char *member) {
    return member && !strncmp(member, "__", 2);
}

// The innermost type of the program's own that has the address, and its member.
static bool name_within(struct search *s, Dwarf_Die type, uint64_t offset) {
    char name[200], path[256] = "";
    bool standard = false, any = false;
    for (int depth = 0; depth < NESTING && is_class(&type); depth++) {
        Dwarf_Die member, of;
        uint64_t begin;
        bool named = class_name(&type, name, sizeof name, &standard);
        if (any && (standard || !member_at(&type, offset, &member, &of, &begin))) return true;
        if (!any && !member_at(&type, offset, &member, &of, &begin)) return false;
        if (!any && standard && dwarf_tag(&member) != DW_TAG_inheritance) {
            // Not a type that says anything: only what is further inside might.
            type = of;
            offset -= begin;
            continue;
        }
        offset -= begin;
        type = of;
        if (dwarf_tag(&member) == DW_TAG_inheritance) continue;
        const char *part = dwarf_diename(&member);
        if (is_internal(part)) return any;
        if (part && named && !standard)
            snprintf(path, sizeof path, "%s::%s", name, part);
        else if (part && any)
            snprintf(path + strlen(path), sizeof path - strlen(path), ".%s", part);
        else
            continue;
        any = true;
        if (dwarf_tag(&type) == DW_TAG_array_type) {
            Dwarf_Die element;
            uint64_t one = type_of(&type, &element) ? size_of(&element) : 0;
            if (one) {
                snprintf(path + strlen(path), sizeof path - strlen(path), "[%lu]", (long)(offset / one));
                offset %= one;
                type = element;
            }
        }
        snprintf(s->out, s->size, "%s", path);
    }
    return any;
}

// ---- objects

static void add_object(struct search *s, Dwarf_Die type, uint64_t base, int hops) {
    if (!base || !is_class(&type) || s->count == OBJECTS_MAX) return;
    for (size_t i = 0; i < s->count; i++)
        if (s->objects[i].base == base && s->objects[i].type.addr == type.addr) return;
    s->objects[s->count++] = (struct object){type, base, hops};
}

static bool read_word(const struct search *s, uint64_t address, uint64_t *value) {
    return s->view->read(s->view->context, address, value, sizeof *value);
}

// Where the block of glibc's malloc that begins at `at`, or 8 bytes before it (the count of a C++ array), ends; 0: there is none. struct
// malloc_chunk in malloc/malloc.c: the size in front of the block has three flags, the next one's first says that this one is in use.
static uint64_t block_end(const struct search *s, uint64_t at) {
    enum { FLAGS = 7, IN_USE = 1, MAPPED = 2, HEAD = 8, SMALLEST = 32, ALIGNMENT = 16, COOKIE = 8 };
    uint64_t head, next, begin = at % ALIGNMENT ? at - COOKIE : at;
    const struct view_map *map = view_find(s->view, at);
    if (begin % ALIGNMENT || !map || !read_word(s, begin - HEAD, &head)) return 0;
    uint64_t size = head & ~(uint64_t)FLAGS;
    if (size < SMALLEST || size % ALIGNMENT || size > map->end - begin + 2 * HEAD) return 0;
    if (head & MAPPED) return begin - 2 * HEAD + size;
    if (!read_word(s, begin - 2 * HEAD + size + HEAD, &next) || !(next & IN_USE)) return 0;
    return begin + size - HEAD;
}

// An object, or the elements of an array on the heap: of them the one with the address, and the first ones.
static void add_elements(struct search *s, Dwarf_Die type, uint64_t base, int hops) {
    uint64_t size = size_of(&type), end = base ? block_end(s, base) : 0;
    add_object(s, type, base, hops);
    if (!size || end < base + 2 * size) return;
    if (s->address > base && s->address < end - (end - base) % size)
        add_object(s, type, s->address - (s->address - base) % size, hops);
    for (uint64_t i = 1; i < ELEMENTS && base + (i + 1) * size <= end; i++)
        add_object(s, type, base + i * size, hops);
}

static void follow(struct search *s, Dwarf_Die pointer, uint64_t value, int hops) {
    Dwarf_Die target, element;
    if (!value || !type_of(&pointer, &target)) return;
    if (is_class(&target)) add_elements(s, target, value, hops);
    if (!points(&target) || hops >= HOPS || !type_of(&target, &element) || !is_class(&element)) return;
    uint64_t end = block_end(s, value), at;
    if (!end) end = value + sizeof at;
    for (uint64_t i = value; i + sizeof at <= end && i < value + ELEMENTS * sizeof at; i += sizeof at)
        if (read_word(s, i, &at)) add_elements(s, element, at, hops + 1);
}

static void follow_members(struct search *s, Dwarf_Die type, uint64_t base, int hops, int depth) {
    Dwarf_Die die, of;
    uint64_t value;
    if (depth == NESTING || dwarf_child(&type, &die)) return;
    do {
        int tag = dwarf_tag(&die);
        if ((tag != DW_TAG_member && tag != DW_TAG_inheritance) || !type_of(&die, &of)) continue;
        uint64_t at = base + member_offset(&die);
        Dwarf_Die stored;
        if (stored_type(&of, &stored)) of = stored;
        if (points(&of) && read_word(s, at, &value))
            follow(s, of, value, hops);
        else if (is_class(&of))
            follow_members(s, of, at, hops, depth + 1);
    } while (!dwarf_siblingof(&die, &die));
}

static bool look(struct search *s) {
    for (size_t i = 0; i < s->count; i++) {
        struct object o = s->objects[i];
        uint64_t size = size_of(&o.type);
        if (s->address - o.base < size && name_within(s, o.type, s->address - o.base)) return true;
        if (o.hops < HOPS) follow_members(s, o.type, o.base, o.hops + 1, 0);
    }
    return false;
}

// ---- variables

enum place { PLACE_NONE, PLACE_MEMORY, PLACE_VALUE };

// What a simple location expression says; others (values that are kept nowhere any more) are not known.
static enum place evaluate(const struct search *s, Dwarf_Die *function, const Dwarf_Op *ops, size_t count,
                           uint64_t *out) {
    if (!count) return PLACE_NONE;
    uint8_t atom = ops[0].atom;
    bool value = count == 2 && ops[1].atom == DW_OP_stack_value;
    if (count > 2 || (count == 2 && !value)) return PLACE_NONE;
    if (atom == DW_OP_addr) {
        *out = ops[0].number + s->bias;
        return value ? PLACE_VALUE : PLACE_MEMORY;
    }
    if (atom == DW_OP_fbreg && function) {
        Dwarf_Attribute attribute;
        Dwarf_Op *base;
        size_t length;
        if (!dwarf_attr_integrate(function, DW_AT_frame_base, &attribute) ||
            dwarf_getlocation(&attribute, &base, &length) || length != 1)
            return PLACE_NONE;
        if (base[0].atom == DW_OP_call_frame_cfa)
            *out = s->cfa;
        else if (base[0].atom == DW_OP_reg6 && s->known[6])
            *out = s->registers[6];
        else
            return PLACE_NONE;
        if (!*out) return PLACE_NONE;
        *out += ops[0].number;
        return value ? PLACE_VALUE : PLACE_MEMORY;
    }
    if (atom >= DW_OP_reg0 && atom < DW_OP_reg0 + ABI_DWARF_REGISTERS && s->known[atom - DW_OP_reg0]) {
        *out = s->registers[atom - DW_OP_reg0];
        return PLACE_VALUE;
    }
    if (atom >= DW_OP_breg0 && atom < DW_OP_breg0 + ABI_DWARF_REGISTERS && s->known[atom - DW_OP_breg0]) {
        *out = s->registers[atom - DW_OP_breg0] + ops[0].number;
        return value ? PLACE_VALUE : PLACE_MEMORY;
    }
    return PLACE_NONE;
}

static void add_variable(struct search *s, Dwarf_Die *die, Dwarf_Die *function, uint64_t pc) {
    Dwarf_Attribute attribute;
    Dwarf_Die type;
    Dwarf_Op *ops;
    size_t count;
    uint64_t at;
    if (!dwarf_attr(die, DW_AT_location, &attribute) || !type_of(die, &type)) return;
    int found = pc ? dwarf_getlocation_addr(&attribute, pc, &ops, &count, 1)
                   : dwarf_getlocation(&attribute, &ops, &count) == 0;
    if (found != 1) return;
    enum place place = evaluate(s, function, ops, count, &at);
    const char *name = dwarf_diename(die);
    if (pc && place == PLACE_MEMORY && !*s->variable && name && s->address - at < size_of(&type))
        snprintf(s->variable, sizeof s->variable, "%s", name);
    if (!points(&type) && !is_class(&type)) return;
    if (place == PLACE_MEMORY && is_class(&type)) add_object(s, type, at, 0);
    if (place == PLACE_MEMORY && points(&type) && !read_word(s, at, &at)) return;
    if (place == PLACE_NONE || !points(&type)) return;
    if (!pc && at == s->address && name) snprintf(s->pointer, sizeof s->pointer, "*%s", name);
    follow(s, type, at, 0);
}

static void add_variables(struct search *s, Dwarf_Die *scope, Dwarf_Die *function, uint64_t pc) {
    Dwarf_Die die;
    if (dwarf_child(scope, &die)) return;
    do {
        int tag = dwarf_tag(&die);
        if (tag == DW_TAG_variable || tag == DW_TAG_formal_parameter) add_variable(s, &die, function, pc);
    } while (!dwarf_siblingof(&die, &die));
}

static void look_at_frame(struct search *s, struct symbol_module *m, uint64_t vaddr) {
    Dwarf_Die unit, *scopes = NULL, *physical = NULL;
    uint64_t pc = vaddr - m->dwarf_bias;
    if (!symbol_module_unit(m, vaddr, &unit)) return;
    int count = dwarf_getscopes(&unit, pc, &scopes);
    int depth = count > 0 ? dwarf_getscopes_die(&scopes[0], &physical) : 0;
    Dwarf_Die *function = NULL;
    for (int i = 0; i < depth && !function; i++)
        if (dwarf_tag(&physical[i]) == DW_TAG_subprogram) function = &physical[i];
    for (int i = 0; i < depth && function; i++) {
        add_variables(s, &physical[i], function, pc);
        if (&physical[i] == function) break;
    }
    free(physical);
    free(scopes);
}

static void look_at_globals(struct search *s, Dwarf_Die *parent, int depth) {
    Dwarf_Die die;
    if (depth > 4 || dwarf_child(parent, &die)) return;
    do {
        if (!s->budget) return;
        s->budget--;
        switch (dwarf_tag(&die)) {
        case DW_TAG_variable:
            add_variable(s, &die, NULL, 0);
            break;
        case DW_TAG_namespace:
        case DW_TAG_subprogram:
        case DW_TAG_lexical_block:
            look_at_globals(s, &die, depth + 1);
            break;
        }
    } while (!dwarf_siblingof(&die, &die));
}

// ---- the stack

static void take_registers(struct search *s, const struct user_regs_struct *u, const struct raw_frame *f,
                           uint64_t sp) {
    memset(s->known, 0, sizeof s->known);
    s->cfa = f->cfa;
    if (u) {
        abi_dwarf_registers(u, s->registers);
        memset(s->known, 1, sizeof s->known);
        return;
    }
    s->registers[7] = sp;
    s->known[7] = sp != 0;
    if (!f->saved_known) return;
    static const int numbers[RAW_FRAME_SAVED] = {3, 6, 12, 13, 14, 15};
    for (int i = 0; i < RAW_FRAME_SAVED; i++) {
        s->registers[numbers[i]] = f->saved[i];
        s->known[numbers[i]] = true;
    }
}

static bool is_libc(const struct view *v, uint64_t pc) {
    const struct view_map *map = view_find(v, pc);
    return map && map->name && (strstr(map->name, "/libc.so") || strstr(map->name, "/ld-linux"));
}

bool member_name(struct symbols *symbols, const struct view *v, const struct user_regs_struct *regs,
                 uint64_t address, char *out, size_t size) {
    struct raw_frame *raw = calloc(FRAMES_MAX, sizeof *raw);
    struct search s = {.view = v,
                       .address = address,
                       .objects = calloc(OBJECTS_MAX, sizeof *s.objects),
                       .out = out,
                       .size = size,
                       .budget = DIES_MAX};
    bool found = false;
    size_t n = raw && s.objects ? unwind_stack(v, regs, raw, FRAMES_MAX) : 0;
    for (size_t i = 0; i < n && !found; i++) {
        uint64_t bias, pc = raw[i].exact ? raw[i].pc : raw[i].pc - 1;
        struct symbol_module *m = symbols_module_at(symbols, v, pc, &bias);
        if (!m || !m->dwarf || is_libc(v, pc)) continue; // libc's locals are not the program's
        take_registers(&s, i ? NULL : regs, &raw[i], i ? raw[i - 1].cfa : 0);
        s.bias = bias + m->dwarf_bias;
        look_at_frame(&s, m, pc - bias);
        found = look(&s);
    }
    const struct symbol_module *last = NULL;
    for (size_t i = 0; i < n && !found; i++) {
        uint64_t bias;
        struct symbol_module *m = symbols_module_at(symbols, v, raw[i].pc, &bias);
        if (!m || m == last || !m->dwarf || is_libc(v, raw[i].pc)) continue;
        last = m;
        s.bias = bias + m->dwarf_bias;
        Dwarf_Off offset = 0, next;
        size_t header;
        Dwarf_Die unit;
        for (; s.budget && !dwarf_nextcu(m->dwarf, offset, &next, &header, NULL, NULL, NULL); offset = next)
            if (dwarf_offdie(m->dwarf, offset + header, &unit)) look_at_globals(&s, &unit, 0);
        found = look(&s);
    }
    const char *by_itself = s.variable[0] ? s.variable : s.pointer;
    if (!found && *by_itself) {
        snprintf(out, size, "%s", by_itself);
        found = true;
    }
    free(s.objects);
    free(raw);
    return found;
}

bool member_of_variable(struct symbols *symbols, const struct view *v, const char *name, uint64_t address,
                        uint64_t offset, char *out, size_t size) {
    uint64_t bias;
    char path[256], within[256];
    struct symbol_module *m = symbols_module_at(symbols, v, address, &bias);
    const struct variable *variable = m ? symbol_module_variable(m, address - offset - bias) : NULL;
    Dwarf_Die die, type, member, of;
    if (!variable || !dwarf_offdie(m->dwarf, variable->die, &die) || !type_of(&die, &type)) return false;
    int used = snprintf(path, sizeof path, "%s", name);
    struct search s = {.view = v, .address = address, .out = within, .size = sizeof within};
    // `lock`: it ends at a lock's own type. What such a type begins with is the variable itself.
    bool typed = name_within(&s, type, offset), any = false, lock = false, first = !offset;
    for (int depth = 0; depth < NESTING && used < (int)sizeof path; depth++) {
        uint64_t begin;
        if (dwarf_tag(&type) == DW_TAG_array_type) {
            uint64_t one = type_of(&type, &of) ? size_of(&of) : 0;
            if (!one) break;
            used += snprintf(path + used, sizeof path - (size_t)used, "[%lu]", (long)(offset / one));
            begin = offset / one * one;
            any = true;
        } else {
            char own[200];
            bool standard = false;
            if (!is_class(&type)) break;
            class_name(&type, own, sizeof own, &standard);
            lock = any && standard;
            if (lock || !member_at(&type, offset, &member, &of, &begin)) break;
            const char *part = dwarf_diename(&member);
            lock = is_internal(part);
            if (lock) break;
            if (part && !standard && dwarf_tag(&member) != DW_TAG_inheritance) {
                used += snprintf(path + used, sizeof path - (size_t)used, ".%s", part);
                any = true;
            }
        }
        offset -= begin;
        type = of;
    }
    any &= lock || !first;
    if (any) snprintf(out, size, typed ? "%s (%s)" : "%s", path, within);
    return any;
}
