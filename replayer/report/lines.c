#include "replayer/report/lines.h"

#include "replayer/names/short_name.h"

#include "core/error.h"
#include "core/printable.h"
#include "replayer/names/stack.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum {
    FRAME_INDENT = 4,
    GO_ON = 10,         // indent of a frame's further lines
    NAME_COLUMNS = 400, // of a function; the JSON has all
};

static bool begins(char c) { // a character; bytes that go on with one do not count
    return ((unsigned char)c & 0xc0) != 0x80;
}

size_t report_columns(const char *text) {
    size_t columns = 0;
    for (; *text; text++)
        columns += begins(*text);
    return columns;
}

// The bytes of `text` that fit into `room` columns.
static size_t fitting(const char *text, size_t room) {
    size_t n = 0, columns = 0;
    while (text[n] && (columns < room || !begins(text[n])))
        columns += begins(text[n++]);
    return n;
}

// Where to break a word that does not fit: at most `room` columns, behind what ends a part of a name.
static size_t break_at(const char *word, size_t room) {
    size_t most = fitting(word, room), best = 0;
    for (size_t i = 1; i <= most; i++) {
        char before = word[i - 1];
        bool colons = before == ':' && i > 1 && word[i - 2] == ':';
        if (before == '/' || before == ',' || before == ' ' || colons) best = i;
    }
    return best * 2 > most ? best : most; // a short rest of a line is worse than a break within a name
}

void report_wrap(FILE *out, int indent, const char *format, ...) {
    char *text;
    va_list ap;
    va_start(ap, format);
    int length = vasprintf(&text, format, ap);
    va_end(ap);
    if (length < 0) return;
    char *save = NULL;
    for (char *paragraph = strtok_r(text, "\n", &save); paragraph; paragraph = strtok_r(NULL, "\n", &save)) {
        printable(paragraph);
        const size_t digits = strspn(paragraph, "0123456789");
        const int hang = digits && !strncmp(paragraph + digits, ". ", 2) ? (int)digits + 2 : 0; // of a list
        int left = indent;
        size_t room = REPORT_COLUMNS - (size_t)left;
        size_t used = 0; // columns of this line, behind the indent
        char *words = NULL;
        for (char *word = strtok_r(paragraph, " ", &words); word; word = strtok_r(NULL, " ", &words)) {
            size_t width = report_columns(word);
            if (used && used + 1 + width > room) {
                fputc('\n', out);
                used = 0;
                left = indent + hang;
                room = REPORT_COLUMNS - (size_t)left;
            }
            while (width > room) {
                size_t n = break_at(word, room);
                fprintf(out, "%*s%.*s\n", left, "", (int)n, word);
                word += n;
                width = report_columns(word);
            }
            if (used)
                fprintf(out, " %s", word);
            else
                fprintf(out, "%*s%s", left, "", word);
            used += width + (used ? 1 : 0);
        }
        fputc('\n', out);
    }
    free(text);
}

// ---- frames
static char *frame_name(const struct frame *f) {
    char *name = NULL;
    const char *marks = f->inlined ? " (inlined)" : f->scanned ? " (guessed)" : "";
    const size_t room = REPORT_COLUMNS - FRAME_INDENT - 4 - strlen(marks); // "#12 "
    int n;
    if (f->function)
        n = asprintf(&name, "%s", f->function);
    else if (f->module)
        n = asprintf(&name, "%s+0x%lx", f->module, (long)f->module_offset);
    else
        n = asprintf(&name, "0x%lx", (long)f->pc);
    rf_assert(n >= 0);
    if (f->function) short_name(name, room);
    printable(name);
    size_t most = fitting(name, NAME_COLUMNS);
    if (name[most]) memcpy(name + most - 3, "...", 4);
    char *whole;
    rf_assert(asprintf(&whole, "%s%s", name, marks) >= 0);
    free(name);
    return whole;
}

static char *frame_place(const struct frame *f, size_t hidden) {
    char *place = NULL, inside[40] = "";
    int n;
    if (hidden) snprintf(inside, sizeof inside, " (+%zu inside)", hidden);
    if (f->file && !stack_is_system(f))
        n = asprintf(&place, "%s:%d%s", f->file, f->line, inside);
    else if (f->function && f->module)
        n = asprintf(&place, "in %s%s", f->module, inside);
    else
        n = asprintf(&place, "%s", inside);
    rf_assert(n >= 0);
    printable(place);
    return place;
}

void report_frame(FILE *out, const struct frame *f, size_t number, size_t hidden) {
    char *name = frame_name(f), *place = frame_place(f, hidden);
    const char *rest = name;
    size_t columns = report_columns(name), wide = report_columns(place);
    size_t used = (size_t)fprintf(out, "%*s#%-2zu ", FRAME_INDENT, "", number);
    while (used + columns > REPORT_COLUMNS) {
        size_t n = break_at(rest, REPORT_COLUMNS - used);
        fprintf(out, "%.*s\n", (int)n, rest);
        rest += n;
        columns = report_columns(rest);
        used = (size_t)fprintf(out, "%*s", GO_ON - 2, "");
    }
    fputs(rest, out);
    used += columns;
    if (!wide) {
        fputc('\n', out);
    } else if (used + 2 + wide <= REPORT_COLUMNS) {
        fprintf(out, "  %s\n", place);
    } else {
        const char *shown = place;
        bool cut = wide > REPORT_COLUMNS - GO_ON;
        if (cut) shown += fitting(place, wide - (REPORT_COLUMNS - GO_ON - 3)); // the end of a path says more
        fprintf(out, "\n%*s%s%s\n", GO_ON, "", cut ? "..." : "", shown);
    }
    free(name);
    free(place);
}

void report_source(FILE *out, int line, const char *text) {
    char *copy = strdup(text + strspn(text, " \t"));
    rf_assert(copy);
    printable(copy);
    size_t used = (size_t)fprintf(out, "      %6d | ", line), room = REPORT_COLUMNS - used;
    if (report_columns(copy) > room)
        fprintf(out, "%.*s...\n", (int)fitting(copy, room - 3), copy);
    else
        fprintf(out, "%s\n", copy);
    free(copy);
}
