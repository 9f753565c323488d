// An open recording with what is made of it once and kept: its timeline, its verdict and the history of its locks.
// Commands and the TUI open one; the timeline itself knows of neither.
#ifndef REFORK_REPLAYER_SESSION_SESSION_H
#define REFORK_REPLAYER_SESSION_SESSION_H

#include "replayer/locks/history.h"
#include "replayer/timeline.h"
#include "replayer/verdict/verdict.h"

struct session;

int session_open(const char *path, struct session **out, struct rf_error *err);
void session_close(struct session *s); // NULL is fine; frees the timeline, the verdict and the history

// Never NULL, and the session's: valid until it is closed.
struct timeline *session_timeline(struct session *s);

// The verdict: made by the first call, which executes the recording anew as needed, and kept. The timeline is where it
// was, unless that failed.
int session_verdict(struct session *s, const struct verdict **out, struct rf_error *err);

// The lock history of the whole recording, in the same way; it is also kept in a file beside the trace.
// It is the session's: a report may add to it who took a lock.
int session_locks(struct session *s, struct lock_history **out, struct rf_error *err);

#endif
