// The lanes as a picture in the page.
#ifndef REFORK_TUI_EXPORT_PICTURE_H
#define REFORK_TUI_EXPORT_PICTURE_H

#include "tui/export/subject.h"

// The lanes as a picture, with legend; nothing when there are no tasks.
void export_picture(FILE *out, const struct tui_model *m);

#endif
