#include "cli/options.h"
#include "core/printable.h"
#include "search/learn/grade.h"
#include "search/learn/page.h"
#include "tui/learn/tour_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// ---- without a terminal: text

enum { WIDTH = 80 };

// A paragraph, broken at blanks.
static void print_wrapped(const char *text, int indent) {
    int column = 0;
    while (*text) {
        int len = (int)strcspn(text, " ");
        if (column && column + 1 + len > WIDTH - indent) {
            printf("\n%*s", indent, "");
            column = 0;
        }
        column += printf("%s%.*s", column ? " " : "", len, text);
        text += len;
        text += strspn(text, " ");
    }
    putchar('\n');
}

static void print_text(const char *text) {
    char *all = strdup(text), *rest = all, *line;
    rf_assert(all);
    while ((line = strsep(&rest, "\n")))
        print_wrapped(line, 0);
    free(all);
}

static void print_page(const struct learn_page *p) {
    printf("\n%s\n\n", p->title);
    for (size_t i = 0; i < p->count; i++) {
        const struct learn_line *line = &p->lines[i];
        bool whole = line->sort == LEARN_VERBATIM || line->sort == LEARN_ADDED || line->sort == LEARN_REMOVED;
        if (whole)
            puts(line->text);
        else
            print_wrapped(line->text, line->sort != LEARN_POINT ? 0 : *line->text == '-' ? 2 : 3);
    }
}

// What could not be shown is told in its place; then *failed.
static void print_part(struct study *s, enum learn_part part, const struct learn_view *view, bool *failed) {
    struct rf_error err = {0};
    struct learn_page page;
    if (learn_part_prepare(s, part, &err) < 0) {
        learn_page_failed(part, &err, &page);
        *failed = true;
    } else {
        learn_page_make(s, part, view, &page);
    }
    print_page(&page);
    learn_page_release(&page);
    fflush(stdout);
}

// False: not all of it could be shown, or it is not as it is taught.
static bool print_lesson(const struct lesson *l, struct workshop *w, const struct learn_view *view) {
    struct study s;
    bool failed = false;
    study_begin(&s, l, w);
    printf("== %s (%s)\n", l->title, l->name);
    for (int part = 0; part < LEARN_PARTS; part++)
        if (learn_part_there(l, part)) print_part(&s, part, view, &failed);
    if (s.bug.made && !study_as_expected(&s)) {
        printf("\nThis lesson is about '%s', and the recording shows '%s'.\n", l->expect, s.bug.kinds);
        failed = true;
    }
    if (s.fix.made && s.bug.deadlock && !s.proved) failed = true;
    study_end(&s);
    return !failed;
}

static int print_lessons(const struct lesson *v, size_t count, struct workshop *w,
                         const struct learn_view *view, struct rf_error *err) {
    size_t failed = 0;
    for (size_t i = 0; i < count; i++) {
        if (i) putchar('\n');
        failed += !print_lesson(&v[i], w, view);
    }
    if (!failed) return RF_OK;
    if (count == 1) return rf_fail(err, RF_CANNOT, "the lesson could not be shown in full");
    return rf_fail(err, RF_CANNOT, "%zu of %zu lessons could not be shown in full", failed, count);
}

static void list(const struct lessons *all) {
    for (size_t i = 0; i < all->count; i++)
        printf("%-18s %s%s\n", all->v[i].name, all->v[i].title,
               *all->v[i].exercise ? " (with an exercise)" : "");
    puts("\nrefork learn NAME shows one lesson, refork learn --all all of them.");
}

// ---- exercises

static int grade_file(const struct lesson *l, struct workshop *w, const char *file, struct rf_error *err) {
    static const int statuses[] = {
        [GRADE_FIXED] = RF_OK, [GRADE_HANGS] = RF_DEADLOCK, [GRADE_TASK] = 1, [GRADE_NOT_COMPILED] = 1};
    if (workshop_open(w, err)) return -1;
    int result = grade(l, w, file, stdout, err);
    workshop_close(w);
    return result < 0 ? -1 : statuses[result];
}

// Writes the program to be repaired; where it is already, it is graded.
static int exercise(const struct cli_args *args, const struct lesson *l, struct workshop *w,
                    struct rf_error *err) {
    const char *folder = cli_value(args, "exercise"), *file = cli_value(args, "grade");
    char path[4096];
    if (!*l->exercise)
        return rf_fail(err, RF_CANNOT,
                       "the lesson '%s' has no exercise: 'refork learn --list' tells which have one",
                       l->name);
    if (file) return grade_file(l, w, file, err);
    if (snprintf(path, sizeof path, "%s/%s.c", folder ? folder : ".", l->name) >= (int)sizeof path)
        return rf_fail(err, RF_CANNOT, "name '%.80s...' is too long", folder);
    if (access(path, F_OK) == 0) return grade_file(l, w, path, err);
    if (grade_write(l, w, path, err)) return -1;
    print_text(l->task);
    print_clean(stdout, "\nThe program is in '%s'. When you have repaired it, run the same command again.\n",
                path);
    return RF_OK;
}

// ---- the command

static int with_lessons(const struct cli_args *args, struct workshop *w, const struct lessons *all,
                        struct rf_error *err) {
    const char *name = args->operands[0];
    const struct lesson *one = name ? lessons_find(all, name) : NULL;
    const struct learn_view view = {
        .few_words = cli_has(args, "present"), .hides_verdict = cli_has(args, "no-verdict"), .chosen = -1};
    if (name && !one)
        return rf_fail(err, RF_CANNOT, "no lesson '%s': 'refork learn --list' lists them", name);
    if (cli_has(args, "exercise") || cli_has(args, "grade")) {
        if (one) return exercise(args, one, w, err);
        return rf_fail(err, RF_CANNOT, "name a lesson: 'refork learn NAME --exercise'");
    }
    bool terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO), whole = cli_has(args, "all");
    bool screen = !whole && (cli_has(args, "script") || terminal);
    if (cli_has(args, "list") || (!name && !whole && !screen)) {
        list(all);
        return RF_OK;
    }
    if (workshop_open(w, err)) return -1;
    if (screen) {
        const struct tui_options options = {.script = cli_value(args, "script"),
                                            .size = cli_value(args, "size"),
                                            .ascii = cli_has(args, "ascii"),
                                            .no_colour = cli_has(args, "no-color")};
        int shown = tour_run(all, w, &view, one, &options, err);
        workshop_close(w);
        return shown;
    }
    int status = print_lessons(one ? one : all->v, one ? 1 : all->count, w, &view, err);
    workshop_close(w);
    return status;
}

static int run_learn(const struct cli_args *args, struct rf_error *err) {
    struct workshop w;
    struct lessons all;
    if (cli_at_most(args, 1, err) || workshop_find(&w, err) || lessons_read(w.root, &all, err)) return -1;
    int status = with_lessons(args, &w, &all, err);
    lessons_release(&all);
    return status;
}

static const struct cli_option learn_options[] = {
    {"list", 'l', NULL, "the names of the lessons, one line each"},
    {"all", 0, NULL, "all lessons as text, from the first to the last"},
    {"exercise", 0, "[=DIR]", "write a program to be repaired, DIR/NAME.c (.); when it is there, grade it"},
    {"grade", 0, "FILE", "grade FILE, a repaired program of that exercise"},
    {"present", 0, NULL, "for a lecture: few words"},
    {"no-verdict", 0, NULL, "hide the verdict: find it in the recording"},
    CLI_SCREEN(""),
    {0},
};

static const char *const learn_examples[] = {
    "refork learn                                     # the tour, on a terminal",
    "refork learn orphaned_lock                       # one lesson",
    "refork learn orphaned_lock --exercise            # repair orphaned_lock.c, then run this again",
    "refork learn --all >tour.txt                     # the tour as text",
    NULL,
};

const struct cli_command command_learn = {
    .name = "learn",
    .operands = "[NAME]",
    .summary = "Learn what goes wrong at a fork: lessons, each with a recording made on the spot",
    .details =
        "A lesson has a short text, a question, a recording of a program that goes wrong, the verdict on "
        "it,\n"
        "and its fix, which 'refork verify' proves. The programs are compiled here, by cc. Without a\n"
        "terminal the lessons are printed.\n\n"
        "A graded exercise was compiled, did its task in several random orders, and was verified with the\n"
        "deadlock of the program as it was given.\n\n"
        "Exit status: 0, of an exercise: it is fixed; 120 it still hangs; 1 it does not compile, or does "
        "not\n"
        "do its task; 125 a lesson could not be shown in full, or refork failed: the reason is told.\n",
    .examples = learn_examples,
    .options = learn_options,
    .run = run_learn,
};
