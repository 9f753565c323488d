// Files of functions, for `refork locks --functions`: replayer/locks/modules.h.
#include "replayer/locks/modules.h"
#include "tests/fuzz/driver.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct lock_functions f = {0};
    struct rf_error err = {0};
    char *text = malloc(size + 1);
    if (!text) return 0;
    memcpy(text, data, size);
    text[size] = 0;
    if (lock_functions_parse(text, "fuzz.functions", &f, &err) < 0) fuzz_refused(&err);
    free(f.v);
    free(text);
    return 0;
}
