#include "replayer/stepping.h"

#include "core/annex.h"

enum { STEPS_MAX = 20000 };

struct space_memory {
    struct replay *replay;
    uint32_t space;
};

struct stepping {
    struct space_memory memory;
    int tid;
    size_t steps;
    bool gap;
    stepping_each each;
    void *context;
};

static bool read_memory(void *context, uint64_t address, void *buffer, size_t len) {
    const struct space_memory *m = context;
    return replay_space_read(m->replay, m->space, address, buffer, len);
}

static bool follow(struct stepping *s, uint64_t address) {
    // A call of another library goes over a counting stub, which has its target in its last 8 bytes.
    if (address - ANNEX_STUBS < ANNEX_STUBS_SIZE &&
        !read_memory(&s->memory, address + ANNEX_STUB_SIZE - sizeof address, &address, sizeof address))
        return false;
    return replay_break_add(s->memory.replay, s->memory.space, address, 0, 0);
}

static enum break_action on_hit(void *context, struct replay *r, struct break_hit *hit) {
    struct stepping *s = context;
    uint64_t next[2], back;
    if (hit->tid != s->tid) return BREAK_EXECUTE;
    if (++s->steps > STEPS_MAX) return BREAK_STOP;
    s->each(s->context, r, hit);
    const struct code_memory memory = {read_memory, &s->memory};
    int n = code_next(hit->code, hit->code_len, hit->regs, &memory, next);
    bool all = n > 0;
    for (int i = 0; i < n; i++)
        all &= follow(s, next[i]);
    if (all) return BREAK_EXECUTE;
    // Into a place without breakpoints: on behind the instruction, and behind the function.
    s->gap = true;
    int length = code_length(hit->code, hit->code_len, hit->regs->rip, &back);
    if (length) follow(s, hit->regs->rip + (uint64_t)length);
    if (read_memory(&s->memory, hit->regs->rsp, &back, sizeof back)) follow(s, back);
    return BREAK_EXECUTE;
}

static void mapped(void *context, struct replay *r, const struct break_mapping *m) {
    (void)context;
    (void)r;
    (void)m;
}

int stepping_run(struct timeline *t, int tid, struct event_span span, stepping_each each, void *context,
                 struct rf_error *err) {
    struct stepping s = {
        .memory = {.replay = timeline_replay(t)}, .tid = tid, .each = each, .context = context};
    const struct break_client client = {.mapped = mapped, .hit = on_hit, .context = &s};
    struct rf_error ignored;
    struct user_regs_struct regs;
    if (timeline_seek(t, span.from, err) < 0) return -1;
    s.memory.space = replay_space_of(s.memory.replay, tid);
    if (replay_task_regs(s.memory.replay, tid, &regs, err) < 0 ||
        replay_breaks(s.memory.replay, &client, err) < 0)
        return -1;
    bool begun = follow(&s, regs.rip);
    int failed = begun ? timeline_seek(t, span.until, err) : 0;
    replay_breaks(s.memory.replay, NULL, &ignored);
    if (failed) timeline_reset(t, &ignored);
    if (s.steps > STEPS_MAX) return 0;
    return failed ? -1 : begun && !s.gap;
}

int stepping_operands(struct replay *r, const struct break_hit *hit, struct memory_operand out[4]) {
    struct space_memory space = {r, hit->space};
    const struct code_memory memory = {read_memory, &space};
    struct code_step step;
    int count = 0;
    if (!code_step(hit->code, hit->code_len, hit->regs, NULL, &memory, &step)) return 0;
    for (int i = 0; i < step.operand_count; i++)
        if (!(step.hidden >> i & 1)) out[count++] = step.operands[i];
    return count;
}

uint64_t stepping_landmark(struct timeline *t, int tid, uint64_t before, uint64_t most, struct event *out) {
    struct rf_error ignored;
    for (uint64_t n = before; n > 1 && before - n < most; n--) {
        if (timeline_event(t, n - 1, out, &ignored) < 0) return 0;
        if (out->tid == tid) return n - 1;
    }
    return 0;
}
