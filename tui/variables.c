#include "tui/variables.h"

#include "tui/layout.h"

#include <stdio.h>
#include <stdlib.h>

bool tui_variables_fresh(const struct tui_model *m) {
    const struct tui_place *at = &m->variables_at;
    return m->variables_known && at->event == m->focus.event && at->tid == m->focus.tid &&
           at->frame == m->focus.frame;
}

// The stack comes first: its frames are what the variables are asked of. A script's functions have none that are known.
bool tui_variables_wanted(const struct tui_model *m) {
    if (!tui_slot_of(m, TUI_VARIABLES) || tui_variables_fresh(m)) return false;
    bool stack = m->stack_valid && m->stack_event == m->focus.event && m->stack_tid == m->focus.tid;
    if (!stack || m->focus.frame >= m->frame_count) return false;
    for (size_t i = 0; i < m->frame_count; i++)
        if (m->frames[i].of_script) return false; // the numbers of frames are not the machine's
    return true;
}

void tui_variables_release(struct tui_model *m) {
    free(m->variables);
    m->variables = NULL;
    m->variables_known = false;
}

void tui_variables_take(struct tui_model *m, struct tui_job *job) {
    tui_variables_release(m);
    m->variables_known = true;
    m->variables_at = (struct tui_place){job->event, job->tid, job->frame};
    m->variables = job->result < 0 ? NULL : job->variables;
    m->variable_line = m->variables_top = 0;
    snprintf(m->variables_error, sizeof m->variables_error, "%s", job->result < 0 ? job->err.text : "");
}
