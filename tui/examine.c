#include "tui/examine.h"

#include "core/text.h"
#include "tui/focus.h"
#include "tui/layout.h"
#include "tui/match.h"
#include "tui/variables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct tui_variable *chosen_row(const struct tui_model *m) {
    bool known = m->variables && m->variable_line < m->variables->count;
    return known ? &m->variables->rows[m->variable_line] : NULL;
}

// ---- what is shown

void tui_examine_add(struct tui_model *m, const char *text) {
    if (!*text) return;
    for (size_t i = 0; i < m->examined_count; i++) {
        if (strcmp(m->examined[i].text, text) != 0) continue;
        tui_model_message(m, false, "'%s' is there already", text);
        return;
    }
    if (m->examined_count == TUI_MOST_EXAMINED || strlen(text) >= sizeof m->examined->text) {
        tui_model_message(m, true, "%d at once; X takes the chosen one away", TUI_MOST_EXAMINED);
        return;
    }
    snprintf(m->examined[m->examined_count++].text, sizeof m->examined->text, "%s", text);
    m->variables_known = false;
    m->examined_new = true;
    tui_layout_pane(m, TUI_VARIABLES);
}

static void forget(struct tui_model *m) {
    const struct tui_variable *row = chosen_row(m);
    if (!row || row->examined < 0 || (size_t)row->examined >= m->examined_count) {
        tui_model_message(m, true, "choose a global or memory in pane 8, which x has added");
        return;
    }
    size_t index = (size_t)row->examined, behind = m->examined_count - index - 1;
    memmove(&m->examined[index], &m->examined[index + 1], behind * sizeof *m->examined);
    m->examined_count--;
    m->variables_known = false;
}

void tui_examine_enter(struct tui_model *m) {
    const struct tui_variable *row = chosen_row(m);
    char text[64];
    if (!row || row->sort != TUI_ROW_VARIABLE || !row->what.address || !row->what.size) {
        tui_model_message(m, false, "no bytes in memory belong to this line; x shows those of an address");
        return;
    }
    snprintf(text, sizeof text, "0x%llx,%llu", (unsigned long long)row->what.address,
             (unsigned long long)row->what.size);
    tui_examine_add(m, text);
}

// ---- names

bool tui_names_wanted(const struct tui_model *m) {
    bool same = m->names_known && m->names_at.event == m->focus.event && m->names_at.tid == m->focus.tid;
    return m->prompt == TUI_PROMPT_EXAMINE && !same && m->focus.event;
}

void tui_names_release(struct tui_model *m) {
    free(m->names);
    m->names = NULL;
    m->names_known = false;
}

void tui_names_take(struct tui_model *m, struct tui_job *job) {
    tui_names_release(m);
    m->names_known = true;
    m->names_at = (struct tui_place){.event = job->event, .tid = job->tid};
    m->names = job->result < 0 ? NULL : job->names;
}

size_t tui_examine_matches(const struct tui_model *m, const char **out, size_t max) {
    size_t count = 0, len = strlen(m->prompt_text);
    for (int pass = 0; pass < 2 && m->names; pass++) {
        for (size_t i = 0; i < m->names->count; i++) {
            const char *name = m->names->items[i].text;
            bool begins = !strncmp(name, m->prompt_text, len);
            if (begins != !pass || (!begins && !tui_contains(name, m->prompt_text))) continue;
            if (count < max) out[count] = name;
            count++;
        }
    }
    return count;
}

// ---- changes

// "queue.head[2].next" of the row in which it is.
static void full_name(const struct tui_variables *v, size_t index, char *out, size_t size) {
    const char *parts[8];
    size_t count = 0;
    int depth = v->rows[index].what.depth + 1;
    for (size_t i = index + 1; i-- > 0 && depth > 0 && count < 8;) {
        const struct local *what = &v->rows[i].what;
        if (v->rows[i].sort != TUI_ROW_VARIABLE || what->depth >= depth) continue;
        depth = what->depth;
        parts[count++] = what->name;
    }
    struct text t = text_in(out, size);
    while (count--)
        text_add(&t, "%s%s", t.used && *parts[count] != '[' ? "." : "", parts[count]);
}

static void watch(struct tui_model *m) {
    const struct tui_variable *row = chosen_row(m);
    size_t task = tui_model_task_index(m, m->focus.tid);
    if (m->pane != TUI_VARIABLES || !row || !tui_variables_fresh(m) || task == m->task_count) {
        tui_layout_pane(m, TUI_VARIABLES);
        tui_model_message(m, false, "choose a line here, then w watches it; x adds globals and memory");
        return;
    }
    if (!row->what.address || !row->what.size) {
        tui_model_message(m, true, "this line is not in memory, where alone it could be watched");
        return;
    }
    memset(&m->watch, 0, sizeof m->watch);
    if (row->sort == TUI_ROW_MEMORY)
        snprintf(m->watch.name, sizeof m->watch.name, "0x%llx", (unsigned long long)row->what.address);
    else
        full_name(m->variables, m->variable_line, m->watch.name, sizeof m->watch.name);
    m->watch.pid = m->tasks[task].pid;
    m->watch.address = row->what.address;
    m->watch.size = row->what.size;
    tui_model_message(m, false,
                      "watching %s, %llu bytes at 0x%llx: } goes to the next change, { to the one before",
                      m->watch.name, (unsigned long long)m->watch.size, (unsigned long long)m->watch.address);
}

static void seek_change(struct tui_model *m, int direction) {
    if (!*m->watch.name) {
        watch(m);
        if (!*m->watch.name) return;
    }
    m->watch.wanted = direction;
    tui_model_message(m, false, "looking for the %s change of %s; ^C stops",
                      direction > 0 ? "next" : "previous", m->watch.name);
}

void tui_change_ask(struct tui_model *m, struct tui_change_wish *wish) {
    bool back = m->watch.wanted < 0, told = m->watch.found == m->focus.event;
    *wish = (struct tui_change_wish){
        .pid = m->watch.pid, .address = m->watch.address, .size = m->watch.size, .back = back};
    // Behind the event whose change was just told: what is before it is before its slice.
    wish->event = m->focus.event - (back && told && m->focus.event);
}

static void say_value(uint64_t value, char *out, size_t size) {
    snprintf(out, size, value < 10 ? "%llu" : "0x%llx", (unsigned long long)value);
}

// Nothing changes it any more, or since the process is there: a fork's copy has its value from the parent.
static void say_none(struct tui_model *m, int direction) {
    size_t task = tui_model_task_index(m, m->watch.pid);
    uint64_t birth = task < m->task_count ? m->tasks[task].birth : 0;
    if (direction < 0 && birth)
        tui_model_message(
            m, false, "%s has not changed since event %llu made process %d; w in process %d goes on there",
            m->watch.name, (unsigned long long)birth, m->watch.pid, m->tasks[task].parent_tid);
    else
        tui_model_message(m, false, "%s does not change %s this event in process %d", m->watch.name,
                          direction > 0 ? "behind" : "before", m->watch.pid);
}

void tui_change_take(struct tui_model *m, struct tui_job *job) {
    const struct tui_change *c = &job->change;
    int direction = m->watch.wanted;
    char before[24], after[24], label[128], what[120];
    m->watch.wanted = 0;
    if (job->result < 0) {
        tui_model_message(m, true, "%.400s", job->err.text);
        return;
    }
    if (!c->event) {
        say_none(m, direction);
        return;
    }
    m->watch.found = c->event;
    tui_model_jump(m, c->event, c->tid);
    say_value(c->before, before, sizeof before);
    say_value(c->after, after, sizeof after);
    tui_task_label(m, c->tid, label, sizeof label);
    bool part = (uint64_t)c->size != m->watch.size;
    snprintf(what, sizeof what, part ? "%.70s+%llu" : "%.70s", m->watch.name,
             (unsigned long long)(c->address - m->watch.address));
    char times[48] = "";
    if (c->count > 1) snprintf(times, sizeof times, ", last of %llu here", (unsigned long long)c->count);
    tui_model_message(m, false, "%s: %s -> %s by %.60s%s%s%s%s", what, before, after, label,
                      c->by_kernel ? " (its call)" : "", *c->where ? " in " : "", c->where, times);
}

bool tui_examine_action(struct tui_model *m, enum tui_action action) {
    switch (action) {
    case TUI_ACTION_EXAMINE:
        m->prompt = TUI_PROMPT_EXAMINE;
        m->prompt_text[0] = 0;
        m->palette_line = m->palette_top = 0;
        break;
    case TUI_ACTION_FORGET:
        forget(m);
        break;
    case TUI_ACTION_WATCH:
        watch(m);
        break;
    case TUI_ACTION_CHANGE_NEXT:
        seek_change(m, 1);
        break;
    case TUI_ACTION_CHANGE_PREVIOUS:
        seek_change(m, -1);
        break;
    default:
        return false;
    }
    return true;
}
