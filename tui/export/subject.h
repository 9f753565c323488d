// A recording as a document for others: what `refork export` writes.
#ifndef REFORK_TUI_EXPORT_SUBJECT_H
#define REFORK_TUI_EXPORT_SUBJECT_H

#include "tui/state.h"

#include <jansson.h>
#include <stdio.h>

struct export_subject {
    const char *path;              // of the recording
    const struct tui_model *model; // with tasks, lanes, verdict and story: tui_model_work has done all
    const json_t *info;            // dump_info_object
};

#endif
