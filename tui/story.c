// The story: a verdict as lines in the order in which things happened, each with its event.
#include "tui/story.h"

#include "tui/focus.h"
#include "core/array.h"
#include "core/fill.h"
#include "core/path.h"
#include "replayer/names/script.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct tui_story_line *add(struct tui_model *m, enum tui_story_sort sort, size_t finding,
                                  uint64_t event, int tid) {
    struct tui_story *s = &m->story;
    struct tui_story_line *line = array_add(s->lines, s->count);
    *line = (struct tui_story_line){.sort = sort, .finding = finding, .event = event, .tid = tid};
    return line;
}

static void __attribute__((format(printf, 2, 3))) say(struct tui_story_line *line, const char *format, ...) {
    va_list list;
    va_start(list, format);
    vsnprintf(line->text, sizeof line->text, format, list);
    va_end(list);
}

// The frame that means something to the user: the innermost one whose source the recording (or this machine)
// has; of a script the innermost that is no library's.
static bool user_frame(const struct tui_model *m, const struct stack *stack, struct frame *out) {
    if (!stack->count) return false;
    *out = script_focus(stack, false);
    if (script_is_own(out)) return true;
    const struct frame *named = NULL;
    for (size_t i = script_focus_index(stack->frames, stack->count, true); i < stack->count; i++) {
        const struct frame *f = &stack->frames[i];
        *out = *f;
        if (f->file && f->line > 0 && m->source->source_line(m->source->context, f->file, f->line))
            return true;
        if (!named && f->file) named = f;
    }
    *out = named ? *named : stack->frames[0];
    return true;
}

static void place(const struct tui_model *m, struct tui_story_line *line, const struct finding_point *point) {
    struct frame user;
    const struct frame *f = &user;
    if (!user_frame(m, &point->stack, &user)) return;
    if (f->file && f->line > 0) {
        snprintf(line->where, sizeof line->where, "%s%s%s:%d", f->function ? f->function : "",
                 f->function ? ", " : "", base_name(f->file), f->line);
    } else {
        snprintf(line->where, sizeof line->where, "%s in %s", f->function ? f->function : "?",
                 f->module ? f->module : "?");
    }
}

const char *tui_lock_name(const struct finding_lock *lock, char *buffer, size_t size) {
    if (*lock->symbol) return lock->symbol;
    if (lock->address)
        snprintf(buffer, size, "the %s at 0x%llx", *lock->kind ? lock->kind : "lock",
                 (unsigned long long)lock->address);
    else
        snprintf(buffer, size, "%s", "a lock");
    return buffer;
}

static void label(const struct tui_model *m, const struct finding_task *task, char *out, size_t size) {
    if (*task->start_routine)
        snprintf(out, size, "%s (%d)", task->start_routine, task->tid);
    else if (*task->name)
        snprintf(out, size, "%s (%d)", task->name, task->tid);
    else
        tui_task_label(m, task->tid, out, size);
}

static void acquired(struct tui_model *m, size_t index, const struct finding_task *holder,
                     const struct finding_lock *lock, const struct finding_point *point) {
    char who[192], name[64];
    if (!holder->tid) return;
    label(m, holder, who, sizeof who);
    struct tui_story_line *line = add(m, TUI_STORY_LOCK, index, point->event, holder->tid);
    say(line, "%s takes %s", who, tui_lock_name(lock, name, sizeof name));
    place(m, line, point);
}

// A main thread by its number alone, as the line of the fork has it.
static void number_or_label(const struct tui_model *m, int pid, int tid, char *out, size_t size) {
    if (tid == pid)
        snprintf(out, size, "%d", tid);
    else
        tui_task_label(m, tid, out, size);
}

// How many locks the story tells the origin of.
static size_t made_count(const struct verdict *v) {
    size_t count = 0;
    for (size_t i = 0; i < v->count; i++) {
        const struct finding *f = &v->findings[i];
        count += f->lock.allocated || f->initialised.event;
        for (size_t k = 0; k < f->edge_count; k++)
            count += f->edges[k].lock.allocated != NULL;
    }
    return count;
}

// Where a lock without a name comes from. `initialised`: NULL if that is not asked.
static void made(struct tui_model *m, size_t index, const struct finding_lock *lock,
                 const struct finding_point *initialised) {
    const struct lock_allocation *a = lock->allocated;
    char who[192], buffer[64];
    const char *name = made_count(m->verdict) == 1 ? "the lock" : tui_lock_name(lock, buffer, sizeof buffer);
    if (a) {
        number_or_label(m, a->point.pid, a->point.tid, who, sizeof who);
        struct tui_story_line *line = add(m, TUI_STORY_MADE, index, a->point.event, a->point.tid);
        say(line, "%s allocates %s with %s", who, name, a->function);
        place(m, line, &a->point);
    }
    if (initialised && initialised->event) {
        number_or_label(m, initialised->pid, initialised->tid, who, sizeof who);
        struct tui_story_line *line = add(m, TUI_STORY_MADE, index, initialised->event, initialised->tid);
        say(line, "%s initialises %s", who, name);
        place(m, line, initialised);
    }
}

static void waiting(struct tui_model *m, size_t index, const struct finding_task *waiter,
                    const struct finding_lock *lock, const struct finding_point *point, const char *why) {
    char who[192], name[64];
    if (waiter->tid == waiter->pid)
        snprintf(who, sizeof who, "%d", waiter->tid);
    else
        label(m, waiter, who, sizeof who);
    struct tui_story_line *line = add(m, TUI_STORY_WAIT, index, point->event, waiter->tid);
    if (lock->address)
        say(line, "%s waits for %s%s", who, tui_lock_name(lock, name, sizeof name), why);
    else
        say(line, "%s waits%s", who, why);
    place(m, line, point);
}

static void party(struct tui_model *m, size_t index, const struct finding_party *p) {
    char who[192];
    if (!p->point.event) return;
    label(m, &p->task, who, sizeof who);
    struct tui_story_line *line = add(m, TUI_STORY_WAIT, index, p->point.event, p->task.tid);
    say(line, "%s: %s", who, p->what);
    place(m, line, &p->point);
}

static void crashed(struct tui_model *m, size_t index, const struct finding *f) {
    struct tui_story_line *line = add(m, TUI_STORY_WAIT, index, f->waiting.event, f->waiter.tid);
    say(line, "%d is killed by signal %d", f->waiter.tid, f->signal);
    place(m, line, &f->waiting);
}

static void forked(struct tui_model *m, size_t index, const struct finding *f) {
    if (!f->fork.event) return;
    char who[192], holder[192];
    tui_task_label(m, f->fork.tid, who, sizeof who);
    label(m, &f->holder, holder, sizeof holder);
    struct tui_story_line *line = add(m, TUI_STORY_FORK, index, f->fork.event, f->fork.tid);
    if (f->holder.vanished && !f->holder_is_forker) {
        const char *name = *f->holder.start_routine ? f->holder.start_routine : holder;
        say(line, "%d forks %d, a copy without %s", f->fork.tid, f->waiter.pid, name);
    } else if (f->holder_is_forker) {
        say(line, "%s forks %d while it holds the lock itself", who, f->waiter.pid);
    } else {
        say(line, "%s calls fork", who);
    }
    place(m, line, &f->fork);
}

// {sure}: how sure that is; {pid}, {who}: the process and the task that wait; {lock}, {holder}; {whose}: why the holder
// is not there; {ended}: the holder that has ended.
static const char *const headings[] = {
    [FINDING_ORPHANED_LOCK] =
        "DEADLOCK ({sure}): process {pid} waits for ever for {lock}, held by {holder}, {whose}",
    [FINDING_LOCK_CYCLE] = "DEADLOCK ({sure}): tasks wait for each other's locks; fork has no part in it",
    [FINDING_SIGNAL_HANDLER] = "DEADLOCK ({sure}): {who} waits in a signal handler for {lock}, which the "
                               "code that it interrupted holds",
    [FINDING_ATFORK_DEADLOCK] =
        "DEADLOCK ({sure}): fork() hangs in its prepare handlers, which wait for {lock}, held by {holder}",
    [FINDING_CROSS_PROCESS_WAIT] =
        "{who} waits for a process that is stuck itself ({sure}): the root cause is there",
    [FINDING_ORPHANED_SPIN] = "DEADLOCK ({sure}): process {pid} polls {lock} for ever, set by {holder}, a "
                              "thread that does not exist there",
    [FINDING_SELF_HELD] =
        "DEADLOCK ({sure}): process {pid} waits for ever for {lock}, which its parent's forking thread held",
    [FINDING_VANISHED_WAKER] =
        "DEADLOCK ({sure}): process {pid} waits for ever for {lock}; who would wake it does not exist there",
    [FINDING_ATFORK_CHILD] =
        "DEADLOCK ({sure}): process {pid} hangs inside fork(), in a fork handler, which waits for {lock}",
    [FINDING_INHERITED_PIPE] =
        "DEADLOCK ({sure}): {who} reads for ever: a forked process holds the pipe's other end open",
    [FINDING_TORN_DATA] = "CRASH ({sure}): process {pid} dies in what {holder} was changing at the fork",
    [FINDING_DEAD_HOLDER] =
        "DEADLOCK ({sure}): process {pid} waits for ever for {lock}; its holder, {ended}, has ended",
    [FINDING_UNKNOWN_WAIT] = "STUCK ({sure}): {who} waits for ever; the cause is not known to this version",
};

struct told {
    const struct tui_model *model;
    const struct finding *finding;
};

static void word_of(const void *context, const char *name, char *out, size_t size) {
    const struct told *t = context;
    const struct finding *f = t->finding;
    char buffer[64];
    bool ended = !strcmp(name, "ended");
    if (!strcmp(name, "sure"))
        snprintf(out, size, "%s", confidence_name(f->confidence));
    else if (!strcmp(name, "pid"))
        snprintf(out, size, "%d", f->waiter.pid);
    else if (!strcmp(name, "who"))
        label(t->model, &f->waiter, out, size);
    else if (!strcmp(name, "lock"))
        snprintf(out, size, "%s", tui_lock_name(&f->lock, buffer, sizeof buffer));
    else if (!strcmp(name, "whose"))
        snprintf(out, size, "%s",
                 f->holder_is_forker ? "its parent's own thread" : "a thread that does not exist there");
    else if (ended && !f->holder.tid && f->waker_count)
        snprintf(out, size, "a process");
    else if (ended || !strcmp(name, "holder"))
        label(t->model, &f->holder, out, size);
}

static void heading(struct tui_model *m, size_t index, const struct finding *f) {
    struct tui_story_line *line = add(m, TUI_STORY_STUCK, index, f->waiting.event, f->waiter.tid);
    const struct told told = {m, f};
    fill_text(line->text, sizeof line->text, headings[f->kind], word_of, &told);
}

static void killed(struct tui_model *m, size_t index, const struct finding *f) {
    const struct finding_killed *k = &f->killed;
    char how[320];
    finding_killed_text(f, how, sizeof how);
    if (!*how) return;
    uint64_t event = k->end.by_event ? k->end.by_event : k->end.event;
    say(add(m, TUI_STORY_WAIT, index, event, k->end.by.tid ? k->end.by.tid : f->waiter.tid),
        "process %d is %s", f->waiter.pid, how);
}

static void finding(struct tui_model *m, size_t index) {
    const struct finding *f = &m->verdict->findings[index];
    heading(m, index, f);
    made(m, index, &f->lock, &f->initialised);
    for (size_t i = 0; i < f->edge_count; i++)
        made(m, index, &f->edges[i].lock, NULL);
    if (f->kind != FINDING_TORN_DATA) acquired(m, index, &f->holder, &f->lock, &f->acquired);
    for (size_t i = 0; i < f->edge_count; i++) {
        acquired(m, index, &f->edges[i].holder, &f->edges[i].lock, &f->edges[i].acquired);
    }
    forked(m, index, f);
    for (size_t i = 0; i < f->edge_count; i++) {
        waiting(m, index, &f->edges[i].waiter, &f->edges[i].lock, &f->edges[i].waiting, "");
    }
    for (size_t i = 0; i < f->waker_count; i++)
        party(m, index, &f->wakers[i]);
    if (f->kind == FINDING_TORN_DATA)
        crashed(m, index, f);
    else
        waiting(m, index, &f->waiter, &f->lock, &f->waiting,
                f->kind == FINDING_ORPHANED_LOCK && !f->killed.end.event ? " for ever" : "");
    killed(m, index, f);
    if (*f->advice) say(add(m, TUI_STORY_ADVICE, index, 0, 0), "%s", f->advice);
}

bool tui_story_evidence(const struct tui_story_line *line) {
    return line->sort >= TUI_STORY_MADE && line->sort <= TUI_STORY_WAIT && line->event;
}

int tui_wrap(const char **text, int width) {
    int len = (int)strcspn(*text, "\n"), take = len;
    if (width < 1) width = 1;
    if (len > width) {
        for (take = width; take > 0 && (*text)[take] != ' '; take--)
            continue;
        if (!take) take = width; // one long word
        while (take < len && ((unsigned char)(*text)[take] & 0xc0) == 0x80)
            take++;
    }
    *text += take;
    *text += strspn(*text, " \n");
    return take;
}

int tui_story_rows(const struct tui_story_line *line, int width, int *where_row) {
    int rows = 0, last = 0;
    for (const char *text = line->text; *text;) {
        last = tui_wrap(&text, width);
        rows++;
    }
    if (!rows) rows = 1;
    bool fits = last + 2 + (int)strlen(line->where) <= width;
    bool shown = *line->where && (fits || width >= 60); // in a narrow pane the stack says it
    if (shown && !fits) rows++;
    if (where_row) *where_row = shown ? rows - 1 : -1;
    return rows;
}

void tui_story_release(struct tui_model *m) {
    free(m->story.lines);
    m->story = (struct tui_story){0};
}

void tui_story_build(struct tui_model *m) {
    tui_story_release(m);
    m->story_line = 0;
    const char *end = m->verdict ? m->verdict->end_reason : "";
    switch (m->verdict_state) {
    case TUI_VERDICT_HIDDEN:
        say(add(m, TUI_STORY_TEXT, 0, 0, 0),
            "the verdict is hidden: who waits for what, and who could end that?");
        say(add(m, TUI_STORY_TEXT, 0, 0, 0), "v shows it");
        return;
    case TUI_VERDICT_PENDING:
        say(add(m, TUI_STORY_TEXT, 0, 0, 0), "reading the recording; the verdict comes next");
        return;
    case TUI_VERDICT_RUNNING:
        say(add(m, TUI_STORY_TEXT, 0, 0, 0),
            "re-executing the recording to find out who held which lock (^C stops)");
        return;
    case TUI_VERDICT_FAILED:
        say(add(m, TUI_STORY_STUCK, 0, 0, 0), "no verdict: %s", m->verdict_error);
        say(add(m, TUI_STORY_TEXT, 0, 0, 0), "v tries again; events and lanes are complete without it");
        return;
    case TUI_VERDICT_DONE:
        break;
    }
    for (size_t i = 0; i < m->verdict->count; i++)
        finding(m, i);
    if (!m->verdict->count) {
        say(add(m, TUI_STORY_GOOD, 0, 0, 0), "no deadlock in this recording");
        say(add(m, TUI_STORY_TEXT, 0, 0, 0),
            "n and p step through it event by event, ? says what else there is");
    }
    if (*end && !m->verdict->count)
        say(add(m, TUI_STORY_TEXT, 0, m->verdict->events, 0), "the recording ends: %s", end);
}
