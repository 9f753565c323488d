#include "replayer/names/frames.h"

#include "replayer/names/python.h"

#include <stdlib.h>

enum { RAW_MAX = 256, SCRIPT_MAX = 512, LOOPS_MAX = 128 };

// What one call of the interpreter's loop runs.
struct run {
    uint64_t anchor; // on the C stack, in the frame of that call; 0: not known
    size_t first, count;
};

struct script {
    struct script_call calls[SCRIPT_MAX];
    size_t count;
    struct run runs[LOOPS_MAX];
    size_t run_count;
};

static void end_run(struct script *s, uint64_t anchor) {
    size_t first = s->run_count ? s->runs[s->run_count - 1].first + s->runs[s->run_count - 1].count : 0;
    if (s->count > first && s->run_count < LOOPS_MAX)
        s->runs[s->run_count++] = (struct run){anchor, first, s->count - first};
}

static uint8_t boundary_of(const struct python *p, uint64_t frame) {
    uint8_t value = 0;
    return python_read(p, frame + (uint64_t)p->layout->boundary, &value, 1) ? value : 0;
}

static uint64_t back_from(const struct python *p, uint64_t frame) {
    return python_word(p, frame + (uint64_t)p->layout->frame_back);
}

static bool has_room(const struct script *s) {
    return s->count < SCRIPT_MAX && s->run_count < LOOPS_MAX;
}

// Up to 3.10: each function has a call of the loop of its own.
static void read_single(const struct python *p, struct script *s) {
    for (uint64_t frame = python_frame(p); frame && has_room(s); frame = back_from(p, frame)) {
        if (!python_call(p, frame, &s->calls[s->count])) return;
        s->count++;
        end_run(s, 0);
    }
}

// 3.11: each call of the loop has a _PyCFrame in its own frame, with the innermost of what it runs; the chain of frames and
// that of the _PyCFrames must say the same.
static void read_cframes(const struct python *p, struct script *s) {
    const struct python_layout *l = p->layout;
    uint64_t cframe = python_word(p, p->state + (uint64_t)l->state_frame);
    uint64_t frame = python_word(p, cframe + (uint64_t)l->cframe_frame);
    while (frame && has_room(s)) {
        if (!python_call(p, frame, &s->calls[s->count])) break;
        s->count++;
        bool last = boundary_of(p, frame) == l->boundary_value;
        frame = back_from(p, frame);
        if (!last) continue;
        end_run(s, cframe);
        cframe = python_word(p, cframe + (uint64_t)l->cframe_previous);
        if (!cframe || python_word(p, cframe + (uint64_t)l->cframe_frame) != frame) return;
    }
}

// 3.12: behind what a call of the loop runs comes a frame of its own, which is in its frame of the C stack.
static void read_entries(const struct python *p, struct script *s) {
    const struct python_layout *l = p->layout;
    uint64_t frame = python_word(p, p->state + (uint64_t)l->state_frame);
    if (l->cframe_frame >= 0) frame = python_word(p, frame + (uint64_t)l->cframe_frame);
    for (int hops = 0; frame && hops < 2 * SCRIPT_MAX && has_room(s); hops++) {
        if (boundary_of(p, frame) == l->boundary_value)
            end_run(s, frame);
        else if (python_call(p, frame, &s->calls[s->count]))
            s->count++;
        else
            return;
        frame = back_from(p, frame);
    }
}

// The run that the call of the loop between these two stack pointers carries out.
static const struct run *run_between(const struct script *s, uint64_t low, uint64_t high) {
    for (size_t i = 0; i < s->run_count; i++)
        if (s->runs[i].anchor >= low && s->runs[i].anchor < high) return &s->runs[i];
    return NULL;
}

static size_t loops_in(const struct frame *frames, size_t n) {
    size_t loops = 0;
    for (size_t i = 0; i < n; i++)
        loops += python_is_loop(&frames[i]);
    return loops;
}

static void tell(struct python *p, const struct script *s, const struct raw_stack *raw, struct frame *frames,
                 size_t n) {
    // Without anchors only the number says that they belong together: each function a call of the loop.
    const bool counted = s->run_count && !s->runs[0].anchor && s->run_count == loops_in(frames, n);
    size_t at = 0, loop = 0;
    for (size_t i = 0; i < n; i++) {
        if (frames[i].inlined) continue;
        size_t k = at++;
        if (!python_is_loop(&frames[i])) continue;
        if (k >= raw->count || raw->frames[k].pc != frames[i].pc) return;
        const struct run *run = counted ? &s->runs[loop++] : NULL;
        if (s->run_count && s->runs[0].anchor && raw->frames[k].cfa)
            run = run_between(s, k ? raw->frames[k - 1].cfa : 0, raw->frames[k].cfa);
        if (!run) continue;
        frames[i].script = symbols_keep_script(p->symbols, &s->calls[run->first], run->count);
        if (frames[i].script) frames[i].script_count = run->count;
    }
}

size_t frames_name(struct symbols *s, const struct view *v, const struct raw_stack *raw, struct frame *out,
                   size_t max) {
    size_t n = symbols_frames(s, v, raw->frames, raw->count, out, max), loop = 0;
    struct python p;
    while (loop < n && !python_is_loop(&out[loop]))
        loop++;
    if (loop == n || !python_open(&p, s, v, out[loop].pc, raw->fs_base)) return n;
    struct script *script = calloc(1, sizeof *script);
    if (!script) return n;
    if (p.layout->boundary < 0)
        read_single(&p, script);
    else if (p.layout->boundary_value == 1)
        read_cframes(&p, script);
    else
        read_entries(&p, script);
    tell(&p, script, raw, out, n);
    free(script);
    return n;
}

size_t frames_at(struct symbols *s, const struct view *v, const struct user_regs_struct *regs,
                 struct frame *out, size_t max) {
    struct raw_frame raw[RAW_MAX];
    size_t n = unwind_stack(v, regs, raw, max < RAW_MAX ? max : RAW_MAX);
    return frames_name(s, v, &(struct raw_stack){raw, n, regs->fs_base}, out, max);
}
