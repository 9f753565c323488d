// How long a recording has had a CPU: what a time limit counts that decides something about the program.
#ifndef REFORK_RECORDER_END_SERVED_H
#define REFORK_RECORDER_END_SERVED_H

#include "recorder/state.h"

// Notes how long recorder and program have waited for a CPU that others had. To be called now and then, as long as the recording
// goes on; what it costs is bounded (it looks once in 50 ms).
void served_look(struct recorder *r, uint64_t now);

// Microseconds of the recording until `now` (as r->clock_us), less the time that it waited for a CPU, or that the whole machine stood
// still. Time in which the program sleeps counts.
uint64_t served_us(const struct recorder *r, uint64_t now);
// Since a time that served_us() gave.
uint64_t served_since(const struct recorder *r, uint64_t now, uint64_t since);

// Microseconds that t has run. 0: the kernel does not tell.
uint64_t served_task_us(const struct task *t);

#endif
