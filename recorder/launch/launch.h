// From the command line to the first instruction of the program.
#ifndef REFORK_RECORDER_LAUNCH_LAUNCH_H
#define REFORK_RECORDER_LAUNCH_LAUNCH_H

struct recorder;
struct rf_error;

// Starts the program and brings it to its first instruction; -1 with *err.
int launch(struct recorder *r, struct rf_error *err);

#endif
