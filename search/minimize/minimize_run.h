// Runs of `refork minimize`, and lists of segments.
#ifndef REFORK_SEARCH_MINIMIZE_MINIMIZE_RUN_H
#define REFORK_SEARCH_MINIMIZE_MINIMIZE_RUN_H

#include "search/minimize/minimize.h"

// Runs the program in these segments: an enum ending, or -1 with *m->err. What is known from before is not run again.
int minimize_try(struct minimize *m, const struct segment_list *list, struct rf_error *err);
// Runs it in any case, so that m->trace is there afterwards.
int minimize_run(struct minimize *m, const struct segment_list *list, struct rf_error *err);
// Keeps the last run's recording as `path`, and `list` as its schedule: 0 or -1.
int minimize_keep(struct minimize *m, const struct segment_list *list, const char *path, struct kept_run *out,
                  struct rf_error *err);
// The segments that were recorded in `path`, and how many switches; `list` may be NULL. 0 or -1.
int minimize_read_segments(struct minimize *m, const char *path, struct segment_list *list,
                           struct kept_run *out, struct rf_error *err);
// Adds a segment; one of the same task that follows its last one prolongs that.
void segment_list_add(struct segment_list *list, struct schedule_segment segment);
// ... as it was recorded. Where that ends between two steps, the place is kept (PLACED), or a step taken instead.
enum rounding { ROUND_PLACED, ROUND_UP, ROUND_DOWN, ROUNDINGS };
void minimize_add_recorded(struct minimize *m, struct segment_list *list, const struct segment *segment,
                           enum rounding rounding);
// The schedule of a list; its arrays stay m's and the list's.
struct schedule minimize_plan(const struct minimize *m, const struct segment_list *list);
void segment_list_append(struct segment_list *list, const struct segment_list *other, size_t from, size_t to);
void segment_list_release(struct segment_list *list);
void minimize_progress(const struct minimize *m, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
