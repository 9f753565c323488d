// Which calls the process may make by itself, and what is known of their bytes: core/calls/call_rows.def.
#ifndef REFORK_CORE_CALLS_CALL_ROWS_H
#define REFORK_CORE_CALLS_CALL_ROWS_H

#include "core/calls/call_page.h"

extern const struct call_row call_rows[CALL_ROW_COUNT];

// Has that number a row?
static inline bool call_row_has(long nr) {
    return nr >= 0 && nr < CALL_ROW_COUNT && call_rows[nr].kind != CALL_DECLINED;
}

#endif
