// A folder for the programs and files of one test.
#ifndef REFORK_TESTS_UNIT_SCRATCH_H
#define REFORK_TESTS_UNIT_SCRATCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char scratch[64]; // a folder for programs, made by scratch_make, removed by scratch_remove

__attribute__((format(printf, 1, 2))) static inline void run(const char *format, ...) {
    char command[2048];
    va_list ap;
    va_start(ap, format);
    vsnprintf(command, sizeof command, format, ap);
    va_end(ap);
    int status = system(command);
    if (status) fail_msg("status %d from: %s", status, command);
}

static inline void scratch_write(const char *name, const char *text) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", scratch, name);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

// Programs that are the subject of a test: sources as the compiler needs them, run from the repository's folder; the Makefile builds
// those that one way of building is enough for.
#define SUBJECTS "tests/unit/subjects/"

// The path of a program that the Makefile built, as "samples/spawn", of the build that this test is of; a static buffer for each
// of two that are in use.
static inline const char *built(const char *name) {
    static char paths[2][4096];
    static unsigned next;
    char *path = paths[next++ % 2];
    ssize_t got = readlink("/proc/self/exe", path, sizeof *paths - 1);
    assert_true(got > 0);
    path[got] = 0;
    char *end = strstr(path, "/tests/unit/");
    assert_non_null(end);
    snprintf(end, sizeof *paths - (size_t)(end - path), "/%s", name);
    return path;
}

// The line of a subject's source that has this mark.
static inline int line_of(const char *subject, const char *mark) {
    char path[128], text[512];
    snprintf(path, sizeof path, SUBJECTS "%s", subject);
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    int line = 0;
    bool found = false;
    while (!found && fgets(text, sizeof text, f)) {
        line++;
        found = strstr(text, mark) != NULL;
    }
    fclose(f);
    assert_true(found);
    return line;
}

static inline void scratch_make(void) {
    snprintf(scratch, sizeof scratch, "/tmp/refork-test-XXXXXX");
    if (!mkdtemp(scratch)) abort();
}

static inline void scratch_remove(void) {
    run("rm -rf %s", scratch);
}

// For a group of tests that needs no more.
static inline int scratch_set_up(void **state) {
    (void)state;
    scratch_make();
    return 0;
}

static inline int scratch_tear_down(void **state) {
    (void)state;
    scratch_remove();
    return 0;
}

#endif
