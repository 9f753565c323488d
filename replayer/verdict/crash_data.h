// A child that crashed in half-changed data that no lock guards.
#ifndef REFORK_REPLAYER_VERDICT_CRASH_DATA_H
#define REFORK_REPLAYER_VERDICT_CRASH_DATA_H

#include "replayer/verdict/case.h"

enum { TORN_LOCKS_MAX = 64, TORN_VANISHED_MAX = 256 };

struct torn {
    struct analysis *a;
    const struct crash *crash;
    size_t space;
    uint64_t fork;
    size_t vanished[TORN_VANISHED_MAX]; // lives
    size_t vanished_count;
    struct held_word {
        struct lock_ref ref;
        size_t life;
    } locks[TORN_LOCKS_MAX];
    size_t lock_count;
    struct finding_point place; // of the crash
};

// 1: a finding was added, 0: nothing is certain enough, -1.
int crash_data_look(struct torn *t, struct rf_error *err);

#endif
