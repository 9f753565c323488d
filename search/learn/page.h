// The parts of a lesson as lines of text: for the screen (tui/learn) and for `refork learn NAME` without a terminal.
#ifndef REFORK_SEARCH_LEARN_PAGE_H
#define REFORK_SEARCH_LEARN_PAGE_H

#include "search/learn/study.h"

enum learn_part {
    LEARN_TEXT,
    LEARN_QUESTION,
    LEARN_ANSWER,
    LEARN_RECORDING, // what is to be looked at, before the verdict
    LEARN_VERDICT,
    LEARN_REPAIR, // what the fix does, and its source
    LEARN_PROOF,
    LEARN_PARTS
};

enum learn_sort {
    LEARN_PLAIN,    // a paragraph, to be wrapped
    LEARN_POINT,    // a point of a list, or a choice
    LEARN_VERBATIM, // a line of a program, or of its output
    LEARN_RIGHT,
    LEARN_WRONG,
    LEARN_ADDED, // lines of a difference
    LEARN_REMOVED,
};

struct learn_line {
    enum learn_sort sort;
    char *text; // printable, without newline
};
struct learn_page {
    const char *title;
    struct learn_line *lines;
    size_t count;
};

struct learn_view {
    bool few_words;     // for a lecture
    bool hides_verdict; // the learner is to find it
    int chosen;         // of the question's choices, from 0; -1: none
};

// Has the lesson such a part?
bool learn_part_there(const struct lesson *l, enum learn_part part);
// Records what the part shows, as needed: 0, or -1 with *err.
int learn_part_prepare(struct study *s, enum learn_part part, struct rf_error *err);
// The part, prepared. Always makes a page.
void learn_page_make(const struct study *s, enum learn_part part, const struct learn_view *view,
                     struct learn_page *out);
// What was missing to prepare it.
void learn_page_failed(enum learn_part part, const struct rf_error *err, struct learn_page *out);
void learn_page_release(struct learn_page *p);

#endif
