// Marks: places with a letter and a note, kept beside the recording in FILE.marks. That is plain text, a line for each mark:
//   a 56 1240 what was to be said
// letter, event, task, note. What is no such line is left out when it is read.
#ifndef REFORK_TUI_MARKS_H
#define REFORK_TUI_MARKS_H

#include "tui/state.h"

// Reads the marks of `path` into the model and keeps the path; NULL: marks are not kept. A file that is not there has none.
void tui_marks_open(struct tui_model *m, const char *path);
// Takes the key that follows m, ' or ".
void tui_marks_key(struct tui_model *m, int key);
void tui_marks_note(struct tui_model *m, const char *text); // for the mark in m->note_letter
// The first mark at that event, 0: none.
char tui_mark_at(const struct tui_model *m, uint64_t event);

#endif
