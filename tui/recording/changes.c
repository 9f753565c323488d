#include "tui/recording/changes.h"

#include "core/path.h"
#include "replayer/gdb/stops.h"
#include "replayer/names/frames.h"

#include <stdio.h>
#include <string.h>

enum { FRAMES = 32, WORD = 8 };

enum phase { PHASE_BACK, PHASE_FORWARD };

struct search {
    struct timeline *timeline;
    struct stops *stops;
    const struct tui_change_wish *wish;
    struct tui_change *out;
    enum phase phase;
    bool watching;
    struct watched words[WATCHES];
    uint64_t values[WATCHES];
    size_t count;
    uint64_t from, to; // events, of the way
    tui_progress progress;
    void *argument;
    struct rf_error error; // status 0: none
};

// Into aligned words of 1, 2, 4 or 8 bytes. false: there are not so many watchpoints.
static bool split(struct search *s) {
    uint64_t at = s->wish->address, left = s->wish->size;
    while (left) {
        uint64_t len = WORD;
        while (len > left || at % len)
            len /= 2;
        if (s->count == WATCHES) return false;
        s->words[s->count++] = (struct watched){.address = at, .len = (int)len, .kind = WATCH_WRITE};
        at += len;
        left -= len;
    }
    return s->count > 0;
}

static void read_values(struct search *s, int tid) {
    for (size_t i = 0; i < s->count; i++) {
        s->values[i] = 0;
        stops_read(s->stops, tid, s->words[i].address, &s->values[i], (size_t)s->words[i].len);
    }
}

static bool watch(struct search *s, int tid) {
    for (size_t i = 0; i < s->count && !s->watching; i++)
        if (stops_watch(s->stops, tid, &s->words[i], true, &s->error)) return false;
    s->watching = true;
    return true;
}

// The function of the program's own code that is running, else the innermost one.
static void say_where(struct search *s, int tid, char *out, size_t size) {
    struct user_regs_struct regs;
    struct view view;
    struct rf_error ignored;
    struct frame frames[FRAMES];
    *out = 0;
    if (!stops_regs(s->stops, tid, &regs) || replay_view(timeline_replay(s->timeline), tid, &view, &ignored))
        return;
    timeline_foreign(s->timeline, true);
    size_t n = frames_at(timeline_symbols(s->timeline), &view, &regs, frames, FRAMES), i = 0;
    timeline_foreign(s->timeline, false);
    while (i < n && (frames[i].of_system || !frames[i].function))
        i++;
    if (i == n) i = 0;
    if (!n || !frames[i].function) return;
    if (frames[i].file && frames[i].line)
        snprintf(out, size, "%.90s, %.50s:%d", frames[i].function, base_name(frames[i].file), frames[i].line);
    else
        snprintf(out, size, "%.120s", frames[i].function);
}

// Told from the middle of a slice, not between two.
static bool inside(const struct search *s) {
    return s->stops->hit != NULL;
}

static void take(struct search *s, const struct stop *stop, uint64_t event) {
    struct tui_change *c = s->out;
    for (size_t i = 0; i < s->count; i++) {
        uint64_t now = 0;
        stops_read(s->stops, stop->tid, s->words[i].address, &now, (size_t)s->words[i].len);
        if (now == s->values[i]) continue;
        c->address = s->words[i].address;
        c->size = s->words[i].len;
        c->before = s->values[i];
        c->after = s->values[i] = now;
    }
    c->event = event;
    c->count++;
    c->tid = stop->tid;
    c->by_kernel = !inside(s);
    say_where(s, stop->tid, c->where, sizeof c->where);
}

static struct command stopped(void *context, const struct stop *stop) {
    struct search *s = context;
    const struct command end = {.go = GO_QUIT};
    int tid = stop->tid ? stop->tid : stops_some_task(s->stops);
    uint64_t event = stops_event(s->stops) + inside(s);
    switch (stop->reason) {
    case STOP_START:
        if (!tid || !watch(s, tid)) return end;
        read_values(s, tid);
        break;
    case STOP_WATCH:
        if (s->phase ==
            PHASE_BACK) { // before the change: what the whole slice does to it is looked at forward
            s->phase = PHASE_FORWARD;
            return (struct command){.go = GO_EVENT, .event = s->stops->here.event};
        }
        if (s->out->event && event > s->out->event) return end;
        take(s, stop, event);
        if (!inside(s)) return end;
        break;
    case STOP_BEGIN:
    case STOP_END:
    case STOP_INTERRUPT:
        return end;
    default:
        break;
    }
    return (struct command){.go = s->phase == PHASE_BACK ? GO_BACK : GO_ON, .tid = tid};
}

static bool interrupted(void *context) {
    const struct search *s = context;
    return s->phase == PHASE_FORWARD && s->out->event && stops_event(s->stops) >= s->out->event;
}

static bool on_the_way(void *context, uint64_t done, uint64_t total) {
    (void)done;
    (void)total;
    const struct search *s = context;
    uint64_t at = timeline_position(s->timeline);
    return s->progress(s->argument, at > s->from ? at - s->from : 0, s->to - s->from);
}

int changes_find(struct timeline *t, const struct tui_change_wish *wish, tui_progress progress,
                 void *argument, struct tui_change *out, struct rf_error *err) {
    struct search s = {.timeline = t, .wish = wish, .out = out, .progress = progress, .argument = argument};
    struct rf_error ignored;
    *out = (struct tui_change){0};
    if (!split(&s))
        return rf_fail(err, RF_CANNOT,
                       "%llu bytes are too many to watch: choose a member of it, or an element",
                       (unsigned long long)wish->size);
    s.phase = wish->back ? PHASE_BACK : PHASE_FORWARD;
    s.from = wish->back ? 0 : wish->event;
    s.to = wish->back ? wish->event + 1 : timeline_last(t) + 1;
    const struct stops_client client = {stopped, interrupted, &s};
    s.stops = stops_new(t, &client);
    stops_follow(s.stops, wish->pid, true);
    if (progress) timeline_set_progress(t, on_the_way, &s);
    int failed = stops_run(s.stops, wish->event, err);
    timeline_set_progress(t, progress, argument);
    stops_free(s.stops);
    if (failed) { // it may have been in the middle of a step
        timeline_reset(t, &ignored);
        return -1;
    }
    if (s.error.status) *err = s.error;
    if (timeline_again(t, out->event ? out->event : wish->event, s.error.status ? &ignored : err)) return -1;
    return s.error.status ? -1 : 0;
}
