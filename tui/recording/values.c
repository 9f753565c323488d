#include "tui/recording/values.h"

#include "core/array.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ROWS = 600, MOST_LOCALS = 400, MOST_NAMES = 65536, MEMORY = 64, MOST_MEMORY = 512 };

struct rows {
    struct symbols *symbols;
    struct view view;
    struct tui_variables *out;
    struct local locals[MOST_LOCALS];
};

static struct tui_variable *add_row(struct rows *r, enum tui_variable_sort sort, int examined) {
    if (r->out->count == MOST_ROWS) return NULL;
    struct tui_variable *row = &r->out->rows[r->out->count++];
    row->sort = (uint8_t)sort;
    row->examined = (int8_t)examined;
    return row;
}

static void add_heading(struct rows *r, int examined, const char *name, const char *value) {
    struct tui_variable *row = add_row(r, TUI_ROW_HEADING, examined);
    if (!row) return;
    snprintf(row->what.name, sizeof row->what.name, "%s", name);
    snprintf(row->what.value, sizeof row->what.value, "%s", value);
}

static void add_locals(struct rows *r, int examined, int count) {
    for (int i = 0; i < count; i++) {
        struct tui_variable *row = add_row(r, TUI_ROW_VARIABLE, examined);
        if (row) row->what = r->locals[i];
    }
}

static void add_memory(struct rows *r, int examined, uint64_t address, uint64_t size) {
    struct data_symbol symbol;
    char name[64], where[128] = "";
    snprintf(name, sizeof name, "memory at 0x%llx", (unsigned long long)address);
    if (symbols_data(r->symbols, &r->view, address, &symbol))
        snprintf(where, sizeof where, symbol.offset ? "%.80s+%llu" : "%.80s", symbol.name,
                 (unsigned long long)symbol.offset);
    add_heading(r, examined, name, where);
    for (uint64_t at = 0; at < size; at += TUI_MEMORY_ROW) {
        struct tui_variable *row = add_row(r, TUI_ROW_MEMORY, examined);
        if (!row) return;
        uint64_t most = size - at < TUI_MEMORY_ROW ? size - at : TUI_MEMORY_ROW;
        row->what.address = address + at;
        while (row->length < most &&
               r->view.read(r->view.context, address + at + row->length, &row->bytes[row->length], 1))
            row->length++;
        row->what.size = row->length;
        if (row->length < most) return;
    }
}

// "0xADDRESS" or "0xADDRESS,BYTES".
static bool parse_memory(const char *text, uint64_t *address, uint64_t *size) {
    char *end;
    if (*text < '0' || *text > '9') return false;
    *address = strtoull(text, &end, 0);
    *size = MEMORY;
    if (*end == ',' && isdigit((unsigned char)end[1])) *size = strtoull(end + 1, &end, 0);
    if (*size > MOST_MEMORY) *size = MOST_MEMORY;
    return !*end && *size && *address + *size > *address;
}

static void add_examined(struct rows *r, int index, const char *text) {
    uint64_t address, size;
    if (parse_memory(text, &address, &size)) {
        add_memory(r, index, address, size);
        return;
    }
    int count = globals_named(r->symbols, &r->view, text, r->locals, MOST_LOCALS);
    if (count)
        add_locals(r, index, count);
    else
        add_heading(r, index, text, "no such variable here (x lists those that there are)");
}

static const char no_debug[] =
    "no debug information of this function: compile it with -g, or choose another frame in pane 5";

int values_variables(struct timeline *t, const struct tui_variables_wish *wish, struct tui_variables **out,
                     struct rf_error *err) {
    struct replay *replay = timeline_replay(t);
    struct user_regs_struct regs;
    struct view view;
    if (timeline_seek(t, wish->at.event, err) || replay_task_regs(replay, wish->at.tid, &regs, err) ||
        replay_view(replay, wish->at.tid, &view, err))
        return -1;
    struct rows *r = calloc(1, sizeof *r);
    rf_assert(r);
    r->symbols = timeline_symbols(t);
    r->view = view;
    r->out = calloc(1, sizeof *r->out + MOST_ROWS * sizeof *r->out->rows);
    rf_assert(r->out);
    bool framed = wish->at.frame != SIZE_MAX;
    int count = framed ? locals_at(r->symbols, &view, &regs, wish->at.frame, r->locals, MOST_LOCALS) : 0;
    int failed = count < 0 && !wish->count ? rf_fail(err, RF_CANNOT, no_debug) : 0;
    if (count < 0 && wish->count) add_heading(r, -1, "no debug information of this function", "");
    add_locals(r, -1, count);
    for (size_t i = 0; i < wish->count; i++)
        add_examined(r, (int)i, wish->examined[i].text);
    if (failed)
        free(r->out);
    else
        *out = r->out;
    free(r);
    return failed;
}

// ---- names

struct name_list {
    struct listed {
        struct tui_examined name;
        bool other; // not of the program itself
    } * items;
    size_t count;
};

static void add_name(void *context, const char *name, bool own) {
    struct name_list *l = context;
    if (l->count == MOST_NAMES || strlen(name) >= sizeof l->items->name.text) return;
    struct listed *item = array_add(l->items, l->count);
    snprintf(item->name.text, sizeof item->name.text, "%s", name);
    item->other = !own;
}

static int by_name(const void *a, const void *b) {
    const struct listed *x = a, *y = b;
    return x->other != y->other ? x->other - y->other : strcmp(x->name.text, y->name.text);
}

int values_names(struct timeline *t, const struct tui_place *at, struct tui_names **out,
                 struct rf_error *err) {
    struct view view;
    struct name_list l = {0};
    if (timeline_seek(t, at->event, err) || replay_view(timeline_replay(t), at->tid, &view, err)) return -1;
    globals_visit(timeline_symbols(t), &view, add_name, &l);
    if (l.count) qsort(l.items, l.count, sizeof *l.items, by_name);
    struct tui_names *names = calloc(1, sizeof *names + l.count * sizeof *names->items);
    rf_assert(names);
    for (size_t i = 0; i < l.count; i++)
        if (!i || by_name(&l.items[i], &l.items[i - 1])) names->items[names->count++] = l.items[i].name;
    free(l.items);
    *out = names;
    return 0;
}
