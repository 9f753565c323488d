#include "core/error.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int rf_fail(struct rf_error *err, int status, const char *format, ...) {
    if (!err) return -1;
    err->status = status;
    va_list ap;
    va_start(ap, format);
    vsnprintf(err->text, sizeof err->text, format, ap);
    va_end(ap);
    return -1;
}

int rf_fail_errno(struct rf_error *err, int status, const char *format, ...) {
    int saved = errno;
    if (!err) return -1;
    err->status = status;
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(err->text, sizeof err->text, format, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof err->text)
        snprintf(err->text + n, sizeof err->text - (size_t)n, ": %s", strerror(saved));
    errno = saved;
    return -1;
}

_Thread_local struct rf_work rf_work;

void rf_assert_failed(const char *condition, const char *file, int line) {
    char at[64] = "";
    if (rf_work.task) snprintf(at, sizeof at, ", task %d, event %llu", rf_work.task, rf_work.event);
    fprintf(stderr, "refork: internal error: '%s' is false at %s:%d%s; please report this\n", condition, file,
            line, at);
    abort();
}
