#include "search/deadlock_key.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const struct finding *deadlock_cause(const struct verdict *v) {
    for (size_t i = 0; i < v->count; i++) {
        const struct finding *f = &v->findings[i];
        if (f->kind != FINDING_UNKNOWN_WAIT && !f->caused_by) return f;
    }
    return NULL;
}

// `moves`: the innermost frame may be anywhere in its function.
static void add_point(char *key, size_t size, const struct finding_point *p, bool moves) {
    size_t used = strlen(key);
    for (size_t i = 0; i < p->stack.count && i < 3; i++) {
        const struct frame *f = &p->stack.frames[i];
        if (moves && i == 0 && f->function)
            used += (size_t)snprintf(key + used, size - used, "%.100s,", f->function);
        else
            used += (size_t)snprintf(key + used, size - used, "%.60s+%" PRIx64 ",",
                                     f->module ? f->module : "?", f->module_offset);
        if (used >= size) return;
    }
}

void deadlock_key(const struct finding *f, char *key, size_t size) {
    snprintf(key, size, "%s|", finding_kind_name(f->kind));
    add_point(key, size, &f->waiting, true); // it may spin there
    add_point(key, size, &f->acquired, false);
    add_point(key, size, &f->fork, false);
}
