#include "replayer/verdict.h"

#include <stdlib.h>

const char *finding_kind_name(enum finding_kind kind) {
    static const char *const names[] = {
        [FINDING_ORPHANED_LOCK] = "orphaned-lock",     [FINDING_LOCK_CYCLE] = "lock-cycle",
        [FINDING_ATFORK_DEADLOCK] = "atfork-deadlock", [FINDING_CROSS_PROCESS_WAIT] = "cross-process-wait",
        [FINDING_UNKNOWN_WAIT] = "unexplained-wait",
    };
    return (size_t)kind < sizeof names / sizeof *names ? names[kind] : "?";
}

const char *confidence_name(enum confidence c) {
    return c == CONFIDENCE_PROVED ? "proved" : "likely";
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
    }
    for (size_t i = 0; i < v->note_count; i++)
        free(v->notes[i]);
    free(v->notes);
    free(v->findings);
    free(v->spans);
    free(v);
}
