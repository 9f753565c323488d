// What a divergence says.
#ifndef REFORK_REPLAYER_ENGINE_CHECK_H
#define REFORK_REPLAYER_ENGINE_CHECK_H

#include "replayer/engine/replay.h"

struct vtask;
// Fills *err with the event, both sides and the text; -1.
int diverged(struct rf_error *err, const struct event *e, const struct vtask *v, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
// The replay has failed at r->event: if that is a divergence which another kind of CPU explains, *err says so instead, or as well.
void check_cause(struct replay *r, struct rf_error *err);
// The task's registers against the event's: 0, or -1. On another CPU than the recording's a flag that is undefined becomes the event's.
int check_regs(const struct replay *r, const struct event *e, struct vtask *v, struct rf_error *err);
// Content that left the program in the call that v is in: against its hash; what goes to stdout or stderr is shown. 0, or -1.
int check_written(struct replay *r, const struct event *e, struct vtask *v, const struct piece_hash *hash,
                  const void *bytes, struct rf_error *err);
// Each register that differs, on a line of its own.
void divergence_regs(char *out, size_t size, const struct user_regs_struct *want,
                     const struct user_regs_struct *have);
// What a wait status says, as the end of a sentence: "ended with status 1".
void describe_status(char *out, size_t size, int status);

#endif
