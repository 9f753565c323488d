// What the kernel does to a signal that it sends by force.
#ifndef REFORK_RECORDER_FORCED_H
#define REFORK_RECORDER_FORCED_H

#include "recorder/state.h"
#include "recorder/task.h"

// A trap of refork's own made the kernel send `sig` to t by force, which unblocks a blocked signal and sets the handler of a
// blocked or ignored one to SIG_DFL (kernel/signal.c, force_sig_info_to_task). Puts both back. t: at the signal-delivery-stop,
// afterwards perhaps at the exit stop of an injected call.
void forced_undo(struct recorder *r, struct task *t, int sig);

#endif
