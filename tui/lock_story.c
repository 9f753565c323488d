#include "tui/lock_story.h"

#include "tui/focus.h"
#include "tui/lanes.h"
#include "tui/layout.h"

#include <stdio.h>
#include <stdlib.h>

bool tui_lock_chosen(const struct tui_model *m, int *pid, uint64_t *address) {
    size_t held[256], count = m->verdict ? tui_held(m, held, 256) : 0;
    if (m->used[TUI_LOCKS] > m->used[TUI_STORY] && m->lock_line < count) {
        const struct held_span *span = &m->verdict->spans[held[m->lock_line]];
        *pid = span->pid;
        *address = span->lock;
        return true;
    }
    const struct finding *f =
        m->verdict && m->finding < m->verdict->count ? &m->verdict->findings[m->finding] : NULL;
    while (f && !f->lock.address && f->caused_by)
        f = f->caused_by;
    if (!f || !f->lock.address) return false;
    *pid = f->waiter.pid;
    *address = f->lock.address;
    return true;
}

bool tui_lock_story_wanted(const struct tui_model *m) {
    int pid;
    uint64_t address;
    if (!tui_slot_of(m, TUI_HISTORY) || !tui_lock_chosen(m, &pid, &address)) return false;
    return !m->lock_known || m->lock_pid != pid || m->lock_address != address;
}

void tui_lock_story_release(struct tui_model *m) {
    free(m->lock_story);
    m->lock_story = NULL;
    m->lock_known = false;
}

void tui_lock_story_take(struct tui_model *m, struct tui_job *job) {
    tui_lock_story_release(m);
    m->lock_known = true;
    m->lock_pid = job->pid;
    m->lock_address = job->address;
    m->lock_story = job->result < 0 ? NULL : job->lock;
    m->history_top = 0;
    snprintf(m->lock_error, sizeof m->lock_error, "%s", job->result < 0 ? job->err.text : "");
}

size_t tui_lock_story_row(const struct tui_model *m) {
    const struct tui_lock_story *s = m->lock_story;
    size_t row = 0;
    for (size_t i = 0; s && i < s->count && s->ops[i].event <= m->focus.event; i++)
        if (s->ops[i].event < m->focus.event || s->ops[i].tid == m->focus.tid ||
            s->ops[row].event < s->ops[i].event)
            row = i;
    return row;
}

void tui_lock_story_move(struct tui_model *m, int64_t by) {
    const struct tui_lock_story *s = m->lock_story;
    if (!s || !s->count) return;
    int64_t to = (int64_t)tui_lock_story_row(m);
    by = by > (int64_t)s->count ? (int64_t)s->count : by < -(int64_t)s->count ? -(int64_t)s->count : by;
    to += by;
    if (to < 0) to = 0;
    if (to >= (int64_t)s->count) to = (int64_t)s->count - 1;
    // Several rows may be about one event: the first of another one
    while (by > 0 && to + 1 < (int64_t)s->count && s->ops[to].event == m->focus.event)
        to++;
    tui_model_focus(m, s->ops[to].event, s->ops[to].tid);
}
