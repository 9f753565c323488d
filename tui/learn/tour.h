// The tour: which lesson and which part of it is on the screen, and what each key does. No curses, no drawing, no recording.
#ifndef REFORK_TUI_LEARN_TOUR_H
#define REFORK_TUI_LEARN_TOUR_H

#include "search/learn/page.h"

// What the tour asks of whoever drives it, once.
enum tour_request {
    TOUR_NOTHING,
    TOUR_QUIT,
    TOUR_PREPARE,  // learn_part_prepare for tour->part, then tour_prepared
    TOUR_OPEN_BUG, // show that recording
    TOUR_OPEN_FIX,
    TOUR_REDRAW,
    TOUR_SUSPEND,
};

// A line of the page as it is shown: broken to the width.
struct tour_row {
    enum learn_sort sort;
    int indent;
    const char *text; // of the page
    int len;
    bool first; // of its line
};

struct tour {
    const struct lessons *lessons;
    struct workshop *workshop;
    struct learn_view view;
    bool alone; // one lesson was asked for: there is no list to go back to

    bool in_lesson;
    size_t lesson; // that is shown, or chosen in the list
    enum learn_part part;
    struct study study; // of that lesson
    bool busy;          // being prepared
    struct learn_page page;
    struct tour_row *rows;
    size_t row_count, top;
    int cols, height;    // for which the rows were made
    bool skips_question; // the next "on" goes on without an answer
    char message[160];
    enum tour_request request;
};

// With `alone` the lesson with that index, else the list. All must outlive the tour.
void tour_begin(struct tour *t, const struct lessons *lessons, struct workshop *w,
                const struct learn_view *view, const struct lesson *alone);
void tour_end(struct tour *t);
// The room for the text of a page; must be told before the first key and after each change.
void tour_resize(struct tour *t, int cols, int height);
void tour_key(struct tour *t, int key);
void tour_prepared(struct tour *t, const struct rf_error *err); // NULL: it went well
const struct lesson *tour_lesson(const struct tour *t);
// Where the part stands in its lesson: from 1, of *count.
int tour_part_number(const struct tour *t, int *count);
// The keys that do something now, in the order of their importance: key and label, "" at the end.
struct tour_hint {
    const char *key, *label;
};
void tour_hints(const struct tour *t, struct tour_hint out[12]);

#endif
