// A finding in the page.
#ifndef REFORK_TUI_EXPORT_FINDING_H
#define REFORK_TUI_EXPORT_FINDING_H

#include "tui/export/subject.h"

// The finding's part in the page; `index` in model->verdict->findings.
void export_finding(FILE *out, const struct tui_model *m, size_t index);
// What to do about the first finding, as a part of its own; nothing when there is none.
void export_advice(FILE *out, const struct verdict *v);

#endif
