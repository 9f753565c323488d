#ifndef REFORK_RECORDER_LAUNCH_H
#define REFORK_RECORDER_LAUNCH_H

struct recorder;

// Starts the program and brings it to its first instruction; -1 with *r->err.
int launch(struct recorder *r);

#endif
