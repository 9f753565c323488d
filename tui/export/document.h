// A recording as one JSON document.
#ifndef REFORK_TUI_EXPORT_DOCUMENT_H
#define REFORK_TUI_EXPORT_DOCUMENT_H

#include "tui/export/subject.h"

// One JSON document (docs/json.md). 0; -1 out of memory or `out` failed.
int export_json(FILE *out, const struct export_subject *x);

#endif
