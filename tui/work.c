#include "tui/work.h"

#include "replayer/names/script.h"
#include "tui/examine.h"
#include "tui/focus.h"
#include "tui/jump.h"
#include "tui/lanes.h"
#include "tui/layout.h"
#include "tui/lock_story.h"
#include "tui/story.h"
#include "tui/variables.h"
#include "tui/waits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void tui_work_reload(struct tui_model *m) {
    size_t count = m->source->task_count(m->source->context);
    struct tui_task *tasks = reallocarray(m->tasks, count ? count : 1, sizeof *tasks);
    rf_assert(tasks);
    m->tasks = tasks;
    m->task_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (!m->source->task(m->source->context, i, &tasks[i])) break;
        m->task_count++;
    }
    tui_lanes_build(m);
    tui_layout_compute(m);
}

// ---- asking
static bool stack_wanted(const struct tui_model *m) {
    bool fresh = m->stack_valid && m->stack_event == m->focus.event && m->stack_tid == m->focus.tid;
    return m->focus.event && !fresh;
}

// A task that is not there has no stack: nothing needs to be executed to know that.
static bool stack_of_nobody(struct tui_model *m) {
    struct rf_error err = {0};
    if (!m->source->alive(m->source->context, m->focus.event, m->focus.tid, &err)) return false;
    m->stack_event = m->focus.event;
    m->stack_tid = m->focus.tid;
    m->stack_valid = true;
    m->frame_count = 0;
    snprintf(m->stack_error, sizeof m->stack_error, "%s", err.text);
    return true;
}

static enum tui_job_kind wanted(const struct tui_model *m) {
    if (m->failed.status) return TUI_JOB_NONE;
    if (!m->opened) return TUI_JOB_OPEN;
    if (m->loading) return TUI_JOB_NONE; // tasks and their names come first
    if (m->verdict_state == TUI_VERDICT_PENDING) return TUI_JOB_VERDICT;
    if (tui_names_wanted(m)) return TUI_JOB_NAMES;
    if (m->watch.wanted) return TUI_JOB_CHANGE;
    if (stack_wanted(m)) return TUI_JOB_STACK;
    if (tui_variables_wanted(m)) return TUI_JOB_VARIABLES;
    return tui_lock_story_wanted(m) ? TUI_JOB_LOCK : TUI_JOB_NONE;
}

static bool ask(struct tui_model *m) {
    enum tui_job_kind kind = wanted(m);
    if (kind == TUI_JOB_NONE) return false;
    if (kind == TUI_JOB_STACK && stack_of_nobody(m)) return true;
    m->job.poll = m->give ? NULL : m->poll; // elsewhere it is not the model's thread
    m->job.poll_argument = m->poll_argument;
    tui_job_begin(&m->job, kind);
    m->job.event = m->focus.event;
    m->job.tid = m->focus.tid;
    m->job.frame = m->focus.frame;
    if (kind == TUI_JOB_VARIABLES) {
        if (tui_variables_of_script(m)) m->job.frame = SIZE_MAX;
        memcpy(m->job.examined, m->examined, sizeof m->examined);
        m->job.examined_count = m->examined_count;
    }
    if (kind == TUI_JOB_CHANGE) tui_change_ask(m, &m->job.change_wish);
    if (kind == TUI_JOB_LOCK) tui_lock_chosen(m, &m->job.pid, &m->job.address);
    if (kind == TUI_JOB_VERDICT) {
        m->verdict_state = TUI_VERDICT_RUNNING;
        tui_story_build(m);
        tui_layout_compute(m);
    }
    if (m->give) {
        m->give(m->give_argument, &m->job);
        return false;
    }
    if (m->job.poll) m->job.poll(m->job.poll_argument); // paints that it begins
    tui_job_run(m->source, &m->job);
    tui_work_answered(m);
    return true;
}

// ---- answers
static void opened(struct tui_model *m) {
    m->opened = m->job.result == 0;
    if (!m->opened) m->failed = m->job.err;
}

static void judged(struct tui_model *m) {
    bool good = m->job.result == 0;
    m->verdict_state = good ? TUI_VERDICT_DONE : TUI_VERDICT_FAILED;
    m->verdict = good ? m->job.verdict : NULL;
    m->lanes_folded = m->verdict && m->verdict->count;
    snprintf(m->verdict_error, sizeof m->verdict_error, "%s", m->job.err.text);
    if (m->verdict) m->source->judged(m->source->context, m->verdict);
    tui_work_reload(m); // start routines may be known only now
    tui_story_build(m);
    tui_waits_build(m);
    tui_lanes_fit(m, false);
    tui_layout_compute(m);
    m->stack_valid = false;
    if (!m->moved && m->verdict && m->verdict->count) {
        tui_jump_action(m, TUI_ACTION_VERDICT);
        m->message[0] = 0;
        m->back = m->focus;
    } else {
        tui_model_focus(m, m->focus.event, m->focus.tid); // into the lanes' new window
    }
}

// The first frame whose source is at hand, of a script the first that is its own.
static void choose_frame(struct tui_model *m) {
    size_t first = m->frame_count ? script_focus_index(m->frames, m->frame_count, true) : 0;
    for (size_t i = first; i < m->frame_count; i++) {
        const struct frame *f = &m->frames[i];
        if (!f->file || !f->line || !m->source->source_line(m->source->context, f->file, f->line)) continue;
        m->focus.frame = i;
        break;
    }
}

static void stacked(struct tui_model *m) {
    bool there = m->focus.event == m->job.event && m->focus.tid == m->job.tid;
    if (!there) return; // moved on meanwhile: asked for anew
    m->stack_event = m->job.event;
    m->stack_tid = m->job.tid;
    m->stack_valid = true;
    m->frame_count = m->job.result > 0 ? (size_t)m->job.result : 0;
    memcpy(m->frames, m->job.frames, m->frame_count * sizeof *m->frames);
    snprintf(m->stack_error, sizeof m->stack_error, "%s", m->job.result < 0 ? m->job.err.text : "");
    choose_frame(m);
}

static void told_of_variables(struct tui_model *m) {
    tui_variables_take(m, &m->job);
}

static void told_of_names(struct tui_model *m) {
    tui_names_take(m, &m->job);
}

static void told_of_change(struct tui_model *m) {
    tui_change_take(m, &m->job);
}

static void told_of_lock(struct tui_model *m) {
    tui_lock_story_take(m, &m->job);
}

void tui_work_answered(struct tui_model *m) {
    static void (*const answers[])(struct tui_model *) = {[TUI_JOB_OPEN] = opened,
                                                          [TUI_JOB_VERDICT] = judged,
                                                          [TUI_JOB_STACK] = stacked,
                                                          [TUI_JOB_LOCK] = told_of_lock,
                                                          [TUI_JOB_VARIABLES] = told_of_variables,
                                                          [TUI_JOB_NAMES] = told_of_names,
                                                          [TUI_JOB_CHANGE] = told_of_change};
    enum tui_job_kind kind = m->job.kind;
    if (kind == TUI_JOB_NONE) return;
    answers[kind](m);
    m->job.kind = TUI_JOB_NONE;
}

bool tui_model_work(struct tui_model *m) {
    if (m->busy) return false;
    bool again = false;
    if (!m->job.kind) again = ask(m);
    if (m->loading) {
        m->loading = m->source->load(m->source->context);
        tui_work_reload(m);
        return true;
    }
    return again;
}
