// A recording as a document for others: what `refork export` writes.
#ifndef REFORK_TUI_EXPORT_EXPORT_H
#define REFORK_TUI_EXPORT_EXPORT_H

#include "tui/model.h"

#include <jansson.h>
#include <stdio.h>

struct export_subject {
    const char *path;              // of the recording
    const struct tui_model *model; // with tasks, lanes, verdict and story: tui_model_work has done all
    const json_t *info;            // dump_info_object
};

// One self-contained page: inline styles and SVG, no network, no other file, readable without JavaScript. Its size is
// bounded whatever the recording holds. 0; -1 when `out` failed.
int export_html(FILE *out, const struct export_subject *x);

// One JSON document (docs/json.md). 0; -1 out of memory or `out` failed.
int export_json(FILE *out, const struct export_subject *x);

// ---- parts of the page
extern const char export_style[], export_script[], export_script_hash[];
// The lanes as a picture, with legend; nothing when there are no tasks.
void export_picture(FILE *out, const struct tui_model *m);
// The finding's part in the page; `index` in model->verdict->findings.
void export_finding(FILE *out, const struct tui_model *m, size_t index);

#endif
