// One finding of the page: the same parts as the text report's, with the source around each frame.
#include "tui/export/finding.h"

#include "tui/story.h"
#include "tui/export/markup.h"
#include "replayer/names/script.h"

#include <stdlib.h>
#include <string.h>

enum { FRAMES_MAX = 48, PARTIES_MAX = 24, VANISHED_MAX = 40, CONTEXT = 3, QUOTE_MAX = 300 };

static const char *line_of(const struct tui_model *m, const struct frame *f, int line) {
    return f->file && line > 0 ? m->source->source_line(m->source->context, f->file, line) : NULL;
}

static void quote(FILE *out, const struct tui_model *m, const struct frame *f) {
    fputs("<pre class=\"source\">", out);
    for (int line = f->line - CONTEXT; line <= f->line + CONTEXT; line++) {
        const char *text = line_of(m, f, line);
        if (!text) continue;
        char copy[QUOTE_MAX + 8];
        size_t used = 0;
        for (; *text && used < QUOTE_MAX; text++) { // tabs as four blanks
            if (*text == '\t')
                for (int i = 0; i < 4; i++)
                    copy[used++] = ' ';
            else
                copy[used++] = *text;
        }
        copy[used] = 0;
        markup(out, line == f->line ? "<mark>► %5d  %s</mark>\n" : "  %5d  %s\n", line, copy);
    }
    fputs("</pre>", out);
}

static void frame_name(FILE *out, const struct frame *f) {
    if (f->function)
        markup(out, "<code>%.600s</code>", f->function);
    else if (f->module)
        markup(out, "<code>%.200s+0x%lx</code>", f->module, (unsigned long)f->module_offset);
    else
        markup(out, "<code>0x%lx</code>", (unsigned long)f->pc);
    if (f->inlined) fputs(" <i>(inlined)</i>", out);
    if (f->scanned) fputs(" <i>(guessed)</i>", out);
    if (f->file && f->line > 0 && !stack_is_system(f))
        markup(out, " <span class=\"place\">%.600s:%d</span>", f->file, f->line);
    else if (f->function && f->module)
        markup(out, " <span class=\"place\">in %.200s</span>", f->module);
}

static void put_frame(FILE *out, const struct tui_model *m, const struct frame *f, size_t number, bool open) {
    bool source = !stack_is_system(f) && line_of(m, f, f->line) != NULL;
    markup(out, "<li value=\"%zu\">", number);
    if (source) markup(out, open ? "<details open=\"open\"><summary>" : "<details><summary>");
    frame_name(out, f);
    if (source) {
        fputs("</summary>", out);
        quote(out, m, f);
        fputs("</details>", out);
    }
    fputs("</li>\n", out);
}

static void put_frames(FILE *out, const struct tui_model *m, const struct stack *s, size_t from, size_t to,
                       bool *open) {
    if (from >= to) return;
    fputs("<ol class=\"stack\">\n", out);
    size_t focus = script_focus_index(s->frames, s->count, true);
    for (size_t i = from; i < to; i++) {
        const struct frame *f = &s->frames[i];
        bool source = *open && i >= focus && !stack_is_system(f) && line_of(m, f, f->line);
        put_frame(out, m, f, i, source);
        if (source) *open = false;
    }
    fputs("</ol>\n", out);
}

static void put_folded(FILE *out, const struct tui_model *m, const struct stack *s, size_t from, size_t to,
                       const char *what) {
    bool open = false;
    if (from >= to) return;
    markup(out, "<details class=\"folded\"><summary>%zu %s</summary>\n", to - from, what);
    put_frames(out, m, s, from, to, &open);
    fputs("</details>\n", out);
}

static void put_shown(FILE *out, const struct tui_model *m, const struct stack *s) {
    size_t first, last, end = s->count < FRAMES_MAX ? s->count : FRAMES_MAX;
    bool open = true;
    if (!s->count) {
        fputs("<p class=\"dim\">no stack is known</p>\n", out);
        return;
    }
    stack_own_part(s, &first, &last);
    if (first == s->count) { // nothing but libc
        first = 0;
        last = s->count;
    } else if (first) {
        first--; // the function of the library that the program called
    }
    if (last > end) last = end;
    if (first > last) first = last;
    put_folded(out, m, s, 0, first, first == 1 ? "frame inside" : "frames inside");
    put_frames(out, m, s, first, last, &open);
    put_folded(out, m, s, last, end, end - last == 1 ? "frame that starts it" : "frames that start it");
    if (end < s->count)
        markup(out, "<p class=\"dim\">%zu more frames: <code>refork explain --json</code> has all</p>\n",
               s->count - end);
}

static void put_stack(FILE *out, const struct tui_model *m, const struct stack *s) {
    struct stack shown = script_stack(s);
    put_shown(out, m, &shown);
    free(shown.frames);
}

static void put_task(FILE *out, const struct finding_task *t) {
    if (!t->tid) {
        fputs("an unknown task", out);
        return;
    }
    markup(out, t->tid == t->pid ? "the main thread " : "thread %d ", t->tid);
    if (*t->name) markup(out, "<code>%s</code> ", t->name);
    markup(out, "of process %d", t->pid);
    if (*t->start_routine) markup(out, ", started in <code>%s</code>", t->start_routine);
}

static void put_heading(FILE *out, const char *class, const char *title, uint64_t event) {
    markup(out, "<section class=\"part %s\"><h4>%s", class, title);
    if (event) markup(out, " <span class=\"event\">event %llu</span>", (unsigned long long)event);
    fputs("</h4>\n", out);
}

static void put_point(FILE *out, const struct tui_model *m, const char *class, const char *title,
                      const struct finding_point *point) {
    if (!point->event && !point->stack.count) return;
    put_heading(out, class, title, point->event);
    put_stack(out, m, &point->stack);
    fputs("</section>\n", out);
}

static void put_allocated(FILE *out, const struct tui_model *m, const struct finding_lock *lock) {
    const struct lock_allocation *a = lock->allocated;
    if (!a) return;
    put_heading(out, "lock", "Where it was allocated", a->point.event);
    markup(out, "<p>by <code>%s</code>, %lu bytes; it is at byte %lu of them</p>\n", a->function,
           (unsigned long)a->size, (unsigned long)a->offset);
    put_stack(out, m, &a->point.stack);
    fputs("</section>\n", out);
}

static void put_lock(FILE *out, const struct finding_lock *lock) {
    if (!lock->address) return;
    put_heading(out, "lock", lock->is_data ? "Which data" : "● Which lock", 0);
    fputs("<p>", out);
    if (*lock->symbol) markup(out, "<code>%s</code>, ", lock->symbol);
    if (*lock->kind && !lock->is_data) markup(out, "a %s, ", lock->kind);
    markup(out, "at <code>0x%lx</code>", (unsigned long)lock->address);
    if (*lock->declared) markup(out, ", declared at <code>%s</code>", lock->declared);
    fputs("</p></section>\n", out);
}

static void put_parties(FILE *out, const struct tui_model *m, const struct finding_party *parties,
                        size_t count) {
    for (size_t i = 0; i < count && i < PARTIES_MAX; i++) {
        const struct finding_party *p = &parties[i];
        fputs("<p>", out);
        put_task(out, &p->task);
        markup(out, ": %s", p->what);
        if (p->point.event)
            markup(out, " <span class=\"event\">event %llu</span>", (unsigned long long)p->point.event);
        fputs("</p>\n", out);
        if (p->point.stack.count) put_stack(out, m, &p->point.stack);
    }
    if (count > PARTIES_MAX) markup(out, "<p class=\"dim\">%zu more</p>\n", count - PARTIES_MAX);
}

static void put_wakers(FILE *out, const struct tui_model *m, const struct finding *f) {
    if (!f->waker_count) return;
    put_heading(out, "ghost", f->kind == FINDING_INHERITED_PIPE ? "Who keeps it open" : "† Who is missing",
                0);
    put_parties(out, m, f->wakers, f->waker_count);
    fputs("</section>\n", out);
}

static void put_vanished_thread(FILE *out, const struct vanished_thread *t) {
    fputs("<li>", out);
    put_task(out, &t->task);
    if (t->stack_bytes)
        markup(out, "; %llu KiB of stack and TLS stay mapped", (unsigned long long)t->stack_bytes / 1024);
    if (t->destructors > 0)
        markup(out, "; %d destructor%s of thread_local objects will never run", t->destructors,
               t->destructors == 1 ? "" : "s");
    if (t->keys > 0)
        markup(out, "; %d destructor%s of pthread keys will never run", t->keys, t->keys == 1 ? "" : "s");
    if (t->cache_blocks > 0)
        markup(out, "; %lld free block%s (%lld bytes) %s lost in its malloc cache",
               (long long)t->cache_blocks, t->cache_blocks == 1 ? "" : "s", (long long)t->cache_bytes,
               t->cache_blocks == 1 ? "is" : "are");
    for (size_t i = 0; i < t->local_count; i++) {
        const struct thread_local_data *d = &t->locals[i];
        markup(out, "; its thread_local %s%s%s (%llu bytes)", d->name[0] ? d->name : "data",
               d->module[0] ? " of " : "", d->module, (unsigned long long)d->size);
    }
    if (t->local_total > t->local_count) markup(out, " and %zu more", t->local_total - t->local_count);
    fputs("</li>\n", out);
}

static void put_vanished(FILE *out, const struct finding *f) {
    if (!f->vanished_count) return;
    put_heading(out, "ghost", "† What vanished at the fork", f->fork.event);
    fputs("<ul>\n", out);
    for (size_t i = 0; i < f->vanished_count && i < VANISHED_MAX; i++)
        put_vanished_thread(out, &f->vanished[i]);
    fputs("</ul>\n", out);
    if (f->vanished_count > VANISHED_MAX)
        markup(out, "<p class=\"dim\">%zu more threads</p>\n", f->vanished_count - VANISHED_MAX);
    fputs("</section>\n", out);
}

static void put_holder(FILE *out, const struct tui_model *m, const struct finding *f) {
    if (!f->holder.tid) return;
    put_heading(out, f->holder.vanished ? "ghost" : "lock",
                f->lock.is_data      ? "† Who was changing it"
                : f->holder.vanished ? "† Who held it"
                                     : "Who holds it",
                0);
    fputs("<p>", out);
    put_task(out, &f->holder);
    fputs(".", out);
    if (f->holder_is_forker)
        fputs(
            " It is the thread that forked. In the child it has another identity, so the lock is not its own "
            "there.",
            out);
    else if (f->holder.vanished && f->kind == FINDING_TORN_DATA)
        fputs(" It vanished at the fork, and the child has the data as it was at that moment.", out);
    else if (f->holder.vanished)
        markup(
            out,
            " It vanished at the fork: a child has only the thread that called fork, so nobody in process %d "
            "can release the lock.",
            f->waiter.pid);
    fputs("</p>\n", out);
    put_parties(out, m, f->holders, f->holder_count);
    fputs("</section>\n", out);
}

static void put_waiting(FILE *out, const struct tui_model *m, const struct finding_task *waiter,
                        const struct finding_lock *lock, const struct finding_point *waiting) {
    char name[64];
    put_heading(out, "stuck", "✗ What is stuck, and where", waiting->event);
    fputs("<p>", out);
    put_task(out, waiter);
    if (lock->address)
        markup(out, " waits for <code>%s</code>.", tui_lock_name(lock, name, sizeof name));
    else
        fputs(" waits.", out);
    fputs("</p>\n", out);
    put_stack(out, m, &waiting->stack);
    fputs("</section>\n", out);
}

// Paragraphs at newlines; those that begin with "1. " are a list.
static void put_advice(FILE *out, const char *advice) {
    bool list = false;
    while (*advice) {
        size_t n = strcspn(advice, "\n");
        char line[2100];
        snprintf(line, sizeof line, "%.*s", (int)n, advice);
        size_t digits = strspn(line, "0123456789");
        bool item = digits && line[digits] == '.' && line[digits + 1] == ' ';
        if (item != list) fputs(item ? "<ol>\n" : "</ol>\n", out);
        list = item;
        if (item)
            markup(out, "<li>%s</li>\n", line + digits + 2);
        else if (n)
            markup(out, "<p>%s</p>\n", line);
        advice += n;
        if (*advice) advice++;
    }
    fputs(list ? "</ol></section>\n" : "</section>\n", out);
}

void export_advice(FILE *out, const struct verdict *v) {
    if (!v->count || !*v->findings[0].advice) return;
    fputs("<section class=\"finding\" id=\"what-to-do\"><h2>What to do</h2>\n", out);
    put_advice(out, v->findings[0].advice);
}

static size_t number_of(const struct verdict *v, const struct finding *f) {
    return f >= v->findings && f < v->findings + v->count ? (size_t)(f - v->findings) + 1 : 0;
}

static void put_crash(FILE *out, const struct tui_model *m, const struct finding *f) {
    const char *name = sigabbrev_np(f->signal);
    put_heading(out, "stuck", "✗ What crashed, and where", f->waiting.event);
    fputs("<p>", out);
    put_task(out, &f->waiter);
    markup(out, ", by signal %d (SIG%s).</p>\n", f->signal, name ? name : "?");
    put_stack(out, m, &f->waiting.stack);
    fputs("</section>\n", out);
}

static void put_killed(FILE *out, const struct finding *f) {
    char how[320];
    finding_killed_text(f, how, sizeof how);
    if (!*how) return;
    put_heading(out, "stuck", "✗ How that wait ended", f->killed.end.event);
    markup(out, "<p>Process %d was %s.</p>\n</section>\n", f->waiter.pid, how);
}

static void put_reason(FILE *out, const struct verdict *v, const struct finding *f) {
    size_t cause = f->caused_by ? number_of(v, f->caused_by) : 0;
    if (cause)
        markup(out,
               "<p>This is only a consequence. The root cause is <a href=\"#finding-%zu\">finding %zu</a>: "
               "%s in "
               "process %d.</p>\n",
               cause, cause, finding_kind_name(f->caused_by->kind), f->caused_by->waiter.pid);
    if (*f->reason) markup(out, "<p>%s</p>\n", f->reason);
}

void export_finding(FILE *out, const struct tui_model *m, size_t index) {
    const struct verdict *v = m->verdict;
    const struct finding *f = &v->findings[index];
    markup(out, "<article class=\"finding\" id=\"finding-%zu\"><h3>Finding %zu of %zu: %s ", index + 1,
           index + 1, v->count, finding_kind_name(f->kind));
    markup(out, "<span class=\"badge\">%s</span></h3>\n", confidence_name(f->confidence));
    for (size_t i = 0; index && i < m->story.count; i++) // the first one's stands at the top of the page
        if (m->story.lines[i].finding == index && m->story.lines[i].sort == TUI_STORY_STUCK)
            markup(out, "<p class=\"lead\">%s.</p>\n", m->story.lines[i].text);
    if (f->kind == FINDING_TORN_DATA)
        put_crash(out, m, f);
    else
        put_waiting(out, m, &f->waiter, &f->lock, &f->waiting);
    put_killed(out, f);
    put_reason(out, v, f);
    put_lock(out, &f->lock);
    put_allocated(out, m, &f->lock);
    put_point(out, m, "lock", "Where it was initialised", &f->initialised);
    put_holder(out, m, f);
    put_point(out, m, "lock",
              f->kind == FINDING_TORN_DATA ? "Where it was at the fork" : "● Where it was taken",
              &f->acquired);
    for (size_t i = 0; i < f->edge_count; i++) {
        const struct finding_edge *e = &f->edges[i];
        put_waiting(out, m, &e->waiter, &e->lock, &e->waiting);
        put_lock(out, &e->lock);
        put_allocated(out, m, &e->lock);
        put_point(out, m, "lock", "● Where that lock was taken", &e->acquired);
    }
    put_wakers(out, m, f);
    put_point(out, m, "fork", "◆ Where the fork was", &f->fork);
    put_vanished(out, f);
    if (*f->advice && index) { // the first one's stands near the top of the page
        put_heading(out, "advice", "→ What to do", 0);
        put_advice(out, f->advice);
    }
    fputs("</article>\n", out);
}
