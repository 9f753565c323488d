#include "tui/model.h"

#include "tui/actions.h"
#include "tui/examine.h"
#include "tui/find.h"
#include "tui/focus.h"
#include "tui/jump.h"
#include "tui/lane_rows.h"
#include "tui/lanes.h"
#include "tui/layout.h"
#include "tui/lock_story.h"
#include "tui/marks.h"
#include "tui/story.h"
#include "tui/variables.h"
#include "tui/waits.h"
#include "tui/work.h"
#include "tui/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- moving in panes

static size_t moved(size_t at, size_t count, int64_t by) {
    if (!count) return 0;
    if (by < 0) return (uint64_t)-by > at ? 0 : at - (size_t)-by;
    return (uint64_t)by >= count - at ? count - 1 : at + (size_t)by;
}

static void move_lanes(struct tui_model *m, int64_t by) {
    size_t rows = tui_lane_rows(m), at = tui_lane_row_of_focus(m), to = moved(at, rows, by);
    // A ghost has no stack of its own to show: the focus passes over it.
    while (to < rows && m->lanes[tui_lane_at(m, to)].ghost && to != at) {
        if (by > 0 && to + 1 >= rows)
            to = at;
        else
            to = by > 0 ? to + 1 : to - 1;
    }
    if (to < rows) tui_model_focus(m, m->focus.event, m->lanes[tui_lane_at(m, to)].tid);
}

static void move_locks(struct tui_model *m, int64_t by) {
    size_t held[256], count = tui_held(m, held, 256);
    if (!count) return;
    size_t to = moved(m->lock_line, count, by);
    tui_model_focus(m, m->focus.event, m->verdict->spans[held[to]].tid);
    m->lock_line = to;
}

static void move_story(struct tui_model *m, int64_t by) {
    m->story_line = moved(m->story_line, m->story.count, by);
    if (m->story_line >= m->story.count) return;
    const struct tui_story_line *line = &m->story.lines[m->story_line];
    if (line->event) {
        m->finding = line->finding;
        tui_model_focus(m, line->event, line->tid);
    }
}

static void move(struct tui_model *m, int64_t by) {
    switch (m->pane) {
    case TUI_STORY:
        move_story(m, by);
        break;
    case TUI_LANES:
        move_lanes(m, by);
        break;
    case TUI_LOCKS:
        move_locks(m, by);
        break;
    case TUI_STACK:
        m->focus.frame = moved(m->focus.frame, m->frame_count, by);
        break;
    case TUI_WAITS:
        m->wait_line = moved(m->wait_line, m->wait_count, by);
        break;
    case TUI_VARIABLES:
        m->variable_line = moved(m->variable_line, m->variables ? m->variables->count : 0, by);
        break;
    case TUI_HISTORY:
        tui_lock_story_move(m, by);
        break;
    case TUI_EVENTS: {
        uint64_t rows = tui_event_rows(m), row = tui_event_row_of(m, m->focus.event);
        bool between = row < rows && tui_event_row(m, row) != m->focus.event; // filtered away: on its place
        if (rows)
            tui_model_focus(
                m, tui_event_row(m, moved(row < rows ? row : rows - 1, rows, by - (between && by > 0))), 0);
        break;
    }
    case TUI_PANES:
        break;
    }
}

static void enter(struct tui_model *m) {
    size_t held[256], count;
    if (m->pane == TUI_STORY) {
        const struct tui_story_line *line =
            m->story_line < m->story.count ? &m->story.lines[m->story_line] : NULL;
        if (line && line->event)
            tui_model_jump(m, line->event, line->tid);
        else
            tui_model_message(m, false, "this line is not about one event");
    } else if (m->pane == TUI_LOCKS) {
        count = tui_held(m, held, 256);
        if (m->lock_line >= count) return;
        const struct held_span *span = &m->verdict->spans[held[m->lock_line]];
        tui_model_jump(m, span->from, span->tid);
    } else if (m->pane == TUI_VARIABLES) {
        tui_examine_enter(m);
    } else if (m->pane == TUI_WAITS) {
        tui_waits_enter(m);
    } else if (m->pane == TUI_LANES) {
        size_t task = tui_model_task_index(m, m->focus.tid);
        uint64_t last = m->source->last(m->source->context);
        if (task == m->task_count) return;
        uint64_t rank = m->source->task_rank(m->source->context, task, last);
        uint8_t kind;
        uint64_t to = rank ? m->source->task_select(m->source->context, task, rank, &kind) : 0;
        if (to) tui_model_jump(m, to, m->focus.tid);
    } else {
        tui_model_message(m, false, "nothing to open here; o opens the source line in $EDITOR");
    }
}

// How many lines that action moves, in a list of which `page` are shown; 0: it moves none.
static int64_t lines_moved(enum tui_action action, int64_t page, int64_t half) {
    switch (action) {
    case TUI_ACTION_DOWN:
        return 1;
    case TUI_ACTION_UP:
        return -1;
    case TUI_ACTION_PAGE_DOWN:
        return page;
    case TUI_ACTION_PAGE_UP:
        return -page;
    case TUI_ACTION_HALF_DOWN:
        return half;
    case TUI_ACTION_HALF_UP:
        return -half;
    case TUI_ACTION_TOP:
        return -INT64_MAX;
    case TUI_ACTION_BOTTOM:
        return INT64_MAX;
    default:
        return 0;
    }
}

static bool pane_action(struct tui_model *m, enum tui_action action) {
    int64_t page = tui_pane_height(m, m->pane), by = lines_moved(action, page, (page + 1) / 2);
    if (by) {
        move(m, by);
        return true;
    }
    switch (action) {
    case TUI_ACTION_ENTER:
        enter(m);
        break;
    case TUI_ACTION_PANE_NEXT:
        if (m->side)
            m->request = TUI_REQUEST_SIDE;
        else
            tui_layout_pane(m, (m->pane + 1) % TUI_PANES);
        break;
    case TUI_ACTION_PANE_PREVIOUS:
        tui_layout_pane(m, (m->pane + TUI_PANES - 1) % TUI_PANES);
        break;
    case TUI_ACTION_PANE_STORY:
        tui_layout_pane(m, TUI_STORY);
        break;
    case TUI_ACTION_PANE_LANES:
        tui_layout_pane(m, TUI_LANES);
        break;
    case TUI_ACTION_PANE_EVENTS:
        tui_layout_pane(m, TUI_EVENTS);
        break;
    case TUI_ACTION_PANE_LOCKS:
        tui_layout_pane(m, TUI_LOCKS);
        break;
    case TUI_ACTION_PANE_STACK:
        tui_layout_pane(m, TUI_STACK);
        break;
    case TUI_ACTION_PANE_WAITS:
        tui_layout_pane(m, TUI_WAITS);
        break;
    case TUI_ACTION_PANE_HISTORY:
        tui_layout_pane(m, TUI_HISTORY);
        break;
    case TUI_ACTION_PANE_VARIABLES:
        tui_layout_pane(m, TUI_VARIABLES);
        break;
    case TUI_ACTION_MAXIMISE:
        m->maximised = !m->maximised;
        tui_layout_pane(m, m->pane);
        break;
    default:
        return false;
    }
    return true;
}

static bool other_action(struct tui_model *m, enum tui_action action) {
    switch (action) {
    case TUI_ACTION_HELP:
        m->help = true;
        m->help_top = 0;
        break;
    case TUI_ACTION_BACK:
        if (m->maximised) {
            m->maximised = false;
            tui_layout_compute(m);
        }
        break;
    case TUI_ACTION_MARK:
        m->pending = 'm';
        break;
    case TUI_ACTION_NOTE:
        m->pending = '"';
        break;
    case TUI_ACTION_TO_MARK:
        m->pending = '\'';
        break;
    case TUI_ACTION_OPEN:
        if (m->focus.frame < m->frame_count && m->frames[m->focus.frame].file)
            m->request = TUI_REQUEST_EDIT;
        else
            tui_model_message(m, true, "no source is known for this frame; choose another in pane 5");
        break;
    case TUI_ACTION_TIMES:
        m->times = !m->times;
        break;
    case TUI_ACTION_GDB:
        if (m->focus.event && m->focus.tid)
            m->request = TUI_REQUEST_GDB;
        else
            tui_model_message(m, true, "no task runs here; choose an event of one");
        break;
    case TUI_ACTION_DIFFERENCE_NEXT:
    case TUI_ACTION_DIFFERENCE_PREVIOUS:
        if (m->side)
            m->request = action == TUI_ACTION_DIFFERENCE_NEXT ? TUI_REQUEST_DIFFERENCE_NEXT
                                                              : TUI_REQUEST_DIFFERENCE_PREVIOUS;
        else
            tui_model_message(m, true, "there is one recording; 'refork replay A B' shows two");
        break;
    case TUI_ACTION_REDRAW:
        m->request = TUI_REQUEST_REDRAW;
        break;
    case TUI_ACTION_SUSPEND:
        m->request = TUI_REQUEST_SUSPEND;
        break;
    case TUI_ACTION_MOUSE:
        m->request = TUI_REQUEST_MOUSE;
        break;
    case TUI_ACTION_QUIT:
        m->request = TUI_REQUEST_QUIT;
        break;
    case TUI_ACTION_INTERRUPT:
        if (m->busy)
            m->cancel = true;
        else if (m->job.kind)
            m->job.cancel = true;
        else
            tui_model_message(m, false, "nothing to stop; q quits");
        break;
    default:
        return false;
    }
    return true;
}

void tui_model_action(struct tui_model *m, enum tui_action action) {
    (void)(tui_jump_action(m, action) || tui_find_action(m, action) || tui_lanes_action(m, action) ||
           tui_examine_action(m, action) || pane_action(m, action) || other_action(m, action));
}

// ---- keys

enum { WHEEL_LINES = 3 };

static void help_key(struct tui_model *m, enum tui_action action) {
    int64_t page = m->rows - 3 > 1 ? m->rows - 3 : 1;
    switch (action) {
    case TUI_ACTION_HELP:
    case TUI_ACTION_BACK:
        m->help = false;
        return;
    case TUI_ACTION_QUIT:
    case TUI_ACTION_SUSPEND:
    case TUI_ACTION_REDRAW:
        other_action(m, action);
        return;
    case TUI_ACTION_COMMAND:
    case TUI_ACTION_PALETTE:
        m->help = action != TUI_ACTION_PALETTE;
        tui_find_action(m, action);
        return;
    default:
        break;
    }
    int64_t by = lines_moved(action, page, page / 2);
    if (!by) return;
    size_t lines = tui_action_row_count > (size_t)page ? tui_action_row_count - (size_t)page + 1 : 1;
    m->help_top = moved(m->help_top, lines, by);
}

void tui_model_key(struct tui_model *m, int key) {
    if (key == TUI_KEY_NONE || key == TUI_KEY_RESIZE) return;
    if (m->layout.too_small) { // nothing of what a key did could be seen
        if (key == 'q') m->request = TUI_REQUEST_QUIT;
        return;
    }
    m->message[0] = 0;
    if (m->prompt) {
        tui_find_key(m, key);
        m->moved = true;
        if (m->chosen) tui_model_action(m, m->chosen);
        m->chosen = TUI_ACTION_NONE;
        return;
    }
    if (m->pending) {
        tui_marks_key(m, key);
        return;
    }
    int times = key == TUI_KEY_WHEEL_UP || key == TUI_KEY_WHEEL_DOWN ? WHEEL_LINES : 1;
    if (key == TUI_KEY_WHEEL_UP) key = TUI_KEY_UP;
    if (key == TUI_KEY_WHEEL_DOWN) key = TUI_KEY_DOWN;
    enum tui_action action = tui_action_of(key, m->searching);
    if (action == TUI_ACTION_NONE) {
        tui_model_message(m, true, "this key does nothing; ? lists those that do");
        return;
    }
    if (m->help) {
        help_key(m, action);
        return;
    }
    uint64_t event = m->focus.event;
    for (; times > 0; times--)
        tui_model_action(m, action);
    tui_lanes_follow(m);
    tui_layout_compute(m);
    if (m->job.kind == TUI_JOB_STACK && (m->job.event != m->focus.event || m->job.tid != m->focus.tid))
        m->job.cancel = true; // nobody waits for it any more
    if (m->focus.event != event) m->moved = true;
}

// ---- life

void tui_model_resize(struct tui_model *m, int cols, int rows) {
    m->cols = cols;
    m->rows = rows;
    tui_layout_compute(m);
}

void tui_model_init(struct tui_model *m, const struct tui_source *source, int cols, int rows,
                    uint64_t start) {
    *m = (struct tui_model){
        .source = source, .loading = true, .moved = start != 0, .verdict_state = TUI_VERDICT_PENDING};
    m->pane = TUI_EVENTS;
    uint64_t last = source->last(source->context);
    tui_work_reload(m);
    tui_story_build(m);
    tui_lanes_fit(m, true);
    tui_model_focus(m, start ? start : last, 0);
    tui_model_resize(m, cols, rows);
}

void tui_model_hide_verdict(struct tui_model *m) {
    m->verdict_state = TUI_VERDICT_HIDDEN;
    tui_story_build(m);
    tui_layout_compute(m);
}

void tui_model_release(struct tui_model *m) {
    tui_story_release(m);
    tui_waits_release(m);
    tui_lock_story_release(m);
    tui_variables_release(m);
    tui_names_release(m);
    tui_lanes_release(m);
    free(m->tasks);
    free(m->matches);
    *m = (struct tui_model){0};
}
