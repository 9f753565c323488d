#include "replayer/report/perfetto.h"

#include "core/array.h"
#include "core/decode/recorded.h"
#include "core/calls/syscalls.h"
#include "replayer/report/protobuf.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

// Numbers of fields: protos/perfetto/trace/ of github.com/google/perfetto (trace.proto, trace_packet.proto, and in track_event/
// track_descriptor.proto, track_event.proto, process_descriptor.proto, thread_descriptor.proto, counter_descriptor.proto,
// debug_annotation.proto).
enum { TRACE_PACKET = 1 };
enum {
    PACKET_TIMESTAMP = 8, // ns
    PACKET_SEQUENCE = 10, // trusted_packet_sequence_id
    PACKET_EVENT = 11,
    PACKET_FLAGS = 13,
    PACKET_TRACK = 60,
};
enum { INCREMENTAL_STATE_CLEARED = 1 }; // sequence_flags of the first packet
enum {
    TRACK_UUID = 1,
    TRACK_NAME = 2,
    TRACK_PROCESS = 3,
    TRACK_THREAD = 4,
    TRACK_PARENT = 5,
    TRACK_COUNTER = 8
};
enum { PROCESS_PID = 1, PROCESS_NAME = 6 };
enum { THREAD_PID = 1, THREAD_TID = 2, THREAD_NAME = 5 };
enum { COUNTER_UNIT = 3, UNIT_COUNT = 2 };
enum {
    EVENT_ANNOTATION = 4,
    EVENT_TYPE = 9,
    EVENT_TRACK = 11,
    EVENT_CATEGORY = 22,
    EVENT_NAME = 23,
    EVENT_COUNTER = 30,
    EVENT_FLOW = 47,
    EVENT_FLOW_ENDS = 48,
};
enum event_type { SLICE_BEGIN = 1, SLICE_END = 2, INSTANT = 3, COUNTER = 4 };
enum { ANNOTATION_UINT = 3, ANNOTATION_STRING = 6, ANNOTATION_NAME = 10 };

// Tracks: two counters, then the tasks, then the locks of each task.
enum { UUID_HELD = 1, UUID_RUNNABLE, UUID_FIRST = 16 };
enum { CALL_ROOM = 400, SEQUENCE = 1, NS_PER_US = 1000 };
// Flows of forks have the number of the BIRTH event; those of locks have this bit and the number of the span that begins.
#define FLOW_OF_LOCK (1ull << 62)

struct task {
    int tid, pid;
    uint64_t process, thread; // uuids
    uint64_t birth;           // a fork's BIRTH whose flow ends at the task's next slice, 0: none
    bool lives, calls;        // between ENTER and EXIT
};

struct lock_track {
    uint32_t lock;
    uint64_t thread, uuid;
};

// A moment of a span: before the event, in its slice.
struct moment {
    uint64_t event;
    uint32_t span;
    bool ends;
};

struct perfetto {
    FILE *out;
    const struct lock_history *history;
    struct descriptors *descriptors;
    struct task *tasks;
    struct lock_track *tracks;
    struct moment *moments;
    // Of each span: the number from 1 of the span that has the lock next, in another task; 0: none.
    uint64_t *handed;
    bool *taken_over; // of each span: another task had the lock before
    size_t task_count, track_count, moment_count, next_moment;
    uint64_t uuids, held, runnable;
    uint64_t time_us, ns; // of the event: so many ns behind its microsecond
    struct hash by_lock;  // of tracks
    bool begun;
    struct protobuf packet, part, inner; // empty between two uses
};

// ---- packets
static void end_packet(struct perfetto *p) {
    struct protobuf trace = {0};
    protobuf_number(&p->packet, PACKET_SEQUENCE, SEQUENCE);
    if (!p->begun) protobuf_number(&p->packet, PACKET_FLAGS, INCREMENTAL_STATE_CLEARED);
    p->begun = true;
    protobuf_message(&trace, TRACE_PACKET, &p->packet);
    fwrite(trace.data, 1, trace.used, p->out);
    protobuf_release(&trace);
}

static void end_track(struct perfetto *p) {
    protobuf_message(&p->packet, PACKET_TRACK, &p->part);
    end_packet(p);
}

static void counter_track(struct perfetto *p, uint64_t uuid, const char *name) {
    protobuf_number(&p->part, TRACK_UUID, uuid);
    protobuf_string(&p->part, TRACK_NAME, name);
    protobuf_number(&p->inner, COUNTER_UNIT, UNIT_COUNT);
    protobuf_message(&p->part, TRACK_COUNTER, &p->inner);
    end_track(p);
}

// Each event has an odd and an even nanosecond: its begin and its end.
static uint64_t now(const struct perfetto *p) {
    return p->time_us * NS_PER_US + p->ns;
}

static void begin_event(struct perfetto *p, enum event_type type, uint64_t track) {
    protobuf_number(&p->part, EVENT_TYPE, type);
    protobuf_number(&p->part, EVENT_TRACK, track);
}

static void begin_named(struct perfetto *p, enum event_type type, uint64_t track, const char *category,
                        const char *name) {
    begin_event(p, type, track);
    protobuf_string(&p->part, EVENT_CATEGORY, category);
    protobuf_string(&p->part, EVENT_NAME, name);
}

static void end_event(struct perfetto *p, uint64_t time) {
    protobuf_number(&p->packet, PACKET_TIMESTAMP, time);
    protobuf_message(&p->packet, PACKET_EVENT, &p->part);
    end_packet(p);
}

static void annotate_number(struct perfetto *p, const char *name, uint64_t value) {
    protobuf_string(&p->inner, ANNOTATION_NAME, name);
    protobuf_number(&p->inner, ANNOTATION_UINT, value);
    protobuf_message(&p->part, EVENT_ANNOTATION, &p->inner);
}

static void annotate_text(struct perfetto *p, const char *name, const char *text) {
    protobuf_string(&p->inner, ANNOTATION_NAME, name);
    protobuf_string(&p->inner, ANNOTATION_STRING, text);
    protobuf_message(&p->part, EVENT_ANNOTATION, &p->inner);
}

static void count(struct perfetto *p, uint64_t track, uint64_t value) {
    begin_event(p, COUNTER, track);
    protobuf_number(&p->part, EVENT_COUNTER, value);
    end_event(p, now(p));
}

// ---- tasks
static struct task *find_task(struct perfetto *p, int tid) {
    for (size_t i = p->task_count; i-- > 0;) // TIDs are reused: the last one born is meant
        if (p->tasks[i].tid == tid) return &p->tasks[i];
    return NULL;
}

static void run_more(struct perfetto *p, int more) {
    p->runnable += (uint64_t)(int64_t)more;
    count(p, UUID_RUNNABLE, p->runnable);
}

static struct task *new_task(struct perfetto *p, int tid, int pid) {
    const struct task *leader = tid == pid ? NULL : find_task(p, pid);
    struct task t = {.tid = tid, .pid = pid, .thread = p->uuids++, .lives = true};
    const char *name = lock_history_task_name(p->history, tid);
    t.process = leader ? leader->process : p->uuids++;
    if (!leader) {
        protobuf_number(&p->part, TRACK_UUID, t.process);
        protobuf_number(&p->inner, PROCESS_PID, (uint64_t)pid);
        if (*name) protobuf_string(&p->inner, PROCESS_NAME, name);
        protobuf_message(&p->part, TRACK_PROCESS, &p->inner);
        end_track(p);
    }
    protobuf_number(&p->part, TRACK_UUID, t.thread);
    protobuf_number(&p->part, TRACK_PARENT, t.process);
    protobuf_number(&p->inner, THREAD_PID, (uint64_t)pid);
    protobuf_number(&p->inner, THREAD_TID, (uint64_t)tid);
    if (*name) protobuf_string(&p->inner, THREAD_NAME, name);
    protobuf_message(&p->part, TRACK_THREAD, &p->inner);
    end_track(p);
    array_push(p->tasks, p->task_count, t);
    run_more(p, 1);
    return &p->tasks[p->task_count - 1];
}

// ---- locks
static const char *lock_label(const struct perfetto *p, uint32_t index, char room[64]) {
    const struct lock *l = &p->history->words.locks[index];
    if (l->name >= 0) return lock_history_string(p->history, l->name);
    snprintf(room, 64, "%s at %#llx", lock_family_name(l->family), (unsigned long long)l->address);
    return room;
}

static uint64_t track_key(const void *tracks, size_t i) {
    const struct lock_track *t = (const struct lock_track *)tracks + i;
    return hash_mix(t->thread << 32 | t->lock);
}

static bool track_same(const void *tracks, size_t i, const void *key) {
    const struct lock_track *t = (const struct lock_track *)tracks + i, *k = key;
    return t->lock == k->lock && t->thread == k->thread;
}

// Each lock has a track of its own in each task: locks need not be released in the order in which they were taken.
static uint64_t track_of(struct perfetto *p, const struct task *t, uint32_t lock) {
    char room[64];
    struct lock_track key = {lock, t->thread, p->uuids};
    rf_assert(hash_room(&p->by_lock, p->track_count, track_key, p->tracks));
    uint32_t *slot = hash_slot(&p->by_lock, hash_mix(key.thread << 32 | lock), track_same, p->tracks, &key);
    if (*slot) return p->tracks[*slot - 1].uuid;
    array_push(p->tracks, p->track_count, key);
    *slot = (uint32_t)p->track_count;
    protobuf_number(&p->part, TRACK_UUID, p->uuids);
    protobuf_number(&p->part, TRACK_PARENT, t->thread);
    protobuf_string(&p->part, TRACK_NAME, lock_label(p, lock, room));
    end_track(p);
    return p->uuids++;
}

static void at_moment(struct perfetto *p, const struct moment *m) {
    const struct lock_span *s = &p->history->words.spans[m->span];
    struct task *t = find_task(p, s->holder.tid);
    char room[64];
    if (!t) return; // nobody knows who took it
    uint64_t track = track_of(p, t, s->lock);
    if (m->ends) {
        begin_event(p, SLICE_END, track);
        end_event(p, now(p));
        p->held--;
    } else {
        begin_named(p, SLICE_BEGIN, track, "lock", lock_label(p, s->lock, room));
        annotate_number(p, "event", s->holder.event);
        if (s->holder.reader) annotate_text(p, "mode", "reader");
        if (s->holder.inherited) annotate_text(p, "taken", "before the fork");
        if (p->handed[m->span]) protobuf_fixed64(&p->part, EVENT_FLOW, FLOW_OF_LOCK | p->handed[m->span]);
        if (p->taken_over[m->span])
            protobuf_fixed64(&p->part, EVENT_FLOW_ENDS, FLOW_OF_LOCK | (m->span + 1ull));
        end_event(p, now(p));
        p->held++;
    }
    count(p, UUID_HELD, p->held);
}

static int by_event(const void *a, const void *b) {
    const struct moment *x = a, *y = b;
    if (x->event != y->event) return x->event < y->event ? -1 : 1;
    if (x->ends != y->ends) return x->ends ? -1 : 1; // a lock that is handed over in one slice
    return x->span < y->span ? -1 : 1;
}

// Which spans there are, and whom each goes over to: the next one that begins with the lock, when another task has it then.
static void plan_spans(struct perfetto *p, uint64_t last) {
    const struct lock_words *w = &p->history->words;
    uint64_t *latest = calloc(w->count + 1, sizeof *latest); // of each lock: its last span so far, from 1
    p->handed = calloc(w->span_count + 1, sizeof *p->handed);
    p->taken_over = calloc(w->span_count + 1, sizeof *p->taken_over);
    rf_assert(latest && p->handed && p->taken_over);
    for (uint32_t i = 0; i < w->span_count; i++) {
        const struct lock_span *s = &w->spans[i];
        if (s->lock >= w->count || !w->locks[s->lock].confirmed || !s->holder.tid) continue;
        array_push(p->moments, p->moment_count, (struct moment){s->holder.event, i, false});
        array_push(p->moments, p->moment_count, (struct moment){s->to ? s->to : last + 1, i, true});
    }
    if (p->moment_count) qsort(p->moments, p->moment_count, sizeof *p->moments, by_event);
    for (size_t i = 0; i < p->moment_count; i++) {
        uint32_t span = p->moments[i].span;
        const struct lock_span *s = &w->spans[span];
        if (p->moments[i].ends) continue;
        uint64_t before = latest[s->lock];
        latest[s->lock] = span + 1ull;
        if (!before || w->spans[before - 1].holder.tid == s->holder.tid) continue;
        p->handed[before - 1] = span + 1ull;
        p->taken_over[span] = true;
    }
    free(latest);
}

// ---- events
static void begin_call(struct perfetto *p, struct task *t, const struct event *e) {
    char call[CALL_ROOM];
    struct text text = text_in(call, sizeof call);
    recorded_call(&text, e, NULL, p->descriptors);
    begin_named(p, SLICE_BEGIN, t->thread, "call", syscall_name(e->nr));
    annotate_number(p, "event", e->number);
    annotate_text(p, "call", call);
    if (t->birth) protobuf_fixed64(&p->part, EVENT_FLOW_ENDS, t->birth);
    t->birth = 0;
    end_event(p, now(p));
}

static void end_call(struct perfetto *p, struct task *t, const struct event *e, uint64_t time) {
    begin_event(p, SLICE_END, t->thread);
    if (e && e->kind == EV_EXIT) {
        char call[CALL_ROOM];
        struct text text = text_in(call, sizeof call);
        recorded_call(&text, e, descriptors_arguments(p->descriptors, e->tid), p->descriptors);
        annotate_text(p, "returned", call);
    }
    end_event(p, time);
}

static void instant(struct perfetto *p, const struct task *t, const struct event *e, const char *name,
                    uint64_t flow) {
    begin_named(p, INSTANT, t->thread, event_kind_name(e->kind), name);
    annotate_number(p, "event", e->number);
    if (flow) protobuf_fixed64(&p->part, EVENT_FLOW, flow);
    end_event(p, now(p));
}

static void set_calls(struct perfetto *p, struct task *t, bool calls) {
    if (t->calls == calls) return;
    t->calls = calls;
    run_more(p, calls ? -1 : 1);
}

static void on_birth(struct perfetto *p, const struct event *e, const struct task *parent) {
    char name[64];
    snprintf(name, sizeof name, e->flags & EVF_THREAD ? "starts thread %d" : "forks process %d", (int)e->ret);
    instant(p, parent, e, name, e->number);
    new_task(p, (int)e->ret, (int)e->aux)->birth = e->number;
}

static void on_death(struct perfetto *p, struct task *t) {
    if (t->calls)
        end_call(p, t, NULL, now(p));
    else
        run_more(p, -1);
    t->calls = t->lives = false;
}

static void on_event(struct perfetto *p, const struct event *e) {
    char name[80];
    struct text text = text_in(name, sizeof name);
    struct task *t = e->tid ? find_task(p, e->tid) : NULL;
    if (!t && e->tid) t = new_task(p, e->tid, e->tid);
    if (!t) return;
    switch (e->kind) {
    case EV_SYSCALL:
        begin_call(p, t, e);
        end_call(p, t, e, now(p) + 1);
        break;
    case EV_ENTER:
        begin_call(p, t, e);
        set_calls(p, t, true);
        break;
    case EV_EXIT:
        if (t->calls) end_call(p, t, e, now(p));
        set_calls(p, t, false);
        break;
    case EV_EXEC:
        if (t->calls) end_call(p, t, NULL, now(p));
        set_calls(p, t, false);
        instant(p, t, e, "exec", 0);
        break;
    case EV_BIRTH:
        on_birth(p, e, t);
        break;
    case EV_DEATH:
        on_death(p, t);
        break;
    case EV_SIGNAL:
        text_signal(&text, e->nr);
        instant(p, t, e, name, 0);
        break;
    case EV_STUCK:
        instant(p, t, e, e->flags & EVF_PROVED ? "waits for ever (proved)" : "waits for ever (likely)", 0);
        break;
    default:
        break;
    }
}

static void moments_until(struct perfetto *p, uint64_t event) {
    while (p->next_moment < p->moment_count && p->moments[p->next_moment].event <= event)
        at_moment(p, &p->moments[p->next_moment++]);
}

static int write_events(struct perfetto *p, struct trace_reader *r, struct rf_error *err) {
    struct event e;
    int more = trace_seek(r, 1, err) < 0 ? -1 : 1;
    while (more == 1 && !ferror(p->out) && (more = trace_next(r, &e, err)) == 1) {
        if (e.time_us > p->time_us) {
            p->time_us = e.time_us;
            p->ns = 0;
        } else if (p->ns < NS_PER_US - 4) {
            p->ns += 2;
        }
        moments_until(p, e.number);
        descriptors_event(p->descriptors, &e, recorded_memory(&e));
        on_event(p, &e);
    }
    moments_until(p, UINT64_MAX);
    for (size_t i = 0; i < p->task_count; i++)
        if (p->tasks[i].calls) end_call(p, &p->tasks[i], NULL, now(p));
    return more;
}

int perfetto_write(FILE *out, struct trace_reader *r, const struct lock_history *h, struct rf_error *err) {
    struct perfetto p = {.out = out, .history = h, .uuids = UUID_FIRST, .descriptors = descriptors_new()};
    counter_track(&p, UUID_HELD, "held locks");
    counter_track(&p, UUID_RUNNABLE, "runnable tasks");
    plan_spans(&p, trace_last_event(r));
    int more = write_events(&p, r, err);
    descriptors_free(p.descriptors);
    free(p.tasks);
    free(p.tracks);
    free(p.moments);
    hash_release(&p.by_lock);
    free(p.handed);
    free(p.taken_over);
    protobuf_release(&p.packet);
    protobuf_release(&p.part);
    protobuf_release(&p.inner);
    errno = 0;
    if ((fflush(out) || ferror(out)) && more >= 0)
        return rf_fail_errno(err, RF_CANNOT, "cannot write the output");
    return more < 0 ? -1 : 0;
}
