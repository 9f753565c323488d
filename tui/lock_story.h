// The history of one lock, as the pane shows it.
#ifndef REFORK_TUI_LOCK_STORY_H
#define REFORK_TUI_LOCK_STORY_H

#include "tui/state.h"

// The lock under the cursor: the one chosen in the pane of locks, else that of the finding. false: there is none.
bool tui_lock_chosen(const struct tui_model *m, int *pid, uint64_t *address);
bool tui_lock_story_wanted(const struct tui_model *m); // it is shown, and not known yet
void tui_lock_story_take(struct tui_model *m, struct tui_job *job);
void tui_lock_story_release(struct tui_model *m);
size_t tui_lock_story_row(const struct tui_model *m); // the last one at or before the focus
void tui_lock_story_move(struct tui_model *m, int64_t by);

#endif
