#include "tui/moment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void tui_moment_text(uint64_t us, char *out, size_t size) {
    if (us < 10000000)
        snprintf(out, size, "%llu.%03llu ms", (unsigned long long)us / 1000, (unsigned long long)us % 1000);
    else
        snprintf(out, size, "%llu.%03llu s", (unsigned long long)us / 1000000,
                 (unsigned long long)us / 1000 % 1000);
}

bool tui_moment_parse(const char *text, uint64_t now_us, uint64_t *us) {
    static const struct {
        const char *name;
        double us;
    } units[] = {{"us", 1}, {"ms", 1e3}, {"s", 1e6}, {"m", 60e6}};
    char sign = *text == '+' || *text == '-' ? *text++ : 0, *end;
    if ((*text < '0' || *text > '9') && *text != '.') return false; // not "0x", "inf" and the like
    if (strcspn(text, "xXpPeE") != strlen(text)) return false;
    double value = strtod(text, &end);
    if (end == text) return false;
    end += strspn(end, " ");
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(end, units[i].name)) continue;
        double by = value * units[i].us + 0.5;
        uint64_t amount = by > 1e18 ? (uint64_t)1e18 : (uint64_t)by;
        if (!sign) *us = amount;
        if (sign == '+') *us = now_us + amount;
        if (sign == '-') *us = amount > now_us ? 0 : now_us - amount;
        return true;
    }
    return false;
}

uint64_t tui_moment_of(const struct tui_model *m, uint64_t event) {
    struct tui_event e;
    return event && m->source->event(m->source->context, event, &e) ? e.time_us : 0;
}

uint64_t tui_moment_event(const struct tui_model *m, uint64_t us) {
    uint64_t low = 1, high = m->source->last(m->source->context) + 1; // high: behind the last one by then
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (tui_moment_of(m, middle) <= us)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 1 ? low - 1 : 1;
}
