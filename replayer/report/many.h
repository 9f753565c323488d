// The verdicts on several recordings, counted by lock.
#ifndef REFORK_REPLAYER_REPORT_MANY_H
#define REFORK_REPLAYER_REPORT_MANY_H

#include "core/error.h"
#include "replayer/report/text.h"

struct report_many;

struct report_many *report_many_new(void);
void report_many_free(struct report_many *m); // NULL is fine

// Copies all it needs: the verdict and its source of lines may go afterwards.
void report_many_add(struct report_many *m, const char *path, const struct verdict *v, source_line line,
                     void *context);
// A recording without a verdict.
void report_many_add_failed(struct report_many *m, const char *path, const struct rf_error *err);

// Groups of findings, the most frequent first, each with its recordings and its first finding in full. A group is
// what waits for the same lock by the same kind; locks without a symbol are the same when they were taken (or, if that
// is not known, are waited for) in the same function and line. Mere consequences of another finding are not counted.
void report_many_text(FILE *out, const struct report_many *m);
// The same as JSON (docs/json.md), with all verdicts: 0, or -1 when out of memory or the stream failed.
int report_many_json(FILE *out, const struct report_many *m);

#endif
