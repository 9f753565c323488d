// Schedule files: recorder/plan/schedule.h. What was read is written and read back.
#include "recorder/plan/schedule.h"
#include "tests/fuzz/driver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct schedule s = {0};
    struct rf_error err = {0};
    if (schedule_parse((const char *)data, size, "fuzz.schedule", &s, &err) < 0) fuzz_refused(&err);
    schedule_release(&s);
    return 0;
}
