// A folder for the programs and files of one test.
#ifndef REFORK_TESTS_SCRATCH_H
#define REFORK_TESTS_SCRATCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

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
