#include "replayer/gdb/arrivals.h"

#include "core/annex.h"
#include "core/array.h"
#include "core/code_operands.h"
enum { LOOK_AT_CLIENT = 1024 }; // hits of breakpoints between two looks

// ---- who is followed

bool stops_follows(const struct stops *s, int pid) {
    for (size_t i = 0; i < s->followed_count; i++)
        if (s->followed[i] == pid) return true;
    return false;
}

void stops_follow(struct stops *s, int pid, bool on) {
    for (size_t i = 0; i < s->followed_count; i++)
        if (s->followed[i] == pid) {
            if (!on) array_remove(s->followed, s->followed_count, i);
            return;
        }
    if (on) array_push(s->followed, s->followed_count, pid);
}

static bool lives(const struct replay_task *t) {
    return !t->death;
}

int stops_some_task(const struct stops *s) {
    for (size_t i = 0; i < replay_task_count(s->replay); i++) {
        const struct replay_task *t = replay_task_at(s->replay, i);
        if (lives(t) && stops_follows(s, t->pid) && replay_space_of(s->replay, t->tid)) return t->tid;
    }
    return 0;
}

// ---- breakpoints

static struct armed *armed_find(const struct stops *s, uint32_t space, uint64_t address) {
    for (size_t i = 0; i < s->armed_count; i++)
        if (s->armed[i]->address == address && s->armed[i]->space == space) return s->armed[i];
    return NULL;
}

struct armed *stops_arm(struct stops *s, uint32_t space, uint64_t address) {
    struct armed *a = armed_find(s, space, address);
    if (a) return a;
    if (!replay_break_add(s->replay, space, address, 0, 0)) return NULL;
    a = calloc(1, sizeof *a);
    rf_assert(a);
    *a = (struct armed){.space = space, .address = address, .slice = s->slice, .since = s->slice};
    a->middle = s->hit != NULL;
    *array_add(s->armed, s->armed_count) = a;
    return a;
}

static void disarm(struct stops *s, size_t i) {
    replay_break_remove(s->replay, s->armed[i]->space, s->armed[i]->address);
    free(s->armed[i]);
    array_remove(s->armed, s->armed_count, i);
}

// What has been in memory since the slice's begin stays there until its end: its arrivals tell a later stop's place.
void stops_disarm_steps(struct stops *s, uint32_t space) {
    for (size_t i = s->armed_count; i-- > 0;) {
        struct armed *a = s->armed[i];
        if (!a->step || a->space != space) continue;
        a->step = false;
        if (!a->user && !a->searched) disarm(s, i);
    }
}

static bool space_read(void *context, uint64_t address, void *buffer, size_t len) {
    const struct break_hit *at = ((const struct stops *)context)->hit;
    const struct stops *s = context;
    uint32_t space = at ? at->space : replay_space_of(s->replay, stops_some_task(s));
    return replay_space_read(s->replay, space, address, buffer, len);
}

// The function that an annex stub goes to; 0: `pc` is in none.
static uint64_t stub_target(struct replay *r, uint32_t space, uint64_t pc) {
    uint64_t target;
    if (pc - ANNEX_STUBS >= ANNEX_STUBS_SIZE) return 0;
    uint64_t stub = pc - (pc - ANNEX_STUBS) % ANNEX_STUB_SIZE;
    return replay_space_read(r, space, stub + ANNEX_STUB_SIZE - sizeof target, &target, sizeof target)
               ? target
               : 0;
}

static bool arm_step(struct stops *s, uint32_t space, uint64_t address) {
    uint64_t target = stub_target(s->replay, space, address);
    struct armed *a = stops_arm(s, space, target ? target : address);
    if (a) a->step = true;
    return a != NULL;
}

bool stops_arm_next(struct stops *s, const struct break_hit *at, bool into, uint64_t *call_target) {
    uint64_t next[2], back = 0;
    uint32_t space = at->space;
    struct user_regs_struct regs = *at->regs;
    regs.rip = at->address;
    const struct code_memory memory = {space_read, s};
    int length = code_length(at->code, at->code_len, regs.rip, &back);
    int n = code_next(at->code, at->code_len, &regs, &memory, next);
    uint64_t behind = regs.rip + (uint64_t)length;
    // A call goes elsewhere and comes back behind itself: e8 rel32, or ff /2 (indirect), prefixes apart.
    const uint8_t *code = at->code;
    size_t i = 0;
    while (i + 1 < at->code_len &&
           ((code[i] & 0xf0) == 0x40 || code[i] == 0x66 || code[i] == 0xf2 || code[i] == 0x3e))
        i++;
    bool is_call = length && (code[i] == 0xe8 || (code[i] == 0xff && (code[i + 1] >> 3 & 7) == 2));
    if (call_target) *call_target = is_call && n == 1 ? next[0] : 0;
    if (call_target && *call_target) {
        uint64_t target = stub_target(s->replay, space, *call_target);
        if (target) *call_target = target;
    }
    if (is_call && !into) return arm_step(s, space, behind);
    bool all = n > 0;
    for (int k = 0; k < n; k++)
        all &= arm_step(s, space, next[k]);
    if (all) return true;
    // Into a place where nothing can stand: on behind the instruction, and behind the function.
    if (length) arm_step(s, space, behind);
    if (space_read(s, regs.rsp, &back, sizeof back)) arm_step(s, space, back);
    return false;
}

// ---- walking to a place

void walk_begin(struct stops *s, const struct place *to) {
    s->walk = (struct walk){.to = to};
    struct rf_error ignored;
    int tid = stops_some_task(s);
    for (size_t i = 0; i < to->count; i++) {
        const struct leg *leg = &to->legs[i];
        if (leg->kind == LEG_CHANGE)
            stops_watch(s, tid, &(struct watched){.address = leg->pc, .len = leg->len, .kind = leg->watch},
                        true, &ignored);
    }
    if (to->count && to->legs[0].kind == LEG_ARRIVE) {
        struct armed *a = stops_arm(s, replay_space_of(s->replay, tid), to->legs[0].pc);
        if (a) a->searched = true;
    }
}

bool walk_arrives(struct stops *s, uint64_t pc, uint64_t rsp) {
    struct walk *w = &s->walk;
    if (!w->to || w->there || w->leg == w->to->count) return false;
    const struct leg *leg = &w->to->legs[w->leg];
    if (leg->kind == LEG_CHANGE) {
        if (w->count < leg->count) return false;
    } else if (pc != leg->pc || (leg->rsp && leg->rsp != rsp) || ++w->count < leg->count) {
        return false;
    }
    w->count = 0;
    if (++w->leg == w->to->count) return w->there = true;
    leg = &w->to->legs[w->leg];
    if (leg->kind == LEG_ARRIVE) {
        struct armed *a =
            stops_arm(s, s->hit ? s->hit->space : replay_space_of(s->replay, stops_some_task(s)), leg->pc);
        if (a) a->searched = true;
    }
    return false;
}

// ---- the engine's callbacks

bool goes_forward(enum go go) {
    return go == GO_ON || go == GO_STEP || go == GO_RANGE;
}

// Where the step of another task than the one that runs begins: at its landmark.
static void arm_task(struct stops *s, int tid) {
    struct user_regs_struct regs;
    const struct replay_task *t = replay_task_find(s->replay, tid);
    struct break_hit at = {.tid = tid, .space = replay_space_of(s->replay, tid), .regs = &regs};
    if (!t || !at.space || !stops_regs(s, tid, &regs)) return;
    if (t->in_syscall) {
        arm_step(s, at.space, regs.rip);
        return;
    }
    at.address = regs.rip;
    at.code_len = sizeof at.code;
    while (at.code_len && !replay_space_read(s->replay, at.space, at.address, at.code, at.code_len))
        at.code_len--;
    stops_arm_next(s, &at, true, NULL);
}

void stops_prepare(struct stops *s) {
    const struct break_hit *hit = s->hit;
    int tid = s->command.tid;
    stops_disarm_steps(s, replay_space_of(s->replay, hit ? hit->tid : tid));
    s->watch_by_kernel = false;
    stops_watch_begin(s);
    s->mode = MODE_FORWARD;
    if (s->command.go == GO_ON) return;
    if (!hit || hit->tid != tid) {
        arm_task(s, tid);
        return;
    }
    stops_arm_next(s, hit, true, NULL);
}

// The way to behind the hit that is due.
struct leg stops_due_leg(const struct stops *s) {
    return (struct leg){LEG_CHANGE, s->due.address, 0, s->due.len, s->due.hits, s->due.kind};
}

static void set_here(struct stops *s, const struct armed *a, bool watch) {
    struct place *p = &s->here;
    if (!watch && !a->middle) {
        *p = (struct place){.event = s->slice, .count = 1};
        p->legs[0] = (struct leg){.kind = LEG_ARRIVE, .pc = a->address, .count = a->arrivals};
        return;
    }
    if (p->event != s->slice) *p = (struct place){.event = s->slice};
    if (p->count == PLACE_LEGS) return; // never: see tell
    p->legs[p->count++] =
        watch ? stops_due_leg(s) : (struct leg){.kind = LEG_ARRIVE, .pc = a->address, .count = 1};
}

// Inside of a step: the client's turn.
static enum break_action tell(struct stops *s, const struct stop *stop) {
    if (!s->again) {
        s->ahead = stop->ahead;
        timeline_foreign(s->timeline, true);
        s->command = s->client.stopped(s->client.context, stop);
        timeline_foreign(s->timeline, false);
    }
    s->again = false;
    if (goes_forward(s->command.go)) {
        if (s->here.count < PLACE_LEGS - 1) {
            stops_prepare(s);
            return BREAK_EXECUTE;
        }
        s->again = true; // so many legs are one, when it is sought anew
    }
    s->given_up = true;
    return BREAK_STOP;
}

static enum break_action forward_hit(struct stops *s, struct armed *a) {
    const struct break_hit *hit = s->hit;
    const struct command *c = &s->command;
    struct stop stop = {.tid = hit->tid, .address = hit->address};
    bool stepped = a->step && c->go != GO_ON && hit->tid == c->tid,
         watch = s->due.address && !s->watch_by_kernel;
    if (watch) {
        stop.reason = STOP_WATCH;
        stop.address = s->due.address;
        stop.watch = s->due.kind;
    } else if (a->user) {
        stop.reason = STOP_BREAKPOINT;
    } else if (hit->address == s->end.pc && s->ahead != s->end.stop.ahead) {
        stop = s->end.stop;
    } else if (s->interrupted) {
        stop.reason = STOP_INTERRUPT;
    } else if (stepped && c->go == GO_RANGE && hit->address >= c->start && hit->address < c->end) {
        stops_prepare(s);
        return BREAK_EXECUTE;
    } else if (stepped) {
        stop.reason = STOP_STEP;
    } else {
        return BREAK_EXECUTE;
    }
    s->interrupted = false;
    set_here(s, a, watch);
    return tell(s, &stop);
}

static enum break_action on_hit(void *context, struct replay *r, struct break_hit *hit) {
    struct stops *s = context;
    struct armed *a = armed_find(s, hit->space, hit->address);
    if (!a) { // a fork's copy
        replay_break_remove(r, hit->space, hit->address);
        return BREAK_EXECUTE;
    }
    if (!stops_follows(s, hit->pid)) return BREAK_EXECUTE;
    if (a->slice != s->slice) {
        a->slice = s->slice;
        a->arrivals = 0;
        a->middle = false;
    }
    a->arrivals++;
    if (++s->hits % LOOK_AT_CLIENT == 0 && s->client.interrupted(s->client.context)) s->interrupted = true;
    s->hit = hit;
    enum break_action action = BREAK_EXECUTE;
    bool there = s->mode != MODE_FORWARD && walk_arrives(s, hit->address, hit->regs->rsp);
    if (s->mode == MODE_FORWARD) {
        action = forward_hit(s, a);
    } else if (s->mode == MODE_LOOK) {
        if (s->look(s, a, hit) || there) {
            s->given_up = true;
            action = BREAK_STOP;
        }
    } else if (there) {
        s->here = *s->walk.to;
        if (!a->middle && s->here.legs[s->here.count - 1].kind == LEG_ARRIVE) set_here(s, a, false);
        s->arrival.tid = hit->tid;
        action = tell(s, &s->arrival);
    }
    s->hit = NULL;
    return action;
}

static void on_mapped(void *context, struct replay *r, const struct break_mapping *m) {
    struct stops *s = context;
    const struct replay_task *t = replay_task_find(r, m->tid);
    if (!t || !stops_follows(s, t->pid)) return;
    for (size_t i = 0; i < s->break_count; i++) {
        uint64_t address = s->breaks[i].address;
        if (s->breaks[i].pid != t->pid || address < m->map.start || address >= m->map.end) continue;
        struct armed *a = stops_arm(s, m->space, address);
        if (a) a->user = true;
    }
}

static void on_watch(void *context, struct replay *r, const struct watch_hit *hit) {
    struct stops *s = context;
    if (!stops_follows(s, hit->pid)) return;
    if (hit->word >= s->watch_count) return;
    struct watched *w = &s->watches[hit->word];
    // A debug register cannot watch reads alone. gdb knows that: it passes over a stop of rwatch at which the value is another one, and
    // has to be told of it, or it would take the next read for a write.
    if (hit->accessed && w->kind == WATCH_WRITE) return;
    w->hits++;
    const struct walk *walk = &s->walk;
    if (walk->to && !walk->there && walk->leg < walk->to->count) {
        const struct leg *leg = &walk->to->legs[walk->leg];
        if (leg->kind == LEG_CHANGE && leg->pc == w->address && leg->watch == w->kind) s->walk.count++;
    }
    s->due = *w;
    s->watch_by_kernel = hit->from_kernel;
    if (hit->from_kernel) return;
    // The stop is the next arrival: about to execute what is behind the instruction that wrote.
    uint32_t space = replay_space_of(r, hit->tid);
    struct armed *a = armed_find(s, space, hit->regs->rip);
    if (!a && (a = stops_arm(s, space, hit->regs->rip))) a->middle = true;
    if (a) a->searched = true;
}

// In the middle of a slice no place can be told: the step is given up.
static bool on_asked(void *context) {
    struct stops *s = context;
    if (s->mode == MODE_WALK || s->cut || !s->client.interrupted(s->client.context)) return false;
    return s->interrupted = s->given_up = s->cut = true;
}

static const struct break_client *engine_client(struct stops *s, struct break_client *c) {
    *c = (struct break_client){.mapped = on_mapped, .hit = on_hit, .asked = on_asked, .context = s};
    return c;
}

static int task_of(const struct stops *s, int pid) {
    for (size_t i = 0; i < replay_task_count(s->replay); i++) {
        const struct replay_task *t = replay_task_at(s->replay, i);
        if (t->pid == pid && lives(t) && replay_space_of(s->replay, t->tid)) return t->tid;
    }
    return 0;
}

static int set_watches(struct stops *s, int tid, struct rf_error *err) {
    struct watch_word words[WATCHES];
    for (size_t i = 0; i < s->watch_count; i++)
        words[i] = (struct watch_word){.address = s->watches[i].address,
                                       .len = s->watches[i].len,
                                       .access = s->watches[i].kind != WATCH_WRITE};
    return replay_watch_words(s->replay, tid, words, s->watch_count,
                              (struct watch_client){.hit = on_watch, .context = s}, err);
}

static int watch_anew(struct stops *s, struct rf_error *err) {
    int tid = s->watch_count ? task_of(s, s->watch_pid) : 0;
    uint32_t space = tid ? replay_space_of(s->replay, tid) : 0;
    if (!space || space == s->watch_space) return 0;
    s->watch_space = space;
    return set_watches(s, tid, err);
}

void stops_watch_begin(struct stops *s) {
    s->due = (struct watched){0};
    for (size_t i = 0; i < s->watch_count; i++)
        s->watches[i].hits = 0;
}

int stops_arm_anew(struct stops *s, struct rf_error *err) {
    struct break_client c;
    replay_breaks(s->replay, NULL, err);
    for (size_t i = 0; i < s->armed_count; i++)
        free(s->armed[i]);
    s->armed_count = 0;
    s->slice = timeline_position(s->timeline);
    return watch_anew(s, err) < 0 ? -1 : replay_breaks(s->replay, engine_client(s, &c), err);
}

// ---- moving

int stops_seek(struct stops *s, uint64_t event, struct rf_error *err) {
    s->mode = MODE_WALK;
    s->walk = (struct walk){0};
    s->hit = NULL;
    int failed = s->given_up || event <= timeline_position(s->timeline)
                     ? timeline_again(s->timeline, event, err)
                     : timeline_seek(s->timeline, event, err);
    s->given_up = s->cut = false;
    return failed ? -1 : stops_arm_anew(s, err);
}

int stops_step_event(struct stops *s, struct rf_error *err) {
    uint64_t at = s->slice = timeline_position(s->timeline);
    for (size_t i = 0; i < s->watch_count; i++)
        s->watches[i].hits = 0;
    if (at >= timeline_last(s->timeline)) return 0;
    if (timeline_seek(s->timeline, at + 1, err) < 0) return s->given_up ? 2 : -1;
    const struct event *e = replay_event(s->replay);
    if (e && e->kind == EV_EXEC && watch_anew(s, err) < 0) return -1;
    return timeline_position(s->timeline) > at;
}

bool stops_break(struct stops *s, int tid, uint64_t address, bool on) {
    uint32_t space = replay_space_of(s->replay, tid);
    const struct replay_task *t = replay_task_find(s->replay, tid);
    int pid = t ? t->pid : 0;
    size_t i = 0;
    while (i < s->break_count && (s->breaks[i].address != address || s->breaks[i].pid != pid))
        i++;
    struct armed *a = armed_find(s, space, address);
    if (!on) {
        // Its int3 stays until the end of the slice, where it may count; a later seek leaves it out.
        if (i < s->break_count) array_remove(s->breaks, s->break_count, i);
        if (a) a->user = false;
        return true;
    }
    if (i == s->break_count) array_push(s->breaks, s->break_count, (struct client_break){pid, address});
    if (!a) a = stops_arm(s, space, address);
    if (a) a->user = true;
    return a != NULL;
}

static size_t watch_find(const struct stops *s, const struct watched *w) {
    for (size_t i = 0; i < s->watch_count; i++)
        if (s->watches[i].address == w->address && s->watches[i].len == w->len &&
            s->watches[i].kind == w->kind)
            return i;
    return s->watch_count;
}

int stops_watch(struct stops *s, int tid, const struct watched *w, bool on, struct rf_error *err) {
    const struct replay_task *t = replay_task_find(s->replay, tid);
    size_t i = watch_find(s, w), before = s->watch_count;
    int pid = t ? t->pid : 0;
    // gdb lets go of a forked child, and of the watchpoints that it has inherited in its eyes: those of the parent stay.
    if ((i < before) == on || (!on && pid != s->watch_pid)) return 0;
    if (!on) {
        array_remove(s->watches, s->watch_count, i);
        tid = task_of(s, s->watch_pid);
        if (s->watch_count && tid) return set_watches(s, tid, err);
        replay_unwatch(s->replay);
        s->watch_space = 0;
        return 0;
    }
    if (before == WATCHES)
        return rf_fail(err, RF_CANNOT, "no more than %d watchpoints at once: so many the CPU has", WATCHES);
    if (before && s->watch_pid != pid)
        return rf_fail(err, RF_CANNOT, "the watchpoints are in process %d: delete them first", s->watch_pid);
    s->watches[s->watch_count++] = (struct watched){.address = w->address, .len = w->len, .kind = w->kind};
    s->watch_pid = pid;
    s->watch_space = replay_space_of(s->replay, tid);
    if (set_watches(s, tid, err) == 0) return 0;
    s->watch_count = before;
    if (before) {
        struct rf_error ignored;
        set_watches(s, tid, &ignored);
    } else {
        replay_unwatch(s->replay);
    }
    return -1;
}

void stops_catch_syscall(struct stops *s, bool on, long nr) {
    if (!on) {
        s->catch_all = false;
        s->caught_count = 0;
    } else if (nr < 0) {
        s->catch_all = true;
    } else {
        array_push(s->caught, s->caught_count, nr);
    }
}

void stops_pass_signals(struct stops *s, uint64_t signals) {
    s->passed = signals;
}

uint64_t stops_event(const struct stops *s) {
    return s->here.event;
}

const struct place *stops_place(const struct stops *s) {
    return &s->here;
}

bool stops_regs(struct stops *s, int tid, struct user_regs_struct *out) {
    struct rf_error ignored;
    struct view view;
    uint32_t space = replay_space_of(s->replay, tid);
    if (s->hit && s->hit->tid == tid) {
        *out = *s->hit->regs;
        out->rip = s->hit->address;
        return true;
    }
    if (!space || replay_task_regs(s->replay, tid, out, &ignored) < 0) return false;
    uint64_t target = stub_target(s->replay, space, out->rip);
    if (target)
        out->rip = target;
    else if (replay_view(s->replay, tid, &view, &ignored) == 0)
        out->rip = unwind_program_pc(&view, out->rip);
    return true;
}

bool stops_read(struct stops *s, int tid, uint64_t address, void *buffer, size_t len) {
    return replay_space_read(s->replay, replay_space_of(s->replay, tid), address, buffer, len);
}