#include "replayer/gdb/stops.h"

#include "core/array.h"
#include "replayer/gdb/back.h"
#include "replayer/gdb/caught.h"

static int go_to(struct stops *s, const struct place *to, struct stop stop, struct rf_error *err);

static void tell_between(struct stops *s, struct stop stop) {
    s->here = (struct place){.event = timeline_position(s->timeline)};
    s->interrupted = false;
    s->slice = s->here.event;
    s->ahead = stop.ahead;
    s->command = s->client.stopped(s->client.context, &stop);
    if (goes_forward(s->command.go)) stops_prepare(s);
}

static int pid_of(const struct stops *s, int tid) {
    const struct replay_task *t = replay_task_find(s->replay, tid);
    return t ? t->pid : 0;
}

static void arm_end(struct stops *s, const struct event *e, uint64_t pc, const struct stop *stop) {
    struct armed *a = stops_arm(s, replay_space_of(s->replay, e->tid), pc);
    if (!a) return;
    a->searched = true;
    s->end.pc = pc;
    s->end.stop = *stop;
}

// What the next event is to the client before it is made: armed, where its slice ends with it, or (true) told.
static bool look_ahead(struct stops *s) {
    struct event e;
    struct stop stop;
    struct rf_error ignored;
    uint64_t pc;
    s->end.pc = 0;
    if (timeline_event(s->timeline, timeline_position(s->timeline) + 1, &e, &ignored) < 0) return false;
    if (caught_ahead(s, &e, &stop, &pc) && s->ahead != stop.ahead) {
        if (pc)
            arm_end(s, &e, pc, &stop);
        else
            tell_between(s, stop);
        return !pc;
    }
    return false;
}

// What the event that has just been made is to the client. false: nothing.
static bool event_stops(struct stops *s, const struct event *e, struct stop *stop) {
    bool stepping = s->command.go != GO_ON && e->tid == s->command.tid;
    *stop = (struct stop){.tid = e->tid};
    if (s->due.address && s->watch_by_kernel) {
        stop->reason = STOP_WATCH;
        stop->address = s->due.address;
        stop->watch = s->due.kind;
        return true;
    }
    if (caught_behind(s, e, stop)) return true;
    if (!stops_follows(s, pid_of(s, e->tid))) return false;
    *stop = (struct stop){.tid = e->tid};
    if (e->kind == EV_EXEC) {
        stop->reason = STOP_EXEC;
        return true;
    }
    if (stepping && (e->kind == EV_SIGNAL || e->kind == EV_DEATH)) {
        stop->reason = STOP_STEP;
        if (e->kind == EV_DEATH) stop->tid = stops_some_task(s);
        return stop->tid != 0;
    }
    return false;
}

// The process is gone with this event: the stop is before it, where it can still be looked at.
static int stop_before(struct stops *s, int tid, struct rf_error *err) {
    if (stops_seek(s, timeline_position(s->timeline) - 1, err) < 0) return -1;
    tell_between(s, (struct stop){.reason = STOP_END, .tid = tid});
    return 0;
}

// A signal that an instruction has raised: the stop is in front of that instruction. 1 told, 0: there is none, -1.
static int before_fault(struct stops *s, struct rf_error *err) {
    struct event e;
    struct stop stop;
    uint64_t at = timeline_position(s->timeline), arrivals;
    if (timeline_event(s->timeline, at, &e, err) < 0) return -1;
    if (!caught_fault(s, &e, &stop) || s->ahead == stop.ahead) return 0;
    uint64_t pc = e.regs.rip;
    if (caught_arrivals(s, at, pc, &arrivals, err) < 0) return -1;
    struct place place = {.event = arrivals ? at - 1 : at, .count = arrivals != 0};
    if (arrivals) place.legs[0] = (struct leg){.kind = LEG_ARRIVE, .pc = pc, .count = arrivals};
    return go_to(s, &place, stop, err) < 0 ? -1 : 1;
}

// An event was made while the client wants to go forward.
static int behind_event(struct stops *s, struct rf_error *err) {
    const struct event *e = replay_event(s->replay);
    struct event whole;
    struct stop stop;
    bool last = e->kind == EV_DEATH && (e->flags & EVF_LAST) && stops_follows(s, pid_of(s, e->tid));
    if (last && !stops_some_task(s)) return stop_before(s, e->tid, err);
    if (e->kind == EV_SIGNAL) {
        int told = before_fault(s, err);
        if (told) return told < 0 ? -1 : 0;
        if (timeline_event(s->timeline, timeline_position(s->timeline), &whole, err) < 0) return -1;
        e = &whole; // the replay has it without its pieces
    }
    if (event_stops(s, e, &stop))
        tell_between(s, stop);
    else if (s->interrupted || s->client.interrupted(s->client.context))
        tell_between(s, (struct stop){.reason = STOP_INTERRUPT, .tid = stops_some_task(s)});
    return 0;
}

// The user asked for a stop while the task ran: the last place that can be told is where its slice began.
static int before_slice(struct stops *s, struct rf_error *err) {
    struct place place = {.event = s->slice};
    return go_to(s, &place, (struct stop){.reason = STOP_INTERRUPT}, err);
}

static int forward(struct stops *s, struct rf_error *err) {
    while (goes_forward(s->command.go)) {
        s->mode = MODE_FORWARD;
        if (look_ahead(s)) continue;
        int got = stops_step_event(s, err);
        if (got < 0) return -1;
        if (got == 2 && s->cut) return before_slice(s, err);
        if (got == 2) return 0;
        if (!got) tell_between(s, (struct stop){.reason = STOP_END, .tid = stops_some_task(s)});
        if (got && behind_event(s, err) < 0) return -1;
    }
    return 0;
}

// Nobody who is followed lives here: to the event at which the last of them does, or the first one does.
static int to_its_life(struct stops *s, struct stop *stop, struct rf_error *err) {
    uint64_t at = timeline_position(s->timeline), last = 0;
    for (size_t i = 0; i < replay_task_count(s->replay); i++) {
        const struct replay_task *t = replay_task_at(s->replay, i);
        if (stops_follows(s, t->pid) && t->death > last) last = t->death;
    }
    stop->reason = last ? STOP_END : STOP_BEGIN;
    if (last) return stops_seek(s, last - 1, err);
    while (!stops_some_task(s) && at < timeline_last(s->timeline))
        if (stops_seek(s, ++at, err) < 0) return -1;
    return 0;
}

// To a place; the client is told there.
static int go_to(struct stops *s, const struct place *to, struct stop stop, struct rf_error *err) {
    struct place place = *to;
    if (stops_seek(s, place.event, err) < 0) return -1;
    if (!place.count && !stops_some_task(s) && to_its_life(s, &stop, err) < 0) return -1;
    if (!place.count) {
        if (!stop.tid) stop.tid = stops_some_task(s);
        if (s->again) {
            s->again = false;
            stops_prepare(s);
        } else {
            tell_between(s, stop);
        }
        return 0;
    }
    s->arrival = stop;
    s->mode = MODE_WALK;
    walk_begin(s, &place);
    int got = stops_step_event(s, err);
    s->walk.to = NULL;
    if (got == 2 || got < 0) return got < 0 ? -1 : 0;
    if (s->walk.there) return behind_event(s, err); // the client went on from there, and the slice is over
    return rf_fail(err, RF_CANNOT, "the place behind event %llu was not reached again",
                   (unsigned long long)place.event);
}

static int go_back(struct stops *s, bool step, struct rf_error *err) {
    struct place found = {0}, from = s->here;
    struct stop stop = {.reason = step ? STOP_STEP : STOP_BREAKPOINT};
    int tid = s->command.tid;
    int got = step ? back_find_step(s, tid, &from, &found, err) : back_find_stop(s, &found, &stop, err);
    if (got < 0) return -1;
    if (s->interrupted) {
        s->interrupted = false;
        return go_to(s, &from, (struct stop){.reason = STOP_INTERRUPT}, err);
    }
    if (!got) stop = (struct stop){.reason = STOP_BEGIN};
    return go_to(s, &found, stop, err);
}

static int carry_out(struct stops *s, struct rf_error *err) {
    struct command c = s->command;
    struct place here;
    if (s->again) { // the client has said how to go on from here
        here = s->here;
        if (back_resolve(s, &here, err) < 0) return -1;
        return go_to(s, &here, (struct stop){0}, err);
    }
    switch (c.go) {
    case GO_BACK:
    case GO_STEP_BACK:
        return go_back(s, c.go == GO_STEP_BACK, err);
    case GO_EVENT:
        return go_to(s, &(struct place){.event = c.event}, (struct stop){.reason = STOP_START}, err);
    case GO_PLACE:
        return go_to(s, &c.place, (struct stop){.reason = STOP_START}, err);
    default:
        return forward(s, err);
    }
}

int stops_run(struct stops *s, uint64_t event, struct rf_error *err) {
    struct rf_error ignored;
    s->command = (struct command){.go = GO_EVENT, .event = event};
    int failed = 0;
    while (!failed && s->command.go != GO_QUIT)
        failed = carry_out(s, err);
    replay_breaks(s->replay, NULL, &ignored);
    if (s->watch_count) replay_unwatch(s->replay);
    return failed;
}

// ---- for the client

struct stops *stops_new(struct timeline *t, const struct stops_client *client) {
    struct stops *s = calloc(1, sizeof *s);
    rf_assert(s);
    s->timeline = t;
    s->replay = timeline_replay(t);
    s->client = *client;
    return s;
}

void stops_free(struct stops *s) {
    for (size_t i = 0; i < s->armed_count; i++)
        free(s->armed[i]);
    free(s->armed);
    free(s->followed);
    free(s->breaks);
    free(s->caught);
    free(s);
}
