// JSON documents that come from elsewhere: the verdict that a recording holds (replayer/report/stored.h), and what the shards of
// a hunt tell each other (search/hunt_state.h).
#include "core/trace/trace.h"
#include "core/trace/trace_write.h"
#include "replayer/report/stored.h"
#include "search/hunt_state.h"
#include "tests/fuzz/driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64];

static void remove_folder(void) {
    char path[96];
    static const char *const files[] = {"stored.refork", "one.json"};
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        unlink(path);
    }
    rmdir(folder);
}

static void stored(const uint8_t *data, size_t size) {
    char path[96];
    struct trace_writer *w;
    struct trace_header header = {.cpu = {.level = CPU_V3}};
    struct rf_error err = {0};
    uint64_t id;
    snprintf(path, sizeof path, "%s/stored.refork", folder);
    if (trace_create(path, &header, -1, &w, &err) < 0) return;
    trace_add_bytes(w, data, size / 2, STORED_TEXT, &id, &err);
    trace_add_bytes(w, data, size, STORED_JSON, &id, &err);
    struct stored_verdict v;
    if (trace_finish(w, &err) == 0) {
        err = (struct rf_error){0};
        if (stored_read(path, &v, &err) < 0) fuzz_refused(&err);
        stored_release(&v);
    }
    unlink(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!folder[0]) {
        snprintf(folder, sizeof folder, "/dev/shm/refork-fuzz-XXXXXX");
        if (!mkdtemp(folder)) abort();
        atexit(remove_folder);
    }
    stored(data, size);
    char path[96];
    snprintf(path, sizeof path, "%s/one.json", folder);
    FILE *f = fopen(path, "w");
    if (!f) return 0;
    fwrite(data, 1, size, f);
    fclose(f);
    const struct hunt_state s = {.folder = folder};
    json_t *value = NULL;
    struct rf_error err = {0};
    int got = state_read(&s, "one.json", &value, &err);
    if (got < 0) fuzz_refused(&err);
    if (got > 0) json_decref(value);
    return 0;
}
