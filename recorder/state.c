#include "recorder/state.h"

#include "core/clock.h"
#include "recorder/outside.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

uint64_t now_us(struct recorder *r) {
    return r->clock_us = clock_us(CLOCK_MONOTONIC) - r->start_us;
}

uint64_t recent_us(struct recorder *r) {
    if (outside_ticks() == r->clock_tick && ++r->clock_age % 16) return r->clock_us;
    r->clock_tick = outside_ticks();
    return now_us(r);
}

void recorder_fail(struct recorder *r, const char *format, ...) {
    if (r->failed) return;
    r->failed = true;
    va_list ap;
    va_start(ap, format);
    r->failure.status = RF_CANNOT;
    vsnprintf(r->failure.text, sizeof r->failure.text, format, ap);
    va_end(ap);
}

void trace_failed(struct recorder *r, const struct rf_error *why) {
    if (r->trace_lost) return;
    r->trace_lost = true;
    if (*r->lost.text) return; // said
    r->lost = *why;
    fprintf(stderr,
            "refork: nothing more can be recorded (the reason follows at the end); the program goes on\n");
}
