// `rr record`, with an eye on the program: one that is stuck for ever is stopped.
#ifndef REFORK_REPLAYER_RR_RECORD_H
#define REFORK_REPLAYER_RR_RECORD_H

#include "replayer/rr/process.h"

#include <stdint.h>

struct rr_recording {
    int status; // as waitpid has it, of rr, which ends as the program does
    int stuck_pid; // a process all of whose threads waited for ever; 0: none was seen, and nobody stopped the program
    int stuck_tid;  // one of them
    bool timed_out; // stopped after `timeout_ms`
};

// Runs the command line with this process's own input and output. timeout_ms 0: no limit. `keep_going`: stuck processes
// are left alone.
int rr_record(const struct rr_line *l, uint64_t timeout_ms, bool keep_going, struct rr_recording *out,
              struct rf_error *err);

#endif
