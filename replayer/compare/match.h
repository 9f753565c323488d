// Which step of one recording is the same step of the same task in another recording.
#ifndef REFORK_REPLAYER_COMPARE_MATCH_H
#define REFORK_REPLAYER_COMPARE_MATCH_H

#include "replayer/compare/steps.h"

// The calls of each task of a recording, an ENTER and its EXIT as one: what else ran in between is the schedule's matter.
struct task_calls {
    const struct steps *steps;
    struct call_list {
        size_t *at; // indexes of steps
        size_t count;
    } * tasks; // of task i + 1
};

enum step_match {
    MATCH_NONE, // that task is not there, or has done nothing yet
    MATCH_SAME,
    MATCH_LAST // it has fewer calls in the other one: its last
};

// The steps must outlive *out.
void task_calls_make(const struct steps *steps, struct task_calls *out);
void task_calls_release(struct task_calls *c);

// Task `tid` right after `event` in `from`: the event and the TID that are the same in `to`.
enum step_match step_match(const struct task_calls *from, uint64_t event, int tid,
                           const struct task_calls *to, uint64_t *to_event, int *to_tid);

#endif
