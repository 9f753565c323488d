#include "search/progress.h"

#include "core/clock.h"
#include "core/error.h"
#include "core/printable.h"
#include "replayer/timeline.h"
#include "search/interrupt.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { SHOWN_FROM_US = 500000, USUAL_COLUMNS = 80 };

// ---- one line of the terminal

static bool line_shown;

static size_t terminal_columns(void) {
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || !size.ws_col ? USUAL_COLUMNS : size.ws_col;
}

// Bytes of printable UTF-8 that surely fit. From U+1100 on a character may be two columns wide: such begin with 0xe1 or
// more.
static size_t fitting_bytes(const char *text, size_t columns) {
    size_t at = 0;
    while (text[at]) {
        size_t wide = (unsigned char)text[at] < 0xe1 ? 1 : 2;
        if (wide > columns) break;
        columns -= wide;
        do
            at++;
        while (((unsigned char)text[at] & 0xc0) == 0x80);
    }
    return at;
}

void progress_line(const char *format, ...) {
    char *text;
    va_list ap;
    va_start(ap, format);
    int length = vasprintf(&text, format, ap);
    va_end(ap);
    rf_assert(length >= 0);
    printable(text);
    // A character in the last column makes some terminals begin the next line: then '\r' comes back to the wrong one.
    size_t bytes = fitting_bytes(text, terminal_columns() - 1);
    fprintf(stderr, "\r%.*s\033[K", (int)bytes, text);
    fflush(stderr);
    free(text);
    line_shown = true;
}

void progress_clear(void) {
    if (!line_shown) return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    line_shown = false;
}

// ---- long operations of a timeline

static bool show(void *context, uint64_t done, uint64_t total) {
    struct progress *p = context;
    if (interrupted()) return false;
    if (p->terminal && total && clock_us(CLOCK_MONOTONIC) - p->begin_us > SHOWN_FROM_US) {
        progress_line("refork: re-executing %3u%%", (unsigned)((double)done * 100 / (double)total));
        p->shown = true;
    }
    return true;
}

void progress_begin(struct progress *p, struct timeline *t) {
    *p = (struct progress){.begin_us = clock_us(CLOCK_MONOTONIC), .terminal = isatty(STDERR_FILENO)};
    interrupt_begin(INTERRUPT_KEYBOARD);
    timeline_set_progress(t, show, p);
}

void progress_end(struct progress *p, struct timeline *t) {
    timeline_set_progress(t, NULL, NULL);
    interrupt_end(INTERRUPT_KEYBOARD);
    if (p->shown) progress_clear();
}
