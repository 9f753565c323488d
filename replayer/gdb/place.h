// A place inside a recording that is finer than an event: which instruction a task is about to execute, between two
// events. Without a counter of instructions it is told by arrivals: "the 3rd time that the task comes to this pc behind
// event 812". A replay reaches it again by a breakpoint that counts.
#ifndef REFORK_REPLAYER_GDB_PLACE_H
#define REFORK_REPLAYER_GDB_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum watch_kind { WATCH_WRITE, WATCH_READ, WATCH_ACCESS }; // a write is one that changes the bytes

enum leg_kind {
    LEG_ARRIVE, // the `count`-th arrival at `pc` from where the leg before it ends
    LEG_CHANGE, // behind the `count`-th change (or read, as `watch` says) of the bytes `len` at `pc`, from there
};

struct leg {
    enum leg_kind kind;
    uint64_t pc;
    uint64_t rsp; // ARRIVE: only arrivals with this stack pointer count (a recursion has another one); 0: all
    int len;
    uint64_t count;
    enum watch_kind watch; // CHANGE
};

enum { PLACE_LEGS = 24 };

// Behind event `event` the legs are walked one after another. No legs: right behind that event, where every task is at
// its landmark.
struct place {
    uint64_t event;
    struct leg legs[PLACE_LEGS];
    size_t count;
};

#endif
