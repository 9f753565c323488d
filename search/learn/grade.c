#include "search/learn/grade.h"

#include "core/path.h"
#include "core/printable.h"
#include "search/interrupt.h"
#include "search/learn/printed.h"
#include "search/learn/study.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

enum { ORDERS = 6, FORCED_RUNS = 3 };

struct grading {
    const struct lesson *l;
    struct workshop *w;
    FILE *out;
    uint64_t runs;
};

static void tell_lines(FILE *out, const char *text) {
    for (const char *at = text; at && *at;) {
        size_t len = strcspn(at, "\n");
        print_clean(out, "    %.*s\n", (int)len, at);
        at += len + (at[len] != 0);
    }
}

// The verdict's first lines, which say who waits for what.
static int tell_hangs(const struct grading *g, const char *verdict) {
    const char *end = strstr(verdict, "\n\n");
    print_clean(g->out, "still hangs:\n");
    char *head = strndup(verdict, end ? (size_t)(end - verdict) : strlen(verdict));
    rf_assert(head);
    tell_lines(g->out, head);
    free(head);
    return GRADE_HANGS;
}

static int tell_task(const struct grading *g, const char *missed) {
    print_clean(g->out, "does not do its task any more: %s\n", missed);
    return GRADE_TASK;
}

// One run, in a random order with a seed: GRADE_FIXED, nothing is wrong with it.
static int run_one(struct grading *g, const char *program, uint64_t seed, struct rf_error *err) {
    struct study_run run;
    char *missed = NULL, words[64];
    int result = study_run_record(&run, program, g->l->environment, seed, err);
    g->runs++;
    if (result == 0 && run.deadlock) {
        result = tell_hangs(g, run.verdict);
    } else if (result == 0 && (run.signaled || run.status)) {
        snprintf(words, sizeof words, run.signaled ? "it is ended by signal %d" : "it ends with status %d",
                 run.status);
        result = tell_task(g, words);
    } else if (result == 0) {
        result = printed_check(run.trace, g->l, &missed, err);
        if (missed) result = tell_task(g, missed);
    }
    free(missed);
    study_run_release(&run);
    return result;
}

// The exercise as it was given, hanging: what verify forces.
static int record_exercise(const struct grading *g, struct study_run *bug, struct rf_error *err) {
    char program[WORKSHOP_PATH];
    if (workshop_build(g->w, g->l->exercise, "exercise", program, err)) return -1;
    int failed = study_run_record(bug, program, g->l->environment, 0, err);
    for (uint64_t seed = 1; !failed && !bug->deadlock && seed <= ORDERS; seed++) {
        study_run_release(bug);
        failed = study_run_record(bug, program, g->l->environment, seed, err);
    }
    return failed;
}

static const char *last_line(const char *text) {
    const char *last = text, *next;
    while ((next = strchr(last, '\n')) && next[1])
        last = next + 1;
    return last;
}

static int force(struct grading *g, const char *program, struct rf_error *err) {
    struct study_run bug = {0};
    char *words = NULL, output[WORKSHOP_PATH + 32];
    if (record_exercise(g, &bug, err)) return -1;
    if (!bug.deadlock) { // one of its threads was slow this time
        study_run_release(&bug);
        print_clean(g->out, "fixed: it did its task in each of %" PRIu64 " runs\n", g->runs);
        return GRADE_FIXED;
    }
    snprintf(output, sizeof output, "%.4000s-forced.refork", program);
    int status = study_verify(bug.trace, program, g->l->environment, output, FORCED_RUNS, &words, err);
    study_run_release(&bug);
    if (status < 0 && (err->status != RF_CANNOT || interrupted())) return -1;
    if (status == RF_DEADLOCK) {
        print_clean(g->out, "still hangs, when the fork comes while the lock is held:\n");
        tell_lines(g->out, words);
    } else if (status == RF_OK) {
        print_clean(g->out, "%.*s\n", (int)strcspn(last_line(words), "\n"), last_line(words));
        print_clean(g->out, "It did its task in each of %" PRIu64 " other runs.\n", g->runs);
    } else {
        const char *why = status < 0 ? err->text : last_line(words);
        print_clean(g->out, "fixed: it did its task in each of %" PRIu64 " runs, in random orders\n",
                    g->runs);
        print_clean(g->out, "The deadlock of the exercise was not forced: %.*s\n", (int)strcspn(why, "\n"),
                    why);
    }
    free(words);
    return status == RF_DEADLOCK ? GRADE_HANGS : GRADE_FIXED;
}

static int judge(struct grading *g, const char *file, struct rf_error *err) {
    char path[2 * WORKSHOP_PATH];
    int compiled = workshop_compile(g->w, file, "solution", err);
    if (compiled < 0) return -1;
    snprintf(path, sizeof path, "%s/solution.words", g->w->folder);
    if (compiled) {
        char *words = workshop_text(path);
        print_clean(g->out, "does not compile:\n");
        tell_lines(g->out, words);
        free(words);
        return GRADE_NOT_COMPILED;
    }
    snprintf(path, sizeof path, "%s/solution", g->w->folder);
    int result = GRADE_FIXED;
    for (uint64_t seed = 0; seed <= ORDERS && result == GRADE_FIXED; seed++)
        result = run_one(g, path, seed, err);
    return result == GRADE_FIXED ? force(g, path, err) : result;
}

int grade(const struct lesson *l, struct workshop *w, const char *file, FILE *out, struct rf_error *err) {
    struct grading g = {.l = l, .w = w, .out = out};
    if (access(file, R_OK)) return rf_fail_errno(err, RF_CANNOT, "cannot read '%s'", file);
    interrupt_begin(INTERRUPT_ALL);
    int result = judge(&g, file, err);
    interrupt_end(INTERRUPT_ALL);
    return result;
}

int grade_write(const struct lesson *l, const struct workshop *w, const char *path, struct rf_error *err) {
    char source[2 * WORKSHOP_PATH];
    snprintf(source, sizeof source, "%s/%s", w->root, l->exercise);
    char *text = workshop_text(source);
    if (!text) return rf_fail_errno(err, RF_CANNOT, "cannot read '%s'", source);
    FILE *out = fopen(path, "wxe");
    int failed = out ? fputs(text, out) < 0 : -1;
    if (out && fclose(out)) failed = -1;
    free(text);
    return failed ? rf_fail_errno(err, RF_CANNOT, "cannot write '%s'", path) : 0;
}
