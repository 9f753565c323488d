// A recording as one page.
#ifndef REFORK_TUI_EXPORT_PAGE_H
#define REFORK_TUI_EXPORT_PAGE_H

#include "tui/export/subject.h"

// One self-contained page: inline styles and SVG, no network, no other file, readable without JavaScript. Its size is
// bounded whatever the recording holds. 0; -1 when `out` failed.
int export_html(FILE *out, const struct export_subject *x);

#endif
