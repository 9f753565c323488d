#include "replayer/gdb/caught.h"

static bool catches(const struct stops *s, long nr) {
    if (s->catch_all) return true;
    for (size_t i = 0; i < s->caught_count; i++)
        if (s->caught[i] == nr) return true;
    return false;
}

static bool mine(const struct stops *s, const struct event *e) {
    const struct replay_task *t = replay_task_find(s->replay, e->tid);
    return t && stops_follows(s, t->pid);
}

// A step is told of each signal: its client knows then that the handler is no part of what it steps through.
static bool passes(const struct stops *s, const struct event *e, int number) {
    bool stepped = (s->command.go == GO_STEP || s->command.go == GO_RANGE) && s->command.tid == e->tid;
    return !stepped && number >= 1 && number <= 64 && s->passed >> (number - 1) & 1;
}

// With its information, or it is no signal of the program: the recorder's way to an entry that is executed anew.
static bool handled(const struct event *e) {
    return e->kind == EV_SIGNAL && event_piece(e, PIECE_SIGINFO, NULL);
}

static bool call_of(const struct event *e) {
    return (e->kind == EV_SYSCALL || e->kind == EV_ENTER) && (e->flags & EVF_REGS);
}

// A fault that nobody handles has been told of where it was: the death is not told besides.
static bool killed(const struct stops *s, const struct event *e) {
    struct event before;
    struct rf_error ignored;
    const struct replay_task *t = replay_task_find(s->replay, e->tid);
    if (e->kind != EV_DEATH || !(e->flags & EVF_KILLED) || !(e->flags & EVF_LAST)) return false;
    bool known = t->last_event && timeline_event(s->timeline, t->last_event, &before, &ignored) == 0;
    return !known || before.kind != EV_SIGNAL || handled(&before);
}

bool caught_ahead(const struct stops *s, const struct event *e, struct stop *stop, uint64_t *pc) {
    *pc = 0;
    *stop = (struct stop){.tid = e->tid, .ahead = e->number, .nr = e->nr};
    if (!mine(s, e)) return false;
    if (call_of(e) && catches(s, e->nr)) {
        stop->reason = STOP_SYSCALL_ENTRY;
        *pc = e->regs.rip - 2;
        return true;
    }
    stop->reason = STOP_SIGNAL;
    if (e->kind == EV_DEATH) stop->nr = e->ret;
    if (passes(s, e, (int)stop->nr)) return false;
    if (handled(e) && e->aux == SIGNAL_AT_ENTRY) {
        *pc = e->regs.rip - 2;
        return true;
    }
    return (handled(e) && e->aux == SIGNAL_AT_LANDMARK) || killed(s, e);
}

bool caught_fault(const struct stops *s, const struct event *e, struct stop *stop) {
    *stop = (struct stop){.reason = STOP_SIGNAL, .tid = e->tid, .ahead = e->number, .nr = e->nr};
    return handled(e) && e->aux == SIGNAL_BY_INSTRUCTION && mine(s, e) && !passes(s, e, e->nr);
}

bool caught_exec(const struct stops *s, const struct event *e, struct stop *stop) {
    *stop = (struct stop){.reason = STOP_EXEC, .tid = e->tid, .ahead = e->number};
    return e->kind == EV_EXEC && mine(s, e);
}

bool caught_behind(const struct stops *s, const struct event *e, struct stop *stop) {
    *stop = (struct stop){.tid = e->tid, .nr = e->nr};
    if (!mine(s, e)) return false;
    if (e->kind == EV_BIRTH && !(e->flags & EVF_THREAD)) {
        stop->reason = e->flags & EVF_VM ? STOP_VFORK : STOP_FORK;
        stop->child = (int)e->aux;
        return true;
    }
    if ((e->kind == EV_SYSCALL || e->kind == EV_EXIT) && catches(s, e->nr)) {
        stop->reason = STOP_SYSCALL_RETURN;
        return true;
    }
    stop->reason = STOP_SIGNAL;
    return e->kind == EV_SIGNAL && !handled(e) && e->aux == SIGNAL_BY_INSTRUCTION && !passes(s, e, e->nr);
}

// ---- where a fault is

static bool count_only(struct stops *s, struct armed *a, const struct break_hit *hit) {
    uint64_t *arrivals = s->look_context;
    if (a->address == s->end.pc) *arrivals = a->arrivals;
    (void)hit;
    return false;
}

int caught_arrivals(struct stops *s, uint64_t event, uint64_t pc, uint64_t *arrivals, struct rf_error *err) {
    struct event e;
    *arrivals = 0;
    if (stops_seek(s, event - 1, err) < 0 || timeline_event(s->timeline, event, &e, err) < 0) return -1;
    struct armed *a = stops_arm(s, replay_space_of(s->replay, e.tid), pc);
    if (!a) return 0; // a jump to where no code is
    a->searched = true;
    s->mode = MODE_LOOK;
    s->look = count_only;
    s->look_context = arrivals;
    s->end.pc = pc;
    s->cut = true; // nobody is asked: half of the arrivals would be another place
    int got = stops_step_event(s, err);
    s->cut = false;
    s->end.pc = 0;
    return got < 0 ? -1 : 0;
}
