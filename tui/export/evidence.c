#include "tui/export/evidence.h"

#include "tui/story.h"

#include <stdlib.h>

enum { AROUND = 5, MAX = 64 };

static int by_number(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

void evidence_walk(const struct tui_model *m, size_t max, evidence_visit visit, void *context) {
    uint64_t numbers[MAX], last = m->source->last(m->source->context), next = 1;
    size_t count = 0;
    if (max > MAX) max = MAX;
    for (size_t i = 0; i < m->story.count && count < max; i++)
        if (tui_story_evidence(&m->story.lines[i])) numbers[count++] = m->story.lines[i].event;
    qsort(numbers, count, sizeof *numbers, by_number);
    for (size_t i = 0; i < count; i++) {
        uint64_t n = numbers[i] > AROUND ? numbers[i] - AROUND : 1;
        for (n = n > next ? n : next; n <= numbers[i] + AROUND && n <= last; n++) {
            bool is = bsearch(&n, numbers, count, sizeof *numbers, by_number) != NULL;
            visit(context, m, n, is);
            next = n + 1;
        }
    }
}
