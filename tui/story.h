// The verdict as a story: lines, each about an event.
#ifndef REFORK_TUI_STORY_H
#define REFORK_TUI_STORY_H

#include "tui/state.h"

const char *tui_lock_name(const struct finding_lock *lock, char *buffer, size_t size);
void tui_story_build(struct tui_model *m);
void tui_story_release(struct tui_model *m);
bool tui_story_evidence(const struct tui_story_line *line); // is it about an event that proves something?
// Rows that a line takes when `width` columns are there for its text; *where_row: in which of them `where`
// stands.
int tui_story_rows(const struct tui_story_line *line, int width, int *where_row);
// Takes the next row of at most `width` bytes off *text, broken at a blank: returns its length, *text moves
// behind it.
int tui_wrap(const char **text, int width);

#endif
