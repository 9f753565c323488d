#include "replayer/verdict/sem_inits.h"

#include "replayer/functions.h"

#include <string.h>

struct search {
    struct timeline *timeline;
    uint64_t address;
    int pid;
    bool any, met;
};

static void add_function(void *context, struct replay *r, uint32_t space, uint64_t address,
                         const char *name) {
    struct search *s = context;
    name = stack_plain_name(name);
    if (strcmp(name, "sem_init") && strcmp(name, "new_sem_init")) return;
    s->any |= replay_break_add(r, space, address, 0, 0);
}

static void mapped(void *context, struct replay *r, const struct break_mapping *mapping) {
    struct search *s = context;
    functions_mapped(s->timeline, r, mapping, add_function, s);
}

static enum break_action on_hit(void *context, struct replay *r, struct break_hit *hit) {
    struct search *s = context;
    (void)r;
    s->met |= hit->pid == s->pid && hit->regs->rdi == s->address;
    return BREAK_EXECUTE;
}

int sem_inits_met(const struct watched_lock *lock, struct event_span span, bool *met, struct rf_error *err) {
    struct search s = {.timeline = lock->timeline,
                       .address = lock->ref->base,
                       .pid = lock->history->spaces[lock->space].pid};
    struct replay *r = timeline_replay(lock->timeline);
    const struct break_client client = {.mapped = mapped, .hit = on_hit, .context = &s};
    struct rf_error ignored;
    *met = true;
    if (timeline_seek(lock->timeline, span.from, err) < 0) return -1;
    int failed = replay_breaks(r, &client, err) < 0 || timeline_seek(lock->timeline, span.until, err) < 0;
    replay_breaks(r, NULL, &ignored);
    if (failed) {
        timeline_reset(lock->timeline, &ignored);
        // A program that reads its own code sees the breakpoints.
        return err->status == RF_DIVERGED ? 0 : -1;
    }
    *met = s.met || !s.any;
    return 0;
}
