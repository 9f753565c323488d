// What `refork minimize` has found out, for a person and for machines.
#ifndef REFORK_SEARCH_MINIMIZE_MINIMIZE_REPORT_H
#define REFORK_SEARCH_MINIMIZE_MINIMIZE_REPORT_H

#include "search/minimize/minimize.h"

#include <stdio.h>

void minimize_report_text(FILE *out, const struct minimize *m);
int minimize_report_json(FILE *out, const struct minimize *m);

#endif
