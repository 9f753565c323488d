// A tui_source over a session.
#ifndef REFORK_TUI_TIMELINE_SOURCE_H
#define REFORK_TUI_TIMELINE_SOURCE_H

#include "replayer/session/session.h"
#include "tui/source.h"

struct timeline_source;

// `path`: the recording again; the source reads events with a reader of its own, so that it can answer from
// inside the timeline's progress callback. The session must outlive the source.
int timeline_source_new(struct session *session, const char *path, struct timeline_source **out,
                        struct rf_error *err);
const struct tui_source *timeline_source_get(const struct timeline_source *s);
void timeline_source_free(struct timeline_source *s);

#endif
