#include "search/progress.h"

#include "core/clock.h"
#include "replayer/timeline.h"
#include "search/interrupt.h"

#include <stdio.h>
#include <unistd.h>

enum { SHOWN_FROM_US = 500000 };

static bool show(void *context, uint64_t done, uint64_t total) {
    struct progress *p = context;
    if (interrupted()) return false;
    if (p->terminal && total && clock_us(CLOCK_MONOTONIC) - p->begin_us > SHOWN_FROM_US) {
        fprintf(stderr, "\rrefork: re-executing %3u%%", (unsigned)((double)done * 100 / (double)total));
        fflush(stderr);
        p->shown = true;
    }
    return true;
}

void progress_begin(struct progress *p, struct timeline *t) {
    *p = (struct progress){.begin_us = clock_us(CLOCK_MONOTONIC), .terminal = isatty(STDERR_FILENO)};
    interrupt_begin(INTERRUPT_KEYBOARD);
    timeline_set_progress(t, show, p);
}

void progress_end(struct progress *p, struct timeline *t) {
    timeline_set_progress(t, NULL, NULL);
    interrupt_end(INTERRUPT_KEYBOARD);
    if (p->shown) fputs("\r\033[K", stderr);
}
