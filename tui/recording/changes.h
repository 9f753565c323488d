// Who changes some bytes of a process next, or changed them last: by re-execution with the CPU's watchpoints.
#ifndef REFORK_TUI_RECORDING_CHANGES_H
#define REFORK_TUI_RECORDING_CHANGES_H

#include "replayer/timeline.h"
#include "tui/source.h"

// As `change` of tui/source.h. `progress` (may be NULL) is told how far it has come, and sees in false that it should stop.
int changes_find(struct timeline *t, const struct tui_change_wish *wish, tui_progress progress,
                 void *argument, struct tui_change *out, struct rf_error *err);

#endif
