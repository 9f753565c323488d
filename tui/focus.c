#include "tui/focus.h"

#include <stdarg.h>
#include <stdio.h>

void tui_model_message(struct tui_model *m, bool bad, const char *format, ...) {
    va_list list;
    va_start(list, format);
    vsnprintf(m->message, sizeof m->message, format, list);
    va_end(list);
    m->message_bad = bad;
}

size_t tui_model_task_index(const struct tui_model *m, int tid) {
    for (size_t i = 0; i < m->task_count; i++) {
        if (m->tasks[i].tid == tid) return i;
    }
    return m->task_count;
}

bool tui_differs_at(const struct tui_model *m, uint64_t event) {
    for (size_t i = 0; i < m->difference_count; i++)
        if (m->differences[i] == event) return true;
    return false;
}

void tui_task_label(const struct tui_model *m, int tid, char *out, size_t size) {
    size_t i = tui_model_task_index(m, tid);
    const struct tui_task *task = i < m->task_count ? &m->tasks[i] : NULL;
    const char *name = !task ? "" : *task->start_routine ? task->start_routine : task->name;
    if (*name)
        snprintf(out, size, "%s (%d)", name, tid);
    else
        snprintf(out, size, "task %d", tid);
}

void tui_model_focus(struct tui_model *m, uint64_t event, int tid) {
    uint64_t last = m->source->last(m->source->context);
    if (event > last) event = last;
    if (event < 1 && last) event = 1;
    struct tui_event e;
    if (!tid) tid = event && m->source->event(m->source->context, event, &e) ? e.tid : m->focus.tid;
    if (event != m->focus.event || tid != m->focus.tid) {
        m->focus = (struct tui_focus){event, tid, 0};
        m->lock_line = 0;
    }
    double at = (double)event; // the lanes follow when the focus leaves their window
    if (at < m->lane_first || at >= m->lane_first + m->lane_span) {
        m->lane_first = at - m->lane_span / 2 < 1 ? 1 : at - m->lane_span / 2;
    }
    const struct tui_story_line *line =
        m->story_line < m->story.count ? &m->story.lines[m->story_line] : NULL;
    if (line && line->event == event && line->tid == tid) return;
    for (size_t i = 0; i < m->story.count; i++) {
        line = &m->story.lines[i];
        if (line->event != event || line->tid != tid || line->sort == TUI_STORY_STUCK) continue;
        m->story_line = i;
        return;
    }
}

void tui_model_jump(struct tui_model *m, uint64_t event, int tid) {
    m->back = m->focus;
    tui_model_focus(m, event, tid);
}
