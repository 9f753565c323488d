// Findings from what the threads of the processes wait for.
#ifndef REFORK_REPLAYER_DIAGNOSE_FINDINGS_H
#define REFORK_REPLAYER_DIAGNOSE_FINDINGS_H

#include "replayer/diagnose/wait.h"

// Fills verdict->findings from the parties.
void diagnose_findings(struct diagnosis *d);

#endif
