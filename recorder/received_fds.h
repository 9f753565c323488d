// Descriptors that a process gets from another one.
#ifndef REFORK_RECORDER_RECEIVED_FDS_H
#define REFORK_RECORDER_RECEIVED_FDS_H

#include "recorder/log.h"

// At the exit of t's call with result `ret`: STREAM pieces for the descriptors that came over a socket or by pidfd_getfd and are
// the recording's own stdout or stderr.
void received_fds(struct recorder *r, struct task *t, struct batch *b, int64_t ret);

#endif
