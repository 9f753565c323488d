// Parts of the verdict's JSON (docs/json.md), for documents that hold more than one verdict.
#ifndef REFORK_REPLAYER_REPORT_JSON_H
#define REFORK_REPLAYER_REPORT_JSON_H

#include "replayer/report/text.h"

#include <jansson.h>

// 0, or -1 when out of memory or the stream failed.
int report_json(FILE *out, const struct verdict *v);

// The object that report_json prints; the caller's, NULL when out of memory.
json_t *report_json_object(const struct verdict *v);
// A text as a value: NULL and "" are null, what is not UTF-8 has '?' for its bytes above 127.
json_t *report_json_text(const char *s);
// Parts of it: null when unknown. NULL: out of memory.
json_t *report_json_lock(const struct finding_lock *l);
json_t *report_json_allocation(const struct lock_allocation *a);
json_t *report_json_point(const struct finding_point *p);
// Prints `root` (NULL: out of memory) and frees it: 0 or -1.
int report_write_json(FILE *out, json_t *root);

#endif
