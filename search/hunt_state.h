// The folder in which the shards of a hunt meet: plain files, each made whole under another name first and then linked to
// its own, which fails when there is one. No file is ever locked or changed.
#ifndef REFORK_SEARCH_HUNT_STATE_H
#define REFORK_SEARCH_HUNT_STATE_H

#include "core/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hunt_state {
    const char *folder;
    char process[64]; // this process, as no other on any machine: HOST-PID-START
    unsigned made;    // files, for their temporary names
};

// Makes the folder when it is not there, makes sure that it can be written, and removes what processes of this machine that
// have been killed left half done.
int state_open(struct hunt_state *s, const char *folder, struct rf_error *err);
// The path of a file of it.
void state_path(const struct hunt_state *s, const char *name, char *out, size_t size);
bool state_has(const struct hunt_state *s, const char *name);
// 1 it was published, 0 there is one of that name already, -1 with *err.
int state_publish(struct hunt_state *s, const char *name, const json_t *value, struct rf_error *err);
// 1 with *out (the caller's), 0 there is none, -1 with *err.
int state_read(const struct hunt_state *s, const char *name, json_t **out, struct rf_error *err);
// `process` of another hunt_state is known to have ended. False also: it may run, on another machine.
bool state_process_ended(const struct hunt_state *s, const char *process);
// It is of this machine, so that its end does not go unseen.
bool state_process_known(const struct hunt_state *s, const char *process);
// A name for a temporary file of this process: removed by the next one on this machine when this one is killed.
void state_temporary(struct hunt_state *s, char *out, size_t size);

#endif
