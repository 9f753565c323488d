// The focus of all panes, and what names it.
#ifndef REFORK_TUI_FOCUS_H
#define REFORK_TUI_FOCUS_H

#include "tui/state.h"

size_t tui_model_task_index(const struct tui_model *m, int tid); // task_count when unknown
// "worker (1235)": start routine, else name.
void tui_task_label(const struct tui_model *m, int tid, char *out, size_t size);
void tui_model_focus(struct tui_model *m, uint64_t event, int tid); // tid 0: the event's
void tui_model_jump(struct tui_model *m, uint64_t event, int tid);  // remembers where it came from
bool tui_differs_at(const struct tui_model *m, uint64_t event); // do the two recordings begin to differ here?
void tui_model_message(struct tui_model *m, bool bad, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
