#include "tui/variables.h"

#include "tui/layout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool tui_variables_fresh(const struct tui_model *m) {
    const struct tui_place *at = &m->variables_at;
    return m->variables_known && at->event == m->focus.event && at->tid == m->focus.tid &&
           at->frame == m->focus.frame;
}

bool tui_variables_of_script(const struct tui_model *m) {
    for (size_t i = 0; i < m->frame_count; i++)
        if (m->frames[i].of_script) return true;
    return false;
}

// The stack comes first: its frames are what the variables are asked of. A script's functions have none that are known, and
// their numbers of frames are not the machine's.
bool tui_variables_wanted(const struct tui_model *m) {
    if (!tui_slot_of(m, TUI_VARIABLES) || tui_variables_fresh(m)) return false;
    bool stack = m->stack_valid && m->stack_event == m->focus.event && m->stack_tid == m->focus.tid;
    if (!stack || m->focus.frame >= m->frame_count) return false;
    return m->examined_count || !tui_variables_of_script(m);
}

void tui_variables_release(struct tui_model *m) {
    free(m->variables);
    free(m->variables_past);
    m->variables = m->variables_past = NULL;
    m->variables_known = false;
}

// ---- what has changed since the place before

static const struct tui_variable *same_row(const struct tui_variables *v, const struct tui_variable *row) {
    for (size_t i = 0; i < v->count; i++) {
        const struct tui_variable *r = &v->rows[i];
        if (r->sort == row->sort && r->what.address == row->what.address &&
            r->what.depth == row->what.depth && !strcmp(r->what.name, row->what.name) &&
            !strcmp(r->what.type, row->what.type))
            return r;
    }
    return NULL;
}

static void mark_changes(struct tui_variables *now, const struct tui_variables *past) {
    for (size_t i = 0; i < now->count; i++) {
        struct tui_variable *row = &now->rows[i];
        const struct tui_variable *old = row->sort == TUI_ROW_HEADING ? NULL : same_row(past, row);
        row->marked = 0;
        if (!old) continue;
        if (row->sort == TUI_ROW_VARIABLE) row->marked = strcmp(old->what.value, row->what.value) != 0;
        for (int k = 0; row->sort == TUI_ROW_MEMORY && k < row->length; k++)
            if (k >= old->length || old->bytes[k] != row->bytes[k]) row->marked |= (uint8_t)(1 << k);
    }
}

static void keep_past(struct tui_model *m, const struct tui_job *job) {
    bool elsewhere = m->variables_at.event != job->event || m->variables_at.tid != job->tid;
    if (elsewhere) {
        free(m->variables_past);
        m->variables_past = m->variables;
    } else {
        free(m->variables); // more of the same place: it is still compared with the one before
    }
    m->variables = NULL;
}

void tui_variables_take(struct tui_model *m, struct tui_job *job) {
    bool same = m->variables_at.tid == job->tid && m->variables_at.frame == job->frame;
    keep_past(m, job);
    m->variables_known = true;
    m->variables_at = (struct tui_place){job->event, job->tid, m->focus.frame};
    m->variables = job->result < 0 ? NULL : job->variables;
    if (m->variables && m->variables_past) mark_changes(m->variables, m->variables_past);
    if (!same) m->variable_line = m->variables_top = 0;
    size_t count = m->variables ? m->variables->count : 0;
    for (size_t i = 0; i < count && m->examined_new; i++) {
        if (m->variables->rows[i].examined != (int)m->examined_count - 1) continue;
        m->variable_line = i;
        m->examined_new = false;
    }
    if (m->variable_line >= count) m->variable_line = count ? count - 1 : 0;
    snprintf(m->variables_error, sizeof m->variables_error, "%s", job->result < 0 ? job->err.text : "");
}
