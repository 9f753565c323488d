// Steps and jumps: to the next event, of the task, of a sort; along the verdict's evidence; along causes and
// effects.
#include "tui/jump.h"

#include "tui/focus.h"
#include "tui/lane_rows.h"
#include "tui/lanes.h"
#include "tui/story.h"

#include <stdio.h>

static void step(struct tui_model *m, int direction) {
    uint64_t last = m->source->last(m->source->context), at = m->focus.event;
    if (direction > 0 ? at >= last : at <= 1) {
        tui_model_message(m, false, direction > 0 ? "this is the last event" : "this is the first event");
        return;
    }
    tui_model_focus(m, direction > 0 ? at + 1 : at - 1, 0);
}

static void step_task(struct tui_model *m, int direction) {
    char label[96];
    size_t task = tui_model_task_index(m, m->focus.tid);
    uint64_t to = 0;
    if (task < m->task_count) {
        uint64_t at = m->focus.event;
        uint64_t rank = m->source->task_rank(m->source->context, task, direction > 0 ? at : at - 1);
        uint64_t k = direction > 0 ? rank + 1 : rank;
        uint8_t kind;
        if (k) to = m->source->task_select(m->source->context, task, k, &kind);
    }
    tui_task_label(m, m->focus.tid, label, sizeof label);
    if (to)
        tui_model_focus(m, to, m->focus.tid);
    else
        tui_model_message(m, false, "%s has no event %s this one", label, direction > 0 ? "after" : "before");
}

static const struct finding *current(const struct tui_model *m) {
    return m->verdict && m->finding < m->verdict->count ? &m->verdict->findings[m->finding] : NULL;
}

static uint64_t next_acquire(const struct tui_model *m, uint64_t after) {
    uint64_t best = 0;
    for (size_t i = 0; i < m->lane_count; i++) {
        const struct tui_lane *lane = &m->lanes[i];
        size_t low = 0, high = lane->span_count;
        while (low < high) {
            size_t middle = low + (high - low) / 2;
            if (m->verdict->spans[lane->spans[middle]].from <= after)
                low = middle + 1;
            else
                high = middle;
        }
        // A ghost's span began with its thread's: no acquire of its own.
        if (lane->ghost || low == lane->span_count) continue;
        uint64_t from = m->verdict->spans[lane->spans[low]].from;
        if (!best || from < best) best = from;
    }
    return best;
}

static uint64_t next_of(const struct tui_model *m, enum tui_action action, uint64_t after) {
    if (action == TUI_ACTION_ACQUIRE) return next_acquire(m, after);
    enum tui_landmark what = action == TUI_ACTION_FORK ? TUI_FORK : TUI_BLOCK;
    return m->source->landmark(m->source->context, what, after, 1);
}

// First to the finding's own, from there on to the next one in the recording, around its end.
static void jump_to(struct tui_model *m, enum tui_action action, const char *what) {
    const struct finding *f = current(m);
    const struct finding_point *point = NULL;
    int tid = 0;
    if (f) {
        point = action == TUI_ACTION_FORK      ? &f->fork
                : action == TUI_ACTION_ACQUIRE ? &f->acquired
                                               : &f->waiting;
        tid = action == TUI_ACTION_ACQUIRE ? f->holder.tid
              : action == TUI_ACTION_BLOCK ? f->waiter.tid
                                           : point->tid;
    }
    if (point && point->event && (m->focus.event != point->event || m->focus.tid != tid)) {
        tui_model_jump(m, point->event, tid);
        tui_model_message(m, false, "the verdict's %s; again: the next one", what);
        return;
    }
    uint64_t at = m->focus.event, to = next_of(m, action, at);
    bool wrapped = !to;
    if (!to) to = next_of(m, action, 0);
    if (!to) {
        bool wait = action == TUI_ACTION_ACQUIRE && m->verdict_state != TUI_VERDICT_DONE;
        tui_model_message(m, true, wait ? "locks are known when the verdict is" : "no %s in this recording",
                          what);
    } else if (to == at) {
        tui_model_message(m, false, "this is the only %s", what);
    } else {
        tui_model_jump(m, to, 0);
        if (wrapped)
            tui_model_message(m, false, "the first %s: there is none after event %llu", what,
                              (unsigned long long)at);
    }
}

static void verdict(struct tui_model *m) {
    if (m->verdict_state == TUI_VERDICT_FAILED || m->verdict_state == TUI_VERDICT_HIDDEN) {
        m->verdict_state = TUI_VERDICT_PENDING;
        tui_story_build(m);
        return;
    }
    const struct finding *f = current(m);
    if (!f) {
        tui_model_message(m, m->verdict_state != TUI_VERDICT_DONE,
                          m->verdict_state == TUI_VERDICT_DONE ? "no deadlock in this recording"
                                                               : "the verdict is not known yet");
        return;
    }
    bool there = m->focus.event == f->waiting.event && m->focus.tid == f->waiter.tid;
    if (there && m->verdict->count > 1) {
        m->finding = (m->finding + 1) % m->verdict->count;
        f = current(m);
        tui_lanes_fit(m, false);
    }
    for (size_t i = 0; i < m->story.count; i++) {
        if (m->story.lines[i].sort != TUI_STORY_STUCK || m->story.lines[i].finding != m->finding) continue;
        m->story_line = i;
        break;
    }
    if (f->waiting.event) tui_model_jump(m, f->waiting.event, f->waiter.tid);
    if (m->verdict->count > 1) {
        tui_model_message(m, false, "finding %zu of %zu; v: the next one", m->finding + 1, m->verdict->count);
    }
}

static void evidence(struct tui_model *m, int direction) {
    size_t count = m->story.count, at = m->story_line;
    for (size_t i = 0; i < count; i++) {
        at = direction > 0 ? (at + 1) % count : (at + count - 1) % count;
        const struct tui_story_line *line = &m->story.lines[at];
        if (!line->event || line->sort == TUI_STORY_STUCK || line->sort == TUI_STORY_TEXT) continue;
        m->story_line = at;
        m->finding = line->finding;
        tui_model_jump(m, line->event, line->tid);
        return;
    }
    tui_model_message(m, true, "no evidence: there is no finding");
}

static void causality(struct tui_model *m, bool effect) {
    struct tui_links links = {0};
    if (m->focus.event) m->source->links(m->source->context, m->focus.event, &links);
    uint64_t to = effect ? links.effect : links.cause;
    size_t held[64], count = to ? 0 : tui_held(m, held, 64);
    for (size_t i = 0; i < count; i++) { // acquire to release
        const struct held_span *span = &m->verdict->spans[held[i]];
        if (effect && !span->ghost && span->tid == m->focus.tid && span->from == m->focus.event)
            to = span->to;
    }
    size_t lane = tui_lane_of_focus(m);
    if (!to && !effect && m->verdict && lane < m->lane_count) { // release to acquire
        const struct held_span *span = tui_lane_span(m, &m->lanes[lane], m->focus.event, m->focus.event);
        if (span && span->to == m->focus.event) to = span->from;
    }
    uint64_t since = 0;
    const struct finding *f = to || effect ? NULL : tui_stuck(m, m->focus.tid, &since);
    if (f && since == m->focus.event && f->acquired.event) { // a wait for ever: the lock was taken there
        tui_model_jump(m, f->acquired.event, f->holder.tid);
        return;
    }
    if (to)
        tui_model_jump(m, to, 0);
    else
        tui_model_message(m, false,
                          effect ? "no known effect of this event" : "no known cause of this event");
}

bool tui_jump_action(struct tui_model *m, enum tui_action action) {
    switch (action) {
    case TUI_ACTION_NEXT:
        step(m, 1);
        return true;
    case TUI_ACTION_PREVIOUS:
        step(m, -1);
        return true;
    case TUI_ACTION_TASK_NEXT:
        step_task(m, 1);
        return true;
    case TUI_ACTION_TASK_PREVIOUS:
        step_task(m, -1);
        return true;
    case TUI_ACTION_FORK:
        jump_to(m, action, "fork");
        return true;
    case TUI_ACTION_ACQUIRE:
        jump_to(m, action, "acquire");
        return true;
    case TUI_ACTION_BLOCK:
        jump_to(m, action, "wait");
        return true;
    case TUI_ACTION_VERDICT:
        verdict(m);
        return true;
    case TUI_ACTION_EVIDENCE_NEXT:
        evidence(m, 1);
        return true;
    case TUI_ACTION_EVIDENCE_PREVIOUS:
        evidence(m, -1);
        return true;
    case TUI_ACTION_CAUSE:
        causality(m, false);
        return true;
    case TUI_ACTION_EFFECT:
        causality(m, true);
        return true;
    default:
        return false;
    }
}
