// Errors: every fallible function returns -1 (or NULL) and fills a struct rf_error. The text is lower case,
// puts the error first, quotes the subject 'so', ends without a full stop and says what to do. It is printed
// once, by cli.
#ifndef REFORK_CORE_ERROR_H
#define REFORK_CORE_ERROR_H

#include <stdarg.h>
#include <stdbool.h>

// Exit statuses of every command (record otherwise passes the program's own status through).
enum rf_status {
    RF_OK = 0,
    RF_DEADLOCK = 120,   // a deadlock was found, or is still there
    RF_DIVERGED = 121,   // replay did not do what the trace says
    RF_BAD_TRACE = 122,  // unreadable trace
    RF_NOT_HUNTED = 123, // hunt: there was nothing that a fork could have left behind
    RF_CANNOT = 125,     // refork itself could not: usage, permission, unsupported
    RF_NOT_EXECUTABLE = 126,
    RF_NOT_FOUND = 127,
};

struct rf_error {
    int status;      // one of enum rf_status; 0 while nothing failed
    char text[1024]; // no newline at the end; may hold newlines inside (a divergence shows both sides)
};

// Fills *err (which may be NULL) and returns -1, so that `return rf_fail(err, RF_CANNOT, "...")` is the
// idiom.
int rf_fail(struct rf_error *err, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));

// The same, with ": " and strerror(errno) behind the text.
int rf_fail_errno(struct rf_error *err, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// What this thread is at work on, for a broken invariant to name: whoever handles tasks or events sets it before each.
struct rf_work {
    int task;                 // 0: none
    unsigned long long event; // its number, in a recording that of the next one
};
extern _Thread_local struct rf_work rf_work;

// An invariant of refork's own broke (never the user's fault, never a trace's): prints file, line, task and event,
// aborts. Always on.
#define rf_assert(condition) ((condition) ? (void)0 : rf_assert_failed(#condition, __FILE__, __LINE__))
void rf_assert_failed(const char *condition, const char *file, int line) __attribute__((noreturn));

#endif
