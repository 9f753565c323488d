#include "tui/job.h"

#include <string.h>

void tui_job_begin(struct tui_job *job, enum tui_job_kind kind) {
    bool (*poll)(void *) = job->poll;
    void *argument = job->poll_argument;
    memset(job, 0, sizeof *job);
    job->kind = kind;
    job->poll = poll;
    job->poll_argument = argument;
}

static bool progress(void *argument, uint64_t done, uint64_t total) {
    struct tui_job *job = argument;
    job->done = done;
    job->total = total;
    if (job->poll && !job->poll(job->poll_argument)) job->cancel = true;
    return !job->cancel;
}

void tui_job_run(const struct tui_source *source, struct tui_job *job) {
    void *context = source->context;
    if (job->kind != TUI_JOB_OPEN) source->set_progress(context, progress, job);
    switch (job->kind) {
    case TUI_JOB_NONE:
        break;
    case TUI_JOB_OPEN:
        job->result = source->open(context, &job->err);
        break;
    case TUI_JOB_VERDICT:
        job->result = source->verdict(context, &job->verdict, &job->err);
        break;
    case TUI_JOB_STACK:
        job->result = source->stack(context, job->event, job->tid, job->frames, TUI_MAX_FRAMES, &job->err);
        break;
    case TUI_JOB_VARIABLES: {
        const struct tui_variables_wish wish = {
            {job->event, job->tid, job->frame}, job->examined, job->examined_count};
        job->result = source->variables(context, &wish, &job->variables, &job->err);
        break;
    }
    case TUI_JOB_NAMES:
        job->result = source->names(context, job->event, job->tid, &job->names, &job->err);
        break;
    case TUI_JOB_CHANGE:
        job->result = source->change(context, &job->change_wish, &job->change, &job->err);
        break;
    case TUI_JOB_LOCK: {
        const struct tui_lock_wish wish = {job->pid, job->address, job->event};
        job->result = source->lock_story(context, &wish, &job->lock, &job->err);
        break;
    }
    }
    if (job->kind != TUI_JOB_OPEN || !job->result) source->set_progress(context, NULL, NULL);
}
