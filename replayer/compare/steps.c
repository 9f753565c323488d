#include "replayer/compare/steps.h"

#include "core/array.h"
#include "core/calls/syscalls.h"
#include "core/trace/trace_read.h"

#include <stdlib.h>
#include <sys/syscall.h>

struct reading {
    struct steps *steps;
    uint64_t *made; // steps of task i + 1 so far
    size_t made_count;
};

static uint64_t mix(uint64_t a, uint64_t b) {
    return hash_mix(a ^ hash_mix(b + 0x9e3779b97f4a7c15ull));
}

// The task's number; a TID that is used again is a new task.
static uint32_t number_of(const struct steps *s, int64_t tid) {
    for (size_t i = s->task_count; i-- > 0;)
        if (s->tids[i] == tid) return (uint32_t)i + 1;
    return 0;
}

static void add_task(struct reading *r, int tid) {
    array_push(r->steps->tids, r->steps->task_count, tid);
    array_push(r->made, r->made_count, 0);
}

static uint64_t mix_bytes(uint64_t mixed, const void *data, size_t len) {
    const uint8_t *bytes = data;
    for (size_t at = 0; at < len; at += 8) {
        uint64_t word = 0;
        memcpy(&word, bytes + at, len - at < 8 ? len - at : 8);
        mixed = mix(mixed, word);
    }
    return mixed;
}

// A number that names a task means that task, whatever it is called in this recording.
static uint64_t plain(const struct steps *s, int64_t value) {
    uint32_t task = value > 1 ? number_of(s, value) : 0;
    return task ? mix(1, task) : (uint64_t)value;
}

static bool tells_process(int nr) {
    return nr == SYS_getppid || nr == SYS_getpgrp || nr == SYS_getpgid || nr == SYS_getsid;
}

// What a call returned. Who started the recorded program is another process each time: all of those are one.
static uint64_t result_of(const struct steps *s, const struct event *e) {
    const uint64_t outside = mix(2, 0);
    if (e->kind != EV_DEATH && tells_process(e->nr) && e->ret > 1 && !number_of(s, e->ret)) return outside;
    return plain(s, e->ret);
}

static void read_pieces(const struct event *e, const struct steps *s, struct step *out) {
    for (size_t i = 0; i < e->piece_count; i++) {
        const struct piece *p = &e->pieces[i];
        if (p->kind == PIECE_MEM && p->len == 4) { // a TID or a status, where one is meant
            int32_t word;
            memcpy(&word, p->data, 4);
            out->result = mix(mix(out->result, p->mem.address), plain(s, word));
        } else if (p->kind == PIECE_MEM) {
            out->result = mix_bytes(mix(out->result, p->mem.address), p->data, p->len);
        } else if (p->kind == PIECE_HASH) {
            out->data = mix(out->data, p->hash.xxh3);
        }
    }
}

static bool is_step(const struct event *e) {
    return e->kind == EV_SYSCALL || e->kind == EV_ENTER || e->kind == EV_EXIT || e->kind == EV_TRAP ||
           e->kind == EV_SIGNAL || e->kind == EV_EXEC || e->kind == EV_DEATH || e->kind == EV_TICK ||
           e->kind == EV_BREAK || e->kind == EV_STATE;
}

// A place in a task's way between two steps, the same in another run: so many library calls, an address for the n-th
// time, a turn of a loop. 0: the event is none.
static uint64_t place_of(const struct event *e) {
    if (e->kind == EV_TICK) return mix(EV_TICK, (uint64_t)e->ret) | 1;
    if (e->kind == EV_BREAK) return mix(mix(mix(EV_BREAK, (uint64_t)e->nr), (uint64_t)e->ret), e->aux) | 1;
    if (e->kind != EV_STATE) return 0;
    uint64_t place = mix(EV_STATE, e->regs.rip);
    size_t from = 0;
    for (const struct piece *p; (p = event_piece(e, PIECE_WORD, &from));)
        place = mix(mix(place, p->word.address), p->word.value);
    return place | 1;
}

static bool tells_time(const struct event *e) {
    if (e->kind == EV_TRAP) return e->nr != TRAP_CPUID && e->nr != TRAP_XGETBV;
    return (e->kind == EV_SYSCALL || e->kind == EV_EXIT) &&
           (syscall_effect(e->nr) == EFFECT_CLOCK || e->nr == SYS_getrandom);
}

static void add_step(struct reading *r, const struct event *e) {
    struct steps *s = r->steps;
    uint32_t task = number_of(s, e->tid);
    if (!task) return;
    struct step new = {.event = e->number,
                       .task = task,
                       .made = r->made[task - 1] += event_own_steps(e->kind),
                       .place = place_of(e),
                       .kind = e->kind,
                       .nr = e->nr,
                       .clock = tells_time(e)};
    if (e->kind == EV_TICK) new.calls = (uint64_t)e->ret;
    if (e->kind == EV_SYSCALL || e->kind == EV_EXIT || e->kind == EV_DEATH) new.result = result_of(s, e);
    if (e->kind != EV_EXEC && !new.place)
        read_pieces(e, s, &new); // a new image has random bytes and the environment
    array_push(s->all, s->count, new);
}

int steps_read(const char *path, struct steps *out, struct rf_error *err) {
    *out = (struct steps){0};
    struct reading r = {.steps = out};
    struct trace_reader *reader;
    struct event e;
    if (trace_open(path, &reader, err)) return -1;
    out->events = trace_last_event(reader);
    int got;
    while ((got = trace_next(reader, &e, err)) > 0) {
        if (!out->task_count && e.tid) add_task(&r, e.tid);
        if (e.kind == EV_BIRTH) add_task(&r, (int)e.ret);
        if (is_step(&e)) add_step(&r, &e);
    }
    trace_close(reader);
    free(r.made);
    return got < 0 ? -1 : 0;
}

void steps_release(struct steps *s) {
    free(s->all);
    free(s->tids);
    *s = (struct steps){0};
}
