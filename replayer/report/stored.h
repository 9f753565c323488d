// A verdict that is stored in its recording: what `refork record` said when it made it. For machines that cannot execute the
// recording again, and for copies that hold nothing else.
#ifndef REFORK_REPLAYER_REPORT_STORED_H
#define REFORK_REPLAYER_REPORT_STORED_H

#include "core/error.h"
#include "replayer/report/json.h"

// The names of its blobs in the trace.
#define STORED_TEXT "verdict:text"
#define STORED_JSON "verdict:json"

// Renders the verdict and adds it to the recording.
int stored_attach(const char *path, const struct verdict *v, source_line line, void *context,
                  struct rf_error *err);

// What a recording says of itself. Nothing of it is believed: the text has no control characters, the document is a JSON
// object with `deadlock` and `findings`, both are of limited size.
struct stored_verdict {
    char *text;
    json_t *json;
    char refork[40]; // the version that made it
    enum verdict_level level;
};
// -1 with RF_CANNOT when none is stored, with RF_BAD_TRACE when it is none. Release it in any case.
int stored_read(const char *path, struct stored_verdict *out, struct rf_error *err);
void stored_release(struct stored_verdict *s);

#endif
