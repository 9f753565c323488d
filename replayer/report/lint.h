// What lint found, printed.
#ifndef REFORK_REPLAYER_REPORT_LINT_H
#define REFORK_REPLAYER_REPORT_LINT_H

#include "replayer/lint/lint.h"
#include "replayer/report/text.h"

// As text of 80 columns, and as JSON (docs/json.md): 0, or -1 when out of memory or the stream failed.
void report_lint_text(FILE *out, const struct lint *l, source_line line, void *context);
int report_lint_json(FILE *out, const struct lint *l);

#endif
