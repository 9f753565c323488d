// Prompts (':', '/', 'F'), search and filter.
#include "tui/find.h"

#include "tui/examine.h"
#include "tui/focus.h"
#include "tui/keys.h"
#include "tui/lane_rows.h"
#include "tui/lanes.h"
#include "tui/marks.h"
#include "tui/match.h"
#include "tui/palette.h"
#include "tui/moment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// While a search or a filter walks over the events: progress and ^C. false: stop.
static bool still_going(struct tui_model *m, uint64_t done, uint64_t total) {
    if (done % 4096) return true;
    m->busy_done = done;
    m->busy_total = total;
    if (m->poll && !m->poll(m->poll_argument)) m->cancel = true;
    return !m->cancel;
}

static bool begin_busy(struct tui_model *m, const char *what) {
    if (m->busy) {
        tui_model_message(m, true, "busy: %s; ^C stops it", m->busy_what);
        return false;
    }
    m->busy = true;
    m->cancel = false;
    snprintf(m->busy_what, sizeof m->busy_what, "%s", what);
    return true;
}

static bool event_contains(const struct tui_model *m, uint64_t number, const char *pattern) {
    struct tui_event e;
    if (!m->source->event(m->source->context, number, &e)) return false;
    char label[128], text[400];
    tui_task_label(m, e.tid, label, sizeof label);
    snprintf(text, sizeof text, "%s %s %s", label, event_kind_name(e.kind), e.text);
    return tui_contains(text, pattern);
}

static void find(struct tui_model *m, int direction) {
    uint64_t last = m->source->last(m->source->context), at = m->focus.event;
    if (!last || !begin_busy(m, "searching")) return;
    bool wrapped = false, found = false;
    for (uint64_t i = 1; i <= last && !found && still_going(m, i, last); i++) {
        if (direction > 0 ? at >= last : at <= 1) {
            at = direction > 0 ? 1 : last;
            wrapped = true;
        } else {
            at = direction > 0 ? at + 1 : at - 1;
        }
        found = event_contains(m, at, m->search);
    }
    m->busy = false;
    if (found) {
        tui_model_jump(m, at, 0);
        if (wrapped) tui_model_message(m, false, "search went on at the other end");
    } else if (m->cancel) {
        tui_model_message(m, true, "search stopped at event %llu", (unsigned long long)at);
    } else {
        tui_model_message(m, true, "no event with '%s'", m->search);
    }
}

// ---- filters

static void show_all_events(struct tui_model *m) {
    free(m->matches);
    m->matches = NULL;
    m->match_count = 0;
    m->events_top = 0;
}

struct numbers {
    uint64_t *items;
    size_t count, room;
};

static void push(struct numbers *n, uint64_t number) {
    if (n->count == n->room) {
        n->room = n->room ? n->room * 2 : 256;
        n->items = reallocarray(n->items, n->room, sizeof *n->items);
        rf_assert(n->items);
    }
    n->items[n->count++] = number;
}

static int by_number(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

// The events of the tasks that pass the filter by task, from the index: without reading them.
static void events_of_tasks(struct tui_model *m, struct numbers *out) {
    const struct tui_source *s = m->source;
    uint64_t last = s->last(s->context);
    for (size_t task = 0; task < m->task_count; task++) {
        if (!tui_lane_passes(m, task)) continue;
        uint64_t count = s->task_rank(s->context, task, last);
        uint8_t kind;
        for (uint64_t k = 1; k <= count && still_going(m, out->count + 1, last); k++)
            push(out, s->task_select(s->context, task, k, &kind));
    }
    if (out->count) qsort(out->items, out->count, sizeof *out->items, by_number);
}

static bool event_passes(const struct tui_model *m, uint64_t number, const char *filter) {
    return *filter == '!' ? !event_contains(m, number, filter + 1) : event_contains(m, number, filter);
}

// The events that pass both filters.
static struct numbers passing(struct tui_model *m, const char *filter) {
    struct numbers of_tasks = {0}, found = {0};
    uint64_t last = m->source->last(m->source->context);
    bool all = !*m->lane_filter;
    if (!all) events_of_tasks(m, &of_tasks);
    uint64_t count = all ? last : of_tasks.count;
    for (uint64_t i = 0; i < count && !m->cancel && still_going(m, i + 1, count); i++) {
        uint64_t number = all ? i + 1 : of_tasks.items[i];
        if (!*filter || event_passes(m, number, filter)) push(&found, number);
    }
    free(of_tasks.items);
    return found;
}

// Shows the events that pass `filter` and the filter by task; false: nothing changed.
static bool show_events(struct tui_model *m, const char *filter) {
    if (!*filter && !*m->lane_filter) {
        show_all_events(m);
        m->filter[0] = 0;
        return true;
    }
    if (!begin_busy(m, "filtering")) return false;
    struct numbers found = passing(m, filter);
    m->busy = false;
    if (m->cancel || !found.count) {
        free(found.items);
        if (m->cancel)
            tui_model_message(m, true, "filtering stopped, nothing changed");
        else
            tui_model_message(m, true, "no event passes '%s', nothing changed",
                              *filter ? filter : m->lane_filter);
        return false;
    }
    show_all_events(m);
    m->matches = found.items;
    m->match_count = found.count;
    snprintf(m->filter, sizeof m->filter, "%s", filter);
    tui_model_message(m, false, "%zu of %llu events; Esc shows all again", found.count,
                      (unsigned long long)m->source->last(m->source->context));
    return true;
}

static void set_task_filter(struct tui_model *m, const char *text) {
    char before[sizeof m->lane_filter], filter[sizeof m->filter];
    snprintf(before, sizeof before, "%s", m->lane_filter);
    snprintf(filter, sizeof filter, "%s", m->filter);
    tui_lanes_filter(m, text);
    if (!show_events(m, filter)) tui_lanes_filter(m, before);
}

static void clear_filters(struct tui_model *m) {
    show_all_events(m);
    m->filter[0] = 0;
    tui_lanes_filter(m, "");
}

static bool choose(struct tui_model *m) {
    struct tui_palette_entry entries[TUI_PALETTE_MOST];
    size_t count = tui_palette(m, entries, TUI_PALETTE_MOST);
    if (count > TUI_PALETTE_MOST) count = TUI_PALETTE_MOST;
    if (m->palette_line >= count) return false;
    const struct tui_palette_entry *e = &entries[m->palette_line];
    m->chosen = e->action;
    if (!e->action) {
        m->pending = '\'';
        tui_marks_key(m, 'a' + e->mark);
    }
    return true;
}

static void command(struct tui_model *m, const char *text) {
    char *end;
    if (!*text) {
        if (m->palette) choose(m);
        return;
    }
    if (!strncmp(text, "dump ", 5) && text[5]) {
        snprintf(m->request_text, sizeof m->request_text, "%s", text + 5);
        m->request = TUI_REQUEST_DUMP;
        return;
    }
    if (!strcmp(text, "q")) {
        m->request = TUI_REQUEST_QUIT;
        return;
    }
    uint64_t us, last = m->source->last(m->source->context);
    if (tui_moment_parse(text, tui_moment_of(m, m->focus.event), &us)) {
        char reached[32];
        uint64_t to = tui_moment_event(m, us);
        tui_model_jump(m, to, 0);
        tui_moment_text(tui_moment_of(m, to), reached, sizeof reached);
        tui_model_message(m, false, "event %llu, at %s, is the last one by then", (unsigned long long)to,
                          reached);
        return;
    }
    if (strncmp(text, "dump", 4) != 0 && (*text < '0' || *text > '9') && choose(m)) return;
    unsigned long long number = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end) {
        tui_model_message(m, true,
                          "unknown command '%s': :NUMBER goes to an event, :4.5ms to a time, :dump FILE "
                          "saves the screen, ^P lists all",
                          text);
        return;
    }
    if (number < 1 || number > last) {
        tui_model_message(m, true, "no event %llu: this recording has events 1 to %llu", number,
                          (unsigned long long)last);
        return;
    }
    tui_model_jump(m, number, 0);
}

// What is typed when it is a whole name or an address, else the name that is chosen in the list.
static void examine(struct tui_model *m, const char *text) {
    const char *names[TUI_PALETTE_MOST];
    size_t count = tui_examine_matches(m, names, TUI_PALETTE_MOST);
    if (count > TUI_PALETTE_MOST) count = TUI_PALETTE_MOST;
    bool typed = *text >= '0' && *text <= '9';
    if (!typed && m->palette_line < count) text = names[m->palette_line];
    tui_examine_add(m, text);
}

static void done(struct tui_model *m) {
    enum tui_prompt prompt = m->prompt;
    m->prompt = TUI_PROMPT_NONE;
    if (prompt == TUI_PROMPT_NOTE) {
        tui_marks_note(m, m->prompt_text);
        return;
    }
    if (prompt == TUI_PROMPT_EXAMINE) {
        examine(m, m->prompt_text);
    } else if (prompt == TUI_PROMPT_COMMAND) {
        command(m, m->prompt_text);
    } else if (prompt == TUI_PROMPT_FILTER) {
        show_events(m, m->prompt_text);
    } else if (prompt == TUI_PROMPT_TASKS) {
        set_task_filter(m, m->prompt_text);
    } else {
        if (*m->prompt_text) snprintf(m->search, sizeof m->search, "%s", m->prompt_text);
        m->searching = *m->search != 0;
        if (m->searching) find(m, 1);
    }
}

void tui_find_key(struct tui_model *m, int key) {
    size_t len = strlen(m->prompt_text);
    if (key == TUI_KEY_ENTER) {
        done(m);
    } else if (key == TUI_KEY_ESC || key == TUI_CTRL('C')) {
        m->prompt = TUI_PROMPT_NONE;
    } else if (tui_palette_shown(m) && (key == TUI_KEY_DOWN || key == TUI_KEY_TAB || key == TUI_CTRL('N'))) {
        m->palette_line++; // the view keeps it inside
    } else if (tui_palette_shown(m) &&
               (key == TUI_KEY_UP || key == TUI_KEY_BACKTAB || key == TUI_CTRL('P'))) {
        m->palette_line -= m->palette_line > 0;
    } else if (key == TUI_KEY_BACKSPACE || key == TUI_CTRL('H')) {
        if (!len) m->prompt = TUI_PROMPT_NONE;
        while (len && ((unsigned char)m->prompt_text[len - 1] & 0xc0) == 0x80)
            m->prompt_text[--len] = 0;
        if (len) m->prompt_text[len - 1] = 0;
    } else if (key == TUI_CTRL('U')) {
        m->prompt_text[0] = 0;
    } else if (key >= ' ' && key < 256 && key != 127 && len + 1 < sizeof m->prompt_text) {
        m->prompt_text[len] = (char)key;
        m->prompt_text[len + 1] = 0;
        m->palette_line = 0;
    }
}

bool tui_find_action(struct tui_model *m, enum tui_action action) {
    switch (action) {
    case TUI_ACTION_COMMAND:
    case TUI_ACTION_PALETTE:
        m->palette = action == TUI_ACTION_PALETTE;
        m->palette_line = m->palette_top = 0;
        m->prompt = TUI_PROMPT_COMMAND;
        break;
    case TUI_ACTION_SEARCH:
        m->prompt = TUI_PROMPT_SEARCH;
        break;
    case TUI_ACTION_FILTER:
        m->prompt = TUI_PROMPT_FILTER;
        break;
    case TUI_ACTION_TASKS:
        m->prompt = TUI_PROMPT_TASKS;
        break;
    case TUI_ACTION_MATCH_NEXT:
        find(m, 1);
        return true;
    case TUI_ACTION_MATCH_PREVIOUS:
        find(m, -1);
        return true;
    case TUI_ACTION_BACK:
        if (m->searching) {
            m->searching = false;
        } else if (m->matches) {
            clear_filters(m);
        } else {
            return false;
        }
        return true;
    default:
        return false;
    }
    m->prompt_text[0] = 0;
    return true;
}

// ---- rows of the events pane

uint64_t tui_event_rows(const struct tui_model *m) {
    return m->matches ? m->match_count : m->source->last(m->source->context);
}

uint64_t tui_event_row(const struct tui_model *m, uint64_t row) {
    return m->matches ? m->matches[row] : row + 1;
}

uint64_t tui_event_row_of(const struct tui_model *m, uint64_t event) {
    if (!m->matches) return event ? event - 1 : 0;
    size_t low = 0, high = m->match_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (m->matches[middle] < event)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}
