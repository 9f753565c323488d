// A tui_source over a session.
#ifndef REFORK_TUI_RECORDING_TIMELINE_SOURCE_H
#define REFORK_TUI_RECORDING_TIMELINE_SOURCE_H

#include "replayer/session/session.h"
#include "tui/source.h"

struct timeline_source;

// `path`: the recording; the source reads events with a reader of its own, so that it can answer while the session, in another
// thread, re-executes. The session must outlive the source; NULL: the source's `open` opens one, its `close` closes it.
int timeline_source_new(struct session *session, const char *path, struct timeline_source **out,
                        struct rf_error *err);
// Before the session is opened, `check` looks at the file, in the same thread; what it finds is the error of `open`.
void timeline_source_check_first(struct timeline_source *s,
                                 int (*check)(const char *path, struct rf_error *err));
const struct tui_source *timeline_source_get(const struct timeline_source *s);
void timeline_source_free(struct timeline_source *s);

#endif
