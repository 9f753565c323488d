#include "replayer/names/locals.h"

#include "core/abi.h"
#include "core/printable.h"
#include "core/path.h"
#include "replayer/names/symbols_module.h"
#include "replayer/names/symbols_variables.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FRAMES = 256, INLINED = 32, MOST_DEPTH = 4, MOST_ELEMENTS = 16, MOST_TEXT = 60, STACK = 16 };

struct place {
    enum { NOWHERE, IN_MEMORY, A_VALUE } kind;
    uint64_t at; // address, or the value
};

struct search {
    struct symbols *symbols;
    const struct view *view;
    uint64_t registers[ABI_DWARF_REGISTERS];
    bool known[ABI_DWARF_REGISTERS];
    uint64_t cfa, bias, pc; // bias: run-time address - address in the debug information; pc: in the latter
    Dwarf_Die *function;
    struct local *out;
    size_t count, max;
};

// ---- places

static bool read_at(const struct search *s, uint64_t address, void *out, size_t len) {
    return s->view->read(s->view->context, address, out, len);
}

static struct place evaluate(const struct search *s, const Dwarf_Op *ops, size_t count, bool base);

static bool frame_base(const struct search *s, uint64_t *out) {
    Dwarf_Attribute attribute;
    Dwarf_Op *ops;
    size_t count;
    if (!s->function || !dwarf_attr_integrate(s->function, DW_AT_frame_base, &attribute) ||
        dwarf_getlocation_addr(&attribute, s->pc, &ops, &count, 1) != 1)
        return false;
    struct place p = evaluate(s, ops, count, true);
    *out = p.at;
    return p.kind != NOWHERE;
}

static bool get_register(const struct search *s, unsigned number, uint64_t *out) {
    if (number >= ABI_DWARF_REGISTERS || !s->known[number]) return false;
    *out = s->registers[number];
    return true;
}

// One operation that pushes a value; false: it is not one of those that are known.
static bool push_value(const struct search *s, const Dwarf_Op *op, bool base, uint64_t *out) {
    unsigned atom = op->atom;
    if (atom >= DW_OP_lit0 && atom <= DW_OP_lit31) {
        *out = atom - DW_OP_lit0;
        return true;
    }
    if (atom >= DW_OP_breg0 && atom <= DW_OP_breg31) {
        if (!get_register(s, atom - DW_OP_breg0, out)) return false;
        *out += op->number;
        return true;
    }
    switch (atom) {
    case DW_OP_addr:
        *out = op->number + s->bias;
        return true;
    case DW_OP_const1u:
    case DW_OP_const1s:
    case DW_OP_const2u:
    case DW_OP_const2s:
    case DW_OP_const4u:
    case DW_OP_const4s:
    case DW_OP_const8u:
    case DW_OP_const8s:
    case DW_OP_constu:
    case DW_OP_consts:
        *out = op->number;
        return true;
    case DW_OP_call_frame_cfa:
        *out = s->cfa;
        return s->cfa != 0;
    case DW_OP_fbreg:
        if (base || !frame_base(s, out)) return false;
        *out += op->number;
        return true;
    default:
        return false;
    }
}

// One that works on what was pushed.
static bool combine(const struct search *s, const Dwarf_Op *op, uint64_t *stack, size_t *depth) {
    if (!*depth) return false;
    uint64_t *top = &stack[*depth - 1];
    if (op->atom == DW_OP_plus_uconst) {
        *top += op->number;
        return true;
    }
    if (op->atom == DW_OP_deref) return read_at(s, *top, top, 8);
    if (op->atom == DW_OP_neg) {
        *top = -*top;
        return true;
    }
    if (*depth < 2) return false;
    uint64_t by = *top, *with = top - 1;
    switch (op->atom) {
    case DW_OP_plus:
        *with += by;
        break;
    case DW_OP_minus:
        *with -= by;
        break;
    case DW_OP_mul:
        *with *= by;
        break;
    case DW_OP_and:
        *with &= by;
        break;
    case DW_OP_or:
        *with |= by;
        break;
    case DW_OP_shl:
        *with = by < 64 ? *with << by : 0;
        break;
    case DW_OP_shr:
        *with = by < 64 ? *with >> by : 0;
        break;
    default:
        return false;
    }
    --*depth;
    return true;
}

// What is not understood, and what only the caller's registers at the call would tell, is nowhere. `base`: of a frame base.
static struct place evaluate(const struct search *s, const Dwarf_Op *ops, size_t count, bool base) {
    uint64_t stack[STACK];
    size_t depth = 0;
    const struct place nowhere = {NOWHERE, 0};
    if (count == 1 && ops[0].atom >= DW_OP_reg0 && ops[0].atom <= DW_OP_reg31) {
        struct place p = {A_VALUE, 0};
        return get_register(s, ops[0].atom - DW_OP_reg0, &p.at) ? p : nowhere;
    }
    for (size_t i = 0; i < count; i++) {
        if (ops[i].atom == DW_OP_stack_value && depth && i + 1 == count)
            return (struct place){A_VALUE, stack[depth - 1]};
        uint64_t value;
        if (push_value(s, &ops[i], base, &value)) {
            if (depth == STACK) return nowhere;
            stack[depth++] = value;
        } else if (!combine(s, &ops[i], stack, &depth)) {
            return nowhere;
        }
    }
    return depth ? (struct place){IN_MEMORY, stack[depth - 1]} : nowhere;
}

static struct place place_of(const struct search *s, Dwarf_Die *die) {
    Dwarf_Attribute attribute;
    Dwarf_Op *ops;
    size_t count;
    Dwarf_Sword number;
    if (dwarf_attr_integrate(die, DW_AT_const_value, &attribute) && !dwarf_formsdata(&attribute, &number))
        return (struct place){A_VALUE, (uint64_t)number};
    if (!dwarf_attr_integrate(die, DW_AT_location, &attribute) ||
        dwarf_getlocation_addr(&attribute, s->pc, &ops, &count, 1) != 1)
        return (struct place){NOWHERE, 0};
    return evaluate(s, ops, count, false);
}

// ---- types

static bool type_of(Dwarf_Die *die, Dwarf_Die *named, Dwarf_Die *type) {
    Dwarf_Attribute attribute;
    return dwarf_attr_integrate(die, DW_AT_type, &attribute) && dwarf_formref_die(&attribute, named) &&
           dwarf_peel_type(named, type) == 0;
}

static void name_type(Dwarf_Die *type, int depth, char *out, size_t size) {
    static const struct {
        int tag;
        const char *before, *behind;
    } shapes[] = {{DW_TAG_pointer_type, "", " *"},
                  {DW_TAG_reference_type, "", " &"},
                  {DW_TAG_array_type, "", " []"},
                  {DW_TAG_const_type, "const ", ""},
                  {DW_TAG_volatile_type, "volatile ", ""}};
    char inner[48] = "void";
    int tag = dwarf_tag(type);
    const char *name = dwarf_diename(type);
    if (name) {
        bool record =
            tag == DW_TAG_structure_type || tag == DW_TAG_union_type || tag == DW_TAG_enumeration_type;
        snprintf(out, size, "%s%s",
                 !record                        ? ""
                 : tag == DW_TAG_union_type     ? "union "
                 : tag == DW_TAG_structure_type ? "struct "
                                                : "enum ",
                 name);
        return;
    }
    Dwarf_Attribute attribute;
    Dwarf_Die under;
    if (depth < MOST_DEPTH && dwarf_attr(type, DW_AT_type, &attribute) &&
        dwarf_formref_die(&attribute, &under))
        name_type(&under, depth + 1, inner, sizeof inner);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        if (tag != shapes[i].tag) continue;
        snprintf(out, size, "%s%s%s", shapes[i].before, inner, shapes[i].behind);
        return;
    }
    snprintf(out, size, "%s",
             tag == DW_TAG_union_type       ? "union"
             : tag == DW_TAG_structure_type ? "struct"
                                            : "");
}

// ---- values

static bool take(const struct search *s, struct place p, void *out, size_t len) {
    if (p.kind == IN_MEMORY) return read_at(s, p.at, out, len);
    if (p.kind == NOWHERE || len > 8) return false;
    memcpy(out, &p.at, len);
    return true;
}

// The text at an address, as far as it is one: up to its end or MOST_TEXT bytes.
static void say_text(const struct search *s, uint64_t address, size_t most, char *out, size_t size) {
    char text[MOST_TEXT + 1], quoted[4 * MOST_TEXT + 1], *to = quoted;
    size_t n = 0;
    bool end = false;
    if (most > MOST_TEXT) most = MOST_TEXT;
    while (n < most && read_at(s, address + n, &text[n], 1)) {
        end = !text[n];
        if (end) break;
        n++;
    }
    text[n] = 0;
    if (!n && !end) return;
    for (const char *from = text; *from; from++) { // as in C: what is no ASCII character as its number
        static const char names[] = "n\nt\tr\r\"\"\\\\";
        const char *name = strchr(names + 1, *from);
        bool special = name && (name - names) % 2;
        if (special)
            to += sprintf(to, "\\%c", name[-1]);
        else
            to += sprintf(to, *from < ' ' || *from > '~' ? "\\%03o" : "%c", (unsigned char)*from);
    }
    *to = 0;
    bool whole = (end || n < most) && to - quoted <= 110;
    snprintf(out, size, "\"%.110s\"%s", quoted, whole ? "" : "...");
}

static void say_number(const struct search *s, Dwarf_Die *type, struct place p, char *out, size_t size) {
    Dwarf_Attribute attribute;
    Dwarf_Word encoding = DW_ATE_signed;
    int bytes = dwarf_bytesize(type);
    uint64_t raw = 0;
    if (bytes < 1 || bytes > 8 || !take(s, p, &raw, (size_t)bytes)) {
        snprintf(out, size, "%s", bytes > 8 ? "..." : "<cannot be read>");
        return;
    }
    int shift = 64 - 8 * bytes;
    int64_t number = (int64_t)(raw << shift) >> shift;
    if (dwarf_attr_integrate(type, DW_AT_encoding, &attribute)) dwarf_formudata(&attribute, &encoding);
    if (encoding == DW_ATE_float) {
        float single;
        double value;
        memcpy(&single, &raw, sizeof single);
        memcpy(&value, &raw, sizeof value);
        snprintf(out, size, "%.9g", bytes == 4 ? (double)single : value);
    } else if (encoding == DW_ATE_boolean) {
        snprintf(out, size, "%s", raw ? "true" : "false");
    } else if (encoding == DW_ATE_signed_char || encoding == DW_ATE_unsigned_char) {
        bool shown = raw >= ' ' && raw < 127;
        snprintf(out, size, shown ? "%lld '%c'" : "%lld", (long long)number, (int)raw);
    } else if (encoding == DW_ATE_unsigned) {
        snprintf(out, size, "%llu", (unsigned long long)raw);
    } else {
        snprintf(out, size, "%lld", (long long)number);
    }
}

static void say_enumeration(const struct search *s, Dwarf_Die *type, struct place p, char *out, size_t size) {
    Dwarf_Die die;
    Dwarf_Attribute attribute;
    Dwarf_Sword value;
    uint32_t raw = 0;
    if (dwarf_bytesize(type) != 4 || !take(s, p, &raw, 4)) {
        say_number(s, type, p, out, size);
        return;
    }
    snprintf(out, size, "%d", (int)raw);
    if (dwarf_child(type, &die)) return;
    do {
        if (dwarf_tag(&die) == DW_TAG_enumerator && dwarf_attr(&die, DW_AT_const_value, &attribute) &&
            !dwarf_formsdata(&attribute, &value) && (uint32_t)value == raw && dwarf_diename(&die)) {
            snprintf(out, size, "%s", dwarf_diename(&die));
            return;
        }
    } while (!dwarf_siblingof(&die, &die));
}

static void say_pointer(const struct search *s, Dwarf_Die *type, struct place p, char *out, size_t size) {
    uint64_t to = 0;
    struct data_symbol symbol;
    Dwarf_Die named, under;
    char text[MOST_TEXT + 8] = "";
    if (!take(s, p, &to, 8)) {
        snprintf(out, size, "<cannot be read>");
        return;
    }
    if (to && type_of(type, &named, &under) && dwarf_tag(&under) == DW_TAG_base_type &&
        dwarf_bytesize(&under) == 1)
        say_text(s, to, MOST_TEXT, text, sizeof text);
    if (*text)
        snprintf(out, size, "0x%llx %s", (unsigned long long)to, text);
    else if (to && symbols_data(s->symbols, s->view, to, &symbol))
        snprintf(out, size, symbol.offset ? "0x%llx <%.60s+%llu>" : "0x%llx <%.60s>", (unsigned long long)to,
                 symbol.name, (unsigned long long)symbol.offset);
    else
        snprintf(out, size, "0x%llx", (unsigned long long)to);
}

static void add(struct search *s, const char *name, Dwarf_Die *die, struct place p, int depth);

static void add_members(struct search *s, Dwarf_Die *type, struct place p, int depth) {
    Dwarf_Die die;
    if (depth > MOST_DEPTH || p.kind != IN_MEMORY || dwarf_child(type, &die)) return;
    do {
        Dwarf_Attribute attribute;
        Dwarf_Word offset = 0;
        int tag = dwarf_tag(&die);
        if (tag != DW_TAG_member && tag != DW_TAG_inheritance) continue;
        if (dwarf_attr(&die, DW_AT_data_bit_offset, &attribute) ||
            dwarf_attr(&die, DW_AT_external, &attribute))
            continue; // bits are not told; a static member lies elsewhere
        if (dwarf_attr(&die, DW_AT_data_member_location, &attribute) && dwarf_formudata(&attribute, &offset))
            continue;
        const char *name = dwarf_diename(&die);
        add(s,
            name                        ? name
            : tag == DW_TAG_inheritance ? "(base)"
                                        : "(unnamed)",
            &die, (struct place){IN_MEMORY, p.at + offset}, depth);
    } while (!dwarf_siblingof(&die, &die));
}

// An array's elements, or its text. `die` has the array's type.
static void add_elements(struct search *s, Dwarf_Die *type, struct place p, int depth, struct local *row) {
    Dwarf_Die range, named, element;
    Dwarf_Word bound = 0;
    Dwarf_Attribute attribute;
    if (p.kind != IN_MEMORY || !type_of(type, &named, &element) || dwarf_child(type, &range)) return;
    if (dwarf_attr(&range, DW_AT_upper_bound, &attribute) && !dwarf_formudata(&attribute, &bound))
        bound++;
    else if (!dwarf_attr(&range, DW_AT_count, &attribute) || dwarf_formudata(&attribute, &bound))
        return;
    int size = dwarf_bytesize(&element);
    if (size == 1 && dwarf_tag(&element) == DW_TAG_base_type) {
        say_text(s, p.at, bound, row->value, sizeof row->value);
        return;
    }
    snprintf(row->value, sizeof row->value, "%llu elements", (unsigned long long)bound);
    for (Dwarf_Word i = 0; i < bound && i < MOST_ELEMENTS && size > 0 && depth <= MOST_DEPTH; i++) {
        char name[32];
        snprintf(name, sizeof name, "[%llu]", (unsigned long long)i);
        add(s, name, type, (struct place){IN_MEMORY, p.at + i * (uint64_t)size}, depth);
    }
}

// A row for what `die` declares, and rows below it for what that consists of.
static void add(struct search *s, const char *name, Dwarf_Die *die, struct place p, int depth) {
    Dwarf_Die named, type;
    if (s->count == s->max) return;
    struct local *row = &s->out[s->count++];
    *row = (struct local){.depth = depth};
    snprintf(row->name, sizeof row->name, "%s", name);
    printable(row->name);
    if (!type_of(die, &named, &type)) {
        snprintf(row->value, sizeof row->value, "<no type>");
        return;
    }
    name_type(&named, 0, row->type, sizeof row->type);
    printable(row->type);
    Dwarf_Word size = 0;
    if (p.kind == IN_MEMORY && dwarf_aggregate_size(&type, &size) == 0) {
        row->address = p.at;
        row->size = size;
    }
    if (p.kind == NOWHERE) {
        snprintf(row->value, sizeof row->value, "<optimized out>");
        return;
    }
    switch (dwarf_tag(&type)) {
    case DW_TAG_pointer_type:
    case DW_TAG_reference_type:
    case DW_TAG_rvalue_reference_type:
        say_pointer(s, &type, p, row->value, sizeof row->value);
        break;
    case DW_TAG_enumeration_type:
        say_enumeration(s, &type, p, row->value, sizeof row->value);
        break;
    case DW_TAG_structure_type:
    case DW_TAG_class_type:
    case DW_TAG_union_type:
        snprintf(row->value, sizeof row->value, "%s",
                 p.kind == IN_MEMORY && depth < MOST_DEPTH ? "" : "{...}");
        add_members(s, &type, p, depth + 1);
        break;
    case DW_TAG_array_type:
        snprintf(row->value, sizeof row->value, "[...]");
        add_elements(s, &type, p, depth + 1, row);
        break;
    default:
        say_number(s, &type, p, row->value, sizeof row->value);
    }
}

// ---- frames

static void add_scope(struct search *s, Dwarf_Die *scope, int tag) {
    Dwarf_Die die;
    if (dwarf_child(scope, &die)) return;
    do {
        if (dwarf_tag(&die) == tag && dwarf_diename(&die))
            add(s, dwarf_diename(&die), &die, place_of(s, &die), 0);
    } while (!dwarf_siblingof(&die, &die));
}

static bool is_function(Dwarf_Die *die) {
    return dwarf_tag(die) == DW_TAG_subprogram || dwarf_tag(die) == DW_TAG_inlined_subroutine;
}

// Those of the function that is `level` calls outside of the innermost one that was inlined there.
static bool add_function(struct search *s, struct symbol_module *m, uint64_t vaddr, size_t level) {
    Dwarf_Die unit, *scopes = NULL, *physical = NULL;
    if (!symbol_module_unit(m, vaddr, &unit)) return false;
    int count = dwarf_getscopes(&unit, s->pc, &scopes);
    int depth = count > 0 ? dwarf_getscopes_die(&scopes[0], &physical) : 0, from = 0, to = -1;
    for (int i = 0; i < depth && !s->function; i++)
        if (dwarf_tag(&physical[i]) == DW_TAG_subprogram) s->function = &physical[i];
    for (int i = 0; i < depth && to < 0; i++) {
        if (!is_function(&physical[i])) continue;
        if (!level--)
            to = i;
        else
            from = i + 1;
    }
    if (to >= 0) add_scope(s, &physical[to], DW_TAG_formal_parameter);
    for (int i = from; i <= to; i++)
        add_scope(s, &physical[i], DW_TAG_variable);
    free(physical);
    free(scopes);
    return to >= 0;
}

static void take_registers(struct search *s, const struct user_regs_struct *regs, const struct raw_frame *raw,
                           size_t i) {
    static const int numbers[RAW_FRAME_SAVED] = {3, 6, 12, 13, 14, 15};
    s->cfa = raw[i].cfa;
    if (!i) {
        abi_dwarf_registers(regs, s->registers);
        memset(s->known, 1, sizeof s->known);
        return;
    }
    s->registers[7] = raw[i - 1].cfa;
    s->known[7] = raw[i - 1].cfa != 0;
    for (int k = 0; k < RAW_FRAME_SAVED && raw[i].saved_known; k++) {
        s->registers[numbers[k]] = raw[i].saved[k];
        s->known[numbers[k]] = true;
    }
}

int locals_at(struct symbols *symbols, const struct view *v, const struct user_regs_struct *regs,
              size_t index, struct local *out, size_t max) {
    struct raw_frame raw[FRAMES];
    struct frame inlined[INLINED];
    size_t n = unwind_stack(v, regs, raw, FRAMES), i, before = 0, here = 0;
    for (i = 0; i < n; i++, before += here) {
        here = symbols_frames(symbols, v, &raw[i], 1, inlined, INLINED);
        if (index < before + here) break;
    }
    if (i == n) return -1;
    struct search s = {.symbols = symbols, .view = v, .out = out, .max = max};
    uint64_t pc = raw[i].exact ? raw[i].pc : raw[i].pc - 1, bias;
    struct symbol_module *m = symbols_module_at(symbols, v, pc, &bias);
    if (!m || !m->dwarf) return -1;
    s.pc = pc - bias - m->dwarf_bias;
    s.bias = bias + m->dwarf_bias;
    take_registers(&s, regs, raw, i);
    return add_function(&s, m, pc - bias, index - before) ? (int)s.count : -1;
}

// ---- static variables

// Is more than one called so? Then each says where it is.
static bool many_named(struct symbols *symbols, const struct view *v, const char *name) {
    size_t at = 0, count, found = 0;
    uint64_t bias;
    for (struct symbol_module *m; (m = symbols_next_module(symbols, v, NULL, &at, &bias));) {
        const struct variable *all = symbol_module_variables(m, &count);
        for (size_t i = 0; i < count; i++)
            found += all[i].name && !strcmp(all[i].name, name);
    }
    return found > 1;
}

// Without debug information: its place, and how large it is.
static void add_symbol(struct search *s, const struct symbol_module *m, uint64_t bias, const char *name) {
    for (size_t i = 0; i < m->symbol_count && s->count < s->max; i++) {
        const struct symbol *symbol = &m->symbols[i];
        size_t len = strcspn(symbol->name, "@");
        if (symbol->code || !symbol->size || len != strlen(name) || strncmp(symbol->name, name, len))
            continue;
        struct local *row = &s->out[s->count++];
        *row = (struct local){.address = symbol->value + bias, .size = symbol->size};
        snprintf(row->name, sizeof row->name, "%s", name);
        snprintf(row->value, sizeof row->value, "<%llu bytes, no debug information>",
                 (unsigned long long)symbol->size);
        return;
    }
}

int globals_named(struct symbols *symbols, const struct view *v, const char *name, struct local *out,
                  size_t max) {
    struct search s = {.symbols = symbols, .view = v, .out = out, .max = max};
    bool many = many_named(symbols, v, name);
    size_t at = 0, count;
    uint64_t bias;
    for (struct symbol_module *m; (m = symbols_next_module(symbols, v, NULL, &at, &bias));) {
        const struct variable *all = symbol_module_variables(m, &count);
        for (size_t i = 0; i < count; i++) {
            Dwarf_Die die;
            char label[64];
            if (!all[i].name || strcmp(all[i].name, name) || !dwarf_offdie(m->dwarf, all[i].die, &die))
                continue;
            const char *where = all[i].function ? all[i].function
                                : all[i].file   ? base_name(all[i].file)
                                                : "?";
            snprintf(label, sizeof label, many ? "%.40s (%.20s)" : "%s", name, where);
            s.bias = bias + m->dwarf_bias;
            add(&s, label, &die, (struct place){IN_MEMORY, all[i].address + bias}, 0);
        }
    }
    at = 0;
    for (struct symbol_module *m; !s.count && (m = symbols_next_module(symbols, v, NULL, &at, &bias));)
        add_symbol(&s, m, bias, name);
    return (int)s.count;
}

void globals_visit(struct symbols *symbols, const struct view *v, global_visit visit, void *context) {
    size_t at = 0, count;
    uint64_t bias;
    const struct symbol_module *first = NULL;
    for (struct symbol_module *m; (m = symbols_next_module(symbols, v, NULL, &at, &bias));) {
        const struct variable *all = symbol_module_variables(m, &count);
        if (!first) first = m;
        for (size_t i = 0; i < count; i++)
            if (all[i].name) visit(context, all[i].name, m == first);
    }
}
