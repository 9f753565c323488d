// The panes that are lists: events, locks, stack and source.
#include "tui/view_panes.h"

#include "tui/find.h"
#include "tui/focus.h"
#include "tui/lanes.h"
#include "tui/lock_story.h"
#include "tui/marks.h"
#include "tui/moment.h"
#include "tui/screen.h"
#include "tui/scroll.h"
#include "tui/story.h"
#include "core/path.h"

#include <stdio.h>
#include <string.h>

void tui_view_events(struct tui_model *m, const struct tui_area *a) {
    static const struct {
        enum tui_glyph glyph;
        enum tui_role role;
        bool symbol;
    } looks[EV_KINDS] = {
        [EV_ENTER] = {TUI_GLYPH_WAIT, TUI_ROLE_WAIT, true},
        [EV_BIRTH] = {TUI_GLYPH_FORK, TUI_ROLE_FORK, true},
        [EV_DEATH] = {TUI_GLYPH_DEATH, TUI_ROLE_RUN, true},
        [EV_STUCK] = {TUI_GLYPH_STUCK, TUI_ROLE_STUCK, true},
    };
    uint64_t rows = tui_event_rows(m), row = tui_event_row_of(m, m->focus.event);
    size_t top = m->events_top;
    uint64_t margin = (uint64_t)(a->h > 2 ? a->h / 3 : 0), from = row > margin ? row - margin : 0;
    tui_scroll(&top, rows, a->h, from, row + margin < rows ? row + margin + 1 : rows);
    m->events_top = top;
    int digits = snprintf(NULL, 0, "%llu", (unsigned long long)m->source->last(m->source->context));
    for (int y = 0; y < a->h && top + (uint64_t)y < rows; y++) {
        struct tui_event e;
        uint64_t number = tui_event_row(m, top + (uint64_t)y);
        bool here = number == m->focus.event, mine;
        if (!m->source->event(m->source->context, number, &e)) {
            tui_textf(a, y, 2, a->w - 2, TUI_ROLE_STUCK, "%*llu cannot be read", digits,
                      (unsigned long long)number);
            continue;
        }
        mine = e.tid == m->focus.tid;
        int kind = e.kind < EV_KINDS ? e.kind : EV_NONE;
        enum tui_role role = here ? TUI_ROLE_FOCUS : mine ? TUI_ROLE_HERE : TUI_ROLE_NORMAL;
        if (here) tui_fill(a, y, 0, a->w, TUI_ROLE_FOCUS, L' ');
        char mark = tui_mark_at(m, number);
        if (mark) tui_cell_put(a, y, 0, here ? role : TUI_ROLE_MATCH, (wchar_t)mark);
        if (!mark && tui_differs_at(m, number))
            tui_cell_glyph(a, y, 0, here ? role : TUI_ROLE_STUCK, TUI_GLYPH_DIFFERS);
        else if (here && !mark)
            tui_cell_glyph(a, y, 0, role, TUI_GLYPH_POINTER);
        int x = tui_textf(a, y, 1, a->w, here ? role : TUI_ROLE_DIM, "%*llu ", digits,
                          (unsigned long long)number);
        if (m->times) {
            char at[32];
            tui_moment_text(e.time_us, at, sizeof at);
            x = tui_textf(a, y, x, a->w - x, here ? role : TUI_ROLE_DIM, "%12s ", at);
        }
        if (looks[kind].symbol) tui_cell_glyph(a, y, x, here ? role : looks[kind].role, looks[kind].glyph);
        x += 2;
        char label[96];
        tui_task_label(m, e.tid, label, sizeof label);
        if (a->w >= 70) {
            tui_text(a, y, x, 22, role, label);
            x += 23;
        } else {
            x = tui_textf(a, y, x, a->w - x, role, "%d ", e.tid);
        }
        tui_text(a, y, x, a->w - x, role, e.text);
    }
}

void tui_view_locks(struct tui_model *m, const struct tui_area *a) {
    size_t held[256], count = tui_held(m, held, 256);
    if (!m->verdict) {
        tui_text(a, 0, 1, a->w - 1, TUI_ROLE_DIM,
                 m->verdict_state == TUI_VERDICT_FAILED ? "not known: there is no verdict"
                                                        : "known when the verdict is");
        return;
    }
    if (!count) tui_text(a, 0, 1, a->w - 1, TUI_ROLE_DIM, "no lock of the verdict is held at this event");
    if (m->lock_line >= count) m->lock_line = count ? count - 1 : 0;
    tui_scroll(&m->locks_top, count, a->h, m->lock_line, m->lock_line + (count > 0));
    for (int y = 0; y < a->h && m->locks_top + (size_t)y < count; y++) {
        const struct held_span *span = &m->verdict->spans[held[m->locks_top + (size_t)y]];
        bool here = m->locks_top + (size_t)y == m->lock_line && m->pane == TUI_LOCKS;
        enum tui_role role = span->ghost ? TUI_ROLE_GHOST : TUI_ROLE_LOCK;
        char label[96], name[80];
        tui_task_label(m, span->tid, label, sizeof label);
        if (*span->symbol)
            snprintf(name, sizeof name, "%s", span->symbol);
        else
            snprintf(name, sizeof name, "0x%llx", (unsigned long long)span->lock);
        if (here) tui_cell_glyph(a, y, 0, TUI_ROLE_HERE, TUI_GLYPH_POINTER);
        tui_cell_glyph(a, y, 2, role, span->ghost ? TUI_GLYPH_VANISHED : TUI_GLYPH_LOCK);
        int x = tui_text(a, y, 4, a->w / 2, role, name);
        const char *format = span->ghost ? " in %d: held by %s, not there" : " in %d: held by %s since %llu";
        char text[256];
        if (span->ghost)
            snprintf(text, sizeof text, format, span->pid, label);
        else
            snprintf(text, sizeof text, format, span->pid, label, (unsigned long long)span->from);
        tui_text(a, y, x, a->w - x, here ? TUI_ROLE_HERE : TUI_ROLE_NORMAL, text);
    }
}

// ---- the history of a lock
static const struct {
    const char *text;
    enum tui_glyph glyph;
    enum tui_role role;
} operations[TUI_OP_SORTS] = {
    [TUI_OP_ACQUIRE] = {"takes it", TUI_GLYPH_LOCK, TUI_ROLE_LOCK},
    [TUI_OP_RELEASE] = {"releases it", TUI_GLYPH_FREE, TUI_ROLE_GOOD},
    [TUI_OP_WAIT] = {"waits for it", TUI_GLYPH_WAIT, TUI_ROLE_WAIT},
    [TUI_OP_FAILED] = {"tries in vain", TUI_GLYPH_WAIT, TUI_ROLE_WAIT},
    [TUI_OP_MARK] = {"says that it waits", TUI_GLYPH_WAIT, TUI_ROLE_WAIT},
    [TUI_OP_FORK] = {"forked a copy", TUI_GLYPH_FORK, TUI_ROLE_FORK},
};

static void draw_operation(const struct tui_model *m, const struct tui_area *a, int y, size_t index) {
    const struct tui_lock_op *o = &m->lock_story->ops[index];
    bool here = index == tui_lock_story_row(m) && o->event == m->focus.event;
    char label[96], text[256];
    if (a->w < 70)
        snprintf(label, sizeof label, "%d", o->tid);
    else
        tui_task_label(m, o->tid, label, sizeof label);
    if (o->sort == TUI_OP_FORK)
        snprintf(text, sizeof text, "%s forks %d, where the copy is %s", label, o->pid, o->where);
    else
        snprintf(text, sizeof text, "%s %s%s%s", label, operations[o->sort].text, *o->where ? " in " : "",
                 o->where);
    if (here) tui_cell_glyph(a, y, 0, TUI_ROLE_HERE, TUI_GLYPH_POINTER);
    tui_textf(a, y, 1, 9, TUI_ROLE_DIM, "%llu", (unsigned long long)o->event);
    tui_cell_glyph(a, y, 10, operations[o->sort].role, operations[o->sort].glyph);
    tui_text(a, y, 12, a->w - 12, here ? TUI_ROLE_HERE : TUI_ROLE_NORMAL, text);
}

void tui_view_history(struct tui_model *m, const struct tui_area *a) {
    const struct tui_lock_story *s = m->lock_story;
    int pid;
    uint64_t address;
    const char *why = NULL;
    if (m->verdict_state == TUI_VERDICT_FAILED)
        why = "not known: there is no verdict";
    else if (m->verdict_state != TUI_VERDICT_DONE)
        why = "known when the verdict is";
    else if (!tui_lock_chosen(m, &pid, &address))
        why = "no lock is chosen: choose one in pane 4";
    else if (tui_lock_story_wanted(m))
        why = "re-executing with an eye on each lock (^C stops)";
    else if (*m->lock_error)
        why = m->lock_error;
    else if (!s || !s->count)
        why = "nobody was seen to take this lock";
    if (why) {
        tui_text(a, 0, 1, a->w - 1, TUI_ROLE_DIM, why);
        return;
    }
    size_t at = tui_lock_story_row(m);
    tui_scroll(&m->history_top, s->count, a->h, at > 1 ? at - 1 : 0, at + 2 > s->count ? s->count : at + 2);
    for (int y = 0; y < a->h && m->history_top + (size_t)y < s->count; y++)
        draw_operation(m, a, y, m->history_top + (size_t)y);
}

void tui_history_click(struct tui_model *m, const struct tui_slot *slot, int y, int x) {
    (void)slot;
    (void)x;
    size_t row = m->history_top + (size_t)y;
    if (m->lock_story && row < m->lock_story->count)
        tui_model_focus(m, m->lock_story->ops[row].event, m->lock_story->ops[row].tid);
}

// ---- stack and source
static void draw_frame(const struct tui_model *m, const struct tui_area *a, int y, size_t index) {
    const struct frame *f = &m->frames[index];
    bool here = index == m->focus.frame;
    enum tui_role role = here ? TUI_ROLE_FOCUS : TUI_ROLE_NORMAL;
    char text[512], where[256] = "";
    if (f->function)
        snprintf(text, sizeof text, "#%zu %s%s", index, f->function, f->inlined ? " (inlined)" : "");
    else
        snprintf(text, sizeof text, "#%zu 0x%llx", index, (unsigned long long)f->pc);
    if (f->file)
        snprintf(where, sizeof where, "%s:%d", base_name(f->file), f->line);
    else if (f->module)
        snprintf(where, sizeof where, "%s", f->module);
    if (here) tui_fill(a, y, 0, a->w, role, L' ');
    if (here) tui_cell_glyph(a, y, 0, role, TUI_GLYPH_POINTER);
    int width = tui_text_width(a->screen, where), limit = a->w - 3 - (width < a->w / 2 ? width : a->w / 2);
    int x = tui_text(a, y, 1, limit, role, text);
    tui_text(a, y, x + 1, a->w - x - 1, here ? role : TUI_ROLE_DIM, where);
}

static void draw_source(const struct tui_model *m, const struct tui_area *a) {
    const struct frame *f = m->focus.frame < m->frame_count ? &m->frames[m->focus.frame] : NULL;
    if (!f || a->h < 2) return;
    const char *name = f->file ? base_name(f->file) : NULL;
    tui_fill(a, 0, 0, a->w, TUI_ROLE_PANE, tui_glyph(a->screen, TUI_GLYPH_HLINE));
    if (!name || !f->line || !m->source->source_line(m->source->context, f->file, f->line)) {
        tui_textf(a, 0, 1, a->w - 2, TUI_ROLE_PANE, " no source for %s ",
                  f->function ? f->function : "this frame");
        return;
    }
    tui_textf(a, 0, 1, a->w - 2, TUI_ROLE_PANE, " %s:%d ", name, f->line);
    int rows = a->h - 1, first = f->line - rows / 2 < 1 ? 1 : f->line - rows / 2;
    for (int y = 0; y < rows; y++) {
        int line = first + y;
        const char *text = m->source->source_line(m->source->context, f->file, line);
        if (!text) break;
        char plain[512]; // tabs as blanks
        size_t n = 0;
        for (; *text && n + 1 < sizeof plain; text++) {
            do
                plain[n++] = *text == '\t' ? ' ' : *text;
            while (*text == '\t' && n % 4 && n + 1 < sizeof plain);
        }
        plain[n] = 0;
        bool here = line == f->line;
        if (here) tui_cell_glyph(a, y + 1, 0, TUI_ROLE_STUCK, TUI_GLYPH_POINTER);
        int x = tui_textf(a, y + 1, 1, 6, TUI_ROLE_DIM, "%4d ", line);
        tui_text(a, y + 1, x, a->w - x, here ? TUI_ROLE_HERE : TUI_ROLE_NORMAL, plain);
    }
}

// How many frames are shown in a pane of that height, and the first of them.
static int frame_rows(const struct tui_model *m, int h, size_t *top) {
    int frames = (int)m->frame_count, most = h >= 12 ? h / 2 : h / 3;
    if (frames > most) frames = most < 1 ? 1 : most;
    *top = m->focus.frame >= (size_t)frames ? m->focus.frame - (size_t)frames + 1 : 0;
    return frames;
}

void tui_stack_click(struct tui_model *m, const struct tui_slot *slot, int y, int x) {
    (void)x;
    size_t top;
    if (m->frame_count && y < frame_rows(m, slot->h - 1, &top)) m->focus.frame = top + (size_t)y;
}

void tui_view_stack(struct tui_model *m, const struct tui_area *a) {
    bool fresh = m->stack_valid && m->stack_event == m->focus.event && m->stack_tid == m->focus.tid;
    if (!fresh) {
        tui_text(a, 0, 1, a->w - 1, TUI_ROLE_DIM, m->focus.event ? "re-executing up to here" : "no event");
        return;
    }
    if (*m->stack_error) {
        int y = 0;
        for (const char *text = m->stack_error; *text && y < a->h; y++) {
            char part[1024];
            const char *begin = text;
            snprintf(part, sizeof part, "%.*s", tui_wrap(&text, a->w - 2), begin);
            tui_text(a, y, 1, a->w - 1, TUI_ROLE_DIM, part);
        }
        return;
    }
    if (!m->frame_count) {
        tui_text(a, 0, 1, a->w - 1, TUI_ROLE_DIM,
                 m->focus.tid ? "no stack can be read here" : "no task runs here");
        return;
    }
    size_t top;
    int frames = frame_rows(m, a->h, &top);
    for (int y = 0; y < frames && top + (size_t)y < m->frame_count; y++)
        draw_frame(m, a, y, top + (size_t)y);
    struct tui_area source = {a->screen, a->y + frames, a->x, a->h - frames, a->w};
    draw_source(m, &source);
}
