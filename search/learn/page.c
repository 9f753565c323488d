#include "search/learn/page.h"

#include "core/array.h"
#include "core/path.h"
#include "core/printable.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const titles[LEARN_PARTS] = {
    [LEARN_TEXT] = "What it is about",       [LEARN_QUESTION] = "A question", [LEARN_ANSWER] = "The answer",
    [LEARN_RECORDING] = "A recording of it", [LEARN_VERDICT] = "The verdict", [LEARN_REPAIR] = "The fix",
    [LEARN_PROOF] = "Is it fixed?",
};

static void add(struct learn_page *p, enum learn_sort sort, const char *text, size_t len) {
    struct learn_line *line = array_add(p->lines, p->count);
    line->sort = sort;
    line->text = strndup(text, len);
    rf_assert(line->text);
    printable(line->text);
}

static void addf(struct learn_page *p, enum learn_sort sort, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void addf(struct learn_page *p, enum learn_sort sort, const char *format, ...) {
    char *text = NULL;
    va_list list;
    va_start(list, format);
    rf_assert(vasprintf(&text, format, list) >= 0);
    va_end(list);
    add(p, sort, text, strlen(text));
    free(text);
}

static void gap(struct learn_page *p) {
    if (p->count && *p->lines[p->count - 1].text) add(p, LEARN_PLAIN, "", 0);
}

// Paragraphs, points and programs of a lesson's text.
static void add_text(struct learn_page *p, const char *text) {
    while (*text) {
        size_t len = strcspn(text, "\n");
        if (*text == '-')
            add(p, LEARN_POINT, text, len);
        else
            add(p, *text == ' ' ? LEARN_VERBATIM : LEARN_PLAIN, text, len);
        text += len + (text[len] != 0);
    }
}

static void add_verbatim(struct learn_page *p, const char *text) {
    for (const char *at = text; at && *at;) {
        size_t len = strcspn(at, "\n");
        add(p, LEARN_VERBATIM, at, len);
        at += len + (at[len] != 0);
    }
}

static void add_difference(struct learn_page *p, const char *text) {
    while (*text) {
        size_t len = strcspn(text, "\n");
        enum learn_sort sort = *text == '+' ? LEARN_ADDED : *text == '-' ? LEARN_REMOVED : LEARN_VERBATIM;
        if (!strncmp(text, "@@", 2))
            gap(p); // from here on, other lines
        else
            add(p, sort, text, len);
        text += len + (text[len] != 0);
    }
}

// ---- the parts

static void add_text_part(const struct study *s, const struct learn_view *view, struct learn_page *p) {
    add_text(p, view->few_words ? s->lesson->points : s->lesson->text);
}

static void add_question(const struct study *s, const struct learn_view *view, struct learn_page *p) {
    const struct lesson *l = s->lesson;
    (void)view;
    add_text(p, l->question);
    gap(p);
    for (size_t i = 0; i < l->choice_count; i++)
        addf(p, LEARN_POINT, "%c) %s", 'a' + (int)i, l->choices[i].text);
}

static void add_answer(const struct study *s, const struct learn_view *view, struct learn_page *p) {
    const struct lesson *l = s->lesson;
    int chosen = view->chosen;
    if (chosen >= 0 && (size_t)chosen < l->choice_count)
        addf(p, l->choices[chosen].right ? LEARN_RIGHT : LEARN_WRONG, "You chose %c: that is %s.",
             'a' + chosen, l->choices[chosen].right ? "right" : "not so");
    gap(p);
    for (size_t i = 0; i < l->choice_count; i++) {
        const struct lesson_choice *c = &l->choices[i];
        if (view->few_words && !c->right && chosen != (int)i) continue;
        addf(p, c->right ? LEARN_RIGHT : LEARN_POINT, "%c) %s", 'a' + (int)i, c->text);
        addf(p, LEARN_PLAIN, "%s %s", c->right ? "Right." : "No.", c->why);
        gap(p);
    }
}

static void add_end(struct learn_page *p, const char *source, const struct study_run *run) {
    const char *name = base_name(source);
    if (run->deadlock)
        addf(p, LEARN_WRONG, "%s hangs: it was stopped after %" PRIu64 " events.", name, run->events);
    else if (run->signaled)
        addf(p, LEARN_WRONG, "%s was ended by signal %d, after %" PRIu64 " events.", name, run->status,
             run->events);
    else
        addf(p, LEARN_RIGHT, "%s ends by itself with status %d, after %" PRIu64 " events.", name, run->status,
             run->events);
    if (!run->output || !*run->output) return;
    addf(p, LEARN_PLAIN, "It printed:");
    gap(p);
    for (const char *at = run->output; *at;) {
        size_t len = strcspn(at, "\n");
        addf(p, LEARN_VERBATIM, "  %.*s", (int)len, at);
        at += len + (at[len] != 0);
    }
}

static void add_recording(const struct study *s, const struct learn_view *view, struct learn_page *p) {
    if (!s->bug.made) return;
    add_end(p, s->lesson->program, &s->bug);
    gap(p);
    if (!view->few_words) add_text(p, s->lesson->look);
}

static void add_verdict(const struct study *s, const struct learn_view *view, struct learn_page *p) {
    if (view->hides_verdict)
        addf(p, LEARN_PLAIN, "Hidden (--no-verdict): who waits for what, and who could end that?");
    else
        add_verbatim(p, s->bug.verdict);
}

static void add_repair(const struct study *s, const struct learn_view *view, struct learn_page *p) {
    if (!view->few_words || !s->difference) add_text(p, s->lesson->repair);
    gap(p);
    if (s->difference) add_difference(p, s->difference);
}

static void add_proof(const struct study *s, const struct learn_view *view, struct learn_page *p) {
    (void)view;
    add_end(p, s->lesson->program, &s->bug);
    gap(p);
    add_end(p, s->lesson->fix, &s->fix);
    if (s->bug.deadlock && !s->proof) {
        gap(p);
        addf(p, s->proved ? LEARN_RIGHT : LEARN_WRONG,
             s->proved
                 ? "fixed: it was run %u times more, each time in another random order, and ended each time"
                 : "not fixed: it ended %u times in random orders, then it hung",
             s->orders);
    }
    if (!s->proof) return;
    gap(p);
    addf(p, LEARN_PLAIN, "refork verify forces the recorded situation on the fix. It says:");
    gap(p);
    const char *last = s->proof, *next;
    while ((next = strchr(last, '\n')) && next[1])
        last = next + 1; // the lines before it are about single runs
    add(p, s->proved ? LEARN_RIGHT : LEARN_WRONG, last, strcspn(last, "\n"));
}

bool learn_part_there(const struct lesson *l, enum learn_part part) {
    return (part != LEARN_REPAIR && part != LEARN_PROOF) || *l->fix;
}

int learn_part_prepare(struct study *s, enum learn_part part, struct rf_error *err) {
    if (part == LEARN_RECORDING || part == LEARN_VERDICT) return study_record(s, err);
    if (part == LEARN_REPAIR || part == LEARN_PROOF) return study_repair(s, err);
    return 0;
}

void learn_page_make(const struct study *s, enum learn_part part, const struct learn_view *view,
                     struct learn_page *out) {
    static void (*const parts[LEARN_PARTS])(const struct study *, const struct learn_view *,
                                            struct learn_page *) = {
        [LEARN_TEXT] = add_text_part,      [LEARN_QUESTION] = add_question, [LEARN_ANSWER] = add_answer,
        [LEARN_RECORDING] = add_recording, [LEARN_VERDICT] = add_verdict,   [LEARN_REPAIR] = add_repair,
        [LEARN_PROOF] = add_proof,
    };
    *out = (struct learn_page){.title = titles[part]};
    parts[part](s, view, out);
    while (out->count && !*out->lines[out->count - 1].text)
        free(out->lines[--out->count].text);
}

void learn_page_failed(enum learn_part part, const struct rf_error *err, struct learn_page *out) {
    *out = (struct learn_page){.title = titles[part]};
    addf(out, LEARN_WRONG, "This part cannot be shown here:");
    addf(out, LEARN_PLAIN, "%s", err->text);
}

void learn_page_release(struct learn_page *p) {
    for (size_t i = 0; i < p->count; i++)
        free(p->lines[i].text);
    free(p->lines);
    *p = (struct learn_page){0};
}
