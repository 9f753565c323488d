#include "core/error.h"
#include "tests/fuzz/driver.h"

#include <stdio.h>
#include <stdlib.h>

void fuzz_refused(const struct rf_error *err) {
    if (err->status && err->text[0]) return;
    fprintf(stderr, "refused without a status and a text: %d '%s'\n", err->status, err->text);
    abort();
}
