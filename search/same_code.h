// Is it the same code, in another run?
#ifndef REFORK_SEARCH_SAME_CODE_H
#define REFORK_SEARCH_SAME_CODE_H

#include "replayer/names/unwind_module.h"

#include <stdbool.h>
#include <stdint.h>

// The module of the present run that has the file's very content; false: another build.
bool same_file(const struct view *v, const char *name, uint64_t content, struct module *out);
// A source line without the blanks around it, from malloc; NULL when nothing is left.
char *trimmed_line(const char *text);

#endif
