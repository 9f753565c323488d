#include "tui/learn/tour.h"

#include "core/array.h"
#include "tui/keys.h"
#include "tui/story.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum tour_action {
    ACTION_ON,
    ACTION_BACK,
    ACTION_DOWN,
    ACTION_UP,
    ACTION_PAGE_DOWN,
    ACTION_PAGE_UP,
    ACTION_TOP,
    ACTION_BOTTOM,
    ACTION_OPEN_BUG,
    ACTION_OPEN_FIX,
    ACTION_LEAVE,
    ACTION_QUIT,
    ACTION_REDRAW,
    ACTION_SUSPEND,
};

// Where a key does something
enum { IN_LIST = 1, IN_LESSON = 2, WITH_BUG = 4, WITH_FIX = 8, EVERYWHERE = IN_LIST | IN_LESSON };

// What the keys do: dispatch and the hints in the bar. Keys without a label are not told there.
static const struct {
    int key;
    enum tour_action action;
    unsigned where;
    const char *name, *label;
} keys[] = {
    {' ', ACTION_ON, IN_LESSON, "Space", "on"},
    {TUI_KEY_ENTER, ACTION_ON, IN_LIST, "Enter", "begin"},
    {TUI_KEY_BACKSPACE, ACTION_BACK, IN_LESSON, "Backspace", "back"},
    {'r', ACTION_OPEN_BUG, WITH_BUG, "r", "replay it"},
    {'f', ACTION_OPEN_FIX, WITH_FIX, "f", "replay the fix"},
    {'q', ACTION_LEAVE, IN_LIST, "q", "quit"},
    {'q', ACTION_LEAVE, IN_LESSON, "q", "leave"},
    {'j', ACTION_DOWN, EVERYWHERE, "j k", "move"},
    {' ', ACTION_ON, IN_LIST, "", ""},
    {TUI_KEY_ENTER, ACTION_ON, IN_LESSON, "", ""},
    {'n', ACTION_ON, IN_LESSON, "", ""},
    {'l', ACTION_ON, IN_LESSON, "", ""},
    {TUI_KEY_RIGHT, ACTION_ON, IN_LESSON, "", ""},
    {'p', ACTION_BACK, IN_LESSON, "", ""},
    {'h', ACTION_BACK, IN_LESSON, "", ""},
    {8, ACTION_BACK, IN_LESSON, "", ""}, // ^H: the Backspace key of some terminals
    {TUI_KEY_LEFT, ACTION_BACK, IN_LESSON, "", ""},
    {TUI_KEY_ESC, ACTION_LEAVE, IN_LESSON, "", ""},
    {TUI_KEY_DOWN, ACTION_DOWN, EVERYWHERE, "", ""},
    {TUI_KEY_WHEEL_DOWN, ACTION_DOWN, EVERYWHERE, "", ""},
    {'k', ACTION_UP, EVERYWHERE, "", ""},
    {TUI_KEY_UP, ACTION_UP, EVERYWHERE, "", ""},
    {TUI_KEY_WHEEL_UP, ACTION_UP, EVERYWHERE, "", ""},
    {TUI_KEY_PAGE_DOWN, ACTION_PAGE_DOWN, EVERYWHERE, "", ""},
    {TUI_KEY_PAGE_UP, ACTION_PAGE_UP, EVERYWHERE, "", ""},
    {'g', ACTION_TOP, EVERYWHERE, "", ""},
    {TUI_KEY_HOME, ACTION_TOP, EVERYWHERE, "", ""},
    {'G', ACTION_BOTTOM, EVERYWHERE, "", ""},
    {TUI_KEY_END, ACTION_BOTTOM, EVERYWHERE, "", ""},
    {TUI_CTRL('C'), ACTION_QUIT, EVERYWHERE, "", ""},
    {TUI_CTRL('L'), ACTION_REDRAW, EVERYWHERE, "", ""},
    {TUI_CTRL('Z'), ACTION_SUSPEND, EVERYWHERE, "", ""},
};
enum { KEYS = sizeof keys / sizeof *keys };

const struct lesson *tour_lesson(const struct tour *t) {
    return &t->lessons->v[t->lesson];
}

// ---- the page and its rows

static void add_row(struct tour *t, const struct learn_line *line, const char *text, int len, int indent,
                    bool first) {
    struct tour_row *row = array_add(t->rows, t->row_count);
    *row = (struct tour_row){line->sort, indent, text, len, first};
}

static void make_rows(struct tour *t) {
    free(t->rows);
    t->rows = NULL;
    t->row_count = 0;
    for (size_t i = 0; i < t->page.count; i++) {
        const struct learn_line *line = &t->page.lines[i];
        const char *text = line->text;
        bool verbatim = line->sort == LEARN_VERBATIM; // as it is, where it fits
        bool whole = (verbatim && (int)strlen(text) <= t->cols) || line->sort == LEARN_ADDED ||
                     line->sort == LEARN_REMOVED;
        // A lecture: air between what is said
        if (t->view.few_words && i && !whole && *text) add_row(t, line, "", 0, 0, false);
        if (whole || !*text) add_row(t, line, text, (int)strlen(text), 0, true);
        if (whole) continue;
        bool choice = line->sort == LEARN_POINT || (line->sort == LEARN_RIGHT && *text && text[1] == ')');
        int blanks = verbatim ? (int)strspn(text, " ") : 0, hang = verbatim       ? blanks
                                                                   : !choice      ? 0
                                                                   : *text == '-' ? 2
                                                                                  : 3;
        text += blanks;
        for (bool first = true; *text; first = false) {
            const char *at = text;
            int indent = first ? blanks : hang;
            int len = tui_wrap(&text, t->cols - indent > 8 ? t->cols - indent : 8);
            add_row(t, line, at, len, indent, first);
        }
    }
}

static size_t last_top(const struct tour *t) {
    size_t height = t->height > 0 ? (size_t)t->height : 1;
    return t->row_count > height ? t->row_count - height : 0;
}

void tour_resize(struct tour *t, int cols, int height) {
    if (cols == t->cols && height == t->height) return;
    t->cols = cols;
    t->height = height;
    make_rows(t);
    if (t->top > last_top(t)) t->top = last_top(t);
}

static void drop_page(struct tour *t) {
    free(t->rows);
    t->rows = NULL;
    t->row_count = t->top = 0;
    learn_page_release(&t->page);
}

static void show_part(struct tour *t, enum learn_part part) {
    t->part = part;
    t->skips_question = false;
    drop_page(t);
    t->busy = part >= LEARN_RECORDING;
    t->request = TOUR_PREPARE;
}

void tour_prepared(struct tour *t, const struct rf_error *err) {
    t->busy = false;
    if (err)
        learn_page_failed(t->part, err, &t->page);
    else
        learn_page_make(&t->study, t->part, &t->view, &t->page);
    make_rows(t);
}

// ---- going on and back

static void enter_lesson(struct tour *t) {
    t->in_lesson = true;
    t->view.chosen = -1;
    study_begin(&t->study, tour_lesson(t), t->workshop);
    show_part(t, LEARN_TEXT);
}

static void leave_lesson(struct tour *t) {
    study_end(&t->study);
    drop_page(t);
    t->in_lesson = t->busy = false;
    if (t->alone) t->request = TOUR_QUIT;
}

static void next_part(struct tour *t) {
    int part = (int)t->part + 1;
    bool unanswered = t->part == LEARN_QUESTION && t->view.chosen < 0 && !t->view.few_words;
    if (unanswered && !t->skips_question) {
        snprintf(t->message, sizeof t->message, "choose with a to %c; Space again shows the answer",
                 'a' + (int)tour_lesson(t)->choice_count - 1);
        t->skips_question = true;
        return;
    }
    while (part < LEARN_PARTS && !learn_part_there(tour_lesson(t), part))
        part++;
    if (part < LEARN_PARTS) {
        show_part(t, part);
        return;
    }
    leave_lesson(t);
    if (t->alone || t->lesson + 1 == t->lessons->count) return;
    t->lesson++;
    enter_lesson(t);
}

static void previous_part(struct tour *t) {
    int part = (int)t->part - 1;
    while (part >= 0 && !learn_part_there(tour_lesson(t), part))
        part--;
    if (part >= 0)
        show_part(t, part);
    else if (!t->alone)
        leave_lesson(t);
}

static void go_on(struct tour *t) {
    if (!t->in_lesson)
        enter_lesson(t);
    else if (t->top < last_top(t)) // what is below was not seen yet
        t->top = t->top + (size_t)t->height > last_top(t) ? last_top(t) : t->top + (size_t)t->height;
    else
        next_part(t);
}

// ---- keys

static void scroll(struct tour *t, long by) {
    size_t *at = t->in_lesson ? &t->top : &t->lesson,
           most = t->in_lesson ? last_top(t) : t->lessons->count - 1;
    long to = (long)*at + by;
    *at = to < 0 ? 0 : to > (long)most ? most : (size_t)to;
}

static bool is_there(const struct tour *t, unsigned where) {
    if (!t->in_lesson) return where & IN_LIST;
    // Before the verdict the learner looks at the recording; what is asked in the question is not shown.
    bool bug = t->study.bug.made && t->part >= LEARN_RECORDING,
         fix = t->study.fix.made && t->part >= LEARN_REPAIR;
    return where & IN_LESSON || (where & WITH_BUG && bug) || (where & WITH_FIX && fix);
}

static bool choose(struct tour *t, int key) {
    size_t count = tour_lesson(t)->choice_count;
    if (!t->in_lesson || t->part != LEARN_QUESTION || key < 'a' || key >= 'a' + (int)count) return false;
    t->view.chosen = key - 'a';
    next_part(t);
    return true;
}

static void act(struct tour *t, enum tour_action action) {
    long page = t->height > 1 ? t->height - 1 : 1;
    switch (action) {
    case ACTION_ON:
        go_on(t);
        break;
    case ACTION_BACK:
        previous_part(t);
        break;
    case ACTION_DOWN:
    case ACTION_UP:
        scroll(t, action == ACTION_DOWN ? 1 : -1);
        break;
    case ACTION_PAGE_DOWN:
    case ACTION_PAGE_UP:
        scroll(t, action == ACTION_PAGE_DOWN ? page : -page);
        break;
    case ACTION_TOP:
    case ACTION_BOTTOM:
        scroll(t, action == ACTION_BOTTOM ? 1000000 : -1000000);
        break;
    case ACTION_OPEN_BUG:
        t->request = TOUR_OPEN_BUG;
        break;
    case ACTION_OPEN_FIX:
        t->request = TOUR_OPEN_FIX;
        break;
    case ACTION_LEAVE:
        if (t->in_lesson)
            leave_lesson(t);
        else
            t->request = TOUR_QUIT;
        break;
    case ACTION_QUIT:
        t->request = TOUR_QUIT;
        break;
    case ACTION_REDRAW:
        t->request = TOUR_REDRAW;
        break;
    case ACTION_SUSPEND:
        t->request = TOUR_SUSPEND;
        break;
    }
}

void tour_key(struct tour *t, int key) {
    t->message[0] = 0;
    if (choose(t, key)) return;
    for (size_t i = 0; i < KEYS; i++) {
        if (keys[i].key != key || !is_there(t, keys[i].where)) continue;
        act(t, keys[i].action);
        return;
    }
}

void tour_hints(const struct tour *t, struct tour_hint out[12]) {
    static const char *const letters[] = {"",          "a",   "a b", "a b c", "a b c d",
                                          "a b c d e", "a-f", "a-g", "a-h",   "a-i"};
    size_t n = 0;
    if (t->in_lesson && t->part == LEARN_QUESTION)
        out[n++] = (struct tour_hint){letters[tour_lesson(t)->choice_count], "choose"};
    for (size_t i = 0; i < KEYS && n < 11; i++)
        if (*keys[i].label && is_there(t, keys[i].where))
            out[n++] = (struct tour_hint){keys[i].name, keys[i].label};
    out[n] = (struct tour_hint){"", ""};
}

int tour_part_number(const struct tour *t, int *count) {
    int number = 0;
    *count = 0;
    for (int part = 0; part < LEARN_PARTS; part++) {
        if (!learn_part_there(tour_lesson(t), part)) continue;
        ++*count;
        if (part <= (int)t->part) number = *count;
    }
    return number;
}

void tour_begin(struct tour *t, const struct lessons *lessons, struct workshop *w,
                const struct learn_view *view, const struct lesson *alone) {
    *t = (struct tour){.lessons = lessons, .workshop = w, .view = *view, .alone = alone};
    if (!alone) return;
    t->lesson = (size_t)(alone - lessons->v);
    enter_lesson(t);
}

void tour_end(struct tour *t) {
    if (t->in_lesson) study_end(&t->study);
    drop_page(t);
}
