// The bytes of one event inside an EVENTS chunk: varints, coded as differences to what the same task did
// before. Bytes in, bytes out: no file, no checksum. docs/trace-format.md, "Events", has the layout.
#ifndef REFORK_CORE_TRACE_TRACE_CODEC_H
#define REFORK_CORE_TRACE_TRACE_CODEC_H

#include "core/event.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What both sides remember from event to event of one chunk; reset at each chunk, so that a reader can begin
// at any.
struct codec;

struct codec *codec_new(void); // NULL: out of memory
void codec_free(struct codec *c);
void codec_reset(struct codec *c);

// No room for the state of another task: the chunk must end before the next event.
bool codec_full(const struct codec *c);

// The most bytes that codec_encode can write for *e. SIZE_MAX when it has more than EVENT_MAX_PIECES pieces.
size_t codec_bound(const struct event *e);

// Writes *e (its number is not stored: events of a chunk follow each other) to `out`, which has
// codec_bound(e) bytes of room. Returns the end of what was written, NULL when out of memory. *c must not be
// codec_full.
uint8_t *codec_encode(struct codec *c, const struct event *e, uint8_t *out);

// Reads the event at data[*pos] and moves *pos behind it: 0, or -1 and *why (static text). Hostile input is
// expected. Fills everything of *e but its number. Pieces belong to `c` and their data point into `data` or
// `c`: valid until the next call; not aligned.
int codec_decode(struct codec *c, const uint8_t *data, size_t size, size_t *pos, struct event *e,
                 const char **why);

#endif
