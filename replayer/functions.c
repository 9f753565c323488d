#include "replayer/functions.h"

#include "replayer/names/frames.h"

enum { FRAMES_MAX = 128 };

struct mapped {
    struct replay *replay;
    const struct break_mapping *mapping;
    functions_each each;
    void *context;
    uint64_t bias;
};

static void visit(void *context, uint64_t vaddr, const char *name) {
    const struct mapped *m = context;
    uint64_t address = vaddr + m->bias;
    if (address < m->mapping->map.start || address >= m->mapping->map.end) return;
    m->each(m->context, m->replay, m->mapping->space, address, name);
}

void functions_mapped(struct timeline *t, struct replay *r, const struct break_mapping *mapping,
                      functions_each each, void *context) {
    struct mapped m = {.replay = r, .mapping = mapping, .each = each, .context = context};
    struct view view;
    struct rf_error ignored;
    if (!mapping->map.blob || replay_view(r, mapping->tid, &view, &ignored) < 0) return;
    timeline_foreign(t, true);
    symbols_functions(timeline_symbols(t), &view, mapping->map.start, visit, &m, &m.bias);
    timeline_foreign(t, false);
}

struct stack functions_stack(struct timeline *t, struct replay *r, const struct break_hit *hit) {
    struct view view;
    struct rf_error ignored;
    struct frame frames[FRAMES_MAX];
    struct user_regs_struct regs = *hit->regs;
    regs.rip = hit->address;
    if (replay_view(r, hit->tid, &view, &ignored) < 0) return (struct stack){0};
    timeline_foreign(t, true);
    size_t n = frames_at(timeline_symbols(t), &view, &regs, frames, FRAMES_MAX);
    timeline_foreign(t, false);
    return stack_of(frames, n);
}
