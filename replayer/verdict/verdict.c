#include "replayer/verdict/verdict.h"

#include "core/array.h"
#include "core/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *finding_kind_name(enum finding_kind kind) {
    static const char *const names[] = {
        [FINDING_ORPHANED_LOCK] = "orphaned-lock",   [FINDING_ORPHANED_SPIN] = "orphaned-spin",
        [FINDING_SELF_HELD] = "self-held",           [FINDING_VANISHED_WAKER] = "vanished-waker",
        [FINDING_ATFORK_CHILD] = "atfork-child",     [FINDING_ATFORK_DEADLOCK] = "atfork-deadlock",
        [FINDING_INHERITED_PIPE] = "inherited-pipe", [FINDING_CROSS_PROCESS_WAIT] = "cross-process-wait",
        [FINDING_LOCK_CYCLE] = "lock-cycle",         [FINDING_TORN_DATA] = "torn-data",
        [FINDING_SIGNAL_HANDLER] = "signal-handler", [FINDING_DEAD_HOLDER] = "dead-holder",
        [FINDING_UNKNOWN_WAIT] = "unexplained-wait",
    };
    return (size_t)kind < sizeof names / sizeof *names ? names[kind] : "?";
}

void finding_killed_text(const struct finding *f, char *out, size_t size) {
    const struct finding_killed *k = &f->killed;
    const char *name = sigabbrev_np(k->signal);
    char by[160], how[60], more[60] = "";
    *out = 0;
    if (!k->end.event) return;
    if (k->end.how == END_KILLED)
        snprintf(how, sizeof how, "killed");
    else
        snprintf(how, sizeof how, "told to end by SIG%s, which it did,", name ? name : "?");
    if (!k->end.by.tid)
        snprintf(by, sizeof by, "its own timer (SIG%s)", name ? name : "?");
    else if (k->by_parent)
        snprintf(by, sizeof by, "its parent");
    else
        snprintf(by, sizeof by, "process %d%s%s%s", k->end.by.pid, *k->end.by.name ? " '" : "",
                 k->end.by.name, *k->end.by.name ? "'" : "");
    if (k->more)
        snprintf(more, sizeof more, ", as %u more process%s %s", k->more, k->more == 1 ? "" : "es",
                 k->more == 1 ? "was" : "were");
    snprintf(out, size, "%s by %s at event %lu after %.1f s%s", how, by,
             (unsigned long)(k->end.by_event ? k->end.by_event : k->end.event), (double)k->waited_us / 1e6,
             more);
}

const char *confidence_name(enum confidence c) {
    return c == CONFIDENCE_PROVED ? "proved" : "likely";
}

enum verdict_level verdict_level(const struct verdict *v) {
    if (!v->deadlock) return v->count ? VERDICT_SUSPICIOUS : VERDICT_NONE;
    for (size_t i = 0; i < v->count; i++)
        if (v->findings[i].confidence == CONFIDENCE_PROVED) return VERDICT_PROVED;
    return VERDICT_LIKELY;
}

bool verdict_level_find(const char *name, enum verdict_level *out) {
    static const char *const names[] = {
        [VERDICT_SUSPICIOUS] = "suspicious", [VERDICT_LIKELY] = "likely", [VERDICT_PROVED] = "proved"};
    for (enum verdict_level i = VERDICT_SUSPICIOUS; i <= VERDICT_PROVED; i++) {
        if (strcmp(name, names[i]) != 0) continue;
        *out = i;
        return true;
    }
    return false;
}

static void parties_free(struct finding_party *parties, size_t count) {
    for (size_t i = 0; i < count; i++)
        free(parties[i].point.stack.frames);
    free(parties);
}

void verdict_free(struct verdict *v) {
    if (!v) return;
    for (size_t i = 0; i < v->count; i++) {
        struct finding *f = &v->findings[i];
        free(f->acquired.stack.frames);
        free(f->fork.stack.frames);
        free(f->waiting.stack.frames);
        for (size_t k = 0; k < f->edge_count; k++) {
            free(f->edges[k].acquired.stack.frames);
            free(f->edges[k].waiting.stack.frames);
        }
        free(f->edges);
        free(f->initialised.stack.frames);
        parties_free(f->holders, f->holder_count);
        parties_free(f->wakers, f->waker_count);
        for (size_t k = 0; k < f->vanished_count; k++)
            free(f->vanished[k].point.stack.frames);
        free(f->vanished);
    }
    free(v->waiting);
    notes_free(v->notes, v->note_count);
    notes_free(v->refused, v->refused_count);
    for (size_t i = 0; i < v->held_count; i++)
        free(v->held_at_fork[i].acquired.stack.frames);
    free(v->held_at_fork);
    for (size_t i = 0; i < v->allocation_count; i++) {
        free(v->allocations[i]->point.stack.frames);
        free(v->allocations[i]);
    }
    free(v->allocations);
    free(v->findings);
    free(v->spans);
    free(v);
}

void notes_add(char ***notes, size_t *count, const char *format, va_list ap) {
    char *text;
    rf_assert(vasprintf(&text, format, ap) >= 0);
    bool known = false;
    for (size_t i = 0; i < *count; i++)
        known |= !strcmp((*notes)[i], text);
    if (known)
        free(text);
    else
        array_push(*notes, *count, text);
}

void notes_free(char **notes, size_t count) {
    for (size_t i = 0; i < count; i++)
        free(notes[i]);
    free(notes);
}

void verdict_note(struct verdict *v, const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    notes_add(&v->notes, &v->note_count, format, ap);
    va_end(ap);
}
