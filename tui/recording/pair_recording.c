#include "tui/recording/pair_recording.h"

#include "replayer/compare/compare.h"
#include "replayer/compare/match.h"

#include <stdio.h>
#include <stdlib.h>

struct pair_recording {
    struct tui_pair pair;
    struct steps steps[2];
    struct task_calls calls[2];
    struct tui_difference differences[2];
};

static enum tui_pair_match match(void *context, int side, const struct tui_focus *from,
                                 struct tui_focus *to) {
    static const enum tui_pair_match meant[] = {
        [MATCH_NONE] = TUI_PAIR_NONE, [MATCH_SAME] = TUI_PAIR_SAME, [MATCH_LAST] = TUI_PAIR_LAST};
    const struct pair_recording *p = context;
    struct tui_focus found = {0};
    enum step_match how =
        step_match(&p->calls[side], from->event, from->tid, &p->calls[!side], &found.event, &found.tid);
    if (how != MATCH_NONE) *to = found;
    return meant[how];
}

static struct tui_difference *add(struct pair_recording *p, const struct difference *d) {
    struct tui_difference *out = &p->differences[p->pair.count++];
    const size_t at[2] = {d->a, d->b};
    for (int i = 0; i < 2; i++) {
        if (at[i] == NO_STEP) continue;
        const struct step *step = &p->steps[i].all[at[i]];
        out->event[i] = step->event;
        out->tid[i] = p->steps[i].tids[step->task - 1];
    }
    return out;
}

static void find_differences(struct pair_recording *p) {
    struct comparison c;
    compare_steps(&p->steps[0], &p->steps[1], &c);
    if (c.schedule.found) {
        struct tui_difference *d = add(p, &c.schedule);
        snprintf(d->text, sizeof d->text, "the schedule: another task has its turn");
    }
    if (c.data.found) {
        struct tui_difference *d = add(p, &c.data);
        snprintf(d->text, sizeof d->text, "the data: task number %u %s", p->steps[0].all[c.data.a].task,
                 data_difference_text(c.how));
    }
}

int pair_recording_new(const char *const paths[2], struct pair_recording **out, struct rf_error *err) {
    struct pair_recording *p = calloc(1, sizeof *p);
    rf_assert(p);
    for (int i = 0; i < 2; i++) {
        if (steps_read(paths[i], &p->steps[i], err)) {
            pair_recording_free(p);
            return -1;
        }
        task_calls_make(&p->steps[i], &p->calls[i]);
    }
    p->pair = (struct tui_pair){.context = p, .differences = p->differences, .match = match};
    find_differences(p);
    *out = p;
    return 0;
}

const struct tui_pair *pair_recording_get(const struct pair_recording *p) {
    return &p->pair;
}

void pair_recording_free(struct pair_recording *p) {
    if (!p) return;
    for (int i = 0; i < 2; i++) {
        task_calls_release(&p->calls[i]);
        steps_release(&p->steps[i]);
    }
    free(p);
}
