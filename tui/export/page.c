// The page: what a ticket needs, from the verdict down to the facts of the recording.
#include "tui/export/page.h"

#include "tui/export/finding.h"
#include "tui/export/picture.h"
#include "tui/export/style.h"
#include "tui/export/subject.h"
#include "tui/lanes.h"
#include "tui/story.h"
#include "core/path.h"
#include "core/version.h"
#include "tui/export/evidence.h"
#include "tui/export/markup.h"

#include <stdlib.h>
#include <string.h>

enum {
    FINDINGS_MAX = 40,
    TASKS_MAX = 200,
    DEPTH_MAX = 12,
    EVIDENCE_MAX = 24,
    HELD_MAX = 60,
    STORY_MAX = 200
};

static const char *info_text(const struct export_subject *x, const char *key) {
    const char *text = json_string_value(json_object_get(x->info, key));
    return text ? text : "";
}

static unsigned long long info_number(const struct export_subject *x, const char *key) {
    return (unsigned long long)json_integer_value(json_object_get(x->info, key));
}

// ---- head
static const char *program_name(const struct export_subject *x) {
    const char *program = info_text(x, "program");
    return base_name(*program ? program : x->model->verdict->program);
}

static void put_head(FILE *out, const struct export_subject *x) {
    const struct verdict *v = x->model->verdict;
    fputs("<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\">\n<head>\n"
          "<meta charset=\"utf-8\"/>\n<meta name=\"viewport\" content=\"width=device-width, "
          "initial-scale=1\"/>\n",
          out);
    // Should a name ever slip through unescaped, a browser still runs no script but ours and loads nothing.
    markup(out,
           "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
           "'unsafe-inline'; "
           "script-src 'sha256-%s'\"/>\n",
           export_script_hash);
    markup(out, "<meta name=\"generator\" content=\"refork %s\"/>\n<title>%s: %.120s (refork)</title>\n",
           REFORK_VERSION,
           v->deadlock ? "deadlock"
           : v->count  ? "suspicious"
                       : "no deadlock",
           program_name(x));
    fprintf(out, "<style>\n%s</style>\n</head>\n<body>\n", export_style);
}

static void put_title(FILE *out, const struct export_subject *x) {
    const struct tui_model *m = x->model;
    const struct verdict *v = m->verdict;
    markup(out, "<header>\n<p class=\"badges\"><span class=\"badge %s\">%s</span>", v->count ? "bad" : "good",
           v->deadlock ? "✗ deadlock"
           : v->count  ? "✗ suspicious"
                       : "✓ no deadlock");
    if (v->count) markup(out, " <span class=\"badge\">%s</span>", confidence_name(v->findings[0].confidence));
    markup(out, "</p>\n<h1>%.200s</h1>\n", program_name(x));
    for (size_t i = 0; i < m->story.count; i++) {
        if (m->story.lines[i].sort != TUI_STORY_STUCK && m->story.lines[i].sort != TUI_STORY_GOOD) continue;
        markup(out, "<p class=\"lead\">%s.</p>\n", m->story.lines[i].text);
        break;
    }
    unsigned long long us = info_number(x, "duration_us");
    markup(out, "<p class=\"dim\">%llu events of %zu tasks in %llu.%03llu s; %s.</p>\n</header>\n",
           (unsigned long long)v->events, m->task_count, us / 1000000, us / 1000 % 1000, v->end_reason);
}

// ---- the story
static int by_event(const void *a, const void *b) {
    const struct tui_story_line *x = *(const struct tui_story_line *const *)a,
                                *y = *(const struct tui_story_line *const *)b;
    if (x->event != y->event) return x->event < y->event ? -1 : 1;
    return x < y ? -1 : x > y; // lines of one array: as the story has them
}

static void put_story(FILE *out, const struct tui_model *m) {
    static const struct {
        const char *symbol, *class;
    } looks[] = {[TUI_STORY_MADE] = {"○", "lock"},
                 [TUI_STORY_LOCK] = {"●", "lock"},
                 [TUI_STORY_FORK] = {"◆", "fork"},
                 [TUI_STORY_WAIT] = {"✗", "stuck"}};
    const struct tui_story_line *lines[STORY_MAX];
    size_t count = 0;
    for (size_t i = 0; i < m->story.count && count < STORY_MAX; i++) {
        const struct tui_story_line *line = &m->story.lines[i];
        if (tui_story_evidence(line)) lines[count++] = line;
    }
    if (!count) return;
    qsort(lines, count, sizeof *lines, by_event);
    fputs("<h2>What happened</h2>\n<ol class=\"story\">\n", out);
    for (size_t i = 0; i < count; i++) {
        markup(out,
               "<li class=\"%s\"><span class=\"event\">%llu</span><b aria-hidden=\"true\">%s</b><span>%s",
               looks[lines[i]->sort].class, (unsigned long long)lines[i]->event, looks[lines[i]->sort].symbol,
               lines[i]->text);
        if (*lines[i]->where) markup(out, " <span class=\"place\">%s</span>", lines[i]->where);
        fputs("</span></li>\n", out);
    }
    fputs("</ol>\n", out);
}

static void put_findings(FILE *out, const struct tui_model *m) {
    const struct verdict *v = m->verdict;
    if (!v->count) return;
    markup(out, "<h2>%s</h2>\n", v->count == 1 ? "The finding" : "The findings");
    for (size_t i = 0; i < v->count && i < FINDINGS_MAX; i++)
        export_finding(out, m, i);
    if (v->count > FINDINGS_MAX)
        markup(out, "<p>%zu more findings: <code>refork explain</code> has all.</p>\n",
               v->count - FINDINGS_MAX);
}

// What else nobody in a child could have released.
static void put_held(FILE *out, const struct verdict *v) {
    size_t shown = 0;
    for (size_t i = 0; i < v->held_count; i++) {
        const struct held_lock *l = &v->held_at_fork[i];
        char name[64];
        if (l->wanted || shown++ >= HELD_MAX) continue;
        if (shown == 1)
            fputs("<h2>Other locks that were held at a fork</h2>\n<div "
                  "class=\"wide\"><table>\n<thead><tr><th>lock</th>"
                  "<th>held by</th><th>since</th><th>fork of</th></tr></thead>\n<tbody>\n",
                  out);
        markup(out, "<tr><td><code>%s</code></td><td>%d <code>%s</code></td>",
               tui_lock_name(&l->lock, name, sizeof name), l->holder.tid,
               *l->holder.start_routine ? l->holder.start_routine : l->holder.name);
        markup(out, "<td>event %llu</td><td>%d, event %llu</td></tr>\n",
               (unsigned long long)l->acquired.event, l->child, (unsigned long long)l->fork);
    }
    if (shown) fputs("</tbody></table></div>\n", out);
    if (shown > HELD_MAX) markup(out, "<p class=\"note\">%zu more</p>\n", shown - HELD_MAX);
}

// ---- the process tree
struct tree {
    FILE *out;
    const struct export_subject *x;
    const json_t **ends; // by task of the model, NULL: none
    bool *behind;        // by task: it has ended, and nothing here or below it has a part in the verdict
    bool *done;          // by task: it has its row
    bool folded;         // now those that are behind
    size_t shown;
};

// The task that made the task, or SIZE_MAX.
static size_t parent_of(const struct tui_model *m, size_t index) {
    const struct tui_task *task = &m->tasks[index];
    for (size_t i = index; task->parent_tid && i-- > 0;)
        if (m->tasks[i].tid == task->parent_tid && m->tasks[i].birth < task->birth) return i;
    return SIZE_MAX;
}

// The lanes know who is in front; who made one of those, or lives at the end, is not folded either. Returns how many are.
static size_t find_behind(struct tree *t) {
    const struct tui_model *m = t->x->model;
    size_t behind = 0;
    for (size_t i = 0; i < m->task_count; i++)
        t->behind[i] = m->lane_count && m->tasks[i].death;
    for (size_t i = 0; i < m->lanes_front && i < m->lane_count; i++)
        if (!m->lanes[i].ghost) t->behind[m->lanes[i].task] = false;
    for (size_t i = 0; i < m->task_count; i++) {
        if (t->behind[i]) continue;
        for (size_t up = parent_of(m, i); up != SIZE_MAX && t->behind[up]; up = parent_of(m, up))
            t->behind[up] = false;
    }
    for (size_t i = 0; i < m->task_count; i++)
        behind += t->behind[i];
    return behind;
}

// The row of the information on the recording that is about the same task: both are in the order of births.
static void find_ends(struct tree *t) {
    const json_t *tasks = json_object_get(t->x->info, "tasks");
    size_t at = 0, rows = json_array_size(tasks);
    for (size_t i = 0; i < t->x->model->task_count; i++) {
        const struct tui_task *task = &t->x->model->tasks[i];
        for (size_t k = at; k < rows && k < at + 16; k++) {
            const json_t *row = json_array_get(tasks, k);
            if (json_integer_value(json_object_get(row, "tid")) != task->tid ||
                (uint64_t)json_integer_value(json_object_get(row, "birth")) != task->birth)
                continue;
            t->ends[i] = row;
            at = k + 1;
            break;
        }
    }
}

static void put_end(FILE *out, const struct tui_model *m, const struct tui_task *task, const json_t *row) {
    uint64_t event;
    const json_t *signal = json_object_get(row, "signal"), *status = json_object_get(row, "status");
    if (tui_stuck(m, task->tid, &event))
        markup(out, "<td class=\"stuck\">✗ waits for ever since event %llu</td>", (unsigned long long)event);
    else if (signal)
        markup(out, "<td>killed by signal %d, event %llu</td>", (int)json_integer_value(signal),
               (unsigned long long)task->death);
    else if (status)
        markup(out, "<td>status %d, event %llu</td>", (int)json_integer_value(status),
               (unsigned long long)task->death);
    else
        fputs("<td class=\"dim\">there at the end</td>", out);
}

static void put_task(struct tree *t, size_t index, int depth) {
    const struct tui_model *m = t->x->model;
    const struct tui_task *task = &m->tasks[index];
    FILE *out = t->out;
    if (t->shown++ >= TASKS_MAX) return;
    t->done[index] = true;
    fputs("<tr><td class=\"tree\">", out);
    for (int i = 1; i < depth && i < DEPTH_MAX; i++)
        fputs("<span class=\"branch\">│</span>", out);
    if (depth) fputs("<span class=\"branch\">└</span>", out);
    markup(out, task->tid == task->pid ? "<b>%d</b></td>" : "%d</td>", task->tid);
    markup(out, "<td>%s</td><td><code>%.15s</code></td><td>", task->tid == task->pid ? "process" : "thread",
           task->name);
    if (*task->start_routine) markup(out, "<code>%.63s</code>", task->start_routine);
    fputs("</td>", out);
    if (task->birth)
        markup(out, "<td>event %llu</td>", (unsigned long long)task->birth);
    else
        fputs("<td>the beginning</td>", out);
    put_end(out, m, task, t->ends[index]);
    fputs("</tr>\n", out);
    if (depth > DEPTH_MAX) return; // deeper ones are rows of their own at the end
    for (size_t i = index + 1; i < m->task_count && t->shown < TASKS_MAX; i++)
        if (m->tasks[i].parent_tid == task->tid && m->tasks[i].birth > task->birth &&
            t->behind[i] == t->folded && (!task->death || m->tasks[i].birth < task->death))
            put_task(t, i, depth + 1);
}

static void begin_tasks(FILE *out) {
    fputs("<div class=\"wide\"><table>\n<thead><tr><th>task</th><th></th>"
          "<th>name</th><th>start routine</th><th>born</th><th>ended</th></tr></thead>\n<tbody>\n",
          out);
}

static void put_tree(FILE *out, const struct export_subject *x) {
    enum { WORTH_FOLDING = 3 }; // as in the TUI
    const struct tui_model *m = x->model;
    struct tree t = {.out = out,
                     .x = x,
                     .ends = calloc(m->task_count + 1, sizeof *t.ends),
                     .behind = calloc(m->task_count + 1, sizeof *t.behind),
                     .done = calloc(m->task_count + 1, sizeof *t.done)};
    rf_assert(t.ends && t.behind && t.done);
    find_ends(&t);
    size_t behind = find_behind(&t);
    if (behind < WORTH_FOLDING) memset(t.behind, 0, m->task_count * sizeof *t.behind);
    fputs("<h2>Processes and threads</h2>\n", out);
    begin_tasks(out);
    for (size_t i = 0; i < m->task_count && t.shown < TASKS_MAX; i++)
        if (!m->tasks[i].parent_tid && !t.behind[i]) put_task(&t, i, 0);
    fputs("</tbody></table></div>\n", out);
    if (behind >= WORTH_FOLDING && t.shown < TASKS_MAX) {
        markup(out,
               "<details class=\"folded\" id=\"ended\"><summary>%zu others that have ended%s</summary>\n",
               behind, m->verdict->count ? " and have no part in the verdict" : "");
        begin_tasks(out);
        t.folded = true;
        for (size_t i = 0; i < m->task_count && t.shown < TASKS_MAX; i++)
            if (t.behind[i] && !t.done[i]) put_task(&t, i, 0);
        fputs("</tbody></table></div></details>\n", out);
    }
    if (m->task_count > t.shown)
        markup(out, "<p class=\"note\">%zu more: <code>refork info</code> lists all.</p>\n",
               m->task_count - t.shown);
    free(t.ends);
    free(t.behind);
    free(t.done);
}

// ---- events around the evidence
struct events {
    FILE *out;
    uint64_t before; // the number of the row above
};

static void put_event(void *context, const struct tui_model *m, uint64_t number, bool evidence) {
    struct events *rows = context;
    FILE *out = rows->out;
    struct tui_event e;
    if (!m->source->event(m->source->context, number, &e)) return;
    if (rows->before && number > rows->before + 1)
        fputs("<tr><td class=\"dim\" colspan=\"5\">…</td></tr>\n", out);
    rows->before = number;
    markup(out,
           evidence ? "<tr><td class=\"number\"><b>► %llu</b></td>" : "<tr><td class=\"number\">%llu</td>",
           (unsigned long long)number);
    markup(out, "<td class=\"number\">%llu.%03u ms</td><td class=\"number\">%d</td><td>%s</td>",
           (unsigned long long)e.time_us / 1000, (unsigned)(e.time_us % 1000), e.tid,
           event_kind_name(e.kind));
    markup(out, "<td><code>%.200s</code></td></tr>\n", e.text);
}

static void put_events(FILE *out, const struct tui_model *m) {
    struct events rows = {.out = out};
    bool any = false;
    for (size_t i = 0; i < m->story.count && !any; i++)
        any = tui_story_evidence(&m->story.lines[i]);
    if (!any) return;
    fputs("<h2>Events around the evidence</h2>\n<details class=\"folded\"><summary>show them</summary>\n"
          "<div class=\"wide\"><table>\n<thead><tr><th>event</th><th>time</th><th>task</th><th>kind</th>"
          "<th>what</th></tr></thead>\n<tbody>\n",
          out);
    evidence_walk(m, EVIDENCE_MAX, put_event, &rows);
    fputs("</tbody></table></div></details>\n", out);
}

// ---- how to go on, and what the recording is
// The file's name as a word of a shell.
static void put_file(FILE *out, const char *path) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+,:@%/";
    const char *name = base_name(path);
    bool quoted = !*name || name[strspn(name, plain)] || *name == '-';
    if (!quoted) {
        markup(out, "%s", name);
        return;
    }
    markup(out, *name == '-' ? "'./" : "'");
    for (; *name; name++) {
        char c[2] = {*name, 0};
        if (*name == '\'')
            markup(out, "%s", "'\\''");
        else if ((unsigned char)*name < 0x80)
            markup(out, "%s", c);
        else { // a whole character at once
            size_t n = 1;
            while (((unsigned char)name[n] & 0xc0) == 0x80)
                n++;
            char whole[8];
            snprintf(whole, sizeof whole, "%.*s", (int)(n > 7 ? 7 : n), name);
            markup(out, "%s", whole);
            name += n - 1;
        }
    }
    markup(out, "'");
}

static void put_command(FILE *out, const struct export_subject *x, const char *before, uint64_t at,
                        const char *what) {
    markup(out, "<dt><code>refork %s ", before);
    if (at) markup(out, "--at %llu ", (unsigned long long)at);
    put_file(out, x->path);
    markup(out, "</code></dt><dd>%s</dd>\n", what);
}

static void put_replay(FILE *out, const struct export_subject *x) {
    const struct verdict *v = x->model->verdict;
    uint64_t at = v->count ? v->findings[0].waiting.event : 0;
    markup(
        out,
        "<h2>How to look at it</h2>\n<p>With the recording <code>%s</code> and refork %s (format %llu), on "
        "an x86-64 machine with the same kind of processor; the program itself is not needed, the recording "
        "holds it.</p>\n<dl class=\"commands\">\n",
        base_name(x->path), info_text(x, "refork"), info_number(x, "format"));
    put_command(out, x, "replay", 0, "steps through this very run, forward and back");
    if (at) put_command(out, x, "replay", at, "begins where the task waits for ever");
    put_command(out, x, "explain", 0, "makes the verdict of this page from the recording");
    put_command(out, x, "dump", 0, "prints every event");
    fputs("</dl>\n", out);
}

static void put_fact(FILE *out, const char *name, const char *value) {
    if (*value) markup(out, "<tr><th>%s</th><td>%.1000s</td></tr>\n", name, value);
}

static void put_facts(FILE *out, const struct export_subject *x) {
    char text[128];
    size_t i;
    json_t *item;
    fputs("<h2>The recording</h2>\n<div class=\"wide\"><table class=\"facts\">\n<tbody>\n", out);
    put_fact(out, "program", info_text(x, "program"));
    fputs("<tr><th>arguments</th><td>", out);
    json_array_foreach(json_object_get(x->info, "arguments"), i, item)
        markup(out, i ? " <code>%.200s</code>" : "<code>%.200s</code>", json_string_value(item));
    fputs("</td></tr>\n", out);
    put_fact(out, "recorded", info_text(x, "recorded"));
    snprintf(text, sizeof text, "refork %.32s, format %llu", info_text(x, "refork"),
             info_number(x, "format"));
    put_fact(out, "made by", *info_text(x, "made_by") ? info_text(x, "made_by") : text);
    put_fact(out, "processor", info_text(x, "machine"));
    put_fact(out, "kernel", info_text(x, "kernel"));
    put_fact(out, "end", x->model->verdict->end_reason);
    snprintf(
        text, sizeof text, "%llu events, %llu files, %llu bytes", info_number(x, "events"),
        info_number(x, "files"),
        (unsigned long long)json_integer_value(json_object_get(json_object_get(x->info, "size"), "file")));
    put_fact(out, "size", text);
    if (json_is_true(json_object_get(x->info, "truncated"))) {
        snprintf(text, sizeof text, "cut off at byte %llu", info_number(x, "truncated_at"));
        put_fact(out, "damage", text);
    }
    json_array_foreach(json_object_get(x->info, "notes"), i, item)
        put_fact(out, "note", json_string_value(item) ? json_string_value(item) : "");
    fputs("</tbody></table></div>\n", out);
}

int export_html(FILE *out, const struct export_subject *x) {
    const struct tui_model *m = x->model;
    put_head(out, x);
    put_title(out, x);
    fputs("<main>\n", out);
    put_story(out, m);
    export_advice(out, m->verdict);
    fputs("<h2>The picture</h2>\n", out);
    export_picture(out, m);
    put_findings(out, m);
    put_held(out, m->verdict);
    put_tree(out, x);
    put_events(out, m);
    put_replay(out, x);
    put_facts(out, x);
    markup(out,
           "</main>\n<footer class=\"dim\">Made by refork %s from %s. Everything on this page comes from the "
           "recording; nothing was loaded from elsewhere.</footer>\n",
           REFORK_VERSION, base_name(x->path));
    fprintf(out, "<script>%s</script>\n</body>\n</html>\n", export_script);
    return ferror(out) || fflush(out) ? -1 : 0;
}
