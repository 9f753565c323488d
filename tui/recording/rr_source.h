// A tui_source over a trace of rr: its events by rr's dump, stacks and the verdict by its replay.
#ifndef REFORK_TUI_RECORDING_RR_SOURCE_H
#define REFORK_TUI_RECORDING_RR_SOURCE_H

#include "replayer/rr/trace.h"
#include "tui/source.h"

struct rr_source;

// The trace must outlive the source.
struct rr_source *rr_source_new(const struct rr_trace *t, const char *path);
const struct tui_source *rr_source_get(const struct rr_source *s);
void rr_source_free(struct rr_source *s);

#endif
