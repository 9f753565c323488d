// Events that a client may want to stop at: forks, programs that are executed, system calls, signals. Forward and backward they are
// told at the same place, but for a new program: backward the stop is before it, where the old one still is.
#ifndef REFORK_REPLAYER_GDB_CAUGHT_H
#define REFORK_REPLAYER_GDB_CAUGHT_H

#include "replayer/gdb/arrivals.h"

// What is told before `e` is made. *pc: the instruction that ends its slice, where the stop is; 0: right behind the event before.
bool caught_ahead(const struct stops *s, const struct event *e, struct stop *stop, uint64_t *pc);
// A handled signal that the program's own instruction raises. The stop is at that instruction, whose arrivals have to be counted.
bool caught_fault(const struct stops *s, const struct event *e, struct stop *stop);
// What is told right behind `e`.
bool caught_behind(const struct stops *s, const struct event *e, struct stop *stop);
// The program goes: what is told backward, right before `e`.
bool caught_exec(const struct stops *s, const struct event *e, struct stop *stop);
// How often the slice of event `event` comes to `pc`, which is where it ends. 0 or -1.
int caught_arrivals(struct stops *s, uint64_t event, uint64_t pc, uint64_t *arrivals, struct rf_error *err);

#endif
