// What the user asks to see of memory: static variables by name, bytes, and who changes them.
#ifndef REFORK_TUI_EXAMINE_H
#define REFORK_TUI_EXAMINE_H

#include "tui/state.h"

bool tui_examine_action(struct tui_model *m, enum tui_action action);
void tui_examine_enter(struct tui_model *m); // Enter on the chosen line: its bytes
void tui_examine_add(struct tui_model *m, const char *text);
// Up to `max` names of static variables that contain what is typed, those that begin so first; the number of all is returned.
size_t tui_examine_matches(const struct tui_model *m, const char **out, size_t max);

bool tui_names_wanted(const struct tui_model *m); // the prompt lists them
void tui_names_take(struct tui_model *m, struct tui_job *job);
void tui_names_release(struct tui_model *m);
void tui_change_ask(struct tui_model *m, struct tui_change_wish *wish);
void tui_change_take(struct tui_model *m, struct tui_job *job);

#endif
