// Lessons: one file each, samples/learn/NAME.lesson. What is said in them is data; docs/learn.md describes the form.
#ifndef REFORK_SEARCH_LEARN_LESSON_H
#define REFORK_SEARCH_LEARN_LESSON_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>

enum { LESSON_CHOICES = 9, LESSON_LINES = 32 };

struct lesson_choice {
    char *text, *why;
    bool right;
};

// A line that the exercise has to print, and who prints it.
struct lesson_output {
    bool child; // a process that the program forked; else the program's first process
    const char *text;
};

// Strings of the lesson's own; "" where the file says nothing. Texts are paragraphs, one line each, or lines that begin with a
// blank, which stay as they are.
struct lesson {
    char *name; // of the file, without ".lesson"
    long order; // in the tour
    char *title;
    char *program, *fix;     // sources, seen from the folder of share/refork; fix "": the lesson has none
    char *environment;       // "VARIABLE=VALUE"
    char *library, *package; // of the environment: without it the recording cannot be made
    char *proof;             // how the fix is proved: "verify"; "": by runs in random orders
    char *expect;            // the kind of the finding that the recording leads to (docs/json.md), or "none"
    char *text, *points, *question, *look, *repair;
    struct lesson_choice choices[LESSON_CHOICES];
    size_t choice_count;
    char *exercise, *task; // a source to be repaired, and what is asked; "": none
    char *must, *output;   // what the repaired program must still have: "thread", "child"; what it prints
    struct lesson_output lines[LESSON_LINES];
    size_t line_count;
};

struct lessons {
    struct lesson *v; // in the order of the tour
    size_t count;
};

// Reads one file: 0, or -1 with *err, which names the line.
int lesson_read(const char *path, struct lesson *out, struct rf_error *err);
void lesson_release(struct lesson *l);

// All lessons of the folder `root`/samples/learn.
int lessons_read(const char *root, struct lessons *out, struct rf_error *err);
void lessons_release(struct lessons *l);
const struct lesson *lessons_find(const struct lessons *l, const char *name); // NULL: there is none

#endif
